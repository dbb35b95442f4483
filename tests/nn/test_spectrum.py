"""What recurrent matrices do to a state."""

from __future__ import annotations

import math

import pytest
import torch

from rnntool.config.arch import parse_arch
from rnntool.nn import spectrum
from rnntool.nn.cells.build import build_cell
from rnntool.nn.cells.cell import Cell
from rnntool.nn.spectrum import Stretch, stretches
from tests.nn.conftest import Draw


def measured(arch: str, **weights: torch.Tensor) -> list[Stretch]:
    """The matrices of a cell, those not given zero."""
    cell = build_cell(parse_arch(arch), 3)
    zeros = {name: torch.zeros(shape) for name, shape in cell.shapes.items()}
    return list(stretches(cell, zeros | weights))


def test_radius_and_norm_differ_where_a_matrix_shears() -> None:
    """[[1, 10], [0, ½]]: eigenvalues 1 and ½; largest singular value √(101.25/2 + √(101.25²/4 − ¼)) = 10.0622."""
    (found,) = measured("elman:2,tanh", weight_hh=torch.tensor([[1.0, 10.0], [0.0, 0.5]]))
    assert (found.name, found.gate, found.slope) == ("weight_hh", "", 1.0)
    assert found.radius == pytest.approx(1.0)
    assert found.norm == pytest.approx(10.0622, abs=1e-4)


def test_complex_eigenvalues_count_by_their_absolute_value() -> None:
    (found,) = measured("elman:2,tanh", weight_hh=torch.tensor([[0.0, -2.0], [2.0, 0.0]]))
    assert (found.radius, found.norm) == pytest.approx((2.0, 2.0))


def test_a_sigmoid_needs_a_norm_of_four_before_gradients_can_grow() -> None:
    (found,) = measured("elman:3", weight_hh=4 * torch.eye(3))
    assert (found.radius, found.growth) == pytest.approx((4.0, 1.0))


def test_gates_are_measured_one_by_one() -> None:
    blocks = torch.cat([factor * torch.eye(2) for factor in (1.0, 2.0, 3.0, 4.0)])
    found = measured("lstm:2", weight_hh=blocks)
    assert [(each.gate, each.radius, each.slope) for each in found] == [
        ("i", 1, 0.25),
        ("f", 2, 0.25),
        ("g", 3, 1.0),
        ("o", 4, 0.25),
    ]
    assert [each.gate for each in measured("gru:2")] == [each.gate for each in measured("gru-before:2")] == list("rzn")


def test_a_projection_is_part_of_the_step() -> None:
    """P = [½ 0; 0 ½ …] and U = 3 I: what comes back is 1.5 times what went in."""
    blocks = torch.cat([3 * torch.eye(4)[:, :2]] * 4)
    found = measured("lstm:4/2", weight_hh=blocks, weight_hr=0.5 * torch.eye(4)[:2])
    assert [each.radius for each in found] == pytest.approx([1.5] * 4)


def test_factors_are_part_of_the_step() -> None:
    """P = [½ 0; 0 ½ …] and G = 3 I, factors of one: what comes back is 1.5 times what went in."""
    (found,) = measured("mrnn:4/2", weight_hf=3 * torch.eye(4)[:2], weight_fh=0.5 * torch.eye(4)[:, :2])
    assert found.radius == pytest.approx(1.5)


def test_a_window_of_words_is_forgotten_whatever_the_weights_are() -> None:
    """A shift by one place has only zero for an eigenvalue; with one place there is nothing to shift."""
    assert measured("ngram:4x3") == [Stretch("shift", "", 0.0, 1.0, 1.0)]
    assert measured("ngram:2x3") == [Stretch("shift", "", 0.0, 0.0, 1.0)]


@pytest.mark.parametrize(
    ("arch", "decay"), [("scrn:2+3@0.9", 0.9), ("trace:3@0.8", 0.8), ("jordan:2@0.5", 0.5), ("scrn:2+3@0.9,learn", 0.5)]
)
def test_a_decay_is_a_matrix_too(arch: str, decay: float) -> None:
    """A learned decay of zero is σ(0) = ½."""
    assert measured(arch)[-1] == Stretch("decay", "", decay, decay, 1.0)


def test_the_slow_units_alone_have_no_other_matrix() -> None:
    assert [each.name for each in measured("trace:3")] == ["decay"]


def test_a_weight_that_is_no_number_gives_none() -> None:
    (found,) = measured("elman:2", weight_hh=torch.full((2, 2), math.inf))
    assert math.isnan(found.radius) and math.isnan(found.norm)


def test_large_matrices_are_measured_by_their_powers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Against eigenvalues and singular values, for a matrix of noise and one that only shifts, whose ρ is 0."""
    noise = torch.randn(60, 60, generator=torch.Generator().manual_seed(1))
    (exact,) = measured("elman:60", weight_hh=noise)
    monkeypatch.setattr(spectrum, "LARGEST_EXACT", 10)
    (found,) = measured("elman:60", weight_hh=noise)
    assert found.radius == pytest.approx(exact.radius, rel=0.01)
    assert found.norm == pytest.approx(exact.norm, rel=0.01)
    shift = torch.diag(torch.ones(59), 1)
    (found,) = measured("elman:60", weight_hh=shift)
    assert found.radius == 0
    assert found.norm == pytest.approx(1, rel=0.01)


def test_every_cell_can_be_measured(cell: Cell, draw: Draw) -> None:
    """The bound of §2 in Pascanu et al. 2013: no eigenvalue exceeds the largest singular value."""
    weights, _, _ = draw(cell)
    found = list(stretches(cell, weights))
    assert found
    for each in found:
        assert each.radius <= each.norm * (1 + 1e-9)
