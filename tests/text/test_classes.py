"""Classes of tokens by frequency."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnntool.errors import OptionError
from rnntool.text.classes import METHODS, assign


def test_classes_by_count_hold_equal_shares_of_the_text() -> None:
    """By hand: of 16, a class ends past 4, 8 and 12; 8 passes 4 alone, 8+4 passes 8, +1 passes 12."""
    assert assign([8, 4, 1, 1, 1, 1], 4, "freq") == (0, 1, 2, 3, 3, 3)


def test_classes_by_root_are_more_even() -> None:
    """By hand: the roots 4 2 1 1 1 1 sum to 10; half of it, 5, is passed by the second."""
    assert assign([16, 4, 1, 1, 1, 1], 2, "sqrt") == (0, 0, 1, 1, 1, 1)
    assert assign([16, 4, 1, 1, 1, 1], 2, "freq") == (0, 1, 1, 1, 1, 1)


@given(st.lists(st.integers(0, 1000), min_size=1).filter(any), st.data(), st.sampled_from(sorted(METHODS)))
def test_classes_begin_at_0_and_rise_one_by_one(counts: list[int], data: st.DataObject, method: str) -> None:
    num_classes = data.draw(st.integers(1, len(counts)))
    classes = assign(counts, num_classes, method)
    assert len(classes) == len(counts)
    assert classes[0] == 0
    assert all(0 <= b - a <= 1 for a, b in pairwise(classes))
    assert classes[-1] < num_classes


def test_more_classes_than_tokens_are_refused() -> None:
    with pytest.raises(OptionError, match=r"^--classes: 4 classes for 3 tokens$"):
        assign([1, 1, 1], 4, "freq")
