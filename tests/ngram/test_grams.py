"""Where n-grams are."""

from __future__ import annotations

import numpy as np
import pytest

from rnntool.ngram.grams import NOWHERE, Grams
from tests.ngram.conftest import LINES, counted, read

BOS = 4
GRAMS = Grams(4, [np.array([0 * 5 + 2, 2 * 5 + 0, 2 * 5 + 3, BOS * 5 + 2]), np.array([1 * 5 + 2, 3 * 5 + 0])])
"""0 2 · 2 0 · 2 3 · <s> 2 · 2 0 2 · <s> 2 0"""


def test_n_grams_are_found_by_their_history_and_their_last_word() -> None:
    assert (GRAMS.order, GRAMS.bos_id) == (3, BOS)
    assert [GRAMS.size(order) for order in (1, 2, 3)] == [5, 4, 2]
    words = np.array([3, 0, 1, 2, 2])
    assert GRAMS.find(1, words, words).tolist() == words.tolist()
    places = GRAMS.find(2, np.array([2, 2, 2, BOS, 3]), words)
    assert places.tolist() == [2, 1, NOWHERE, 3, NOWHERE]
    assert GRAMS.find(3, places, np.array([2, 2, 2, 0, 0])).tolist() == [NOWHERE, 0, NOWHERE, 1, NOWHERE]


def test_nothing_is_found_among_nothing() -> None:
    empty = Grams(4, [np.zeros(0, np.int64)])
    assert empty.find(2, np.array([0, NOWHERE]), np.array([1, 1])).tolist() == [NOWHERE, NOWHERE]


def test_what_goes_on_from_one_history_lies_together() -> None:
    starts, ends = GRAMS.spans(2, np.array([0, 1, 2, BOS]))
    assert list(zip(starts.tolist(), ends.tolist(), strict=True)) == [(0, 1), (1, 1), (1, 3), (3, 4)]


def test_words_and_suffixes() -> None:
    assert [column.tolist() for column in GRAMS.words(3, np.array([1, 0]))] == [[BOS, 2], [2, 0], [0, 2]]
    assert GRAMS.suffixes(2, np.zeros(0, np.int64)).tolist() == [2, 0, 3, 2]
    assert GRAMS.suffixes(3, GRAMS.suffixes(2, np.zeros(0, np.int64))).tolist() == [0, 1]


@pytest.mark.parametrize("order", [2, 3, 5])
def test_every_n_gram_of_a_text_is_found_where_it_is(order: int) -> None:
    grams = counted(read(LINES), order).grams
    places = np.arange(grams.size(order))
    columns = grams.words(order, places)
    found = columns[0]
    for n in range(2, order + 1):
        found = grams.find(n, found, columns[n - 1])
    assert found.tolist() == places.tolist()


def test_pruning_leaves_the_same_n_grams_at_new_places() -> None:
    stays = [np.ones(5, np.bool_), np.array([False, True, False, True]), np.array([True, True])]
    left = GRAMS.pruned(stays)
    for order in (2, 3):
        kept = np.flatnonzero(stays[order - 1])
        expected = [column.tolist() for column in GRAMS.words(order, kept)]
        assert [column.tolist() for column in left.words(order, np.arange(left.size(order)))] == expected
