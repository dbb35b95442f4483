"""Networks over a window of words without a loop over time: the windows of all steps are written side by side.

    s_t = [x_t; x_{t−1}; …; x_{t−n+2}]      h_t = f(A g(s_t) + b), one product for all t

No step waits for another.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from rnntool.nn.cells.cell import Cell, State, Weights
from rnntool.nn.cells.ngram import NGram


def run(cell: Cell, w: Weights, x: Tensor, state: State, *, dtype: torch.dtype = torch.float32) -> tuple[Tensor, State]:
    """As `reference.run`, for the cells of `RUNS`: those whose state is their last inputs."""
    assert isinstance(cell, NGram)
    windows = unfold(x, state[0])
    seen = cell.seen(windows)
    low = dtype if dtype is torch.bfloat16 else x.dtype
    a = F.linear(seen.to(low), w["weight_ih"].to(low)).to(x.dtype) + w["bias"]
    return cell.units(a, seen), (windows[-1],)


RUNS = (NGram,)
"""The cells whose state is a window of inputs."""


def unfold(x: Tensor, window: Tensor) -> Tensor:
    """The window after each step, (T, B, W), the newest input first.

    Args:
        x: inputs, (T, B, E).
        window: that before the first step, (B, W), W a multiple of E.
    """
    T, B, E = x.shape
    places = window.shape[1] // E
    past = window.view(B, places, E).flip(1).transpose(0, 1)[1:]  # (places − 1, B, E): its oldest input leaves it
    inputs = torch.cat([past, x])
    return torch.cat([inputs[places - 1 - age :][:T] for age in range(places)], dim=2)
