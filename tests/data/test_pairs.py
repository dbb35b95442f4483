"""Batches of pairs."""

from __future__ import annotations

import itertools
from collections import Counter
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rnntool.data import pairs
from rnntool.data.batch import Batch, Position
from rnntool.data.pairs import PairBatches
from tests.data.conftest import BEGIN, corpus_of

SIDES = st.lists(st.tuples(st.integers(1, 12), st.integers(1, 12)), min_size=1, max_size=30)


def paired(sides: list[tuple[int, int]], **options: Any) -> PairBatches:
    source, target = (corpus_of([each[side] for each in sides]) for side in (0, 1))
    return PairBatches(target, source, begin_id=BEGIN, **({"batch_size": 3} | options))


def lines_of(batches: PairBatches, batch: Batch) -> list[int]:
    """Which pairs a batch holds, known by the places of their targets."""
    starts = [0, *batches.target.ends.tolist()]
    return [starts.index(int(first)) for first in batch.targets[0]]


@settings(deadline=None, max_examples=100)
@given(SIDES, st.integers(1, 9), st.booleans(), st.integers(0, 2))
def test_every_pair_comes_once_an_epoch_target_beside_its_source(
    sides: list[tuple[int, int]], batch_size: int, shuffle: bool, epoch: int
) -> None:
    batches = paired(sides, batch_size=batch_size, shuffle=shuffle)
    found = list(batches.batches(Position(epoch)))
    seen: Counter[int] = Counter()
    for batch in found:
        assert batch.source is not None
        numbers = lines_of(batches, batch)
        seen.update(numbers)
        assert len(numbers) <= batch_size
        source_starts = [0, *batches.source.ends.tolist()]
        assert batch.source.ids[0].tolist() == [source_starts[n] for n in numbers]
        assert batch.source.lengths.tolist() == [sides[n][0] for n in numbers]
        counts = torch.ones_like(batch.targets, dtype=torch.bool) if batch.mask is None else batch.mask
        assert counts.sum(dim=0).tolist() == [sides[n][1] for n in numbers]
        assert batch.num_tokens == int(counts.sum())
        assert (batch.inputs[0] == BEGIN).all()
        assert torch.equal(batch.inputs[1:], batch.targets[:-1])
    assert seen == Counter(range(len(sides)))
    assert [batch.ends_epoch for batch in found] == [False] * (len(found) - 1) + [True]
    assert found[-1].then == Position(epoch + 1)
    assert all(one.progress < other.progress for one, other in itertools.pairwise(found))


@settings(deadline=None, max_examples=100)
@given(SIDES, st.integers(1, 40))
def test_a_batch_of_so_many_tokens_holds_no_more_but_for_one_long_pair(
    sides: list[tuple[int, int]], tokens: int
) -> None:
    batches = paired(sides, batch_tokens=tokens)
    for batch in batches.batches(Position()):
        assert batch.source is not None
        longest = max(len(batch.targets), len(batch.source.ids))
        columns = batch.targets.shape[1]
        assert longest * columns <= tokens or columns == 1


@pytest.mark.parametrize("shuffle", [False, True])
def test_an_epoch_goes_on_from_any_place(shuffle: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pairs, "POOL", 2)
    batches = paired([(n % 5 + 1, n % 7 + 1) for n in range(23)], shuffle=shuffle)
    whole = list(batches.batches(Position()))
    for number, batch in enumerate(whole[:-1], 1):
        rest = list(batches.batches(batch.then))
        assert len(rest) == len(whole) - number
        for one, other in zip(rest, whole[number:], strict=True):
            assert torch.equal(one.targets, other.targets)
            assert one.then == other.then


def test_pairs_with_a_long_side_are_left_out() -> None:
    batches = paired([(3, 3), (9, 2), (2, 9), (4, 4), (5, 1)], max_length=3)
    found = sorted(n for batch in batches.batches(Position()) for n in lines_of(batches, batch))
    assert found == [0, 3]


def test_shuffled_epochs_differ() -> None:
    batches = paired([(2, 2)] * 20)
    orders = [[n for batch in batches.batches(Position(e)) for n in lines_of(batches, batch)] for e in range(2)]
    assert orders[0] != orders[1]
    assert sorted(orders[0]) == sorted(orders[1])


@settings(deadline=None, max_examples=50)
@given(SIDES, st.integers(0, 12))
def test_it_counts_what_is_too_long(sides: list[tuple[int, int]], max_length: int) -> None:
    """Lengths of `sides` count the end of a line."""
    expected = sum(max(each) - 1 > max_length for each in sides) if max_length else 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pairs, "CHUNK", 4)
        assert paired(sides, max_length=max_length).num_left_out == expected
