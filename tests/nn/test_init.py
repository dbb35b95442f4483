"""Where training starts."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from rnntool.config.arch import parse_arch
from rnntool.nn.cells.build import build_cell
from rnntool.nn.cells.cell import Cell


def initial(cell: Cell, seed: int = 1) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    weights = {name: torch.full(shape, math.nan) for name, shape in cell.shapes.items()}
    for name, weight in weights.items():
        cell.init(name, weight, generator)
    return weights


def test_every_weight_is_set_and_lies_within_one_over_the_root_of_the_units(cell: Cell) -> None:
    for name, weight in initial(cell).items():
        if name.startswith("weight"):
            assert (weight.abs() <= 1 / math.sqrt(cell.hidden_size or cell.output_size)).all()
            assert weight.unique().numel() == weight.numel()
        assert torch.isfinite(weight).all()


def test_the_same_seed_gives_the_same_weights_and_another_gives_others(cell: Cell) -> None:
    one, same, other = initial(cell), initial(cell), initial(cell, seed=2)
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not all(torch.equal(one[name], other[name]) for name in one)


def test_an_lstm_starts_with_its_forget_gate_open() -> None:
    """Biases i f g o: 1 for f (Jozefowicz et al. 2015), 0 for the others."""
    assert initial(build_cell(parse_arch("lstm:2"), 3))["bias"].tolist() == [0, 0, 1, 1, 0, 0, 0, 0]


@pytest.mark.parametrize("arch", ["elman:3", "gru:3", "gru-before:3", "scrn:3+2", "jordan:3", "ngram:3"])
def test_other_biases_start_at_zero(arch: str) -> None:
    weights = initial(build_cell(parse_arch(arch), 3))
    assert all(not weight.any() for name, weight in weights.items() if name.startswith("bias"))


def test_a_multiplicative_network_starts_as_one_with_the_same_matrix_for_all_inputs() -> None:
    weights = initial(build_cell(parse_arch("mrnn:3/2"), 3))
    assert weights["bias_f"].tolist() == [1, 1]
    assert weights["bias"].tolist() == [0, 0, 0]


@pytest.mark.parametrize(("decay", "start"), [("0.9", 0.9), ("0", 1e-4), ("1", 1 - 1e-4)])
def test_a_learned_decay_starts_where_it_is_told_but_not_where_it_could_not_move(decay: str, start: float) -> None:
    """σ(a) = α; at 0 and 1 the sigmoid has no slope."""
    weights = initial(build_cell(parse_arch(f"trace:2@{decay},learn"), 3))
    torch.testing.assert_close(torch.sigmoid(weights["decay"]), torch.full((2,), start), rtol=1e-5, atol=0)


def test_a_state_begins_with_zeros_of_the_weights_kind(cell: Cell) -> None:
    state = cell.state0(5, torch.ones(1, dtype=torch.float64))
    assert [s.shape for s in state] == [(5, size) for size in cell.state_sizes]
    assert all(s.dtype == torch.float64 and not s.any() for s in state)
