"""A model of n-grams, or a random forest of them, as a scorer.

Its n-grams never reach over the end of a line: every line begins after `<s>`, and nothing is carried to the next.  So it
goes with models that carry something as well as with models that do not, and bears the context of those it is mixed with.
"""

from __future__ import annotations

from collections.abc import Sequence

from rnntool.ngram.forest import Forest
from rnntool.ngram.model import NgramModel
from rnntool.score.scorer import LogProbs
from rnntool.text.vocabulary import Vocabulary


class NgramScorer:
    """Scores lines under a model of n-grams.

    Args:
        model: the model.
        context: `reset`, or `carry` beside models that do.
    """

    def __init__(self, model: NgramModel | Forest, context: str = "reset") -> None:
        self.model = model
        self.context = context

    @property
    def vocabulary(self) -> Vocabulary:
        """That of the model."""
        return self.model.vocabulary

    def state0(self) -> None:
        """Nothing."""

    def score(self, lines: Sequence[Sequence[int]], state: None) -> tuple[list[LogProbs], None]:
        """As `Scorer.score`."""
        return self.model.log_probs(lines), state
