"""Whether probabilities are probabilities."""

from __future__ import annotations

import pytest
import torch

from rnntool.score.normalization import TOLERANCE, deviation_from_one
from tests.search.conftest import network


def test_a_softmax_sums_to_one() -> None:
    assert deviation_from_one(network(vocab_size=1000), eos_id=1) < TOLERANCE / 10


def test_an_output_layer_that_does_not_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    net = network()
    log_probs = net.output.log_probs
    monkeypatch.setattr(net.output, "log_probs", lambda *rows: log_probs(*rows) + torch.log(torch.tensor(1.01)))
    assert deviation_from_one(net, eos_id=1) == pytest.approx(0.01, rel=1e-3)
