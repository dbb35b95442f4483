"""Tasks in turns."""

from __future__ import annotations

import time

import pytest
import torch

from rnntool.bench import timing
from rnntool.bench.timing import Timing, take_turns

CPU = torch.device("cpu")


class Clock:
    """A clock that stands still but for what tasks say that they take."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        self.calls: list[str] = []
        for name in ("perf_counter", "thread_time"):
            monkeypatch.setattr(time, name, lambda: self.now)

    def task(self, name: str, seconds: float) -> None:
        self.now += seconds
        self.calls.append(name)


def test_tasks_take_turns_after_calls_that_do_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """A turn is as many calls as fill its time."""
    clock = Clock(monkeypatch)
    monkeypatch.setattr(timing, "TURN", 1.0)
    tasks = {"a": lambda: clock.task("a", 0.4), "b": lambda: clock.task("b", 2.0)}
    timings = take_turns(tasks, rounds=2, device=CPU, warm_up=2)
    assert "".join(clock.calls) == "aaa" + "bbb" + "aaab" * 2
    assert {name: each.seconds for name, each in timings.items()} == {
        "a": pytest.approx((0.4, 0.4)),
        "b": pytest.approx((2.0, 2.0)),
    }


def test_a_task_that_takes_no_time_is_not_called_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    monkeypatch.setattr(timing, "TURN", 1e-4)
    take_turns({"a": lambda: clock.task("a", 0.0)}, rounds=1, device=CPU)
    assert 100 < len(clock.calls) < 105


def test_the_median_far_above_the_minimum_says_that_it_was_noisy() -> None:
    quiet, loud = Timing((1.0, 1.05, 9.0)), Timing((1.0, 1.2, 1.1001))
    assert (quiet.minimum, quiet.median, quiet.is_noisy) == (1.0, 1.05, False)
    assert (loud.median, loud.is_noisy) == (1.1001, True)
