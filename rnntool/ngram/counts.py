"""How often each n-gram occurs: from ids, as a stream, to the n-grams of all orders.

From every word of a line, and from the `<s>` before the first, the next N words are taken, `</s>` the last of them.
What would lie past the end is 0, so that all are N numbers long:

    <s> a b </s>   N = 3:   (<s> a b) (a b </s>) (b </s> 0) (</s> 0 0)

Sorted, those that begin alike lie side by side, so that the n-grams of every order are found in one pass; and since
every occurrence of an n-gram begins one of these and no more, the counts of all orders are sums of theirs.  Numbers are
packed, as many into 64 bits as fit.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rnntool.ngram.grams import Grams
from rnntool.ngram.runs import Rows, Runs


@dataclass(frozen=True)
class Counts:
    """N-grams and how often each occurs.

    Args:
        grams: which.
        occurrences: of each order from 1 on.  That of `<s>` is the number of lines.
    """

    grams: Grams
    occurrences: tuple[NDArray[np.int64], ...]


def count(blocks: Iterable[NDArray[np.uint32]], order: int, *, vocab_size: int, eos_id: int, memory: int) -> Counts:
    """Count the n-grams of a text.

    Args:
        blocks: ids of whole lines, each ended by `eos_id`.
        order: N, the longest n-grams.
        vocab_size: V; all ids are below.
        eos_id: of `</s>`.
        memory: bytes that sorting may take, as long as no line is longer than that; the n-grams found come on top.

    Raises:
        OutputError: the disk for temporary files is full.
    """
    packing = _Packing(order, vocab_size)
    gathered = _Gathered(order, vocab_size)
    # Of each word: its stream and columns, the row twice, and what sorting needs.
    size = max(1, memory // (8 * (order + 2 * (packing.width + 1) + 8)))
    with Runs(packing.width + 1, memory) as runs:
        for block in _regrouped(blocks, size, eos_id):
            runs.add(packing.pack(_windows(block, order, eos_id=eos_id, bos_id=vocab_size)))
        for rows in runs.merged():
            gathered.add(packing.unpack(rows), rows[:, -1].astype(np.int64))
    return gathered.counts()


def _regrouped(blocks: Iterable[NDArray[np.uint32]], size: int, eos_id: int) -> Iterator[NDArray[np.uint32]]:
    """The same ids in blocks of whole lines of some `size` ids."""
    group: list[NDArray[np.uint32]] = []
    length = 0
    for block in blocks:
        (ends,) = (block == eos_id).nonzero()
        while len(block):
            # The last line that fits ends here; a group has at least one.
            fitting = int(np.searchsorted(ends, size - length, side="left"))
            if not fitting and not length:
                fitting = 1
            end = int(ends[fitting - 1]) + 1 if fitting else 0
            group.append(block[:end])
            length += end
            block, ends = block[end:], ends[fitting:] - end
            if len(block):
                yield np.concatenate(group)
                group, length = [], 0
    if length:
        yield np.concatenate(group)


def _windows(ids: NDArray[np.uint32], order: int, *, eos_id: int, bos_id: int) -> list[NDArray[np.uint64]]:
    """The words from each place on: id + 1, and 0 past the line's end; an array for the first ones, and so on."""
    is_end = ids == eos_id
    lines = np.cumsum(is_end) - is_end  # the number of the line of each id
    stream = np.full(len(ids) + int(is_end.sum()), bos_id + 1, np.uint64)
    stream[np.arange(len(ids)) + lines + 1] = ids
    stream[np.arange(len(ids)) + lines + 1] += 1
    columns = [stream]
    for _ in range(1, order):
        before = columns[-1]
        column = np.zeros_like(before)
        column[:-1] = before[1:]
        # Where the word before is an end, or past it, this one is past it; its place holds the next line's.
        column[(columns[-1] == eos_id + 1) | (columns[-1] == 0)] = 0
        columns.append(column)
    return columns


class _Packing:
    """N numbers of 0 to V + 1 as a few of 64 bits, in the same order."""

    def __init__(self, order: int, vocab_size: int) -> None:
        self.order = order
        self.bits = (vocab_size + 1).bit_length()
        self.together = min(order, 64 // self.bits)
        self.width = -(-order // self.together)

    def pack(self, columns: list[NDArray[np.uint64]]) -> Rows:
        """A row for each place in the columns, counted once."""
        rows = np.zeros((len(columns[0]), self.width + 1), np.uint64)
        for place, column in enumerate(columns):
            at = rows[:, place // self.together]
            np.left_shift(at, self.bits, out=at)
            at |= column
        rows[:, -1] = 1
        return rows

    def unpack(self, rows: Rows) -> list[NDArray[np.int64]]:
        """The columns."""
        columns = []
        mask = (1 << self.bits) - 1
        for place in range(self.order):
            last = min(self.order, (place // self.together + 1) * self.together) - 1
            shifted = rows[:, place // self.together] >> ((last - place) * self.bits)
            columns.append((shifted & mask).astype(np.int64))
        return columns


class _Gathered:
    """The n-grams of all orders, gathered from sorted rows as they come."""

    def __init__(self, order: int, vocab_size: int) -> None:
        self.vocab_size = vocab_size
        self.last = np.full(order, -1)  # the row before
        self.sizes = [0] * order  # n-grams found so far, by order
        self.keys: list[list[NDArray[np.int64]]] = [[] for _ in range(order)]
        self.found: list[list[NDArray[np.int64]]] = [[] for _ in range(order)]
        self.unigrams = np.zeros(vocab_size + 1, np.int64)

    def add(self, columns: list[NDArray[np.int64]], counts: NDArray[np.int64]) -> None:
        """Take sorted rows, which come after all that were added before."""
        np.add.at(self.unigrams, columns[0] - 1, counts)
        places = columns[0] - 1  # of the n-gram that each row begins with, order by order
        differs = np.diff(columns[0], prepend=self.last[0]) != 0
        for n, column in enumerate(columns[1:], 1):
            differs |= np.diff(column, prepend=self.last[n]) != 0
            is_there = column != 0
            is_new = differs & is_there
            keys = places[is_new] * (self.vocab_size + 1) + column[is_new] - 1
            # The first rows may go on with the last n-gram of those before.
            ordinals = np.cumsum(is_new)
            sums = np.bincount(ordinals[is_there], counts[is_there], len(keys) + 1).astype(np.int64)
            if self.found[n]:
                self.found[n][-1][-1] += sums[0]
            if len(keys):
                self.keys[n].append(keys)
                self.found[n].append(sums[1:])
            places = self.sizes[n] + ordinals - 1
            self.sizes[n] += len(keys)
        self.last = np.array([column[-1] for column in columns])

    def counts(self) -> Counts:
        """What was found."""
        empty = np.zeros(0, np.int64)
        keys = [np.concatenate([empty, *parts]) for parts in self.keys[1:]]
        occurrences = (np.concatenate([empty, *parts]) for parts in self.found[1:])
        return Counts(Grams(self.vocab_size, keys), (self.unigrams, *occurrences))
