"""Scores as the output layer computes them, taken for log-probabilities without being normalised.

    log P(y | h) ≈ u_y · h + b_y

Only for layers that learned to have log Z = log Σ_v exp(u_v · h + b_v) near zero.  One row is computed for each token
instead of V; how far off the scores are is told by the mean and the variance of log Z, which take all V.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from rnntool.models.network import Network
from rnntool.nn.output.fused import rows_of_a_block
from rnntool.score.network import NetworkScorer
from rnntool.text.vocabulary import Vocabulary


@dataclass
class Moments:
    """Count, mean and spread of numbers that come in blocks (Chan, Golub and LeVeque 1979)."""

    count: int = 0
    mean: float = 0.0
    squares: float = 0.0
    """Σ (x − mean)²."""

    @property
    def variance(self) -> float:
        """Of the numbers; not a number before the first."""
        return self.squares / self.count if self.count else math.nan

    def add(self, numbers: Tensor) -> None:
        """Some more."""
        if not len(numbers):
            return
        numbers = numbers.double()
        total = self.count + len(numbers)
        step = float(numbers.mean()) - self.mean
        self.squares += float((numbers - numbers.mean()).square().sum()) + step**2 * self.count * len(numbers) / total
        self.mean += step * len(numbers) / total
        self.count = total


class UnnormalizedScorer(NetworkScorer):
    """Scores lines by what their tokens' rows give.

    Args:
        network: with an output layer that `is_self_normalized`.
        vocabulary: what its ids are.
        context: as for `NetworkScorer`.
        batch_size: as for `NetworkScorer`.
        log_z: gets log Z of every token, if that is to be measured.
    """

    def __init__(
        self,
        network: Network,
        vocabulary: Vocabulary,
        context: str,
        *,
        batch_size: int = 64,
        log_z: Moments | None = None,
    ) -> None:
        super().__init__(network, vocabulary, context, batch_size=batch_size)
        self._log_z = log_z

    def nll(self, h: Tensor, targets: Tensor, starts: Tensor) -> Tensor:
        """As `NetworkScorer.nll`, not normalised; layers that learn to do without have no direct weights."""
        del starts
        U, b = self.network.output.rows
        if self._log_z is not None:
            for part in torch.split(h, rows_of_a_block(len(b), h.element_size())):
                self._log_z.add(torch.addmm(b, part, U.T).logsumexp(dim=1))
        scores: Tensor = torch.linalg.vecdot(h, U[targets]) + b[targets]
        return -scores
