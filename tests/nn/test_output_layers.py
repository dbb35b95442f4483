"""What holds for every output layer: fused and readable losses agree, and all are distributions over words."""

from __future__ import annotations

import copy
from functools import partial

import pytest
import torch
from torch import Tensor, nn

from rnntool.config.output import FORMS, NOT_SMOOTHED, NOT_TIED, Words, parse_output
from rnntool.errors import OptionError
from rnntool.nn.output.build import build_output
from rnntool.nn.output.drawn import DrawnLayer
from rnntool.nn.output.layer import ExactLayer, FusedLoss, OutputLayer
from rnntool.nn.output.unigram import unigram

H, V = 12, 50

COUNTS = tuple(1000.0 // rank for rank in range(1, V + 1))

EXACT = ("full", "adaptive:10,30", "class:7", "class", "tree", "dsoftmax:10,30", "dsoftmax:3", "selfnorm:0.1")
"""`class` with the classes below, which do not follow the ids."""

DRAWN = ("sampled:20", "target:20", "nce:20")

CLASSES = tuple(word * 7 % 5 for word in range(V))


def layer(text: str, *, dtype: torch.dtype = torch.float64, weight: nn.Parameter | None = None) -> OutputLayer:
    output = parse_output(text if text != "class" else "class:5")
    generator = torch.Generator().manual_seed(1)
    built = build_output(output, H, Words(COUNTS, CLASSES if text == "class" else None), weight).to(dtype)
    with torch.no_grad():
        for parameter in built.parameters():
            parameter.copy_(0.7 * torch.randn(parameter.shape, generator=generator))
    return built


def rows(N: int, *, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor, Tensor]:
    """Hidden states, targets and weights of N rows."""
    generator = torch.Generator().manual_seed(2)
    h = torch.randn(N, H, generator=generator).to(dtype).requires_grad_()
    return h, torch.randint(V, (N,), generator=generator), torch.rand(N, generator=generator).to(dtype) * 3


def all_of(built: OutputLayer, loss: tuple[Tensor, Tensor], h: Tensor) -> list[Tensor]:
    """Loss, plain sum, and the gradients of three times the loss."""
    gradients = torch.autograd.grad(3 * loss[0], [h, *built.parameters()])
    return [*loss, *(gradient.to_dense() for gradient in gradients)]


def test_all_kinds_are_here() -> None:
    assert {text.split(":")[0] for text in (*EXACT, *DRAWN)} == set(FORMS) - {"auto"}


@pytest.mark.parametrize("text", EXACT)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_fused_loss_is_its_reference(text: str, weighted: bool, smoothing: float) -> None:
    if smoothing and text in NOT_SMOOTHED:
        pytest.skip("its targets are not smoothed")
    built = layer(text)
    assert isinstance(built, ExactLayer)
    h, targets, weights = rows(70)
    given = weights if weighted else None
    ours = all_of(built, built.loss(h, targets, weights=given, smoothing=smoothing, dtype=torch.float64), h)
    theirs = all_of(built, built.loss_reference(h, targets, weights=given, smoothing=smoothing), h)
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("numbers", [1, 9, 100])
@pytest.mark.parametrize("text", ["class", "class:2"])
def test_classes_are_computed_some_at_a_time(text: str, numbers: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rnntool.nn.output.classes.BLOCK_NUMBERS", numbers)
    built = layer(text)
    h, targets, weights = rows(70)
    ours = all_of(built, built.loss(h, targets, weights=weights, smoothing=0.1, dtype=torch.float64), h)
    monkeypatch.undo()
    theirs = all_of(built, built.loss(h, targets, weights=weights, smoothing=0.1, dtype=torch.float64), h)
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("text", DRAWN)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("is_sparse", [False, True])
def test_the_fused_loss_over_drawn_words_is_its_reference(text: str, weighted: bool, is_sparse: bool) -> None:
    built = layer(text)
    assert isinstance(built, DrawnLayer)
    built.is_sparse = is_sparse
    h, targets, weights = rows(70)
    given = weights if weighted else None
    loss = built.loss(h, targets, weights=given, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    drawn = built.draw(torch.Generator().manual_seed(3))
    ours, theirs = all_of(built, loss, h), all_of(built, built.loss_reference(h, targets, drawn, weights=given), h)
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("text", ["class:7", "class", "tree", "dsoftmax:10,30", "selfnorm:0.1"])
def test_autograd_agrees_with_differences(text: str) -> None:
    built = layer(text)
    h, targets, weights = rows(6)
    smoothing = 0.0 if text in NOT_SMOOTHED else 0.1
    assert isinstance(built, ExactLayer)
    how = partial(built.differentiate, targets=targets, weights=weights, smoothing=smoothing, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda *tensors: FusedLoss.apply(how, *tensors)[0], (h, *built.parameters()))


@pytest.mark.parametrize("text", [*EXACT, *DRAWN])
def test_products_in_bfloat16_are_near(text: str) -> None:
    """As of the full softmax: 8 bits, off by up to 2⁻⁹ each; errors average out over rows."""
    built = layer(text, dtype=torch.float32)
    h, targets, _ = rows(256, dtype=torch.float32)
    given = {"generator": torch.Generator()}
    found = []
    for dtype in (torch.bfloat16, torch.float32):
        given["generator"].manual_seed(3)
        found.append(all_of(built, built.loss(h, targets, dtype=dtype, **given), h))
    for one, other in zip(*found, strict=True):
        assert one.dtype == torch.float32
        assert (one - other).norm() < 0.015 * other.norm()


@pytest.mark.parametrize("text", [*EXACT, *DRAWN])
def test_probabilities_sum_to_one_and_nll_picks_from_them(text: str) -> None:
    built = layer(text)
    h, targets, _ = rows(200)
    log_probs = built.log_probs(h)
    assert log_probs.shape == (200, V)
    torch.testing.assert_close(log_probs.exp().sum(dim=1), torch.ones(200, dtype=torch.float64), rtol=1e-12, atol=0)
    torch.testing.assert_close(built.nll(h, targets), -log_probs[torch.arange(200), targets], rtol=1e-11, atol=0)


@pytest.mark.parametrize("text", [*EXACT, *DRAWN])
def test_nll_of_a_row_does_not_depend_on_its_neighbours(text: str) -> None:
    built = layer(text)
    h, targets, _ = rows(40)
    together = built.nll(h, targets)
    alone = torch.cat([built.nll(h[n : n + 1], targets[n : n + 1]) for n in range(40)])
    torch.testing.assert_close(together, alone, rtol=1e-13, atol=0)


@pytest.mark.parametrize("text", [*EXACT, *DRAWN])
def test_nll_can_be_differentiated_by_torch(text: str) -> None:
    """As dynamic evaluation does."""
    built = layer(text)
    h, targets, _ = rows(20)
    ours = torch.autograd.grad(built.nll(h, targets).sum(), [h, *built.parameters()])
    theirs = torch.autograd.grad(-built.log_probs(h)[torch.arange(20), targets].sum(), [h, *built.parameters()])
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("text", [text for text in (*EXACT, *DRAWN) if text.split(":")[0] not in NOT_TIED])
def test_a_tied_weight_is_the_embedding_and_keeps_its_values(text: str) -> None:
    embedding = nn.Parameter(torch.ones(V, H))
    tied = build_output(parse_output(text if text != "class" else "class:5"), H, Words(COUNTS), embedding)
    with torch.no_grad():
        tied.init(unigram(COUNTS))
    assert tied.weight is embedding
    assert (embedding == 1).all()


@pytest.mark.parametrize("text", [*EXACT, *DRAWN])
@pytest.mark.parametrize("power", [1.0, 0.0], ids=["counts", "even"])
def test_an_untrained_layer_finds_words_as_likely_as_they_occur(text: str, power: float) -> None:
    built = layer(text)
    p = unigram(COUNTS, power=power)
    with torch.no_grad():
        built.init(p)
    torch.testing.assert_close(built.log_probs(rows(3)[0]).exp(), p.expand(3, V), rtol=1e-6, atol=0)


@pytest.mark.parametrize("text", [*EXACT, *DRAWN])
def test_a_layer_without_memory_knows_as_much_of_the_words(text: str) -> None:
    """As a model file is read: shapes first, weights later."""
    whole = layer(text, dtype=torch.float32)
    output = parse_output(text if text != "class" else "class:5")
    with torch.device("meta"):
        empty = build_output(output, H, Words(COUNTS, CLASSES if text == "class" else None))
    empty.load_state_dict(copy.deepcopy(whole.state_dict()), assign=True)
    h = rows(5, dtype=torch.float32)[0]
    assert torch.equal(empty.log_probs(h), whole.log_probs(h))
    assert set(whole.state_dict()) == {name for name, _ in whole.named_parameters()}


def test_rows_are_counted_as_often_as_they_are_computed() -> None:
    counts = [1.0] * V
    computed = {text: layer(text).rows_computed(counts) for text in (*EXACT, *DRAWN)}
    assert computed["full"] == computed["selfnorm:0.1"] == V
    assert computed["class"] == pytest.approx(5 + 10)  # five classes of ten words
    assert computed["dsoftmax:3"] == pytest.approx(3 * 8 / 12 + 47 * 4 / 12)  # blocks of 8 and 4 of 12
    assert computed["sampled:20"] == computed["nce:20"] == computed["target:20"] == 21
    assert 4 < computed["tree"] < 12  # its shape is that of Zipf's law; a balanced tree has 5.6


def test_what_is_not_settled_is_not_built() -> None:
    for kind in ("auto", "adaptive", "class", "nce", "selfnorm"):
        with pytest.raises(OptionError) as refused:
            build_output(parse_output(kind), H, Words(COUNTS))
        assert str(refused.value) == f"--output: '{kind}' is not settled: it depends on a vocabulary"
