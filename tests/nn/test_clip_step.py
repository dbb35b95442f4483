"""The gradient of every step's state, shortened on its way back."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from rnntool.config.arch import parse_arch
from rnntool.nn.cells.build import build_cell
from rnntool.nn.cells.cell import Cell
from rnntool.nn.kernels import reference
from rnntool.nn.recurrent import Recurrent
from tests.nn.conftest import Draw


def shortened(gradient: Tensor, limit: float) -> Tensor:
    norms = gradient.norm(dim=1, keepdim=True)
    return gradient * torch.where(norms > limit, limit / norms, torch.ones_like(norms))


def chained(
    cell: Cell, w: dict[str, Tensor], x: Tensor, state: tuple[Tensor, ...], out: Tensor, limit: float
) -> list[Tensor]:
    """Back-propagation through time by hand: dL/ds_t from the outputs and the step after, cut, through one step.

    Args:
        out: dL/dh, (T, B, H).

    Returns:
        The gradients of all weights.
    """
    states = [state]
    with torch.no_grad():
        for x_t in x:
            states.append(cell.step(w, x_t, states[-1])[1])
    total = [torch.zeros_like(weight) for weight in w.values()]
    later = [torch.zeros_like(s) for s in state]

    def back(outputs: Sequence[Tensor], inputs: Sequence[Tensor], arriving: Sequence[Tensor]) -> list[Tensor]:
        gradients = torch.autograd.grad(outputs, [*w.values(), *inputs], arriving, allow_unused=True)
        for whole_sum, g in zip(total, gradients, strict=False):
            if g is not None:
                whole_sum += g
        return [torch.zeros_like(s) if g is None else g for s, g in zip(inputs, gradients[len(w) :], strict=True)]

    for t in reversed(range(len(x))):
        before = tuple(s.detach().requires_grad_() for s in states[t])
        _, after = cell.step(w, x[t], before)
        seen = tuple(s.detach().requires_grad_() for s in after)
        direct = back([cell.output(w, seen)], seen, [out[t]])
        arriving = [shortened(d + g, limit) for d, g in zip(direct, later, strict=True)]
        assert all((g.norm(dim=1) <= limit * (1 + 1e-12)).all() for g in arriving)
        later = back(after, before, arriving)
    return total


@pytest.mark.parametrize("limit", [0.05, 0.5, 1e9])
def test_every_cell_learns_what_a_chain_made_by_hand_learns(cell: Cell, limit: float, draw: Draw) -> None:
    w, x, state = draw(cell, T=6)
    h, _ = reference.run(cell, w, x, state, clip_step=limit)
    out = torch.linspace(-1, 1, h.numel(), dtype=h.dtype).view_as(h)
    ours = torch.autograd.grad((h * out).sum(), list(w.values()), allow_unused=True)
    expected = chained(cell, w, x.detach(), tuple(s.detach() for s in state), out, limit)
    for one, other in zip(ours, expected, strict=True):
        torch.testing.assert_close(torch.zeros_like(other) if one is None else one, other, rtol=1e-11, atol=1e-12)


def test_a_limit_changes_no_output(cell: Cell, draw: Draw) -> None:
    w, x, state = draw(cell)
    assert torch.equal(reference.run(cell, w, x, state, clip_step=0.1)[0], reference.run(cell, w, x, state)[0])


def test_a_gradient_of_zero_stays_zero(draw: Draw) -> None:
    """No 0/0: a padded position has no gradient."""
    cell = build_cell(parse_arch("elman:4"), 3)
    w, x, state = draw(cell)
    h, _ = reference.run(cell, w, x, state, clip_step=0.1)
    assert not torch.autograd.grad((h * 0).sum(), w["weight_hh"])[0].any()


def test_a_stack_with_a_limit_takes_the_reference(draw: Draw) -> None:
    """The fast paths cannot reach into their steps: the same limit gives the same gradient whatever the plan."""
    cell = build_cell(parse_arch("gru:4"), 3)
    network = Recurrent([cell]).double()
    w, x, state = draw(cell, T=4)
    with torch.no_grad():
        for name, weight in w.items():
            network.layers[0].get_parameter(name).copy_(weight)
    gradients = []
    for backend in ("auto", "vendor", "reference"):
        network.plan(backend)
        h, _ = network.run(x, state, clip_step=0.1)
        gradients.append(torch.autograd.grad(h.sum(), list(network.parameters())))
    assert all(
        torch.equal(first, other) and torch.equal(first, last) for first, other, last in zip(*gradients, strict=True)
    )
