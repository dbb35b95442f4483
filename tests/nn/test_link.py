"""Links: words at once are words one by one, and equal weights are a bag of words."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from rnntool.config.arch import parse_arch
from rnntool.nn.attention import Attention
from rnntool.nn.cells.build import build_cell
from rnntool.nn.kernels import gated
from rnntool.nn.link import Link, input_size
from rnntool.nn.noise import Noise
from rnntool.nn.precision import has_bf16
from rnntool.nn.recurrent import Recurrent
from rnntool.nn.source import Source, mask_of

B, S, T, E, D = 3, 5, 4, 3, 6

LINKS = (
    # attention, before the step, input feeding
    ("", False, False),
    ("equal", True, False),
    ("mlp", True, False),
    ("mlp", True, True),
    ("general", False, False),
    ("dot", False, True),
    ("mlp", False, True),
)


def linked(arch: str, kind: str, is_ahead: bool, feeds: bool) -> tuple[Recurrent, Link]:
    parsed = parse_arch(arch)
    width, cells = input_size(E, D, parsed.output_size, is_ahead=is_ahead, feeds=feeds), []
    for _ in range(parsed.num_layers):
        cells.append(build_cell(parsed, width))
        width = parsed.output_size
    decoder = Recurrent(cells).double()
    attention = Attention(kind, parsed.output_size, D, 7) if kind else None
    link = Link(decoder, D, attention, is_ahead=is_ahead, feeds=feeds).double()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for layer in decoder.stack:
            layer.init(generator)
        link.init(generator)
    return decoder, link


def case(link: Link) -> tuple[Tensor, Source]:
    generator = torch.Generator().manual_seed(2)
    x = torch.randn(T, B, E, generator=generator, dtype=torch.float64)
    memory = torch.randn(B, S, D, generator=generator, dtype=torch.float64)
    mask = mask_of(torch.tensor([5, 2, 3]), S)
    keys = memory if link.attention is None else link.attention.keys(memory)
    return x, Source(memory * mask[:, :, None], mask, memory.mean(dim=1), keys)


@pytest.mark.parametrize("arch", ["gru:6", "lstm:2x6", "elman:6", "scrn:4+2", "ngram:3x6"])
@pytest.mark.parametrize(("kind", "is_ahead", "feeds"), LINKS)
def test_a_window_is_its_words_one_after_the_other(arch: str, kind: str, is_ahead: bool, feeds: bool) -> None:
    decoder, link = linked(arch, kind, is_ahead, feeds)
    x, source = case(link)
    state = link.state0(source)
    together, after = link.run(decoder, x, state, source)
    for t in range(T):
        out, state, alpha = link.step(decoder, x[t], state, source)
        torch.testing.assert_close(out, together[t], rtol=1e-10, atol=1e-12)
        if kind:
            assert alpha is not None
            torch.testing.assert_close(alpha.sum(dim=1), torch.ones(B).double())
    for one, other in zip(state, after, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(("kind", "is_ahead", "feeds"), LINKS)
def test_a_target_depends_on_its_own_source_alone(kind: str, is_ahead: bool, feeds: bool) -> None:
    decoder, link = linked("gru:6", kind, is_ahead, feeds)
    x, source = case(link)
    together, _ = link.run(decoder, x, link.state0(source), source)
    for b in range(B):
        length = int(source.mask[b].sum())
        rows = source.at(torch.tensor([b]))
        one = Source(rows.memory[:, :length], rows.mask[:, :length], rows.summary, rows.keys[:, :length])
        alone, _ = link.run(decoder, x[:, b : b + 1], link.state0(one), one)
        torch.testing.assert_close(alone[:, 0], together[:, b], rtol=1e-10, atol=1e-12)


def test_a_bag_of_words_is_attention_with_equal_weights() -> None:
    """An mlp whose last weights are zero looks everywhere alike; word by word, it is what `each` computes at once."""
    decoder, attending = linked("gru:6", "mlp", True, False)
    _, each = linked("gru:6", "equal", True, False)
    each.load_state_dict(attending.state_dict(), strict=False)
    assert attending.attention is not None
    with torch.no_grad():
        attending.attention.weight_energy.zero_()
    x, source = case(attending)
    ours, _ = attending.run(decoder, x, attending.state0(source), source)
    theirs, _ = each.run(decoder, x, each.state0(source), source)
    torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)


def test_init_sees_nothing_but_the_first_state() -> None:
    decoder, link = linked("lstm:6", "", False, False)
    x, source = case(link)
    state = link.state0(source)
    one, _ = link.run(decoder, x, state, source)
    other, _ = link.run(decoder, x, state, replace(source, memory=source.memory + 1))
    assert torch.equal(one, other)


@pytest.mark.parametrize(("kind", "is_ahead", "feeds"), LINKS)
def test_gradients_reach_all_weights(kind: str, is_ahead: bool, feeds: bool) -> None:
    decoder, link = linked("gru:6", kind, is_ahead, feeds)
    x, source = case(link)
    leaves = [*decoder.parameters(), *link.parameters()]

    def outputs(*_: Tensor) -> Tensor:
        keys = source.keys if link.attention is None else link.attention.keys(source.memory)
        own = replace(source, keys=keys)
        return link.run(decoder, x[:2], link.state0(own), own)[0]

    assert torch.autograd.gradcheck(outputs, leaves)


@pytest.mark.parametrize("arch", ["gru:6", "lstm:6"])
def test_the_way_back_by_hand_is_that_of_autograd(arch: str) -> None:
    """Outputs, last states and all gradients, of the loop by hand and of the one word by word."""
    decoder, link = linked(arch, "mlp", False, True)
    x, source = case(link)
    leaves = [x.requires_grad_(), source.memory.requires_grad_(), *decoder.parameters(), *link.parameters()]
    found = []
    for backend in ("auto", "reference"):
        decoder.plan(backend)
        assert link.is_by_hand(decoder) is (backend == "auto")
        assert link.attention is not None
        own = replace(source, keys=link.attention.keys(source.memory), summary=source.memory.mean(dim=1))
        out, after = link.run(decoder, x, link.state0(own), own)
        weighed = torch.stack([torch.sin(torch.arange(o.numel()).double()) @ o.flatten() for o in (out, *after)]).sum()
        found.append([out, *after, *torch.autograd.grad(weighed, leaves)])
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(
    ("arch", "kind", "is_ahead"),
    [("gru:2x6", "mlp", False), ("gru:6", "dot", False), ("gru:6", "mlp", True), ("elman:6", "mlp", False)],
)
def test_what_is_not_written_by_hand_is_left_to_autograd(arch: str, kind: str, is_ahead: bool) -> None:
    decoder, link = linked(arch, kind, is_ahead, True)
    assert link.is_stepwise
    assert not link.is_by_hand(decoder)


@pytest.mark.skipif(not has_bf16(torch.device("cpu")), reason="the processor has no bfloat16 of its own")
@pytest.mark.parametrize("arch", ["gru:6", "lstm:6"])
def test_by_hand_in_bfloat16_is_the_same_within_that_precision(arch: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gated, "LOW_FROM", 0)
    decoder, link = linked(arch, "mlp", False, True)
    x, source = case(link)
    decoder, link = decoder.float(), link.float()
    low = Source(*(t.float() if t.is_floating_point() else t for t in vars(source).values()))
    state = link.state0(low)
    ours, _ = link.run(decoder, x.float(), state, low, dtype=torch.bfloat16)
    exact, _ = link.run(decoder, x.float(), state, low)
    assert 0 < float((ours - exact).detach().norm() / exact.detach().norm()) < 0.02


def test_noise_is_drawn_for_every_word() -> None:
    decoder, link = linked("gru:2x6", "mlp", True, False)
    x, source = case(link)
    noise = Noise(torch.Generator().manual_seed(1), input=0.5, layer=0.5)
    one, _ = link.run(decoder, x, link.state0(source), source, noise=noise)
    noise.generator.manual_seed(1)
    same, _ = link.run(decoder, x, link.state0(source), source, noise=noise)
    other, _ = link.run(decoder, x, link.state0(source), source, noise=noise)
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
