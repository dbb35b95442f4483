"""Sorted runs, in memory and on the disk."""

from __future__ import annotations

from collections import Counter
from random import Random

import numpy as np
import pytest

from rnntool.errors import OutputError
from rnntool.ngram import runs
from rnntool.ngram.runs import Rows, Runs, merge, summed


def rows_of(counts: Counter[tuple[int, ...]]) -> Rows:
    return np.array([[*row, n] for row, n in counts.items()], np.uint64)


def drawn(random: Random, numbers: int, size: int) -> Counter[tuple[int, ...]]:
    """Rows among which the same ones come again, some of their numbers past 63 bits."""
    return Counter(tuple(random.choice([0, 1, 5, 2**64 - 1]) for _ in range(numbers)) for _ in range(size))


def test_equal_rows_are_added_up_in_order() -> None:
    rows = np.array([[3, 1, 2], [1, 9, 1], [3, 1, 5], [3, 0, 1]], np.uint64)
    assert summed(rows).tolist() == [[1, 9, 1], [3, 0, 1], [3, 1, 7]]


@pytest.mark.parametrize("numbers", [1, 2, 3])
@pytest.mark.parametrize("blocks", [1, 2, 7])
@pytest.mark.parametrize("memory", [1, 2000])
def test_runs_are_merged_as_if_all_had_been_sorted(
    monkeypatch: pytest.MonkeyPatch, numbers: int, blocks: int, memory: int
) -> None:
    """Three at once, so that seven are merged in two rounds."""
    monkeypatch.setattr(runs, "FAN_IN", 3)
    monkeypatch.setattr(runs, "CHUNK", 4)
    random = Random(numbers)
    total: Counter[tuple[int, ...]] = Counter()
    with Runs(numbers + 1, memory) as sorter:
        for _ in range(blocks):
            drawing = drawn(random, numbers, 40)
            total += drawing
            sorter.add(rows_of(drawing))
        merged = np.concatenate(list(sorter.merged()))
    assert merged.tolist() == [[*row, n] for row, n in sorted(total.items())]


def test_nothing_is_merged_to_nothing() -> None:
    assert list(Runs(2, 100).merged()) == []
    assert list(merge([])) == []


def test_a_full_disk_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs.tempfile, "TemporaryFile", lambda: open("/dev/full", "wb"))  # noqa: SIM115
    with Runs(2, 100) as sorter, pytest.raises(OutputError, match="No space left on device"):
        sorter.add(np.ones((10_000, 2), np.uint64).cumsum(axis=0))
        sorter.add(np.ones((1, 2), np.uint64))
