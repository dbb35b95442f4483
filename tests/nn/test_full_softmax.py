"""The fused loss against its readable twin, and the distribution itself."""

from __future__ import annotations

import math
from functools import partial

import pytest
import torch
from torch import Tensor, nn

from rnntool.nn.output import fused
from rnntool.nn.output.full import FullSoftmax
from rnntool.nn.output.layer import FusedLoss


def layer(H: int, V: int, *, dtype: torch.dtype = torch.float32, scale: float = 1.0) -> FullSoftmax:
    generator = torch.Generator().manual_seed(1)
    softmax = FullSoftmax(H, V).to(dtype)
    with torch.no_grad():
        for parameter in softmax.parameters():
            parameter.copy_(scale * torch.randn(parameter.shape, generator=generator))
    return softmax


def rows(N: int, H: int, V: int, *, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor, Tensor]:
    """Hidden states, targets and weights of N rows."""
    generator = torch.Generator().manual_seed(2)
    h = torch.randn(N, H, generator=generator).to(dtype).requires_grad_()
    return h, torch.randint(V, (N,), generator=generator), torch.rand(N, generator=generator).to(dtype) * 3


def all_of(softmax: FullSoftmax, loss: tuple[Tensor, Tensor], h: Tensor) -> list[Tensor]:
    """Loss, plain sum, and the gradients of three times the loss."""
    return [*loss, *torch.autograd.grad(3 * loss[0], [h, softmax.weight, softmax.bias])]


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("N", [1, 63, 64, 65, 200])
@pytest.mark.parametrize(("dtype", "close"), [(torch.float32, 2e-5), (torch.float64, 1e-12)], ids=str)
def test_the_fused_loss_is_its_reference(
    N: int, smoothing: float, weighted: bool, dtype: torch.dtype, close: float
) -> None:
    """N crosses the edges of the rows whose softmax is taken at once; float32 sums 200 rows of losses near 5."""
    softmax = layer(8, 50, dtype=dtype)
    h, targets, weights = rows(N, 8, 50, dtype=dtype)
    kind = {"weights": weights if weighted else None, "smoothing": smoothing}
    ours = all_of(softmax, softmax.loss(h, targets, **kind, dtype=dtype), h)
    theirs = all_of(softmax, softmax.loss_reference(h, targets, **kind), h)
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=close, atol=close)


@pytest.mark.parametrize(("longest", "close"), [(1, 0.01), (40, 0.05)], ids=["one guess", "own largest logits"])
def test_products_in_bfloat16_are_near(longest: int, close: float) -> None:
    """bfloat16 has 8 bits: factors and logits are each off by up to 2⁻⁹, so a logit near 3 by 0.01 and a loss, whose
    errors average out over rows, by less than 1 %; the gradient is rounded once more.  Where rows are up to 40 times as
    long, no guess of log Σ exp z fits all of them, and logits of 100 or so are off by more."""
    softmax = layer(16, 300, scale=0.5)
    h, targets, _ = rows(256, 16, 300)
    h = h if longest == 1 else (h.detach() * torch.linspace(0, longest, 256)[:, None]).requires_grad_()
    ours = all_of(softmax, softmax.loss(h, targets, dtype=torch.bfloat16), h)
    theirs = all_of(softmax, softmax.loss_reference(h, targets), h)
    for one, other in zip(ours[:2], theirs[:2], strict=True):
        torch.testing.assert_close(one, other, rtol=2e-3, atol=0)
    for one, other in zip(ours[2:], theirs[2:], strict=True):
        assert one.dtype == torch.float32
        assert (one - other).norm() < close * other.norm()


@pytest.mark.parametrize("block_rows", [1, 64, 70, 128, 199, 200, 1000])
def test_no_edge_of_a_block_shows(block_rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of fewer rows than one softmax takes, of just as many, of one more than that, and of everything."""
    softmax = layer(8, 50)
    h, targets, weights = rows(200, 8, 50)
    whole = all_of(softmax, softmax.loss(h, targets, weights=weights, smoothing=0.1), h)
    nll = softmax.nll(h, targets)
    monkeypatch.setattr(fused, "BLOCK_BYTES", block_rows * 50 * 4)
    blocks = all_of(softmax, softmax.loss(h, targets, weights=weights, smoothing=0.1), h)
    for one, other in zip(blocks, whole, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(softmax.nll(h, targets), nll, rtol=1e-6, atol=1e-6)


def test_autograd_agrees_with_differences() -> None:
    softmax = layer(3, 5, dtype=torch.float64)
    h, targets, weights = rows(4, 3, 5, dtype=torch.float64)

    def loss(h: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        return FusedLoss.apply(
            partial(softmax.differentiate, targets=targets, weights=weights, smoothing=0.1, dtype=torch.float64),
            h,
            weight,
            bias,
        )[0]

    assert torch.autograd.gradcheck(loss, (h, softmax.weight, softmax.bias))


def test_a_loss_of_two_words_by_hand() -> None:
    """Logits (ln 3, 0): P = (¾, ¼).  −ln ¾ = 0.2877, −ln ¼ = 1.3863; their mean is 0.8370.

    Targets 0 and 1 with weights 2 and 1, smoothing 0.2: 2 (0.8·0.2877 + 0.2·0.8370) + (0.8·1.3863 + 0.2·0.8370).
    The plain sum leaves weights and smoothing out.
    """
    softmax = layer(1, 2)
    with torch.no_grad():
        softmax.weight.copy_(torch.tensor([[1.0], [0.0]]))
        softmax.bias.zero_()
    h = torch.full((2, 1), math.log(3))
    loss, nll = softmax.loss(h, torch.tensor([0, 1]), weights=torch.tensor([2.0, 1.0]), smoothing=0.2)
    a, b = math.log(4 / 3), math.log(4)
    mean = (a + b) / 2
    assert float(loss.detach()) == pytest.approx(2 * (0.8 * a + 0.2 * mean) + 0.8 * b + 0.2 * mean, rel=1e-6)
    assert float(nll) == pytest.approx(a + b, rel=1e-6)
    assert not nll.requires_grad


def test_probabilities_sum_to_one_and_nll_picks_from_them() -> None:
    softmax = layer(8, 1000, scale=3)
    h, targets, _ = rows(20, 8, 1000)
    log_probs = softmax.log_probs(h)
    torch.testing.assert_close(log_probs.double().exp().sum(dim=1), torch.ones(20).double(), rtol=1e-5, atol=0)
    torch.testing.assert_close(softmax.nll(h, targets), -log_probs[torch.arange(20), targets])


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_logits_of_a_thousand_neither_overflow_nor_underflow(sign: float) -> None:
    """Logits (±1000, 0): the loss of the unlikely word is 1000, of the other 0, and every gradient is finite."""
    softmax = layer(1, 2)
    with torch.no_grad():
        softmax.weight.copy_(torch.tensor([[1000.0], [0.0]]))
        softmax.bias.zero_()
    h = torch.full((2, 1), sign, requires_grad=True)
    targets = torch.tensor([0, 1])
    expected = torch.tensor([0.0, 1000.0] if sign > 0 else [1000.0, 0.0])
    torch.testing.assert_close(softmax.nll(h, targets), expected)
    loss, nll = softmax.loss(h, targets)
    assert float(loss.detach()) == float(nll) == 1000
    loss.backward()
    assert all(
        torch.isfinite(tensor.grad).all() for tensor in (h, softmax.weight, softmax.bias) if tensor.grad is not None
    )


def test_without_gradients_the_loss_is_the_readable_one() -> None:
    softmax = layer(8, 50)
    h, targets, weights = rows(70, 8, 50)
    with torch.no_grad():
        ours = softmax.loss(h, targets, weights=weights, smoothing=0.1)
    for one, other in zip(ours, softmax.loss(h, targets, weights=weights, smoothing=0.1), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)


def test_a_tied_weight_is_the_embedding_itself_and_gathers_both_gradients() -> None:
    """d/dE of what is read from E and of what is predicted by it, as one sum: differences in float64 agree."""
    embedding = nn.Parameter(torch.randn(5, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1)))
    softmax = FullSoftmax(3, 5, embedding).double()
    assert softmax.weight is embedding
    targets = torch.tensor([1, 4])

    def loss(weight: Tensor) -> Tensor:
        h = torch.tanh(weight[[0, 4]])
        return FusedLoss.apply(
            partial(softmax.differentiate, targets=targets, weights=None, smoothing=0.0, dtype=torch.float64),
            h,
            weight,
            softmax.bias.detach() * 0,
        )[0]

    assert torch.autograd.gradcheck(loss, (embedding,))
