"""Inputs that the network draws itself."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from rnntool.config.network import NetworkConfig
from rnntool.models.network import Network, build_network
from rnntool.nn.noise import Noise
from rnntool.train.step import with_own_words

V = 9


@pytest.fixture
def network() -> Network:
    """One that is sure of what comes next: the word of its last input and one more."""
    built = build_network(NetworkConfig("elman:9,tanh"), V)
    for parameter in built.parameters():
        parameter.data.zero_()
    built.embedding.data.copy_(2 * torch.eye(V))
    dict(built.named_parameters())["output.weight"].data.copy_(50 * torch.roll(torch.eye(V), 1, dims=0))
    return built


def drawn(network: Network, inputs: Tensor, rate: float, seed: int = 1) -> Tensor:
    noise = Noise(torch.Generator().manual_seed(seed), input=0.5)
    state = network.state0(inputs.shape[1])
    return with_own_words(network, inputs, state, None, rate=rate, noise=noise, dtype=torch.float32)


def test_a_share_of_the_inputs_is_what_the_network_would_say(network: Network) -> None:
    """After the words of the text: each word drawn is the successor of the text's word before it, not of one drawn."""
    inputs = torch.randint(V, (40, 50), generator=torch.Generator().manual_seed(1))
    found = drawn(network, inputs, 0.25)
    own = torch.roll((inputs + 1) % V, 1, dims=0)
    assert torch.equal(found[0], inputs[0])
    is_own = found != inputs
    assert torch.equal(found[is_own], own[is_own])
    share = is_own[1:].float().sum() / (own != inputs)[1:].sum()
    assert share == pytest.approx(0.25, abs=0.04)


def test_the_same_seed_draws_the_same(network: Network) -> None:
    inputs = torch.randint(V, (20, 5), generator=torch.Generator().manual_seed(1))
    assert torch.equal(drawn(network, inputs, 0.5), drawn(network, inputs, 0.5))
    assert not torch.equal(drawn(network, inputs, 0.5), drawn(network, inputs, 0.5, seed=2))


def test_a_window_of_one_token_has_nothing_to_draw(network: Network) -> None:
    inputs = torch.tensor([[3, 4]])
    assert torch.equal(drawn(network, inputs, 0.9), inputs)
