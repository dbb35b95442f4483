"""Direct weights: addresses, and output layers that have them, against their readable twins."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from torch import Tensor

from rnntool.config.direct import Direct
from rnntool.config.output import Words, parse_output
from rnntool.nn.output import direct as direct_module
from rnntool.nn.output.build import build_output
from rnntool.nn.output.direct import DirectWeights, Runs, TableGradient
from rnntool.nn.output.layer import ExactLayer, FusedLoss

H, V, B, T = 6, 30, 5, 4

COUNTS = tuple(1000.0 // rank for rank in range(1, V + 1))

SHUFFLED = tuple(word * 7 % 5 for word in range(V))

LAYERS = {"full": None, "adaptive:5,12": None, "class:4": None, "class:5": SHUFFLED}
"""And the classes of the words, which in the last do not follow the ids."""


def layer(text: str, *, order: int = 3, size: int = 100, dtype: torch.dtype = torch.float64) -> ExactLayer:
    built = build_output(parse_output(text), H, Words(COUNTS, LAYERS[text]))
    assert isinstance(built, ExactLayer)
    built.connect(Direct(size, order))
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in built.parameters():
            parameter.copy_(0.7 * torch.randn(parameter.shape, generator=generator))
    return built.to(dtype)


def rows(built: ExactLayer) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Hidden states, targets, weights and starts of a window, flat."""
    generator = torch.Generator().manual_seed(2)
    assert built.direct is not None
    words = torch.randint(V, (T, B), generator=generator)
    starts, _ = built.direct.read(words, built.direct.state0(B))
    h = torch.randn(T * B, H, generator=generator).to(built.weight.dtype).requires_grad_()
    targets, weights = torch.randint(V, (T * B,), generator=generator), torch.rand(T * B, generator=generator) * 3
    return h, targets, weights.to(h.dtype), starts.flatten(0, 1)


def test_addresses_are_those_of_the_formula() -> None:
    """Written out for integers; the seventh word has six before it, the first none."""
    direct = DirectWeights(5000, 4, 40)
    words = [3, 0, 29, 29, 7, 3, 0]

    def address(history: list[int]) -> int:
        c = 0
        for word in reversed(history):
            c = (c + word + 2) * 1327217885 % (2**31 - 1)
            c ^= c // 2**15
        return c % 4961

    starts, after = direct.read(torch.tensor(words)[:, None], direct.state0(1))
    padded = [-1, -1, -1, *words]
    for t in range(len(words)):
        assert starts[t, 0].tolist() == [address(padded[t + 4 - n : t + 4]) for n in (1, 2, 3)]
    assert after.tolist() == [words[-3:]]


@pytest.mark.parametrize("cut", [0, 1, 3, 6])
def test_a_window_read_in_two_parts_is_the_whole(cut: int) -> None:
    direct = DirectWeights(5000, 4, 40)
    words = torch.randint(V, (6, B), generator=torch.Generator().manual_seed(3))
    whole, after = direct.read(words, direct.state0(B))
    one, between = direct.read(words[:cut], direct.state0(B))
    other, end = direct.read(words[cut:], between)
    assert torch.equal(torch.cat([one, other]), whole)
    assert torch.equal(end, after)
    assert torch.equal(direct.read(words, direct.state0(B), keep=cut)[1], between)


def test_addresses_are_spread_evenly() -> None:
    """10,000 words and 10,000 pairs over 64 parts of a table: each has its share but for chance, five deviations."""
    direct = DirectWeights(2_000_063, 3, 64)
    pairs = torch.stack([torch.arange(10_000) // 100, torch.arange(10_000)])
    starts, _ = direct.read(pairs, direct.state0(10_000))
    for each in (starts[1, :, 0], starts[1, :, 1]):
        counts = torch.bincount(each * 64 // direct.num_starts, minlength=64)
        assert (counts - 10_000 / 64).abs().max() < 5 * (10_000 / 64) ** 0.5
        assert len(each.unique()) > 9950  # 10,000²/2/2M = 25 pairs meet by chance


@pytest.mark.parametrize("text", LAYERS)
@pytest.mark.parametrize(("order", "weighted"), [(2, True), (4, False)])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize(("wide", "few"), [(1, 0.0), (1000, 0.0), (1000, 0.5), (1, 1e9)])
def test_the_fused_loss_is_its_reference(
    text: str, order: int, weighted: bool, smoothing: float, wide: int, few: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The table is so small that runs overlap."""
    monkeypatch.setattr(direct_module, "WIDE", wide)
    monkeypatch.setattr(direct_module, "FEW", few)
    built = layer(text, order=order, size=60)
    h, targets, weights, starts = rows(built)
    given = weights if weighted else None
    found = []
    for compute in (partial(built.loss, dtype=torch.float64), built.loss_reference):
        loss, nll = compute(h, targets, starts=starts, weights=given, smoothing=smoothing)
        found.append([loss, nll, *torch.autograd.grad(3 * loss, [h, *built.parameters()])])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one.to_dense(), other, rtol=1e-11, atol=1e-11)
    assert found[0][-1].is_sparse == (few > 1)


@pytest.mark.parametrize("text", LAYERS)
def test_autograd_agrees_with_differences(text: str) -> None:
    built = layer(text, size=40)
    h, targets, weights, starts = rows(built)
    assert built.direct is not None

    def loss(table: Tensor) -> Tensor:
        how = partial(built.differentiate, targets=targets, weights=weights, smoothing=0.1, dtype=torch.float64)

        def with_table(h: Tensor, parameters: list[Tensor]) -> tuple[Tensor, Tensor, list[Tensor]]:
            gradient = TableGradient(table)
            loss, nll, gradients = how(h, parameters[:-1], runs=Runs(parameters[-1], starts, gradient))
            return loss, nll, [*gradients, gradient.result().to_dense()]

        own = [parameter.detach() for parameter in built.parameters()][:-1]
        value: Tensor = FusedLoss.apply(with_table, h.detach(), *own, table)[0]
        return value

    assert torch.autograd.gradcheck(loss, built.direct.table)


@pytest.mark.parametrize("text", LAYERS)
def test_a_weight_is_the_logarithm_of_odds(text: str) -> None:
    """Of word 17 after one history, against a word that it is chosen from together with; elsewhere nothing changes."""
    built = layer(text, order=2, size=1_000_000)
    assert built.direct is not None
    h, _, _, starts = rows(built)
    before = built.log_probs(h, starts)
    with torch.no_grad():
        built.direct.table[starts[0, 0] + (17 if built.places is None else built.places[17])] += 2.0
    moved = (built.log_probs(h, starts) - before).detach()
    other = 22 if LAYERS[text] else 18
    assert float(moved[0, 17] - moved[0, other]) == pytest.approx(2.0)
    elsewhere = (starts != starts[0])[:, 0]
    assert elsewhere.sum() > T * B / 2
    assert moved[elsewhere].abs().max() < 1e-12


@pytest.mark.parametrize("text", LAYERS)
def test_probabilities_sum_to_one_and_nll_picks_from_them_whoever_asks(text: str) -> None:
    built = layer(text)
    h, targets, _, starts = rows(built)
    log_probs = built.log_probs(h, starts)
    torch.testing.assert_close(log_probs.exp().sum(dim=1), torch.ones(T * B).double(), rtol=1e-12, atol=0)
    nll = built.nll(h, targets, starts)
    torch.testing.assert_close(nll, -log_probs[torch.arange(T * B), targets], rtol=1e-11, atol=0)
    with torch.no_grad():  # another way
        torch.testing.assert_close(built.nll(h, targets, starts), nll, rtol=1e-12, atol=0)
        alone = [built.nll(h[n : n + 1], targets[n : n + 1], starts[n : n + 1]) for n in range(T * B)]
    torch.testing.assert_close(torch.cat(alone), nll, rtol=1e-12, atol=0)


@pytest.mark.parametrize("text", LAYERS)
def test_nll_can_be_differentiated_by_torch(text: str) -> None:
    built = layer(text)
    h, targets, _, starts = rows(built)
    picked = -built.log_probs(h, starts)[torch.arange(T * B), targets]
    ours = torch.autograd.grad(built.nll(h, targets, starts).sum(), [h, *built.parameters()])
    theirs = torch.autograd.grad(picked.sum(), [h, *built.parameters()])
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("text", LAYERS)
def test_products_in_bfloat16_are_near(text: str) -> None:
    """As of the layers without direct weights, whose sums are float32 here, too."""
    built = layer(text, dtype=torch.float32)
    h, targets, _, starts = rows(built)
    found = []
    for dtype in (torch.bfloat16, torch.float32):
        loss, nll = built.loss(h, targets, starts=starts, dtype=dtype)
        found.append([loss, nll, *torch.autograd.grad(loss, [h, *built.parameters()])])
    for one, other in zip(*found, strict=True):
        assert one.dtype == torch.float32
        one, other = one.to_dense(), other.to_dense()
        assert (one - other).norm() < 0.02 * other.norm()
