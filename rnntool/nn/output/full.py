"""The full softmax.

    P(w | h) = exp(u_w · h + b_w) / Σ_v exp(u_v · h + b_v)

The loss is fused with its gradients (`fused`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from rnntool.nn.output import fused
from rnntool.nn.output.layer import OutputLayer


class FullSoftmax(OutputLayer):
    """One weight row and one bias per word.

    Args:
        input_size: H, width of h.
        vocab_size: V.
        weight: the embedding (V, H), if tied; else the layer has its own.
    """

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

    def nll(self, h: Tensor, targets: Tensor) -> Tensor:
        """As `OutputLayer.nll`."""
        return fused.softmax_nll(h, self.weight, self.bias, targets)

    def loss(
        self,
        h: Tensor,
        targets: Tensor,
        *,
        weights: Tensor | None = None,
        smoothing: float = 0.0,
        dtype: torch.dtype = torch.float32,
    ) -> tuple[Tensor, Tensor]:
        """As `OutputLayer.loss`."""
        if torch.is_grad_enabled():
            loss, nll = _FusedLoss.apply(h, self.weight, self.bias, targets, weights, smoothing, dtype)  # type: ignore[no-untyped-call]
            return loss, nll
        return self.loss_reference(h, targets, weights=weights, smoothing=smoothing)

    def loss_reference(
        self, h: Tensor, targets: Tensor, *, weights: Tensor | None = None, smoothing: float = 0.0
    ) -> tuple[Tensor, Tensor]:
        """Log-probabilities of everything, then sums."""
        log_probs = self.log_probs(h)
        nll = -log_probs.gather(1, targets[:, None])[:, 0]
        each = (1 - smoothing) * nll - smoothing * log_probs.mean(dim=1)
        return (each if weights is None else each * weights).sum(), nll.sum().detach()


class _FusedLoss(torch.autograd.Function):
    """The loss with all its gradients, taken on the way forward."""

    @staticmethod
    def forward(
        ctx: Any,
        h: Tensor,
        weight: Tensor,
        bias: Tensor,
        targets: Tensor,
        weights: Tensor | None,
        smoothing: float,
        dtype: torch.dtype,
    ) -> tuple[Tensor, Tensor]:
        dU, db = torch.empty_like(weight), torch.empty_like(bias)
        loss, nll, dh = fused.softmax_loss(
            h, weight, bias, targets, weights=weights, smoothing=smoothing, dtype=dtype, dU=dU, db=db
        )
        ctx.save_for_backward(dh, dU, db)
        ctx.mark_non_differentiable(nll)
        return loss, nll

    @staticmethod
    def backward(ctx: Any, grad: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        return *fused.scaled(ctx.saved_tensors, grad), None, None, None, None
