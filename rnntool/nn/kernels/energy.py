"""The energies of attention's mlp, without its hidden layer in memory.

    e_ts = v · tanh(q_t + k_s)

The hidden layer has a row for every pair of a target word and a position, and none of them is needed twice: blocks that fit
into a processor's cache are computed, summed up and forgotten, and computed again for the gradients.  As
tanh z = 2 σ(2 z) − 1, and σ takes a third of tanh's time on a processor, what is computed is s = σ(2 (q + k)):

    e = 2 v · s − Σ v      ∂e/∂z = 4 v ⊙ s ⊙ (1 − s)
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

BLOCK = {"cpu": 1 << 17}
"""Numbers of the hidden layer that exist at once, by device."""

LARGEST_BLOCK = 1 << 25
"""The same on all others."""


def energies(query: Tensor, keys: Tensor, v: Tensor) -> Tensor:
    """e (B, T, S) for queries (B, T, A), keys (B, S, A) and v (A,)."""
    energy: Tensor = _Energies.apply(query, keys, v)  # type: ignore[no-untyped-call]
    return energy


class _Energies(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, query: Tensor, keys: Tensor, v: Tensor) -> Tensor:
        ctx.save_for_backward(query, keys, v)
        energy = query.new_empty(*query.shape[:2], keys.shape[1])
        for rows, words, s in _blocks(query, keys):
            energy[rows, words] = s @ (2 * v)
        return energy.sub_(v.sum())

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        query, keys, v = ctx.saved_tensors
        (grad,) = grads
        d_query, d_keys, d_v = torch.empty_like(query), torch.zeros_like(keys), -grad.sum() * torch.ones_like(v)
        for rows, words, s in _blocks(query, keys):
            own = grad[rows, words]
            d_v += 2 * (own.reshape(-1) @ s.flatten(0, 2))
            slope = torch.addcmul(s, s, s, value=-1).mul_(own[..., None])
            d_query[rows, words] = slope.sum(dim=2)
            d_keys[rows] += slope.sum(dim=1)
        return d_query.mul_(4 * v), d_keys.mul_(4 * v), d_v


def _blocks(query: Tensor, keys: Tensor) -> Iterator[tuple[slice, slice, Tensor]]:
    """s by block: its rows of B, its words of T, and itself (·, ·, S, A), which the next block overwrites."""
    num_rows, num_words, _ = query.shape
    block = BLOCK.get(query.device.type, LARGEST_BLOCK)
    words = min(num_words, max(1, block // keys[0].numel()))
    rows = max(1, block // (words * keys[0].numel()))
    q, k = 2 * query, 2 * keys
    space = query.new_empty(min(rows, num_rows) * words * keys[0].numel())
    for first in range(0, num_rows, rows):
        for begin in range(0, num_words, words):
            own = q[first : first + rows, begin : begin + words, None]
            other = k[first : first + rows, None]
            shape = (*own.shape[:2], *keys.shape[1:])
            s = torch.add(own, other, out=space[: own.shape[0] * own.shape[1] * keys[0].numel()].view(shape))
            yield slice(first, first + rows), slice(begin, begin + words), s.sigmoid_()
