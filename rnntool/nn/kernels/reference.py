"""Any cell over time, one `step` after the other: the specification of every faster path."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from rnntool.nn.cells.cell import Cell, State, Weights


def run(
    cell: Cell,
    w: Weights,
    x: Tensor,
    state: State,
    *,
    dtype: torch.dtype = torch.float32,
    clip_step: float = 0.0,
) -> tuple[Tensor, State]:
    """The outputs h (T, B, `cell.output_size`) for inputs x (T, B, E) from `state`, and the state after the last.

    With `clip_step`, the gradient with respect to every tensor of the state is shortened to that norm at every step and
    in every stream; this is the only path that can.  `dtype` is the lowest that products may have; here they have x's.
    """
    del dtype
    outputs = []
    for x_t in x:
        h, state = cell.step(w, x_t, state)
        if clip_step:
            state = tuple(_ClipStep.apply(s, clip_step) for s in state)  # type: ignore[no-untyped-call]
            h = cell.output(w, state)  # what is learnt from the output is shortened together with the rest
        outputs.append(h)
    return torch.stack(outputs), state


class _ClipStep(torch.autograd.Function):
    """The identity, whose gradient is shortened in every row to a largest norm.

    Source: the lecture's code and its authors' (facebookarchive/SCRNNs), which clip ∂L/∂h_t.
    """

    @staticmethod
    def forward(ctx: Any, s: Tensor, limit: float) -> Tensor:
        ctx.limit = limit
        return s.view_as(s)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        norms = grad.norm(dim=-1, keepdim=True)
        return grad * (ctx.limit / norms.clamp(min=ctx.limit)), None
