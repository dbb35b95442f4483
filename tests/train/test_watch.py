"""The gradient by lag: a measurement of how far a network looks back."""

from __future__ import annotations

import pytest
import torch

from rnntool.config.network import NetworkConfig
from rnntool.config.output import Words
from rnntool.models.network import Network, build_network
from rnntool.train.watch import LARGEST_LAG, gradient_by_lag
from tests.train.conftest import Sit


def network(arch: str, V: int = 5) -> Network:
    built = build_network(NetworkConfig(arch), V).double()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in built.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    return built


def ids(T: int, B: int = 2) -> torch.Tensor:
    return torch.randint(5, (T, B), generator=torch.Generator().manual_seed(2))


@pytest.mark.parametrize("factor", [0.5, 1.0, 1.25])
def test_in_a_linear_network_it_grows_or_falls_by_the_recurrent_matrix(factor: float) -> None:
    """relu over positive numbers is linear; with R = ρ times a rotation of units, ‖g_k‖ = ρ^k ‖g_0‖."""
    net = network("elman:4,relu")
    layer = net.decoder.stack[0]
    with torch.no_grad():
        layer.get_parameter("weight_hh").copy_(factor * torch.eye(4).roll(1, dims=0))
        net.embedding.abs_()
        layer.get_parameter("bias").fill_(1)
    norms = gradient_by_lag(net, ids(8), ids(8))
    assert norms == pytest.approx([norms[0] * factor**k for k in range(8)], rel=1e-9)


def test_a_trace_fades_by_its_decay() -> None:
    norms = gradient_by_lag(network("trace:4@0.9"), ids(6), ids(6))
    assert norms == pytest.approx([norms[0] * 0.9**k for k in range(6)], rel=1e-9)


@pytest.mark.parametrize(
    "arch",
    [
        "gru:4",
        "gru-before:4",
        "elman:4",
        "lstm:4",
        "lstm:4/2",
        "scrn:4+2",
        "jordan:4",
        "gru:2x4",
        "mrnn:4/3",
        "ngram:5x4",
        "ngram:5x4,direct",
    ],
)
def test_it_is_the_derivative_with_respect_to_an_earlier_state(arch: str) -> None:
    """Against differences: the loss of the last token when the state after step T − 3 is moved a little."""
    net = network(arch)
    inputs, targets = ids(5, B=1), ids(5, B=1)
    norms = gradient_by_lag(net, inputs, targets)
    with torch.no_grad():
        _, state = net.run(inputs[:2], net.state0(1))
        squares = 0.0
        for index, s in enumerate(state):
            for unit in range(s.shape[1]):
                losses = []
                for sign in (1, -1):
                    moved = [each.clone() for each in state]
                    moved[index][0, unit] += sign * 1e-5
                    losses.append(float(net.nll(inputs[2:], targets[2:], tuple(moved))[0][-1, 0]))
                squares += ((losses[0] - losses[1]) / 2e-5) ** 2
    assert norms[3] == pytest.approx(squares**0.5, rel=1e-6)


def test_a_network_over_a_window_of_words_has_no_gradient_beyond_it() -> None:
    """n = 4: the state three steps ago holds none of the three words that are seen now."""
    norms = gradient_by_lag(network("ngram:4x4"), ids(8), ids(8))
    assert all(norms[:3])
    assert not any(norms[3:])


def test_it_looks_back_so_far_and_no_further() -> None:
    assert len(gradient_by_lag(network("gru:4"), ids(200), ids(200))) == LARGEST_LAG + 1
    assert len(gradient_by_lag(network("gru:4"), ids(3), ids(3))) == 3


def test_a_watched_run_reports_it_and_is_otherwise_the_same(sit: Sit) -> None:
    watched, plain = sit(name="watched", watch=True), sit(name="plain")
    watched.train()
    plain.train()
    records = [r for r in watched.observer.records if "valid_ppl" in r]  # type: ignore[attr-defined]
    assert all(len(r["grad_by_lag"]) == 5 for r in records)
    for ours, theirs in zip(watched.network.parameters(), plain.network.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_what_reads_words_is_beside_every_state() -> None:
    """Its own states are others, and not looked at; there are as many norms as states."""
    config = NetworkConfig("gru:4", word_arch="gru:3")
    net = build_network(config, Words((1,) * 5, ends=(1, 2))).double()
    with torch.no_grad():
        net.init(torch.Generator().manual_seed(1))
        net.output.weight.normal_(generator=torch.Generator().manual_seed(2))
    norms = gradient_by_lag(net, ids(6), ids(6))
    assert len(norms) == 6
    assert min(norms) > 0
