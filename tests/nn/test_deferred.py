"""Weights whose gradients are taken after a loop."""

from __future__ import annotations

import pytest
import torch

from rnntool.nn.deferred import Deferred


def loop(weight: object, x: torch.Tensor) -> torch.Tensor:
    """h_t = tanh(x_t + W h_{t−1}), summed with different weights."""
    h = torch.zeros_like(x[0])
    total = torch.zeros((), dtype=x.dtype)
    for t, x_t in enumerate(x):
        h = torch.tanh(x_t + h @ weight.T)  # type: ignore[attr-defined]
        total = total + (t + 1) * h.sum()
    return total


def test_gradients_are_those_of_the_weight_itself() -> None:
    generator = torch.Generator().manual_seed(1)
    weight = torch.randn(5, 5, generator=generator, dtype=torch.float64, requires_grad=True)
    x = torch.randn(4, 3, 5, generator=generator, dtype=torch.float64, requires_grad=True)
    expected = torch.autograd.grad(loop(weight, x), [weight, x])
    found = torch.autograd.grad(loop(Deferred(weight, torch.float32), x), [weight, x])
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


def test_in_bfloat16_products_are_low_and_sums_are_not() -> None:
    generator = torch.Generator().manual_seed(1)
    weight = torch.randn(5, 5, generator=generator, requires_grad=True)
    x = torch.randn(4, 3, 5, generator=generator)
    (expected,) = torch.autograd.grad(loop(weight, x), [weight])
    (found,) = torch.autograd.grad(loop(Deferred(weight, torch.bfloat16), x), [weight])
    assert found.dtype == torch.float32
    assert 0 < float((found - expected).norm() / expected.norm()) < 0.05


@pytest.mark.parametrize("is_wanted", [True, False])
def test_a_weight_that_wants_no_gradient_gets_none(is_wanted: bool) -> None:
    weight = torch.randn(5, 5, generator=torch.Generator().manual_seed(1), requires_grad=is_wanted)
    x = torch.ones(2, 3, 5, requires_grad=True)
    loop(Deferred(weight, torch.float32), x).backward()  # type: ignore[no-untyped-call]
    assert (weight.grad is not None) == is_wanted
    assert x.grad is not None
