"""The full softmax.

    P(w | h) = exp(u_w · h + b_w) / Σ_v exp(u_v · h + b_v)

The loss is fused with its gradients (`fused`).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from rnntool.nn.output import fused
from rnntool.nn.output.direct import Runs
from rnntool.nn.output.layer import ExactLayer


class FullSoftmax(ExactLayer):
    """One weight row and one bias per word.

    Args:
        input_size: H, width of h.
        vocab_size: V.
        weight: the embedding (V, H), if tied; else the layer has its own.
    """

    is_recordable = True
    penalty = 0.0
    """Weight of (log Σ exp z)² in the loss."""

    def __init__(self, input_size: int, vocab_size: int, weight: nn.Parameter | None = None) -> None:
        super().__init__(input_size, vocab_size, weight)

    @property
    def rows(self) -> tuple[Tensor, Tensor]:
        """As `OutputLayer.rows`: one for every word."""
        return self.weight, self.bias

    def rows_computed(self, counts: Sequence[float]) -> float:
        """As `OutputLayer.rows_computed`: all."""
        return float(len(self.bias))

    def normalize(self, z: Tensor) -> Tensor:
        """As `OutputLayer.normalize`."""
        return fused.log_softmax(z)

    def nll(self, h: Tensor, targets: Tensor, starts: Tensor | None = None) -> Tensor:
        """As `OutputLayer.nll`."""
        return fused.softmax_nll(h, self.weight, self.bias, targets, self._runs(starts))

    def differentiate(
        self,
        h: Tensor,
        parameters: Sequence[Tensor],
        targets: Tensor,
        *,
        weights: Tensor | None,
        smoothing: float,
        dtype: torch.dtype,
        runs: Runs | None = None,
    ) -> tuple[Tensor, Tensor, list[Tensor]]:
        """As `ExactLayer.differentiate`."""
        U, b = parameters
        dU, db = torch.empty_like(U), torch.empty_like(b)
        loss, nll, dh = fused.softmax_loss(
            h,
            U,
            b,
            targets,
            weights=weights,
            smoothing=smoothing,
            penalty=self.penalty,
            dtype=dtype,
            dU=dU,
            db=db,
            runs=runs,
        )
        return loss, nll, [dh, dU, db]
