"""Small networks with weights drawn from a seed, far from the start of training so that their predictions differ."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from rnntool.config.network import NetworkConfig
from rnntool.models.network import Network, build_network
from rnntool.search.predictor import Predictor

EOS = 1


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def network(arch: str = "lstm:2x8", *, vocab_size: int = 12, seed: int = 1, tied: bool = False) -> Network:
    """A network whose weights are normal with a deviation of 1."""
    built = build_network(NetworkConfig(arch, tied=tied), vocab_size)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in built.parameters():
            parameter.normal_(generator=generator)
    return built


def predictor(*networks: Network, weights: tuple[float, ...] = (1.0,)) -> Predictor:
    """Networks as one predictor, whose lines end with token 1."""
    return Predictor(networks or (network(),), weights, eos_id=EOS)
