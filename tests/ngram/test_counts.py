"""N-grams of all orders, compared with a loop over the lines."""

from __future__ import annotations

from collections import Counter
from random import Random

import numpy as np
import pytest

from rnntool.ngram.counts import Counts, count

EOS = 1


def counts_reference(lines: list[list[int]], order: int, *, bos_id: int) -> list[Counter[tuple[int, ...]]]:
    """The readable twin."""
    counts: list[Counter[tuple[int, ...]]] = [Counter() for _ in range(order)]
    for line in lines:
        words = [bos_id, *line, EOS]
        for n in range(1, order + 1):
            counts[n - 1].update(tuple(words[start : start + n]) for start in range(len(words) - n + 1))
    return counts


def as_counters(counts: Counts) -> list[Counter[tuple[int, ...]]]:
    found = []
    for order, occurrences in enumerate(counts.occurrences, 1):
        columns = counts.grams.words(order, np.arange(counts.grams.size(order)))
        rows = zip(*(column.tolist() for column in columns), strict=True)
        found.append(+Counter(dict(zip(rows, occurrences.tolist(), strict=True))))
    return found


@pytest.mark.parametrize("order", [1, 2, 3, 5, 7])
@pytest.mark.parametrize("vocab_size", [3, 50, 70_000])
@pytest.mark.parametrize("memory", [1, 3000, 1 << 20])
def test_counts_are_those_of_a_loop(order: int, vocab_size: int, memory: int) -> None:
    """Whatever fits a block: one line, some, all; and whatever fits 64 bits."""
    random = Random(order)
    lines = [[random.choice([0, 2, 2, vocab_size - 1]) for _ in range(random.randrange(7))] for _ in range(50)]
    blocks = []
    rest = lines
    while rest:
        size = random.randrange(1, 9)
        blocks.append(np.array([id_ for line in rest[:size] for id_ in [*line, EOS]], np.uint32))
        rest = rest[size:]
    found = count(blocks, order, vocab_size=vocab_size, eos_id=EOS, memory=memory)
    assert as_counters(found) == counts_reference(lines, order, bos_id=vocab_size)
    assert all((np.diff(keys) > 0).all() for keys in found.grams.keys)


def test_lines_are_counted_by_the_beginnings_and_by_the_ends() -> None:
    found = count([np.array([2, EOS, EOS, 2, 2, EOS], np.uint32)], 2, vocab_size=3, eos_id=EOS, memory=1 << 20)
    assert found.occurrences[0].tolist() == [0, 3, 3, 3]
    assert as_counters(found)[1] == {(3, 2): 2, (3, EOS): 1, (2, 2): 1, (2, EOS): 2}


def test_an_order_that_no_line_reaches_is_empty() -> None:
    found = count([np.array([2, EOS], np.uint32)], 5, vocab_size=3, eos_id=EOS, memory=1 << 20)
    assert [found.grams.size(order) for order in range(1, 6)] == [4, 2, 1, 0, 0]
