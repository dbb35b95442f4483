"""Cells of every kind with weights drawn from a seed, on one thread."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor

from rnntool.config.arch import parse_arch
from rnntool.nn.cells.build import build_cell
from rnntool.nn.cells.cell import Cell, State

ARCHS = (
    "ngram:2x4",
    "ngram:4x4",
    "ngram:3x4,sigmoid",
    "ngram:3x4,direct",
    "ngram:3x4,sigmoid,direct",
    "elman:4",
    "elman:4,tanh",
    "elman:4,relu",
    "lstm:4",
    "lstm:4/3",
    "gru:4",
    "gru-before:4",
    "scrn:4+3@0.9",
    "scrn:4+3@0.9,learn",
    "scrn:4+3@0.9,prev",
    "scrn:4+3@0.9,learn,prev",
    "scrn:4+0",
    "scrn:0+3@0.8",
    "trace:3@0.8",
    "trace:3@0.8,learn",
    "jordan:4@0.5",
    "jordan:4@0.5,tanh",
    "mrnn:4/3",
)
"""Every cell in every variant, small."""


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(params=ARCHS)
def cell(request: pytest.FixtureRequest) -> Cell:
    """Each cell in each variant; reads inputs of width 3."""
    return build_cell(parse_arch(request.param), 3)


Draw = Callable[..., tuple[dict[str, Tensor], Tensor, State]]


@pytest.fixture
def draw() -> Draw:
    """draw(cell, T=…, B=…, dtype=…) -> weights, inputs (T, B, E) and a state, all of them leaves that want gradients."""

    def drawn(
        cell: Cell, *, T: int = 3, B: int = 2, dtype: torch.dtype = torch.float64, seed: int = 1
    ) -> tuple[dict[str, Tensor], Tensor, State]:
        generator = torch.Generator().manual_seed(seed)

        def normal(*shape: int) -> Tensor:
            # drawn in float64 whatever the dtype, so that dtypes can be compared
            return (torch.randn(shape, generator=generator, dtype=torch.float64) / 2).to(dtype).requires_grad_()

        weights = {name: normal(*shape) for name, shape in cell.shapes.items()}
        return weights, normal(T, B, cell.input_size), tuple(normal(B, size) for size in cell.state_sizes)

    return drawn
