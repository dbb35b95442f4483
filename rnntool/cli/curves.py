"""The course of runs as curves: what `rnntool plot` draws, and nothing of how."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rnntool.checkpoint.metrics import Record

Point = tuple[float, float]

OVER = {"epochs": "epoch", "steps": "step", "tokens": "tokens", "seconds": "seconds"}
"""What a course can be drawn over, and the key of a record that holds it."""

STRETCHES = 60
"""Points of a training curve, about: each is the mean over as many tokens, so that no short report stands out."""

START = 0.1
"""Share of the drawn width at whose left training perplexities may leave the picture at the top."""

UNITS = {
    "steps": (("million steps", 1e6), ("thousand steps", 1e3)),
    "tokens": (("billion tokens", 1e9), ("million tokens", 1e6), ("thousand tokens", 1e3)),
    "seconds": (("hours", 3600.0), ("minutes", 60.0)),
}
"""Larger units of what a course is drawn over, the largest first, and how much one is."""

LEAST = 3
"""A larger unit is used where there are so many of it."""


@dataclass(frozen=True)
class Run:
    """One run to be drawn.

    Args:
        name: as it was typed.
        records: of its metrics.jsonl.
    """

    name: str
    records: Sequence[Record]


@dataclass(frozen=True)
class Curve:
    """Points of one run, from left to right.

    Args:
        run: number of the run, which gives the colour and the mark.
        points: (x, y).
        is_main: whether it is drawn solid and its points are marked; otherwise it is dashed.
    """

    run: int
    points: Sequence[Point]
    is_main: bool


@dataclass(frozen=True)
class Chart:
    """A picture's content.

    Args:
        curves: at least one, with at least one point.
        x_label: unit of x.
        y_label: unit of y, whose axis is logarithmic.
        top: where the y axis ends.
        legend: one line for each run.
        key: what solid and dashed curves are; empty where all are solid.
    """

    curves: Sequence[Curve]
    x_label: str
    y_label: str
    top: float
    legend: Sequence[str]
    key: str = ""

    @property
    def bottom(self) -> float:
        """Where the y axis begins."""
        return min(y for curve in self.curves for _, y in curve.points)

    @property
    def right(self) -> float:
        """Where the x axis, which begins at 0, ends."""
        return max(x for curve in self.curves for x, _ in curve.points) or 1.0


def perplexities(runs: Sequence[Run], over: str) -> Chart | None:
    """Perplexity on the validation text, and on the training text as it was learnt; None if nothing was measured."""
    curves = []
    legend = []
    for number, run in enumerate(runs):
        train, valid = _training(run, over), _validation(run, over)
        curves += [Curve(number, points, is_main) for points, is_main in ((train, False), (valid, True)) if points]
        legend.append(f"{run.name}  {_summary(run, train)}")
    if not curves:
        return None
    curves, label = _in_larger_unit(curves, over)
    right = max(x for curve in curves for x, _ in curve.points)
    shown = [y for curve in curves for x, y in curve.points if curve.is_main or x >= START * right]
    return Chart(curves, label, "perplexity", max(shown), legend, "marked: validation, dashed: training")


def gradients(runs: Sequence[Run]) -> Chart | None:
    """The gradient's norm by lag at each run's last measurement; None if no run was watched."""
    curves: list[Curve] = []
    legend: list[str] = []
    for run in runs:
        watched = [record for record in run.records if any(norm > 0 for norm in _norms(record))]
        if watched:
            points = [(float(lag), norm) for lag, norm in enumerate(_norms(watched[-1])) if norm > 0]
            curves.append(Curve(len(legend), points, is_main=True))
            legend.append(f"{run.name}  at epoch {_shown(watched[-1].get('epoch'))}")
    if not curves:
        return None
    top = max(y for curve in curves for _, y in curve.points)
    return Chart(curves, "lag in tokens", "gradient norm", top, legend)


PERPLEXITY_COLUMNS = (
    "run",
    "epoch",
    "step",
    "tokens",
    "seconds",
    "lr",
    "train_ppl",
    "valid_ppl",
    "grad_norm",
    "clipped",
)


def perplexity_rows(runs: Sequence[Run]) -> list[tuple[str, ...]]:
    """The records themselves, under `PERPLEXITY_COLUMNS`; empty where nothing was measured."""
    rows = []
    for run in runs:
        for record in run.records:
            nll = _number(record, "train_nll")
            values = {**record, "run": run.name, "train_ppl": None if nll is None else _exp(nll)}
            rows.append(tuple(_shown(values.get(name)) for name in PERPLEXITY_COLUMNS))
    return rows


GRADIENT_COLUMNS = ("run", "epoch", "lag", "grad_norm")


def gradient_rows(runs: Sequence[Run]) -> list[tuple[str, ...]]:
    """Every measurement of the gradient by lag, under `GRADIENT_COLUMNS`."""
    return [
        (run.name, _shown(record.get("epoch")), str(lag), _shown(norm))
        for run in runs
        for record in run.records
        for lag, norm in enumerate(_norms(record))
    ]


def _validation(run: Run, over: str) -> list[Point]:
    pairs = ((_number(record, OVER[over]), _number(record, "valid_nll")) for record in run.records)
    return [(x, _exp(nll)) for x, nll in pairs if x is not None and nll is not None]


def _training(run: Run, over: str) -> list[Point]:
    """Means over stretches of the text, each where it ends."""
    known = [
        (tokens, x, nll)
        for record in run.records
        if (tokens := _number(record, "tokens")) is not None
        and (x := _number(record, OVER[over])) is not None
        and (nll := _number(record, "train_nll")) is not None
    ]
    points = []
    before = start = total = 0.0
    for tokens, x, nll in known:
        total += (tokens - before) * nll
        before = tokens
        if tokens - start >= known[-1][0] / STRETCHES:
            points.append((x, _exp(total / (tokens - start))))
            start, total = tokens, 0.0
    return points


def _summary(run: Run, train: Sequence[Point]) -> str:
    """What a run has come to, in a few words."""
    said = []
    validations = [record for record in run.records if _number(record, "valid_nll") is not None]
    if validations:
        best = min(validations, key=lambda record: float(record["valid_nll"]))
        said.append(f"valid {_exp(best['valid_nll']):.2f} at epoch {_shown(best.get('epoch'))}")
    if train:
        said.append(f"train {train[-1][1]:.2f}")
    return ", ".join(said)


def _in_larger_unit(curves: list[Curve], over: str) -> tuple[list[Curve], str]:
    """The curves with x in thousands, hours and so on where numbers would be long."""
    right = max(x for curve in curves for x, _ in curve.points)
    for name, size in UNITS.get(over, ()):
        if right >= LEAST * size:
            return [Curve(c.run, [(x / size, y) for x, y in c.points], c.is_main) for c in curves], name
    return curves, over


def _norms(record: Record) -> list[float]:
    norms = record.get("grad_by_lag")
    if not isinstance(norms, list):
        return []
    return [norm for norm in norms if isinstance(norm, int | float) and math.isfinite(norm)]


def _number(record: Record, key: str) -> float | None:
    """A finite number of a record; None if it has none of this key."""
    value = record.get(key)
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


def _exp(nll: float) -> float:
    return math.exp(min(nll, 700.0))


def _shown(value: Any) -> str:
    match value:
        case None:
            return ""
        case float():
            return f"{value:.6g}"
    return str(value)
