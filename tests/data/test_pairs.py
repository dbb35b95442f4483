"""Batches of pairs."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from rnntool.data import pairs
from rnntool.data.batch import Batch, Position
from rnntool.data.pairs import PairBatches
from rnntool.text.cutting import Cutter
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


class Doubling(Cutter):
    """Every token twice; remembers the seeds."""

    def __init__(self) -> None:
        self.seeds: list[int] = []

    def cut(self, ids: Sequence[int], seed: int) -> list[int]:
        self.seeds.append(seed)
        return [id_ for id_ in ids for _ in range(2)]


def doubled(ids: Tensor, count: int) -> list[int]:
    """A column of so many tokens, each of them twice but for its `</s>`."""
    line: list[int] = ids[:count].tolist()
    return [id_ for id_ in line[:-1] for _ in range(2)] + line[-1:]


def test_both_sides_of_pairs_may_be_cut_anew() -> None:
    lengths = [(3, 2), (1, 4), (5, 5)]  # in the order in which they are put side by side
    weights = {"weights": (0.5,)}
    source, target = corpus_of([one for one, _ in lengths]), corpus_of([two for _, two in lengths], **weights)
    plain = PairBatches(target, source, begin_id=BEGIN, batch_size=3)
    other = PairBatches(target, source, begin_id=BEGIN, batch_size=3, cutters=(Doubling(), Doubling()))
    (before,), (after,) = list(plain.batches(Position())), list(other.batches(Position()))
    assert before.source is not None and after.source is not None and after.mask is not None
    for column, (length, count) in enumerate(lengths):
        read = doubled(before.source.ids[:, column], length)
        assert after.source.ids[: len(read), column].tolist() == read
        assert after.source.lengths[column] == len(read)
        wanted = doubled(before.targets[:, column], count)
        assert after.targets[after.mask[:, column], column].tolist() == wanted
        assert after.inputs[: len(wanted), column].tolist() == [BEGIN, *wanted[:-1]]
    assert after.num_tokens == 3 + 7 + 9
    assert after.weights is not None and after.weights.shape == after.targets.shape
    assert (after.weights == 0.5).all()


def test_lines_are_cut_otherwise_in_every_epoch_and_alike_in_the_same() -> None:
    def seeds(epoch: int, shuffle: bool) -> set[int]:
        cutter = Doubling()
        list(paired([(2, 2)] * 5, cutters=(None, cutter), shuffle=shuffle).batches(Position(epoch)))
        return set(cutter.seeds)

    assert len(seeds(0, True)) == 5
    assert seeds(0, True) == seeds(0, False)
    assert not seeds(0, True) & seeds(1, True)


def test_one_side_alone_is_cut_anew() -> None:
    (batch,) = list(paired([(3, 3), (3, 3)], cutters=(Doubling(), None)).batches(Position()))
    assert batch.source is not None
    assert (batch.source.lengths == 5).all()
    assert batch.targets.shape == (3, 2)
