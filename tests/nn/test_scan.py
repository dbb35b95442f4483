"""The triangular product against a loop."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from rnntool.nn.kernels import scan


def looped(u: Tensor, s: Tensor, alpha: Tensor | float) -> Tensor:
    """s_t = α s_{t−1} + u_t, as it is written."""
    states = []
    for u_t in u:
        s = alpha * s + u_t
        states.append(s)
    return torch.stack(states)


def drawn(T: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    u = torch.randn(T, 2, 3, generator=generator, dtype=torch.float64, requires_grad=True)
    return u, torch.randn(2, 3, generator=generator, dtype=torch.float64, requires_grad=True)


@pytest.mark.parametrize("T", [1, 2, 63, 64, 65, 130])
@pytest.mark.parametrize("alpha", [0.0, 0.5, 0.95, 1.0, torch.tensor([0.0, 0.9, 1.0], dtype=torch.float64)], ids=str)
def test_it_is_the_loop_for_one_alpha_or_one_for_each_unit(T: int, alpha: Tensor | float) -> None:
    u, s = drawn(T)
    ours, theirs = scan.fade(u, s, alpha), looped(u, s, alpha)
    torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)
    weigh = torch.linspace(-1, 1, ours.numel(), dtype=torch.float64).view_as(ours)
    for one, other in zip(
        torch.autograd.grad((ours * weigh).sum(), (u, s)),
        torch.autograd.grad((theirs * weigh).sum(), (u, s)),
        strict=True,
    ):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("T", [1, 3, 66])
@pytest.mark.parametrize("alpha", [[0.3, 0.9, 0.99], 0.9, 0.0, 1.0], ids=str)
def test_a_learned_alpha_gets_the_loops_gradient(T: int, alpha: list[float] | float) -> None:
    u, s = drawn(T)
    learned = torch.tensor(alpha, dtype=torch.float64, requires_grad=True)
    weigh = torch.linspace(-1, 1, u.numel(), dtype=torch.float64).view_as(u)
    (ours,) = torch.autograd.grad((scan.fade(u, s, learned) * weigh).sum(), learned)
    (theirs,) = torch.autograd.grad((looped(u, s, learned) * weigh).sum(), learned)
    torch.testing.assert_close(ours, theirs, rtol=1e-11, atol=1e-11)


def test_an_alpha_of_zero_forgets_at_once_and_one_sums() -> None:
    u, s = drawn(70)
    assert torch.equal(scan.fade(u, s, 0.0), u)
    torch.testing.assert_close(scan.fade(u, s, 1.0)[-1], u.sum(dim=0) + s, rtol=1e-12, atol=1e-12)
