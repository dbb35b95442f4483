"""Averages of weights against explicit sums."""

from __future__ import annotations

import json

import pytest
import torch
from torch import nn

from rnntool.config.training import TrainingConfig
from rnntool.train.average import Average

COURSE = [1.0, 4.0, -2.0, 3.0, 10.0, 0.5]


def parameter() -> nn.Parameter:
    return nn.Parameter(torch.zeros(2, dtype=torch.float64))


def average(name: str, weight: nn.Parameter, **settings: object) -> Average:
    return Average(TrainingConfig(average=name, **settings), {"w": weight})  # type: ignore[arg-type]


def set_to(weight: nn.Parameter, value: float) -> None:
    with torch.no_grad():
        weight.fill_(value)


def test_ema_is_uniform_until_the_decay_says_less() -> None:
    """Shares 1, ½, ⅓ … down to 1 − 0.75 = ¼: w̄ = w̄ + share (w − w̄)."""
    weight = parameter()
    ema = average("ema", weight, average_decay=0.75)
    expected = 0.0
    for number, value in enumerate(COURSE, 1):
        set_to(weight, value)
        ema.update()
        expected += max(1 / number, 0.25) * (value - expected)
        assert ema.weights["w"].tolist() == pytest.approx([expected] * 2, rel=1e-12)
    assert expected == pytest.approx(((sum(COURSE[:4]) / 4) * 0.75 + 2.5) * 0.75 + 0.125)


def test_asgd_is_the_plain_mean_of_what_comes_after_its_trigger() -> None:
    weight = parameter()
    asgd = average("asgd", weight)
    for value in COURSE[:2]:
        set_to(weight, value)
        asgd.update()
    assert not asgd.weights
    asgd.triggered = True
    for value in COURSE[2:]:
        set_to(weight, value)
        asgd.update()
    assert asgd.weights["w"].tolist() == pytest.approx([sum(COURSE[2:]) / 4] * 2, rel=1e-12)


def test_asgd_is_triggered_by_a_validation_worse_than_the_best_but_for_the_newest() -> None:
    """Merity et al. 2018, algorithm 1: t > n and v_t > min(v_0 .. v_{t−n−1}); here n = 2.

    5.0 4.8 4.9 (t = 2: not yet) 4.9 (t = 3: min of 5.0) 4.95 (t = 4: min of 5.0, 4.8, is 4.8: now).
    """
    asgd = average("asgd", parameter(), average_patience=2)
    seen = []
    for nll in (5.0, 4.8, 4.9, 4.9, 4.95):
        asgd.observe(nll)
        seen.append(asgd.triggered)
    assert seen == [False, False, False, False, True]


def test_without_patience_the_first_worse_validation_triggers() -> None:
    asgd = average("asgd", parameter(), average_patience=0)
    seen = []
    for nll in (5.0, 4.8, 4.9):
        asgd.observe(nll)
        seen.append(asgd.triggered)
    assert seen == [False, False, True]


def test_the_average_is_lent_and_taken_back() -> None:
    weight = parameter()
    ema = average("ema", weight)
    set_to(weight, 1)
    ema.update()
    set_to(weight, 3)
    ema.update()
    own = weight.data_ptr()
    with pytest.raises(ZeroDivisionError), ema.in_place():
        assert weight.tolist() == [2, 2]
        raise ZeroDivisionError
    assert weight.tolist() == [3, 3]
    assert weight.data_ptr() == own


def test_no_average_lends_nothing() -> None:
    weight = parameter()
    none = average("none", weight)
    set_to(weight, 5)
    none.update()
    with none.in_place():
        assert weight.tolist() == [5, 5]
    assert not none.weights


@pytest.mark.parametrize("name", ["ema", "asgd"])
def test_a_memory_in_json_goes_on_alike(name: str) -> None:
    whole_weight, part_weight = parameter(), parameter()
    whole = average(name, whole_weight, average_patience=1, average_decay=0.75)
    parts = average(name, part_weight, average_patience=1, average_decay=0.75)
    for number, value in enumerate(COURSE):
        for each, weight in ((whole, whole_weight), (parts, part_weight)):
            set_to(weight, value)
            each.update()
            each.observe(value)
        memory = json.loads(json.dumps(parts.memory))
        tensors = {key: tensor.clone() for key, tensor in parts.weights.items()}
        parts = average(name, part_weight, average_patience=1, average_decay=0.75)
        parts.recall(memory, tensors)
        assert parts.weights.keys() == whole.weights.keys()
        assert all(torch.equal(parts.weights[key], whole.weights[key]) for key in whole.weights), number
    assert whole.weights
