"""Discounts from counts of counts."""

from __future__ import annotations

import numpy as np
import pytest

from rnntool.errors import RnntoolWarning
from rnntool.ngram import discounts
from rnntool.ngram.adjusted import adjusted, last_in_kenlm, suffixes_of
from tests.ngram.conftest import LINES, counted, read


def counts_of(*numbers: int) -> np.ndarray:
    """Counts among which there are so many of 0, of 1, of 2, ..."""
    return np.repeat(np.arange(len(numbers)), numbers)


def test_discounts_are_kenlms() -> None:
    """KenLM 0.3.0, lmplz -o 3 on the Penn Treebank: "1 10002 D1=0.25656 D2=0.82888 D3+=1.26492".

    There, 176, 255, 388 and 656 words were seen after one, two, three and four different words.
    """
    found = discounts.modified(counts_of(2, 176, 255, 388, 656, 914, 7611), "1-grams")
    np.testing.assert_allclose(found, [0, 0.25656, 0.82888, 1.26492], atol=5e-6)


def test_the_one_discount_is_the_share_of_single_occurrences() -> None:
    """6 / (6 + 2 · 3)."""
    assert discounts.plain(counts_of(1, 6, 3, 0, 2), "2-grams").tolist() == [0, 0.5, 0.5, 0.5]


@pytest.mark.parametrize(
    ("numbers", "reason"),
    [
        ((0, 0, 3, 2, 1), "no counts of 1"),
        ((0, 5, 0, 0, 1), "no counts of 2, 3"),
        ((0, 5, 1, 0), "no counts of 3"),
        ((0, 9, 1, 30, 1), "-71.64 would be taken from counts of 2"),
    ],
)
def test_discounts_that_cannot_be_estimated_are_replaced_with_a_warning(numbers: tuple[int, ...], reason: str) -> None:
    """Of the last, D2 = 2 − 3 · 9/11 · 30: something would be added."""
    with pytest.warns(RnntoolWarning) as warned:
        found = discounts.modified(counts_of(*numbers), "3-grams")
    assert found.tolist() == [0, 0.5, 1, 1.5]
    assert [str(each.message) for each in warned] == [
        f"3-grams: {reason}; the discounts are 0.5, 1, 1.5 instead of estimated ones"
    ]


def test_the_one_discount_has_a_fallback_too() -> None:
    with pytest.warns(RnntoolWarning, match="2-grams: no counts of 1, 2; the discounts are 0.5, 0.5, 0.5"):
        assert discounts.plain(counts_of(0, 0, 0, 7), "2-grams").tolist() == [0, 0.5, 0.5, 0.5]


def test_what_occurs_four_times_may_be_missing() -> None:
    """Y = 8 / 12; D3 = 3 − 4 Y n₄ / n₃ is 3 then."""
    assert discounts.modified(counts_of(0, 8, 2, 1), "1-grams").tolist() == pytest.approx([0, 2 / 3, 1, 3])


def test_below_the_highest_order_different_words_before_count() -> None:
    """`b` came after `a` twice, and after `<s>`: two different words; `<s> b` counts as it occurs."""
    text = read(["a b", "a b", "b", "b"])
    counts = counted(text, 3)
    a, b = map(text.vocabulary.tokens.index, "ab")
    numbers = adjusted(counts, suffixes_of(counts.grams))
    assert numbers[0][[a, b]].tolist() == [1, 2]
    grams = counts.grams
    assert numbers[1][grams.find(2, np.array([a, grams.bos_id]), np.array([b, b]))].tolist() == [1, 2]
    assert numbers[2].tolist() == counts.occurrences[2].tolist()


def test_the_last_n_gram_of_kenlms_order_is_the_one_whose_words_came_latest() -> None:
    """The newest word of the text is `home`; before it, `ran` alone stands; and before that `mouse` alone."""
    text = read(LINES)
    grams = counted(text, 4).grams
    lasts = last_in_kenlm(grams, suffixes_of(grams), text.appearance)
    tokens = text.vocabulary.tokens
    spelled = [
        [tokens[column[0]] for column in grams.words(order, np.array([place]))] for order, place in enumerate(lasts, 1)
    ]
    assert spelled == [["home"], ["ran", "home"], ["mouse", "ran", "home"]]
    short = read(["a", "b"])
    grams = counted(short, 4).grams
    assert (
        len(last_in_kenlm(grams, suffixes_of(grams), short.appearance)) == 2
    )  # `b`, `<s> b`, and nothing before `<s>`
