"""Gradients: of a mean, no longer than allowed, and short ones untouched."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from rnntool.train.optimizer import measure_gradients


def parameters(*gradients: list[float]) -> list[nn.Parameter]:
    found = []
    for gradient in gradients:
        parameter = nn.Parameter(torch.zeros(len(gradient), dtype=torch.float64))
        parameter.grad = torch.tensor(gradient, dtype=torch.float64)
        found.append(parameter)
    return found


def clip(found: list[nn.Parameter], *, tokens: int, norm: float, value: float) -> float:
    """Clip in place what an update only divides on its way, and return the norm before."""
    total, divisor = measure_gradients(found, tokens=tokens, norm=norm, value=value)
    for parameter in found:
        if parameter.grad is not None:
            parameter.grad /= divisor
    return total


def gradients(found: list[nn.Parameter]) -> list[float]:
    return [value for p in found if p.grad is not None for value in p.grad.to_dense().flatten().tolist()]


def test_a_short_gradient_passes_unchanged() -> None:
    """The lecture's code, g / max(10, ‖g‖), would divide this one by ten."""
    found = parameters([0.3], [0.4])
    assert clip(found, tokens=1, norm=10, value=0) == pytest.approx(0.5)
    assert gradients(found) == [0.3, 0.4]


def test_a_long_one_is_shortened_to_the_limit_in_its_direction() -> None:
    """‖(3, 4)‖ = 5 over two tensors together: to norm 1, (0.6, 0.8)."""
    found = parameters([3.0], [4.0])
    assert clip(found, tokens=1, norm=1, value=0) == 5
    assert gradients(found) == pytest.approx([0.6, 0.8], rel=1e-15)


def test_it_is_the_mean_over_the_tokens_that_is_measured() -> None:
    """A sum over ten tokens of norm 50 is a mean of norm 5."""
    found = parameters([30.0, 40.0])
    assert clip(found, tokens=10, norm=6, value=0) == 5
    assert gradients(found) == pytest.approx([3, 4], rel=1e-15)
    found = parameters([30.0, 40.0])
    clip(found, tokens=10, norm=2.5, value=0)
    assert gradients(found) == pytest.approx([1.5, 2], rel=1e-15)


def test_zero_is_no_limit() -> None:
    found = parameters([3e9, 4e9])
    assert clip(found, tokens=1, norm=0, value=0) == 5e9
    assert gradients(found) == [3e9, 4e9]


def test_elements_are_cut_to_their_limit() -> None:
    found = parameters([-30.0, 4.0, 1.0])
    assert clip(found, tokens=2, norm=0, value=2.5) == pytest.approx(917**0.5 / 2)
    assert gradients(found) == [-2.5, 2.0, 0.5]


def test_elements_are_cut_before_the_norm_is_measured() -> None:
    """(30, 4) cut to (3, 3)… of norm 3 √2, then shortened to 1; cut to (3, 0) it is 3 and stays below 5."""
    found = parameters([30.0, 4.0])
    clip(found, tokens=1, norm=1, value=3)
    assert gradients(found) == pytest.approx([0.5**0.5, 0.5**0.5], rel=1e-12)
    found = parameters([30.0, 0.0])
    clip(found, tokens=1, norm=5, value=3)
    assert gradients(found) == [3, 0]


def test_what_is_no_number_is_reported_as_such() -> None:
    for limit in ({"norm": 1, "value": 0}, {"norm": 1, "value": 1}, {"norm": 0, "value": 0}):
        assert math.isnan(clip(parameters([float("nan"), 1.0]), tokens=1, **limit))
        assert math.isinf(clip(parameters([float("inf"), 1.0]), tokens=1, **limit))


def test_a_weight_without_a_gradient_is_left_out() -> None:
    found = [*parameters([3.0, 4.0]), nn.Parameter(torch.zeros(1))]
    assert clip(found, tokens=1, norm=1, value=0) == 5
    assert found[1].grad is None


def test_of_a_sparse_gradient_the_rows_are_measured_and_repeated_ones_summed() -> None:
    """Row 2 twice: (3, 4) and (3, 4) are (6, 8), of norm 10; apart they would have 5 √2."""
    parameter = nn.Parameter(torch.zeros(4, 2, dtype=torch.float64))
    rows = torch.tensor([[3.0, 4.0], [3.0, 4.0]], dtype=torch.float64)
    parameter.grad = torch.sparse_coo_tensor(torch.tensor([[2, 2]]), rows, (4, 2), check_invariants=True)
    assert clip([parameter], tokens=1, norm=5, value=0) == 10
    assert gradients([parameter]) == [0, 0, 0, 0, 3, 4, 0, 0]
