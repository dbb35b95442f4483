"""The learning rate over time, and when to stop, against courses made by hand."""

from __future__ import annotations

import json
import math

import pytest

from rnntool.config.training import TrainingConfig
from rnntool.train.schedule import Schedule, Verdict


def schedule(name: str, **settings: object) -> Schedule:
    return Schedule(TrainingConfig(schedule=name, lr=1.0, **settings))  # type: ignore[arg-type]


def rate(of: Schedule, *, progress: float = 0.0, step: int = 10**6) -> float:
    return of.rate(progress=progress, step=step)


def test_newbob_halves_after_the_first_small_gain_and_stops_after_the_second() -> None:
    """The rnnlm way, ratio 1.003.

    6.00 → 5.50 is a gain; 5.50 → 5.49 (5.49 · 1.003 = 5.506) is too small: halve from now on at every validation;
    5.49 → 5.30 is a gain, halve; 5.30 → 5.299 is too small for the second time: halve and stop.
    """
    newbob = schedule("newbob")
    course = []
    for nll in (6.0, 5.5, 5.49, 5.3, 5.299):
        verdict = newbob.observe(nll)
        course.append((verdict.is_best, verdict.roll_back, bool(verdict.stop), rate(newbob)))
    assert course == [
        (True, False, False, 1.0),
        (True, False, False, 1.0),
        (True, False, False, 0.5),
        (True, False, False, 0.25),
        (True, False, True, 0.125),
    ]
    assert verdict.stop == "the entropy improved by less than a ratio of 1.003 for the second time"


def test_newbob_gives_up_weights_that_got_worse_and_compares_with_those_it_returns_to() -> None:
    """5.5 → 5.6 is worse: back to the weights of 5.5, halve; then 5.4 is a gain over 5.5."""
    newbob = schedule("newbob")
    verdicts = [newbob.observe(nll) for nll in (5.5, 5.6, 5.4, 5.45)]
    assert [v.roll_back for v in verdicts] == [False, True, False, True]
    assert [v.is_best for v in verdicts] == [True, False, True, False]
    assert [bool(v.stop) for v in verdicts] == [False, False, False, True]


def test_newbob_multiplies_by_the_factor_that_is_asked_for() -> None:
    newbob = schedule("newbob", lr_factor=0.1, min_improvement=1.5)
    for nll in (6.0, 5.0):
        newbob.observe(nll)
    assert rate(newbob) == 0.1


def test_plateau_lowers_the_rate_at_every_small_gain_and_never_stops() -> None:
    plateau = schedule("plateau")
    rates = []
    for nll in (6.0, 5.5, 5.5, 5.6, 5.0, 5.0):
        verdict = plateau.observe(nll)
        assert not verdict.roll_back
        assert not verdict.stop
        rates.append(rate(plateau))
    assert rates == [1.0, 1.0, 0.5, 0.25, 0.25, 0.125]


def test_linear_falls_to_zero_at_the_last_epoch() -> None:
    linear = schedule("linear", max_epochs=4)
    assert [rate(linear, progress=p) for p in (0, 1, 2.5, 4, 4.5)] == pytest.approx([1, 0.75, 0.375, 0, 0])


def test_cosine_is_half_a_period() -> None:
    """½ (1 + cos(π p / P)): 1, ½ (1 + √½), ½, 0."""
    cosine = schedule("cosine", max_epochs=4)
    found = [rate(cosine, progress=p) for p in (0, 1, 2, 4)]
    assert found == pytest.approx([1, (1 + math.sqrt(0.5)) / 2, 0.5, 0], abs=1e-15)


def test_constant_is_constant() -> None:
    constant = schedule("constant")
    for nll in (6.0, 7.0, 8.0):
        constant.observe(nll)
        assert rate(constant, progress=11.9) == 1


@pytest.mark.parametrize("name", ["constant", "linear", "newbob"])
def test_warm_up_rises_in_equal_steps_and_never_begins_at_nothing(name: str) -> None:
    warm = schedule(name, warmup=4)
    assert [rate(warm, step=n) for n in range(6)] == pytest.approx([0.25, 0.5, 0.75, 1, 1, 1])


def test_patience_is_counted_in_epochs_whatever_the_validations_in_each() -> None:
    patient = schedule("constant", patience=2, validations=2)
    assert [bool(patient.observe(nll).stop) for nll in (5.0, 5.1, 5.1, 4.9, 4.9, 5, 5, 5)] == [False] * 7 + [True]


def test_another_error_than_the_entropy_decides_what_is_better() -> None:
    judged = schedule("plateau", target_ppl=100.0, patience=2)
    assert [judged.observe(5.0 + n, error).is_best for n, error in enumerate((70.0, 65.0, 66.0))] == [True, True, False]
    assert rate(judged) == 0.5
    assert judged.observe(math.log(99.0), 80.0).stop.endswith("reaches --target-ppl 100")
    assert judged.best == 65.0


def test_the_aim_is_reached_at_the_perplexity_itself() -> None:
    aimed = schedule("constant", target_ppl=100.0)
    assert aimed.observe(math.log(100.001)) == Verdict(is_best=True)
    assert aimed.observe(math.log(99.999)).stop == "perplexity 100.00 reaches --target-ppl 100"


@pytest.mark.parametrize("name", ["newbob", "plateau", "constant"])
@pytest.mark.parametrize("cut", range(6))
def test_a_memory_in_json_decides_alike(name: str, cut: int) -> None:
    course = (6.0, 5.5, 5.49, 5.6, 5.3, 5.3)
    whole, parts = schedule(name, patience=3), schedule(name, patience=3)
    for number, nll in enumerate(course):
        if number == cut:
            memory = json.loads(json.dumps(parts.memory, allow_nan=False))
            parts = schedule(name, patience=3)
            parts.recall(memory)
        assert parts.observe(nll) == whole.observe(nll)
        assert rate(parts) == rate(whole)
