"""What was before each word of a stream: its history, cut to a length, and which histories differ.

A stream holds line after line, each from `<s>` to `</s>`.  Nothing reaches over the `<s>` of a line: before it there is
only `<s>` again.  Histories are columns of words, the nearest word first.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ids = NDArray[np.int64]


@dataclass(frozen=True)
class Stream:
    """Lines, one after another.

    Args:
        ids: with `<s>` before and `</s>` after each line.
        is_bos: where a line begins.
        lengths: of the lines, with `</s>`, without `<s>`.
    """

    ids: Ids
    is_bos: NDArray[np.bool_]
    lengths: Ids

    @property
    def words(self) -> Ids:
        """What is predicted: all but `<s>`."""
        return self.ids[~self.is_bos]

    def split(self, values: NDArray[np.float64]) -> list[NDArray[np.float64]]:
        """One number for each of `words`, line by line."""
        return np.split(values, np.cumsum(self.lengths)[:-1])

    def histories(self, length: int) -> list[Ids]:
        """The `length` words before each of `words`, the nearest first."""
        bos_id = self.ids[0]
        columns = []
        column = self.ids
        for _ in range(length):
            before = np.full_like(column, bos_id)
            before[1:] = column[:-1]
            before[self.is_bos] = bos_id
            columns.append(before[~self.is_bos])
            column = before
        return columns


def streamed(lines: Sequence[Sequence[int] | Ids], *, eos_id: int, bos_id: int) -> Stream:
    """Lines as a stream.

    Args:
        lines: ids, without `</s>`; at least one line.
        eos_id: of `</s>`.
        bos_id: of `<s>`, which is in no line.
    """
    lengths = np.array([len(line) + 2 for line in lines])
    starts = np.cumsum(lengths) - lengths
    ids = np.full(int(lengths.sum()), eos_id, np.int64)
    is_bos = np.zeros(len(ids), np.bool_)
    is_bos[starts] = True
    ids[is_bos] = bos_id
    for start, line in zip(starts.tolist(), lines, strict=True):
        ids[start + 1 : start + 1 + len(line)] = line
    return Stream(ids, is_bos, lengths - 1)


def distinct(columns: Iterable[Ids], stride: int) -> tuple[Ids, Ids]:
    """Which rows of columns differ.

    Args:
        columns: of words.
        stride: more than any word.

    Returns:
        where each different row first is, and for each row which of these it equals.
    """
    inverse: Ids | int = 0
    first: Ids = np.zeros(1, np.int64)
    for column in columns:
        _, first, inverse = np.unique(inverse * stride + column, return_index=True, return_inverse=True)
    assert not isinstance(inverse, int)
    return first, inverse


def where(keys: Ids, wanted: Ids) -> tuple[Ids, NDArray[np.bool_]]:
    """Where numbers are among sorted ones, and whether they are there."""
    if not len(keys):
        return np.zeros_like(wanted), np.zeros(len(wanted), np.bool_)
    places = np.searchsorted(keys, wanted)
    places[places == len(keys)] = 0
    return places, keys[places] == wanted
