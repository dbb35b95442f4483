"""Linear recurrences over time without a loop over time: a fading memory is one triangular product.

    s_t = α s_{t−1} + u_t   =   α^(t+1) s_{−1} + Σ_{k ≤ t} α^(t−k) u_k

The sum is L u with L[t, k] = α^(t−k) below the diagonal, so a whole window costs one small matrix product.
"""

from __future__ import annotations

import torch
from torch import Tensor

from rnntool.nn.cells.cell import Cell, State, Weights
from rnntool.nn.cells.trace import Trace

BLOCK = 64
"""Longest window for which L is written down; longer ones go block by block, so that the cost stays linear in T."""


def run(cell: Cell, w: Weights, x: Tensor, state: State, *, dtype: torch.dtype = torch.float32) -> tuple[Tensor, State]:
    """As `reference.run`, for the cells of `RUNS`: those that are linear in their state."""
    assert isinstance(cell, Trace)
    alpha = cell.alpha(w)
    fed = (x.to(dtype) @ w["weight_is"].T.to(dtype)).to(x.dtype) if dtype is torch.bfloat16 else x @ w["weight_is"].T
    s = fade((1 - alpha) * fed, state[0], alpha)
    return s, (s[-1],)


RUNS = (Trace,)
"""The cells whose state is a linear recurrence."""


def fade(u: Tensor, s: Tensor, alpha: Tensor | float) -> Tensor:
    """The states s_0 .. s_{T−1}, (T, B, C).

    Args:
        u: what enters at each step, (T, B, C).
        s: the state before the first step, (B, C).
        alpha: α, one number or (C,).
    """
    states = []
    for block in torch.split(u, BLOCK):
        states.append(_block(block, s, alpha))
        s = states[-1][-1]
    return states[0] if len(states) == 1 else torch.cat(states)


def _block(u: Tensor, s: Tensor, alpha: Tensor | float) -> Tensor:
    T, B, C = u.shape
    steps = torch.arange(T, device=u.device)
    lag = steps[:, None] - steps[None, :]  # (T, T): t − k
    if not isinstance(alpha, Tensor):
        alpha = u.new_full((), alpha)
    if alpha.dim() == 0:
        L = torch.where(lag >= 0, alpha ** lag.clamp(min=0), 0)
        fed = (L @ u.reshape(T, B * C)).view(T, B, C)
        return fed + (alpha ** (steps + 1))[:, None, None] * s
    L = torch.where(lag >= 0, alpha[:, None, None] ** lag.clamp(min=0), 0)  # (C, T, T)
    fed = torch.bmm(L, u.permute(2, 0, 1)).permute(1, 2, 0)
    return fed + (alpha ** (steps + 1)[:, None])[:, None, :] * s
