"""Validation by what is wanted in the end: the sources translated, and the targets found compared with references.

The search is that of `rnntool translate` as it is by default, the score that of `rnntool bleu`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from rnntool.config.metrics import MetricConfig
from rnntool.models.network import Network
from rnntool.nn.cells.cell import State
from rnntool.score import bleu
from rnntool.search.predictor import Prefixes
from rnntool.search.translation import Line, Manner, Translation
from rnntool.search.translator import Translator
from rnntool.text.vocabulary import Vocabulary
from rnntool.train.progress import StopRequest

BATCH_SIZE = 64
"""Sources translated side by side."""


class Judge:
    """Scores a network by its translations.

    Args:
        metric: `bleu` or `chrf`.
        sources: lines to translate.
        references: what they should become, line by line.
        source_vocabulary: of the sources.
        vocabulary: of the targets.
    """

    def __init__(
        self,
        metric: str,
        sources: Sequence[str],
        references: Sequence[str],
        *,
        source_vocabulary: Vocabulary,
        vocabulary: Vocabulary,
    ) -> None:
        self.metric = metric
        self._lines = [Line(source, number) for number, source in enumerate(sources)]
        self._compared = bleu.build(metric, MetricConfig(), [bleu.read_text(references)])
        self._source_vocabulary = source_vocabulary
        self._vocabulary = vocabulary

    def score(self, network: Network, stop: StopRequest) -> float:
        """What its translations are worth, from 0 to 100.

        Raises:
            GivenUp: somebody wishes to stop.
        """
        vocabulary, sources = self._vocabulary, self._source_vocabulary
        translator = _Heeding(
            [network],
            [1.0],
            eos_id=vocabulary.eos_id,
            source_ends=[sources.eos_id],
            precision="fp32",
            banned=vocabulary.unwritable(),
            stop=stop,
        )
        translation = Translation(
            translator, vocabulary, [sources], attending=(), weights=[1.0], batch_size=BATCH_SIZE, manner=Manner()
        )
        found = [best.text for best, *_ in translation.targets(self._lines)]
        return bleu.score(self._compared, found).value


class _Heeding(Translator):
    """A translator that is given up, between two words, when somebody wishes to stop."""

    def __init__(self, *args: Any, stop: StopRequest, **options: Any) -> None:
        super().__init__(*args, **options)
        self._stop = stop

    def step(self, prefixes: Prefixes) -> tuple[Tensor, State]:
        """As `Translator.step`."""
        self._stop.heed()
        return super().step(prefixes)
