"""Tasks timed in turns: A B C, A B C, …, so that a slow moment of the machine meets all of them."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch

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
    tasks: Mapping[str, Callable[[], object]], *, rounds: int, device: torch.device, calls: int = 1, warm_up: int = 1
) -> dict[str, Timing]:
    """Time each task once a round, after calls that do not count.

    On one thread of a processor the time is that of the processor, else that of the clock.

    Args:
        tasks: by name.
        rounds: how many times each is timed.
        device: where they compute.
        calls: of a task that are timed as one, for tasks shorter than a clock can tell.
        warm_up: calls of each task before the first round.
    """
    clock = time.perf_counter if device.type != "cpu" or torch.get_num_threads() > 1 else time.thread_time
    for task in tasks.values():
        for _ in range(warm_up):
            task()
    taken: dict[str, list[float]] = {name: [] for name in tasks}
    for _ in range(rounds):
        for name, task in tasks.items():
            _wait(device)
            start = clock()
            for _ in range(calls):
                task()
            _wait(device)
            taken[name].append((clock() - start) / calls)
    return {name: Timing(tuple(seconds)) for name, seconds in taken.items()}


def clock_name(device: torch.device) -> str:
    """What `take_turns` measures: `cpu` seconds of one thread, or `wall`."""
    return "wall" if device.type != "cpu" or torch.get_num_threads() > 1 else "cpu"


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
