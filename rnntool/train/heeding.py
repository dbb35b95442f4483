"""What validations are made with, where somebody may wish to stop: at every window, or every word, it is asked."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from rnntool.nn.cells.cell import State
from rnntool.score.network import NetworkScorer
from rnntool.search.predictor import Prefixes
from rnntool.search.translator import Translator
from rnntool.train.progress import StopRequest


class HeedingScorer(NetworkScorer):
    """A scorer that is given up when somebody wishes to stop."""

    def __init__(self, *args: Any, stop: StopRequest, **options: Any) -> None:
        super().__init__(*args, **options)
        self._stop = stop

    def nll(self, h: Tensor, targets: Tensor) -> Tensor:
        """As `NetworkScorer.nll`."""
        self._stop.heed()
        return super().nll(h, targets)


class HeedingTranslator(Translator):
    """A translator that is given up when somebody wishes to stop."""

    def __init__(self, *args: Any, stop: StopRequest, **options: Any) -> None:
        super().__init__(*args, **options)
        self._stop = stop

    def step(self, prefixes: Prefixes) -> tuple[Tensor, State]:
        """As `Translator.step`."""
        self._stop.heed()
        return super().step(prefixes)
