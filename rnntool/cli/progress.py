"""A run as it is watched: a live display on a terminal, plain lines elsewhere."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from rnntool.cli import report

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.live import Live

    from rnntool.train.progress import Observer

PLAIN_EVERY = 60.0
"""Seconds between plain lines, validations apart: at most sixty an hour."""

BARS = "▁▂▃▄▅▆▇█"


@contextlib.contextmanager
def watching(max_epochs: int) -> Iterator[Observer]:
    """Someone to watch a run of so many epochs, fit for where the standard error goes."""
    if not report.is_live():
        yield Plain()
        return
    from rich.live import Live

    view = Moving(max_epochs)
    with Live(view, console=report.console(), refresh_per_second=4, transient=True) as live:
        view.live = live
        yield view


class Plain:
    """One line of `key value` pairs a minute, and one a validation."""

    def __init__(self) -> None:
        self._last = time.monotonic()

    def began(self, *, resumed_at: int | None) -> None:
        """Say where the run goes on, if it does."""
        if resumed_at is not None:
            report.say(f"resumed after update {resumed_at}")

    def stepped(self, *, progress: float, loss: float, tokens_per_second: float, lr: float) -> None:
        """Nothing: updates are too many."""

    def reported(self, record: Mapping[str, Any]) -> None:
        """Say a validation, and once a minute anything else."""
        now = time.monotonic()
        if "valid_ppl" not in record and now - self._last < PLAIN_EVERY:
            return
        self._last = now
        report.say(line(record))

    def validating(self, share: float) -> None:
        """Nothing."""


class Moving:
    """Two lines that move: how far the run is and how fast, and the course of the validations; validations stay above.

    Args:
        max_epochs: what a whole run is.
    """

    def __init__(self, max_epochs: int) -> None:
        self.max_epochs = max_epochs
        self.live: Live | None = None
        self._began = time.monotonic()
        self._first: float | None = None
        self._progress = 0.0
        self._status = ""
        self._valid: list[float] = []
        self._validation = ""

    def began(self, *, resumed_at: int | None) -> None:
        """Start the clock."""
        self._began = time.monotonic()
        if resumed_at is not None:
            report.say(f"resumed after update {resumed_at}")

    def stepped(self, *, progress: float, loss: float, tokens_per_second: float, lr: float) -> None:
        """Show an update."""
        if self._first is None:
            self._first = self._progress = progress
            self._began = time.monotonic()
        self._progress = progress
        self._validation = ""
        self._status = f"train ppl {math.exp(min(loss, 50)):.1f}  {tokens_per_second:,.0f} tokens/s  lr {lr:.2g}"

    def reported(self, record: Mapping[str, Any]) -> None:
        """Keep a validation's line above the display."""
        if "valid_ppl" in record:
            self._valid.append(record["valid_nll"])
            if self.live is not None:
                self.live.console.print(line(record))

    def validating(self, share: float) -> None:
        """Show how far a validation is."""
        self._validation = f"  validating {share:.0%}"

    def __rich__(self) -> RenderableType:
        """The two lines."""
        from rich.text import Text

        share = min(1.0, self._progress / self.max_epochs)
        full = round(24 * share)
        text = Text(f"{'━' * full}{'─' * (24 - full)} epoch {self._progress:.2f}/{self.max_epochs}  {self._status}")
        text.append(f"{self._left()}{self._validation}")
        if self._valid:
            text.append(f"\nvalid ppl {math.exp(self._valid[-1]):.2f}  best {math.exp(min(self._valid)):.2f}  ")
            text.append(sparkline(self._valid[-40:]))
        return text

    def _left(self) -> str:
        done = self._progress - (self._first or 0.0)
        if done <= 0:
            return ""
        seconds = (time.monotonic() - self._began) / done * (self.max_epochs - self._progress)
        return f"  {clock(seconds)} left"


def line(record: Mapping[str, Any]) -> str:
    """A record of metrics.jsonl as one line for eyes: `key value` pairs."""
    shown = {
        "epoch": f"{record['epoch']:.2f}",
        "step": record["step"],
        "train_ppl": f"{math.exp(min(record['train_nll'], 50)):.2f}",
        **{key: f"{record[key]:.2f}" for key in ("valid_ppl", "valid_bleu", "valid_chrf") if key in record},
        "lr": f"{record['lr']:.4g}",
        "grad_norm": f"{record['grad_norm']:.3g}",
        "clipped": f"{record['clipped']:.0%}",
        "tokens_per_second": record["tokens_per_second"],
        "seconds": round(record["seconds"]),
    }
    return " ".join(f"{key} {value}" for key, value in shown.items() if value is not None)


def sparkline(values: list[float]) -> str:
    """Values as a row of bars, the smallest lowest."""
    low, high = min(values), max(values)
    scale = (len(BARS) - 1) / (high - low) if high > low else 0.0
    return "".join(BARS[round((value - low) * scale)] for value in values)


def clock(seconds: float) -> str:
    """A duration as 3:07 or 2:03:07."""
    minutes, seconds = divmod(max(0, round(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
