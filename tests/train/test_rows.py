"""Which weights are read by rows, and what an update leaves alone."""

from __future__ import annotations

import pytest
import torch

from rnntool.config.network import NetworkConfig
from rnntool.config.training import TrainingConfig
from rnntool.models.network import build_network
from rnntool.nn.output.drawn import DrawnLayer
from rnntool.train.optimizer import build_optimizer, plan_rows


@pytest.mark.parametrize(
    ("output", "options", "tied", "expected"),
    [
        ("full", {}, False, ["embedding"]),
        ("nce:3", {}, False, ["embedding", "output.weight"]),
        ("nce:3", {"optimizer": "sgd"}, False, ["embedding", "output.weight"]),
        ("nce:3", {"optimizer": "sgd", "momentum": 0.9}, False, []),
        ("nce:3", {"weight_decay": 0.01}, False, []),
        ("nce:3", {}, True, []),
    ],
)
def test_embedding_and_output_layers_that_meet_few_words(
    output: str, options: dict[str, object], tied: bool, expected: list[str]
) -> None:
    network = build_network(NetworkConfig("gru:4", output=output, tied=tied), 20)
    rows, is_sparse = plan_rows(TrainingConfig(**options), network)  # type: ignore[arg-type]
    names = {id(p): name for name, p in network.named_parameters()}
    assert [names[id(p)] for p in rows] == expected
    assert is_sparse
    if isinstance(network.output, DrawnLayer):
        assert network.output.is_sparse == ("output.weight" in expected)


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_an_update_moves_the_rows_that_were_met_alone(optimizer: str) -> None:
    network = build_network(NetworkConfig("gru:4", output="sampled:3"), 20)
    network.init(torch.Generator().manual_seed(1))
    output = network.output
    assert isinstance(output, DrawnLayer)
    rows, _ = plan_rows(TrainingConfig(optimizer=optimizer), network)
    updating = build_optimizer(TrainingConfig(optimizer=optimizer), network.parameters(), rows)
    before = output.weight.detach().clone()
    h = torch.randn(2, 4, generator=torch.Generator().manual_seed(2))
    targets = torch.tensor([4, 7])
    loss, _ = output.loss(h, targets, generator=torch.Generator().manual_seed(3))
    loss.backward()
    updating.step(1.0)
    met = {4, 7, *output.draw(torch.Generator().manual_seed(3)).tolist()}
    moved = (output.weight.detach() != before).any(dim=1).nonzero()[:, 0].tolist()
    assert set(moved) == met
    assert len(met) < 20
