"""Tasks in turns."""

from __future__ import annotations

import time

import pytest
import torch

from rnntool.bench.timing import Timing, take_turns

CPU = torch.device("cpu")


def test_tasks_take_turns_after_one_call_each_that_does_not_count() -> None:
    calls: list[str] = []
    tasks = {"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}
    timings = take_turns(tasks, rounds=2, device=CPU, calls=2)
    assert "".join(calls) == "ab" + "aabb" * 2
    assert {name: len(timing.seconds) for name, timing in timings.items()} == {"a": 2, "b": 2}


def test_a_time_is_that_of_one_call(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = iter(range(0, 1000, 6))
    for clock in ("perf_counter", "thread_time"):
        monkeypatch.setattr(time, clock, lambda: next(ticks))
    assert take_turns({"a": lambda: None}, rounds=3, device=CPU, calls=4)["a"].seconds == (1.5, 1.5, 1.5)


def test_the_median_far_above_the_minimum_says_that_it_was_noisy() -> None:
    quiet, loud = Timing((1.0, 1.05, 9.0)), Timing((1.0, 1.2, 1.1001))
    assert (quiet.minimum, quiet.median, quiet.is_noisy) == (1.0, 1.05, False)
    assert (loud.median, loud.is_noisy) == (1.1001, True)
