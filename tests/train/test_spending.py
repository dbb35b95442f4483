"""Where time goes."""

from __future__ import annotations

import time

import pytest
import torch

from rnntool.config.network import NetworkConfig
from rnntool.models.network import build_network
from rnntool.train.spending import Stopwatch, expect
from tests.train.conftest import Sit


def test_every_moment_after_the_start_belongs_to_a_part(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ticks at 0 (made), 10 (started), 11, 15, 16: a 1 + 1, b 4."""
    ticks = iter([0, 10, 11, 15, 16])
    monkeypatch.setattr(time, "perf_counter", lambda: next(ticks))
    stopwatch = Stopwatch()
    stopwatch.start()
    for part in ("a", "b", "a"):
        stopwatch.lap(part)
    assert stopwatch.shares() == [("b", 4, pytest.approx(4 / 6)), ("a", 2, pytest.approx(2 / 6))]


def test_nothing_spent_is_no_share() -> None:
    assert Stopwatch().shares() == []


def test_what_an_update_costs_by_hand() -> None:
    """LSTM of 5 units, inputs of 3: 20 × 3 + 20 × 5 weights; output 7 × 5; six operations each, for 100 tokens."""
    network = build_network(NetworkConfig("lstm:5", embed_size=3), 7)
    cost = expect(network, [1.0] * 7, num_tokens=100, dtype=torch.float32, device=torch.device("cpu"))
    assert cost.layers_gflop == pytest.approx(6 * 100 * 160 / 1e9)
    assert cost.output_gflop == pytest.approx(6 * 100 * 35 / 1e9)
    assert cost.gflops > 0


def test_what_pairs_cost_by_hand() -> None:
    """Sources of 40 tokens through an Elman network of 4 units, 3 · 4 + 4 · 4 weights, and keys of 5 · 4.

    Targets of 100 through one of 5 units that reads 3 + 4, 5 · 7 + 5 · 5 weights, queries of 5 · 5 and an output of 5 · 9.
    """
    network = build_network(
        NetworkConfig("elman:5", embed_size=3, encoder="elman:4", link="attention", context="reset"), 7, 6
    )
    cpu = torch.device("cpu")
    cost = expect(network, [1.0] * 7, num_tokens=100, num_source_tokens=40, dtype=torch.float32, device=cpu)
    assert cost.source_gflop == pytest.approx(6 * 40 * (28 + 20) / 1e9)
    assert cost.layers_gflop == pytest.approx(6 * 100 * (60 + 25 + 45) / 1e9)


def test_a_run_knows_what_it_spent(sit: Sit) -> None:
    trainer = sit(max_epochs=1)
    trainer.train()
    parts = {"data", "layers forward", "output layer", "layers back", "update", "validation and saving"}
    assert trainer.stopwatch.seconds.keys() == parts
    assert sum(trainer.stopwatch.seconds.values()) == pytest.approx(trainer.place.seconds, rel=0.5)
