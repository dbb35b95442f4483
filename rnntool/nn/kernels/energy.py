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
        return energies_but_constant(2 * query, keys, v).sub_(v.sum())

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        query, keys, v = ctx.saved_tensors
        (grad,) = grads
        d_keys, d_v = torch.zeros_like(keys), -grad.sum() * torch.ones_like(v)
        d_query = add_slopes(grad, 2 * query, keys, d_keys, d_v)
        return d_query.mul_(4 * v), d_keys.mul_(4 * v), d_v


def energies_but_constant(query2: Tensor, keys: Tensor, v: Tensor) -> Tensor:
    """e + Σ v, (B, T, S), from 2 q (B, T, A) and k (B, S, A); a softmax over positions does not see the constant."""
    energy = query2.new_empty(*query2.shape[:2], keys.shape[1])
    for rows, words, s in _blocks(query2, keys):
        energy[rows, words] = s @ (2 * v)
    return energy


def add_slopes(grad: Tensor, query2: Tensor, keys: Tensor, d_keys: Tensor, d_v: Tensor) -> Tensor:
    """The way back of `energies_but_constant`.

    Args:
        grad: of e, (B, T, S).
        query2: 2 q, (B, T, A).
        keys: k, (B, S, A).
        d_keys: to which the gradient of k, divided by 4 v, is added.
        d_v: to which that of v is added.

    Returns:
        The gradient of q, divided by 4 v, (B, T, A).
    """
    d_query = torch.empty_like(query2)
    for rows, words, s in _blocks(query2, keys):
        own = grad[rows, words]
        d_v.add_(own.reshape(-1) @ s.flatten(0, 2), alpha=2)
        slope = torch.addcmul(s, s, s, value=-1).mul_(own[..., None])
        torch.sum(slope, dim=2, out=d_query[rows, words])
        d_keys[rows] += slope[:, 0] if slope.shape[1] == 1 else slope.sum(dim=1)
    return d_query


def _blocks(query2: Tensor, keys: Tensor) -> Iterator[tuple[slice, slice, Tensor]]:
    """s by block: its rows of B, its words of T, and itself (·, ·, S, A), which the next block overwrites."""
    num_rows, num_words, _ = query2.shape
    size = keys[0].numel()
    block = BLOCK.get(query2.device.type, LARGEST_BLOCK)
    words = min(num_words, max(1, block // size))
    rows = max(1, block // (words * size))
    space = query2.new_empty(min(rows, num_rows) * words * size)
    for first in range(0, num_rows, rows):
        for begin in range(0, num_words, words):
            own = query2[first : first + rows, begin : begin + words, None]
            other = keys[first : first + rows, None]
            shape = (*own.shape[:2], *keys.shape[1:])
            s = torch.add(own, other, alpha=2, out=space[: own.shape[0] * own.shape[1] * size].view(shape))
            yield slice(first, first + rows), slice(begin, begin + words), s.sigmoid_()
