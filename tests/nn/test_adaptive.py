"""The adaptive softmax against its readable twin, against a full softmax where it is one, and as a distribution."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from torch import Tensor

from rnntool.nn.output.adaptive import AdaptiveSoftmax
from rnntool.nn.output.layer import FusedLoss

H, V = 8, 50


def layer(cuts: tuple[int, ...], *, dtype: torch.dtype = torch.float64) -> AdaptiveSoftmax:
    generator = torch.Generator().manual_seed(1)
    softmax = AdaptiveSoftmax(H, V, cuts).to(dtype)
    with torch.no_grad():
        for parameter in softmax.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    return softmax


def rows(N: int, *, dtype: torch.dtype = torch.float64, below: int = V) -> tuple[Tensor, Tensor, Tensor]:
    """Hidden states, targets and weights of N rows."""
    generator = torch.Generator().manual_seed(2)
    h = torch.randn(N, H, generator=generator).to(dtype).requires_grad_()
    return h, torch.randint(below, (N,), generator=generator), torch.rand(N, generator=generator).to(dtype) * 3


def all_of(softmax: AdaptiveSoftmax, loss: tuple[Tensor, Tensor], h: Tensor) -> list[Tensor]:
    """Loss, plain sum, and the gradients of three times the loss."""
    return [*loss, *torch.autograd.grad(3 * loss[0], [h, *softmax.parameters()])]


@pytest.mark.parametrize("cuts", [(1,), (10,), (49,), (10, 30), (1, 2, 3)], ids=str)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_fused_loss_is_its_reference(cuts: tuple[int, ...], weighted: bool, smoothing: float) -> None:
    softmax = layer(cuts)
    h, targets, weights = rows(70)
    kind = {"weights": weights if weighted else None, "smoothing": smoothing}
    ours = all_of(softmax, softmax.loss(h, targets, **kind, dtype=torch.float64), h)
    theirs = all_of(softmax, softmax.loss_reference(h, targets, **kind), h)
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-11, atol=1e-11)


def test_products_in_bfloat16_are_near() -> None:
    """As of the full softmax: 8 bits, off by up to 2⁻⁹ each; errors average out over rows."""
    softmax = layer((10, 30), dtype=torch.float32)
    with torch.no_grad():
        for parameter in softmax.parameters():
            parameter.mul_(0.5)
    h, targets, _ = rows(256, dtype=torch.float32)
    ours = all_of(softmax, softmax.loss(h, targets, dtype=torch.bfloat16), h)
    theirs = all_of(softmax, softmax.loss_reference(h, targets), h)
    for one, other in zip(ours[:2], theirs[:2], strict=True):
        torch.testing.assert_close(one, other, rtol=2e-3, atol=0)
    for one, other in zip(ours[2:], theirs[2:], strict=True):
        assert (one - other).norm() < 0.01 * other.norm()


def test_a_group_that_no_target_is_in_learns_nothing() -> None:
    softmax = layer((10, 30))
    h, targets, _ = rows(20, below=30)
    loss, _ = softmax.loss(h, targets, dtype=torch.float64)
    loss.backward()
    assert softmax.weight.grad is not None and softmax.bias.grad is not None
    assert not softmax.weight.grad[30:].any()
    assert not softmax.bias.grad[30:].any()
    assert softmax.weight.grad[:30].any(dim=1).all()


def test_autograd_agrees_with_differences() -> None:
    softmax = layer((10, 30))
    h, targets, weights = rows(6)

    def loss(*tensors: Tensor) -> Tensor:
        return FusedLoss.apply(
            partial(softmax.differentiate, targets=targets, weights=weights, smoothing=0.1, dtype=torch.float64),
            *tensors,
        )[0]

    assert torch.autograd.gradcheck(loss, (h, *softmax.parameters()))


def test_probabilities_sum_to_one_and_nll_picks_from_them() -> None:
    softmax = layer((10, 30))
    h, targets, _ = rows(200)
    log_probs = softmax.log_probs(h)
    torch.testing.assert_close(log_probs.exp().sum(dim=1), torch.ones(200, dtype=torch.float64), rtol=1e-12, atol=0)
    torch.testing.assert_close(softmax.nll(h, targets), -log_probs[torch.arange(200), targets], rtol=1e-12, atol=0)


def test_nll_of_a_row_does_not_depend_on_its_neighbours() -> None:
    softmax = layer((10, 30))
    h, targets, _ = rows(40)
    together = softmax.nll(h, targets)
    alone = torch.cat([softmax.nll(h[n : n + 1], targets[n : n + 1]) for n in range(40)])
    torch.testing.assert_close(together, alone, rtol=1e-13, atol=0)


def test_rows_are_counted_as_often_as_they_are_computed() -> None:
    """Head of 10 words and two entries for all; 20 words for 30 of 100 tokens, 20 more for 10 of them: 12 + 6 + 2."""
    softmax = layer((10, 30))
    counts = [6.0] * 10 + [1.5] * 20 + [0.5] * 20
    assert softmax.rows_computed(counts) == pytest.approx(20)
    zipf = softmax.rows_computed([0.0] * V)
    assert zipf == pytest.approx(softmax.rows_computed([1 / rank for rank in range(1, V + 1)]))


def test_two_steps_by_hand() -> None:
    """One word in the head, two in a group; all weights zero but biases: head (ln 3, 0), group (0, ln 2).

    P = ¾ for the word, ¼ · ⅓ and ¼ · ⅔ for those of the group.
    """
    softmax = AdaptiveSoftmax(1, 3, (1,))
    with torch.no_grad():
        for parameter in softmax.parameters():
            parameter.zero_()
        softmax.bias.copy_(torch.tensor([3.0, 1.0, 2.0]).log())
    expected = torch.tensor([3 / 4, 1 / 12, 2 / 12])
    torch.testing.assert_close(softmax.log_probs(torch.ones(1, 1)).exp()[0], expected)
