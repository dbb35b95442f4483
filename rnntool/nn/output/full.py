"""The full softmax.

    P(w | h) = exp(u_w · h + b_w) / Σ_v exp(u_v · h + b_v)

The loss is fused with it: blocks of logits are turned into gradients where they stand, and no more than a block of them
ever exists.  Products may be of lower precision than the statistics, which are always float32.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

BLOCK_BYTES = 32 << 20
"""Largest block of logits kept at once while training."""

ROWS = 64
"""Rows whose softmax is taken at once: few enough to stay in the cache between its passes (64 to 128 are best)."""


class FullSoftmax(nn.Module):
    """One weight row and one bias per word.

    Args:
        input_size: H, width of h.
        vocab_size: V.
        weight: the embedding (V, H), if tied; else the layer has its own.
    """

    def __init__(self, input_size: int, vocab_size: int, weight: nn.Parameter | None = None) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(vocab_size, input_size)) if weight is None else weight
        self.bias = nn.Parameter(torch.empty(vocab_size))

    def log_probs(self, h: Tensor) -> Tensor:
        """Natural log-probabilities of all words, (N, V), for h (N, H)."""
        z = self._logits(h)
        # torch.log_softmax sums less carefully: with 10,000 words its probabilities miss one by 9e-6, these by 6e-7
        return z - z.logsumexp(dim=1, keepdim=True)

    def nll(self, h: Tensor, targets: Tensor) -> Tensor:
        """−log P(target) in nats, (N,), for h (N, H) and targets (N,)."""
        rows = max(1, BLOCK_BYTES // (4 * len(self.bias)))
        blocks = zip(torch.split(h, rows), torch.split(targets, rows), strict=True)
        return torch.cat([_nll(self._logits(part), y) for part, y in blocks])

    def loss(
        self,
        h: Tensor,
        targets: Tensor,
        *,
        weights: Tensor | None = None,
        smoothing: float = 0.0,
        dtype: torch.dtype = torch.float32,
    ) -> tuple[Tensor, Tensor]:
        """What training minimises.

        Args:
            h: hidden states, (N, H).
            targets: ids, (N,).
            weights: of each row in the sum, (N,); None for ones.
            smoothing: share of each target's probability that is spread evenly over the vocabulary.
            dtype: of the products.

        Returns:
            The weighted sum of the (smoothed) losses, differentiable; and the plain sum of −log P(target), not.
        """
        if torch.is_grad_enabled():
            loss, nll = _FusedLoss.apply(h, self.weight, self.bias, targets, weights, smoothing, dtype)  # type: ignore[no-untyped-call]
            return loss, nll
        return self.loss_reference(h, targets, weights=weights, smoothing=smoothing)

    def loss_reference(
        self, h: Tensor, targets: Tensor, *, weights: Tensor | None = None, smoothing: float = 0.0
    ) -> tuple[Tensor, Tensor]:
        """The readable twin of `loss`: log-probabilities of everything, then sums."""
        log_probs = self.log_probs(h)
        nll = -log_probs.gather(1, targets[:, None])[:, 0]
        each = (1 - smoothing) * nll - smoothing * log_probs.mean(dim=1)
        return (each if weights is None else each * weights).sum(), nll.sum().detach()

    def _logits(self, h: Tensor) -> Tensor:
        return torch.addmm(self.bias, h, self.weight.T)

    def init(self, generator: torch.Generator) -> None:
        """An own weight and the bias start at zero: every word equally likely; a tied weight is left alone."""
        del generator
        self.weight.zero_()
        self.bias.zero_()


def _nll(z: Tensor, targets: Tensor) -> Tensor:
    """−log softmax(z)[target], (N,), for logits z (N, V)."""
    return z.logsumexp(dim=1) - z.gather(1, targets[:, None])[:, 0]


class _FusedLoss(torch.autograd.Function):
    """Loss and all its gradients in one pass over blocks of logits.

    With p = softmax(z), the gradient of the loss with respect to the logits z is p − (1 − ε) 1_target − ε / V, times the
    row's weight.  It is written over the logits, in their dtype; two products then give those of h and U.
    """

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
        num_rows, vocab_size = len(h), len(bias)
        U, b = weight.to(dtype), bias.to(dtype)
        dh = torch.empty_like(h)
        dU = torch.zeros_like(weight)
        db = torch.zeros_like(bias)
        losses = h.new_empty(num_rows)
        nlls = h.new_empty(num_rows)
        block_rows = max(ROWS, BLOCK_BYTES // (vocab_size * U.element_size()))
        for start in range(0, num_rows, block_rows):
            rows = slice(start, min(start + block_rows, num_rows))
            x = h[rows].to(dtype)
            z = torch.addmm(b, x, U.T)  # (n, V)
            for first in range(start, rows.stop, ROWS):
                part = slice(first, min(first + ROWS, rows.stop))
                logits = z[first - start : part.stop - start]
                y = targets[part, None]
                exact = logits.to(h.dtype)  # converted first: softmax(dtype=...) takes a path seven times slower
                p = torch.softmax(exact, dim=1)
                # log Σ exp(z) from the likeliest word, whose probability cannot underflow
                log_z = exact.amax(dim=1, keepdim=True) - p.amax(dim=1, keepdim=True).log()  # (n, 1)
                nll = log_z - exact.gather(1, y)
                nlls[part] = nll[:, 0]
                if smoothing:
                    mean = log_z - exact.mean(dim=1, keepdim=True)
                    nll = (1 - smoothing) * nll + smoothing * mean
                    p -= smoothing / vocab_size
                p.scatter_add_(1, y, p.new_full(y.shape, smoothing - 1))
                if weights is not None:
                    nll *= weights[part, None]
                    p *= weights[part, None]
                losses[part] = nll[:, 0]
                db += p.sum(dim=0)
                logits.copy_(p)  # from here on z holds the gradient
            dh[rows] = z @ U
            dU += z.T @ x
        ctx.save_for_backward(dh, dU, db)
        nll_sum = nlls.sum()
        ctx.mark_non_differentiable(nll_sum)
        return losses.sum(), nll_sum

    @staticmethod
    def backward(ctx: Any, grad: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        dh, dU, db = ctx.saved_tensors
        return dh * grad, dU * grad, db * grad, None, None, None, None
