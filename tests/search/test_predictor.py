"""One or more networks as one distribution, and states that are values."""

from __future__ import annotations

import pytest
import torch

from rnntool.search.predictor import together
from tests.search.conftest import EOS, network, predictor


@pytest.mark.parametrize("arch", ["elman:5", "lstm:2x8", "gru-before:5", "scrn:4+3", "jordan:4"])
def test_predictions_are_those_of_the_network(arch: str) -> None:
    net = network(arch)
    log_probs, _ = predictor(net).step(predictor(net).begin([3, 4, 5]))
    h, _ = net.double().run(torch.tensor([[EOS], [3], [4], [5]]), net.state0(1))
    assert torch.allclose(log_probs, net.output.log_probs(h[-1]), rtol=0, atol=1e-12)


def test_probabilities_sum_to_one() -> None:
    log_probs, _ = predictor(network(), network("gru:5", seed=2), weights=(0.3, 0.7)).step(
        predictor(network(), network("gru:5", seed=2), weights=(0.3, 0.7)).begin([3])
    )
    assert log_probs.exp().sum().item() == pytest.approx(1, abs=1e-13)


def test_a_mixture_is_the_weighted_mean_of_probabilities() -> None:
    nets = network(), network("elman:6", seed=2)
    mixed = predictor(*nets, weights=(0.25, 0.75))
    first, second = (predictor(net) for net in nets)
    p, q = (each.step(each.begin([2, 7]))[0].exp() for each in (first, second))
    log_probs, _ = mixed.step(mixed.begin([2, 7]))
    assert torch.allclose(log_probs.exp(), 0.25 * p + 0.75 * q, rtol=1e-13, atol=0)


def test_a_model_mixed_with_itself_is_itself() -> None:
    alone = predictor()
    twice = predictor(network(), network(), weights=(0.4, 0.6))
    expected, _ = alone.step(alone.begin([5]))
    log_probs, _ = twice.step(twice.begin([5]))
    assert torch.allclose(log_probs, expected, rtol=0, atol=1e-14)


def test_networks_are_left_as_they_are() -> None:
    net = network(tied=True)
    before = net.embedding.clone()
    predictor(net).begin([3])
    assert net.embedding.dtype == torch.float32
    assert torch.equal(net.embedding, before)
    assert net.output.weight is net.embedding


def test_rows_can_be_taken_in_any_order_and_put_together() -> None:
    model = predictor()
    parts = [model.begin(ids) for ids in ([3], [4, 5], [])]
    rows = together(parts).at([2, 0, 0])
    log_probs, _ = model.step(rows)
    for row, part in zip(log_probs, (parts[2], parts[0], parts[0]), strict=True):
        assert torch.allclose(row, model.step(part)[0][0], rtol=0, atol=1e-12)


def test_a_state_that_was_passed_in_is_not_changed() -> None:
    model = predictor()
    prefix = model.begin([3, 4])
    first, _ = model.step(prefix)
    second, _ = model.step(prefix)
    assert torch.equal(first, second)
