"""Several models as one: P(w | h) = Σ_i λ_i P_i(w | h)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from rnntool.errors import ModelError
from rnntool.score.scorer import LogProbs, Scorer
from rnntool.text.vocabulary import Vocabulary


class Mixture:
    """A linear mixture of scorers over one vocabulary.

    Args:
        scorers: at least one.
        weights: λ, positive, summing to one.
        names: of the models, for messages.

    Raises:
        ModelError: two models have different vocabularies or contexts.
    """

    def __init__(self, scorers: Sequence[Scorer], weights: Sequence[float], names: Sequence[str]) -> None:
        first = scorers[0]
        for scorer, name in zip(scorers, names, strict=True):
            if scorer.vocabulary.tokens != first.vocabulary.tokens or scorer.vocabulary.unit != first.vocabulary.unit:
                raise ModelError(
                    name,
                    f"its vocabulary {scorer.vocabulary.digest} is not {first.vocabulary.digest}, that of {names[0]}; "
                    "probabilities of different tokens cannot be mixed",
                )
            if scorer.context != first.context:
                raise ModelError(
                    name,
                    f"its context is {scorer.context}, that of {names[0]} is {first.context}",
                    "--context, to choose one",
                )
        self.scorers = tuple(scorers)
        self.weights = np.asarray(weights)

    @property
    def vocabulary(self) -> Vocabulary:
        """The common one."""
        return self.scorers[0].vocabulary

    @property
    def context(self) -> str:
        """The common one."""
        return self.scorers[0].context

    def state0(self) -> tuple[Any, ...]:
        """One state for each model."""
        return tuple(scorer.state0() for scorer in self.scorers)

    def score(self, lines: Sequence[Sequence[int]], state: tuple[Any, ...]) -> tuple[list[LogProbs], tuple[Any, ...]]:
        """As `Scorer.score`."""
        answers = [scorer.score(lines, each) for scorer, each in zip(self.scorers, state, strict=True)]
        mixed = [self._mix(np.stack(parts)) for parts in zip(*(scores for scores, _ in answers), strict=True)]
        return mixed, tuple(after for _, after in answers)

    def _mix(self, log_probs: LogProbs) -> LogProbs:
        """log Σ_i λ_i exp(l_i) over the first axis."""
        top = log_probs.max(axis=0)
        return np.asarray(top + np.log(self.weights @ np.exp(log_probs - top)))
