"""Matrices in few bits against the matrices that they stand for."""

from __future__ import annotations

import pytest
import torch

from rnntool.nn.packed import PACKINGS, Packed, is_packable, pack

ERRORS = {"fp32": 1e-6, "bf16": 4e-3, "int8": 1.5e-2}
"""Of a product of normal numbers, relative to its norm: 16 · 2⁻²⁴, 2⁻⁸, and steps of 1/127 of a row's largest, about 3 σ,
in both factors."""


def packed(weight: torch.Tensor, packing: str) -> Packed:
    if not is_packable(packing, torch.device("cpu")):
        pytest.skip(f"this processor does not compute in {packing} by itself")
    return pack(weight, packing)


def normal(*shape: int, seed: int = 1) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("packing", PACKINGS)
@pytest.mark.parametrize("N", [1, 3, 40])
@pytest.mark.parametrize(("R", "C"), [(1, 1), (7, 5), (64, 32), (301, 100)])
def test_a_product_is_near_that_of_the_matrix(packing: str, N: int, R: int, C: int) -> None:
    weight, x = normal(R, C), normal(N, C, seed=2)
    low = packed(weight, packing)
    exact = x @ weight.T
    found = x @ low.T
    assert found.dtype == torch.float32
    assert (found - exact).norm() < ERRORS[packing] * (x.norm(dim=1)[:, None] * weight.norm(dim=1)).norm()


@pytest.mark.parametrize("packing", PACKINGS)
def test_some_rows_of_it_are_those_of_the_product(packing: str) -> None:
    weight, x = normal(12, 8), normal(3, 8, seed=2)
    low = packed(weight, packing)
    torch.testing.assert_close(x @ low[:8].T, (x @ low.T)[:, :8], rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(x @ low[8:].T, (x @ low.T)[:, 8:], rtol=1e-6, atol=1e-6)
    assert low[:8] is low[:8]


def test_sums_of_whole_numbers_do_not_depend_on_other_rows() -> None:
    low, x = packed(normal(50, 30), "int8"), normal(9, 30, seed=2)
    alone = torch.cat([low.product(row[None]) for row in x])
    assert torch.equal(low.product(x), alone)


def test_whole_numbers_by_hand() -> None:
    """W = (127, −254) has scale 2 and n = (64, −127), 63.5 rounded to even; x = (1, ½) has scale 1/127, m = (127, 64).

    64 · 127 − 127 · 64 = 0, times 2/127; the exact product, 127 − 127, is 0, too.
    """
    low = packed(torch.tensor([[127.0, -254.0]]), "int8")
    assert low.product(torch.tensor([[1.0, 0.5]])).item() == 0
    assert low.product(torch.tensor([[0.0, 1.0]])).item() == pytest.approx(-254)


def test_a_row_of_zeros_gives_zeros() -> None:
    low = packed(torch.zeros(4, 3), "int8")
    assert not low.product(torch.zeros(2, 3)).any()


def test_anything_else_is_refused() -> None:
    with pytest.raises(TypeError):
        torch.ones(2, 3) + packed(torch.ones(4, 3), "int8")
