"""A packed network's predictions against those of the network."""

from __future__ import annotations

import pytest
import torch

from rnntool.config.arch import FORMS
from rnntool.config.network import NetworkConfig
from rnntool.models.network import Network, build_network
from rnntool.models.packed import PackedNetwork
from rnntool.nn.packed import PACKINGS, is_packable

V = 50


def network(arch: str, output: str, direct: str = "none") -> Network:
    built = build_network(NetworkConfig(arch, embed_size=12, output=output, direct=direct, layer_norm=True), V)
    generator = torch.Generator().manual_seed(1)
    built.init(generator)
    with torch.no_grad():
        for parameter in built.output.parameters():
            parameter.normal_(0, 0.5, generator=generator)
    return built.requires_grad_(False)


@pytest.mark.parametrize("packing", PACKINGS)
@pytest.mark.parametrize("output", ["full", "adaptive:10,30"])
@pytest.mark.parametrize("cell", FORMS)
def test_ten_tokens_are_predicted_alike(cell: str, output: str, packing: str) -> None:
    """Less than 0.02 nats of Kullback-Leibler divergence, 10⁻⁵ with fp32, between distributions of entropies near 3."""
    if not is_packable(packing, torch.device("cpu")):
        pytest.skip(f"this processor does not compute in {packing} by itself")
    exact = network(f"{cell}:2x16", output, direct="500:3" if cell == "gru" else "none")
    low = PackedNetwork(exact, packing)
    ours, theirs = low.state0(3), exact.state0(3)
    for tokens in torch.randint(V, (10, 3), generator=torch.Generator().manual_seed(2)):
        q, ours = low.step(tokens, ours)
        p, theirs = exact.step(tokens, theirs)
        torch.testing.assert_close(q.exp().sum(dim=1), torch.ones(3))
        divergence = (p.exp() * (p - q)).sum(dim=1)
        assert divergence.abs().max() < (1e-5 if packing == "fp32" else 0.02)
        assert packing == "fp32" or not torch.equal(p, q)
