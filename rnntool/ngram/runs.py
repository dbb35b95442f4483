"""Rows of numbers sorted and added up in bounded memory: sorted blocks on the disk, then merged.

A row is some numbers, by which rows are compared from the first number on, and a count.  Rows that are equal but for their
counts become one with the sum.  What a row means is not known here.
"""

from __future__ import annotations

import contextlib
import tempfile
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from rnntool.errors import OutputError

Rows = NDArray[np.uint64]
"""(rows, numbers + 1) the numbers of each row, and its count."""

FAN_IN = 64
"""Runs that are merged at once; each is an open file."""

CHUNK = 1 << 18
"""Rows of a run in memory that are handed out at once."""


class Runs:
    """Sorted runs of rows; a context, at whose end their files are gone.

    Args:
        width: numbers of a row and its count, W + 1.
        memory: bytes that merging may take.
    """

    def __init__(self, width: int, memory: int) -> None:
        self.width = width
        self.memory = memory
        self._waiting: Rows | None = None  # the newest run, which goes to the disk when another comes
        self._files: list[IO[bytes]] = []

    def __enter__(self) -> Runs:
        return self

    def __exit__(self, *error: object) -> None:
        self._close()

    def add(self, rows: Rows) -> None:
        """Add rows in any order.

        Raises:
            OutputError: the disk does not take them.
        """
        self._spill()
        self._waiting = summed(rows)

    def merged(self) -> Iterator[Rows]:
        """All rows in order, each once; can be had once.

        Raises:
            OutputError: the disk does not take them.
        """
        if self._files:
            self._spill()
            yield from self._merged()
        elif self._waiting is not None:
            yield from (self._waiting[first : first + CHUNK] for first in range(0, len(self._waiting), CHUNK))

    def _spill(self) -> None:
        if self._waiting is None:
            return
        self._files.append(_written(iter([self._waiting])))
        self._waiting = None
        if len(self._files) == FAN_IN:
            merged = _written(self._merged())
            self._close()
            self._files = [merged]

    def _close(self) -> None:
        for file in self._files:
            file.close()

    def _merged(self) -> Iterator[Rows]:
        # A chunk of each run, all of them together, put in order, added up.
        size = max(1, self.memory // (len(self._files) * self.width * 8 * 5))
        for file in self._files:
            file.seek(0)
        return merge([_chunks(file, self.width, size) for file in self._files])


def merge(runs: Sequence[Iterator[Rows]]) -> Iterator[Rows]:
    """The rows of sorted runs in order, equal ones added up.

    Args:
        runs: each in chunks, distinct and in order.
    """
    heads = [next(run, None) for run in runs]
    while present := [head for head in heads if head is not None]:
        # No row that is yet to come is before the last row of its run's head.
        bound = min(_key(head, -1) for head in present)
        taken = []
        for number, head in enumerate(heads):
            if head is not None:
                end = _before(head, bound)
                taken.append(head[:end])
                heads[number] = head[end:] if end < len(head) else next(runs[number], None)
        yield summed(np.concatenate(taken))


def summed(rows: Rows) -> Rows:
    """Rows in order, equal ones added up."""
    order = np.lexsort(rows[:, -2::-1].T)  # the last key counts first
    rows = rows[order]
    is_new = np.ones(len(rows), np.bool_)
    is_new[1:] = (rows[1:, :-1] != rows[:-1, :-1]).any(axis=1)
    (starts,) = is_new.nonzero()
    if len(starts) == len(rows):
        return rows
    counts = np.add.reduceat(rows[:, -1], starts)
    rows = rows[starts]
    rows[:, -1] = counts
    return rows


def _before(rows: Rows, bound: tuple[int, ...]) -> int:
    """How many sorted rows are not after a bound."""
    return bisect_right(range(len(rows)), bound, key=lambda place: _key(rows, place))


def _key(rows: Rows, place: int) -> tuple[int, ...]:
    return tuple(rows[place, :-1].tolist())


def _written(chunks: Iterator[Rows]) -> IO[bytes]:
    """Rows on the disk, in a file without a name, which is gone when it is closed."""
    try:
        file = tempfile.TemporaryFile()  # noqa: SIM115  # open until the rows have been merged
        try:
            for rows in chunks:
                file.write(np.ascontiguousarray(rows).data)
            file.flush()
        except BaseException:
            with contextlib.suppress(OSError):
                file.close()
            raise
    except OSError as error:
        raise OutputError(tempfile.gettempdir(), error.strerror or str(error)) from error
    return file


def _chunks(file: IO[bytes], width: int, size: int) -> Iterator[Rows]:
    row: np.dtype[Any] = np.dtype((np.uint64, width))
    while data := file.read(size * row.itemsize):
        yield np.frombuffer(data, np.uint64).reshape(-1, width)
