"""Layers on top of each other, over time."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from rnntool.config.arch import parse_arch
from rnntool.errors import OptionError
from rnntool.nn.cells.build import build_cell
from rnntool.nn.plan import choose_plan
from rnntool.nn.recurrent import Recurrent
from tests.nn.conftest import ARCHS

CLOSE = {"rtol": 1e-12, "atol": 1e-12}


def stack(arch: str, layers: int = 2, **options: bool) -> Recurrent:
    parsed = parse_arch(arch)
    cells = [build_cell(parsed, 3)]
    while len(cells) < layers:
        cells.append(build_cell(parsed, cells[-1].output_size))
    network = Recurrent(cells, **options).double()
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) / 2)
    return network


def inputs(T: int = 6) -> Tensor:
    return torch.randn(T, 2, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


@pytest.mark.parametrize("options", [{}, {"residual": True}, {"layer_norm": True, "residual": True}], ids=str)
@pytest.mark.parametrize("arch", ARCHS)
def test_a_window_is_its_tokens_one_by_one(arch: str, options: dict[str, bool]) -> None:
    network = stack(arch, **options)
    x = inputs()
    h, after = network.run(x, network.state0(2))
    state = network.state0(2)
    for t, x_t in enumerate(x):
        out, state = network.step(x_t, state)
        torch.testing.assert_close(out, h[t], **CLOSE)
    for one, other in zip(state, after, strict=True):
        torch.testing.assert_close(one, other, **CLOSE)


@pytest.mark.parametrize("cut", [1, 3, 5])
@pytest.mark.parametrize("arch", ARCHS)
def test_two_windows_are_one(arch: str, cut: int) -> None:
    """State is a value: what is handed back is all that the next window needs."""
    network = stack(arch)
    x = inputs()
    whole, end = network.run(x, network.state0(2))
    first, state = network.run(x[:cut], network.state0(2))
    second, after = network.run(x[cut:], state)
    torch.testing.assert_close(torch.cat([first, second]), whole, **CLOSE)
    for one, other in zip(after, end, strict=True):
        torch.testing.assert_close(one, other, **CLOSE)


@pytest.mark.parametrize("keep", [0, 1, 4, 6])
def test_the_state_is_kept_where_it_is_asked_for(keep: int) -> None:
    network = stack("lstm:4")
    x = inputs()
    h, kept = network.run(x, network.state0(2), keep=keep)
    torch.testing.assert_close(h, network.run(x, network.state0(2))[0], **CLOSE)
    expected = network.run(x[:keep], network.state0(2))[1] if keep else network.state0(2)
    for one, other in zip(kept, expected, strict=True):
        torch.testing.assert_close(one, other, **CLOSE)


def test_nothing_is_remembered_between_calls() -> None:
    network = stack("gru:4")
    first = network.run(inputs(), network.state0(2))[0]
    assert torch.equal(network.run(inputs(), network.state0(2))[0], first)


def test_a_residual_layer_adds_its_input_but_the_first_does_not() -> None:
    plain, residual = stack("gru:3"), stack("gru:3", residual=True)
    x = inputs()
    lower = Recurrent([plain.stack[0].cell]).double()
    lower.layers[0].load_state_dict(plain.layers[0].state_dict())
    below, _ = lower.run(x, lower.state0(2))
    torch.testing.assert_close(
        residual.run(x, residual.state0(2))[0], plain.run(x, plain.state0(2))[0] + below, **CLOSE
    )


def test_a_normalised_layer_has_mean_zero_and_variance_one_before_gain_and_bias() -> None:
    network = stack("gru:50", layers=1, layer_norm=True)
    with torch.no_grad():
        network.stack[0].norm.reset_parameters()  # type: ignore[union-attr]
    h, _ = network.run(inputs(), network.state0(2))
    torch.testing.assert_close(h.mean(dim=2), torch.zeros(6, 2).double(), atol=1e-12, rtol=0)
    torch.testing.assert_close(h.var(dim=2, correction=0), torch.ones(6, 2).double(), atol=1e-2, rtol=0)


def test_a_plan_says_what_and_why() -> None:
    assert choose_plan(build_cell(parse_arch("lstm:3"), 3)).backend == "vendor"
    assert choose_plan(build_cell(parse_arch("jordan:3"), 3)).backend == "bptt"
    assert choose_plan(build_cell(parse_arch("gru:3"), 3), device="cuda").backend == "vendor"
    assert choose_plan(build_cell(parse_arch("jordan:3"), 3), device="cuda").backend == "bptt"
    assert choose_plan(build_cell(parse_arch("ngram:3"), 3)).backend == "unfold"
    assert choose_plan(build_cell(parse_arch("mrnn:3"), 3)).backend == "bptt"
    assert choose_plan(build_cell(parse_arch("lstm:3"), 3), backend="reference").reason == "asked for"


def test_a_backend_that_cannot_or_does_not_exist_is_refused() -> None:
    with pytest.raises(OptionError) as refused:
        stack("gru-before:3").plan("vendor")
    assert str(refused.value) == "--backend: GRUBefore has no map onto torch's networks"
    with pytest.raises(OptionError) as refused:
        stack("gru:3").plan("cuda")
    assert (
        str(refused.value) == "--backend: unknown backend 'cuda'; known are auto, reference, vendor, bptt, scan, unfold"
    )
    with pytest.raises(OptionError) as refused:
        stack("lstm:3").plan("bptt")
    assert str(refused.value) == "--backend: LSTM has no way back written by hand"
    with pytest.raises(OptionError) as refused:
        stack("lstm:3").plan("unfold")
    assert str(refused.value) == "--backend: LSTM remembers more than its last inputs"
