"""A small network that has something to say, and lines to say it of."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from rnntool.config.network import NetworkConfig
from rnntool.models.network import Network, build_network
from rnntool.score.network import NetworkScorer
from rnntool.text.counting import build, count
from rnntool.text.vocabulary import Vocabulary

LINES = [
    "the cat sat on the mat",
    "",
    "a dog",
    "the dog sat",
    "on a mat the cat",
    "mat",
    "",
    "the the the the the",
] * 10
"""Eighty lines of seven lengths, blank ones among them."""


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def words() -> Vocabulary:
    return build(count([b"the cat sat on a mat\na dog\n"], "word"), "word")


def network(arch: str = "lstm:2x16", *, seed: int = 1, scale: float = 0.8) -> Network:
    """A network whose weights are large enough for histories to matter."""
    built = build_network(NetworkConfig(arch), len(words()))
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in built.parameters():
            parameter.copy_(scale * torch.randn(parameter.shape, generator=generator))
    return built


def scorer(context: str, *, arch: str = "lstm:2x16", batch_size: int = 64, seed: int = 1) -> NetworkScorer:
    return NetworkScorer(network(arch, seed=seed), words(), context, batch_size=batch_size)
