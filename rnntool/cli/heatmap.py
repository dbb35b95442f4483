"""Where the words of a target looked, as a map of shades: rows are the target's units, columns the source's and its end.

Reads the records of `translate --json --alignment soft`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from rnntool.cli import report
from rnntool.errors import InputError

SHADES = " ░▒▓█"
"""From nothing to all of the attention."""

END = "</s>"
"""The source's end."""

LONGEST = 12
"""Characters of a word that are shown."""

CELL = 3
"""Columns of a shade, and a gap."""

HINT = "rnntool translate --json --alignment soft"


@dataclass(frozen=True)
class Heatmap:
    """Attention that is to be drawn.

    Args:
        title: what it is of.
        source: units of the source, and its end.
        target: units of the target.
        attention: a row for each of the target, a number from 0 to 1 for each of the source.
    """

    title: str
    source: tuple[str, ...]
    target: tuple[str, ...]
    attention: tuple[tuple[float, ...], ...]


def read_heatmaps(path: str) -> Iterator[Heatmap]:
    """The attention of all records of a file; blank sentences, which have none, are left out.

    Raises:
        InputError: a line is no record, or has no attention.
    """
    from rnntool.text.files import read_lines, shown

    for number, line in enumerate(read_lines(path), 1):
        where = f"{shown(path)}:{number}"
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            raise InputError(where, "not JSON", HINT) from None
        found = _parsed(record)
        if found is None:
            raise InputError(where, "a record without soft alignments", HINT)
        if found.target:
            yield found


def _parsed(record: Any) -> Heatmap | None:
    """What a record holds, if it is one."""
    if not isinstance(record, dict):
        return None
    source, target = _words(record.get("source")), _words(record.get("target"))
    rows = record.get("alignment")
    if source is None or target is None or not isinstance(rows, list) or len(rows) != len(target):
        return None
    if not all(isinstance(row, list) and len(row) == len(source) + 1 and all(map(_is_share, row)) for row in rows):
        return None
    title = report.one_line(str(record.get("sentence", "")))
    return Heatmap(title, (*source, END), target, tuple(tuple(map(float, row)) for row in rows))


def _words(value: Any) -> tuple[str, ...] | None:
    """A list of words, fit to be shown; None for anything else."""
    if not isinstance(value, list) or not all(isinstance(word, str) for word in value):
        return None
    return tuple(map(report.one_line, value))


def _is_share(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value) and -1e-3 <= value <= 1 + 1e-3


def draw(heatmap: Heatmap, *, width: int) -> Iterator[str]:
    """The lines of a picture: source words downwards above their columns, in parts where there are too many for a line."""
    from rich.cells import cell_len, set_cell_size

    rows = [cut(word) for word in heatmap.target]
    margin = max(map(cell_len, rows)) + 1
    fitting = max(1, (width - margin) // CELL)
    for first in range(0, len(heatmap.source), fitting):
        columns = [cut(word) for word in heatmap.source[first : first + fitting]]
        height = max(map(len, columns))
        for line in range(height):
            letters = (word.rjust(height)[line] for word in columns)
            yield (" " * margin + "".join(set_cell_size(letter, CELL) for letter in letters)).rstrip()
        for word, weights in zip(rows, heatmap.attention, strict=True):
            cells = "".join(f"{_shade(weight) * (CELL - 1)} " for weight in weights[first : first + fitting])
            yield (set_cell_size(word, margin) + cells).rstrip()


def cut(word: str) -> str:
    """A word as a picture shows it."""
    return word if len(word) <= LONGEST else f"{word[: LONGEST - 1]}…"


def _shade(weight: float) -> str:
    return SHADES[min(len(SHADES) - 1, max(0, round(weight * (len(SHADES) - 1))))]
