"""Lines side by side."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnntool.score.columns import batches_by, columns


@given(st.lists(st.integers(0, 9), max_size=30), st.integers(1, 9))
def test_every_line_is_in_one_batch_and_the_keys_rise(keys: list[int], batch_size: int) -> None:
    batches = list(batches_by(keys, batch_size))
    numbers = [number for batch in batches for number in batch]
    assert sorted(numbers) == list(range(len(keys)))
    assert [keys[number] for number in numbers] == sorted(keys)
    assert all(len(batch) == batch_size for batch in batches[:-1])


@pytest.mark.parametrize("lines", [[[3, 4], [], [5]], [[]]])
def test_a_column_is_a_line_with_its_end_and_filled_up_with_it(lines: list[list[int]]) -> None:
    ids, lengths = columns(lines, 1)
    assert lengths.tolist() == [len(line) + 1 for line in lines]
    longest = max(map(len, lines)) + 1
    assert ids.T.tolist() == [line + [1] * (longest - len(line)) for line in lines]
