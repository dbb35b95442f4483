"""The one question all models answer: how likely is each token of each line.

What is carried from line to line is a value: handed in, handed back.  A model whose context is reset at line ends hands
back what it got.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from rnntool.text.vocabulary import Vocabulary

LogProbs = NDArray[np.float64]
"""Natural log-probabilities."""


class Scorer(Protocol):
    """A model with a likelihood."""

    @property
    def vocabulary(self) -> Vocabulary:
        """What the ids mean."""
        ...

    @property
    def context(self) -> str:
        """`carry` or `reset`: what a line end does to the history."""
        ...

    def state0(self) -> Any:
        """What is carried into the first line."""
        ...

    def score(self, lines: Sequence[Sequence[int]], state: Any) -> tuple[list[LogProbs], Any]:
        """The log-probability of every token of each line, then of its `</s>`.

        Args:
            lines: ids, without `</s>`; they follow each other where the context is carried.
            state: from `state0` or an earlier call.

        Returns:
            For each line an array of its length plus one; and what is carried on.
        """
        ...
