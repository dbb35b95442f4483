"""The derivative of every cell, by differences in float64."""

from __future__ import annotations

import torch
from torch import Tensor

from rnntool.config.arch import FORMS
from rnntool.nn.cells.cell import Cell
from rnntool.nn.kernels import reference
from tests.nn.conftest import ARCHS, Draw


def test_autograd_agrees_with_differences_for_every_weight_input_and_state(cell: Cell, draw: Draw) -> None:
    weights, x, state = draw(cell)
    names = list(weights)

    def over_time(x: Tensor, *rest: Tensor) -> tuple[Tensor, ...]:
        w = dict(zip(names, rest[: len(names)], strict=True))
        h, after = reference.run(cell, w, x, rest[len(names) :])
        return (h, *after)

    assert torch.autograd.gradcheck(over_time, (x, *weights.values(), *state))


def test_every_cell_is_among_those_tested() -> None:
    assert {arch.split(":")[0] for arch in ARCHS} == set(FORMS)
