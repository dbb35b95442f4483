"""A chart drawn with characters: eight dots of Braille in every cell, axes, and a mark for every run.

Colour, where it is wanted, repeats what the marks say.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rnntool.cli.curves import Chart, Curve

MARKS = "●▲■◆○△□◇"
"""One for each run, in turn."""

COLORS = (34, 31, 32, 35, 36, 33)
"""Blue, red, green, magenta, cyan, yellow: the terminal's own, as ANSI codes."""

DASH = (3, 3)
"""Dots drawn and dots left out of a dashed line."""

LABEL_GAP = 2
"""Smallest number of columns between two labels of the x axis."""


def draw(chart: Chart, *, width: int, height: int, colored: bool) -> Iterator[str]:
    """The lines of a picture.

    Args:
        chart: what is shown.
        width: columns of the whole.
        height: lines of the area between the axes.
        colored: whether to use ANSI colours.
    """
    y_axis = Axis(chart.bottom, chart.top, is_log=True)
    x_axis = Axis(0.0, chart.right)
    labels = {round(y_axis.place(tick) * (height - 1)): f"{tick:g}" for tick in y_axis.ticks(height // 3)}
    margin = max(map(len, labels.values()), default=0) + 1
    area = Area(width - margin - 2, height)
    for curve in sorted(chart.curves, key=lambda each: each.is_main):
        area.add(curve, x_axis, y_axis)
    yield f"{'':{margin}}{chart.y_label}"
    for row in reversed(range(height)):
        label = labels.get(row, "")
        yield f"{label:>{margin}}{'┤' if label else '│'}{area.line(row, colored=colored)}".rstrip()
    yield from _x_axis(x_axis, area.width, margin, chart.x_label)
    for number, text in enumerate(chart.legend):
        yield f"{'':{margin}}{_painted(MARKS[number % len(MARKS)], number, colored)} {text}"
    if chart.key:
        yield f"{'':{margin}}{chart.key}"


# --- axes ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Axis:
    """A range of values on a line.

    Args:
        low: where it begins.
        high: where it ends; not below `low`.
        is_log: whether equal ratios, instead of equal differences, are equally long.
    """

    low: float
    high: float
    is_log: bool = False

    def place(self, value: float) -> float:
        """How far along the axis a value is: 0 at its beginning, 1 at its end."""
        low, high, value = (math.log(each) if self.is_log else each for each in (self.low, self.high, value))
        return (value - low) / (high - low) if high > low else 0.5

    def ticks(self, most: int) -> list[float]:
        """Round values on the axis, about `most` at most."""
        if self.is_log:
            for digits in ((1, 2, 3, 4, 5, 6, 7, 8, 9), (1, 2, 3, 5, 7), (1, 2, 5), (1,)):
                found = self._decimal(digits)
                if len(found) <= most:
                    return found if len(found) > 2 else self._even(most)
            return found[:: math.ceil(len(found) / most)]
        return self._even(most)

    def _decimal(self, digits: Sequence[int]) -> list[float]:
        """The values of one digit and any number of zeros."""
        exponents = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        values = (float(f"{digit}e{exponent}") for exponent in exponents for digit in digits)
        return [value for value in values if self.low <= value <= self.high]

    def _even(self, most: int) -> list[float]:
        """Multiples of a round step."""
        span = self.high - self.low
        if span <= 0:
            return [self.low]
        rough = span / max(most, 1)
        power = 10.0 ** math.floor(math.log10(rough))
        step = next(power * digit for digit in (1, 2, 5, 10) if power * digit >= rough * (1 - 1e-9))
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        return [float(f"{number * step:.12g}") for number in range(first, last + 1)]


def _x_axis(axis: Axis, width: int, margin: int, name: str) -> Iterator[str]:
    """The line below the area, and its labels."""
    line = ["─"] * width
    labels = [" "] * (width + margin + 1)
    free = 0
    for tick in axis.ticks(width // 9):
        column = round(axis.place(tick) * (width - 1))
        line[column] = "┬"
        label = f"{tick:g}"
        start = max(0, min(margin + 1 + column - len(label) // 2, len(labels) - len(label)))
        if start >= free:
            labels[start : start + len(label)] = label
            free = start + len(label) + LABEL_GAP
    yield f"{'':{margin}}└{''.join(line)}"
    yield "".join(labels).rstrip()
    yield f"{name:>{margin + 1 + width}}"


# --- the area between them -------------------------------------------------------------------------------------------

_DOTS = ((0x40, 0x80), (0x04, 0x20), (0x02, 0x10), (0x01, 0x08))
"""Bits of a Braille cell's dots, from the lowest row of two up (Unicode 3.0, U+2800 and on)."""


class Area:
    """Cells of two by four dots, from the lower left corner.

    Args:
        width: columns.
        height: lines.
    """

    def __init__(self, width: int, height: int) -> None:
        self.width = width
        self.height = height
        self._dots: dict[tuple[int, int], int] = {}
        self._marks: dict[tuple[int, int], str] = {}
        self._owners: dict[tuple[int, int], int] = {}

    def add(self, curve: Curve, x_axis: Axis, y_axis: Axis) -> None:
        """Draw a curve; what lies above the area is left out."""
        places = [
            (x_axis.place(x) * (2 * self.width - 1), y_axis.place(y) * (4 * self.height - 1)) for x, y in curve.points
        ]
        count = 0
        for start, end in itertools.pairwise(places):
            steps = max(1, math.ceil(max(abs(end[0] - start[0]), abs(end[1] - start[1]))))
            for step in range(steps + 1):
                count += 1
                if curve.is_main or count % sum(DASH) < DASH[0]:
                    share = step / steps
                    self._dot(start[0] + share * (end[0] - start[0]), start[1] + share * (end[1] - start[1]), curve.run)
        if curve.is_main:
            for x, y in places:
                self._mark(x, y, curve.run)
        elif len(places) == 1:
            self._dot(*places[0], curve.run)

    def line(self, row: int, *, colored: bool) -> str:
        """One line of cells."""
        return "".join(self._cell((column, row), colored=colored) for column in range(self.width))

    def _cell(self, cell: tuple[int, int], *, colored: bool) -> str:
        if cell in self._marks:
            return _painted(self._marks[cell], self._owners[cell], colored)
        if cell in self._dots:
            return _painted(chr(0x2800 + self._dots[cell]), self._owners[cell], colored)
        return " "

    def _dot(self, x: float, y: float, run: int) -> None:
        column, row = round(x), round(y)
        if row < 4 * self.height:
            cell = (column // 2, row // 4)
            self._dots[cell] = self._dots.get(cell, 0) | _DOTS[row % 4][column % 2]
            self._owners[cell] = run

    def _mark(self, x: float, y: float, run: int) -> None:
        cell = (round(x) // 2, round(y) // 4)
        if cell[1] < self.height:
            self._marks[cell] = MARKS[run % len(MARKS)]
            self._owners[cell] = run


def _painted(text: str, run: int, colored: bool) -> str:
    return f"\x1b[{COLORS[run % len(COLORS)]}m{text}\x1b[0m" if colored else text
