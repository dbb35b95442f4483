"""Tasks timed in turns: A B C, A B C, …, so that a slow moment of the machine meets all of them.

A turn of a short task is several calls, as many as fill a tenth of a second: what is measured is how it runs on, not how it
begins after another task has filled the caches.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch

TURN = 0.1
"""Seconds that a turn lasts at least."""

NOISY = 0.1
"""A median so much above the minimum, as a share of it, says that the machine was not quiet."""


@dataclass(frozen=True)
class Timing:
    """What the rounds of one task took.

    Args:
        seconds: of each round, for one call of the task.
    """

    seconds: tuple[float, ...]

    @property
    def minimum(self) -> float:
        """Seconds of the fastest round."""
        return min(self.seconds)

    @property
    def median(self) -> float:
        """Seconds of the middle round."""
        return statistics.median(self.seconds)

    @property
    def is_noisy(self) -> bool:
        """Whether the median is far above the minimum."""
        return self.median - self.minimum > NOISY * self.minimum


def take_turns(
    tasks: Mapping[str, Callable[[], object]], *, rounds: int, device: torch.device, warm_up: int = 1
) -> dict[str, Timing]:
    """Time each task once a round, after calls that do not count.

    On one thread of a processor the time is that of the processor, else that of the clock.

    Args:
        tasks: by name.
        rounds: how many times each is timed.
        device: where they compute.
        warm_up: calls of each task before the first round.
    """
    clock = time.perf_counter if device.type != "cpu" or torch.get_num_threads() > 1 else time.thread_time

    def seconds(task: Callable[[], object], calls: int) -> float:
        _wait(device)
        start = clock()
        for _ in range(calls):
            task()
        _wait(device)
        return (clock() - start) / calls

    calls = {}
    for name, task in tasks.items():
        for _ in range(warm_up):
            task()
        calls[name] = max(1, math.ceil(TURN / max(seconds(task, 1), 1e-6)))
    taken: dict[str, list[float]] = {name: [] for name in tasks}
    for _ in range(rounds):
        for name, task in tasks.items():
            taken[name].append(seconds(task, calls[name]))
    return {name: Timing(tuple(seconds)) for name, seconds in taken.items()}


def clock_name(device: torch.device) -> str:
    """What `take_turns` measures: `cpu` seconds of one thread, or `wall`."""
    return "wall" if device.type != "cpu" or torch.get_num_threads() > 1 else "cpu"


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
