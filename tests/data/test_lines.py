"""Groups of whole lines, the state begun anew at each."""

from __future__ import annotations

import itertools
from collections import Counter
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rnntool.data import lines
from rnntool.data.batch import Batch, Position
from rnntool.data.lines import LineBatches
from rnntool.text.corpus import Corpus
from tests.data.conftest import BEGIN, corpus_of
from tests.data.test_stream import assert_same, counted

LENGTHS = st.lists(st.integers(1, 12), min_size=1, max_size=30)


def grouped(corpus: Corpus, **options: Any) -> LineBatches:
    return LineBatches(corpus, begin_id=BEGIN, **({"batch_size": 3, "bptt": 4} | options))


@settings(deadline=None, max_examples=100)
@given(LENGTHS, st.integers(1, 9), st.integers(1, 13), st.booleans(), st.integers(0, 2))
def test_every_token_is_a_target_once_an_epoch(
    lengths: list[int], batch_size: int, bptt: int, shuffle: bool, epoch: int
) -> None:
    corpus = corpus_of(lengths)
    batches = list(grouped(corpus, batch_size=batch_size, bptt=bptt, shuffle=shuffle).batches(Position(epoch)))
    assert Counter(counted(batches)) == Counter(range(corpus.num_tokens))
    assert [batch.ends_epoch for batch in batches] == [False] * (len(batches) - 1) + [True]
    assert batches[-1].then == Position(epoch + 1)
    assert batches[-1].progress == 1
    assert all(one.progress < other.progress for one, other in itertools.pairwise(batches))
    assert all(len(batch.inputs) <= bptt and batch.inputs.shape[1] <= batch_size for batch in batches)


@pytest.mark.parametrize("shuffle", [False, True])
def test_a_line_begins_after_a_line_end_and_goes_on_in_the_next_window(shuffle: bool) -> None:
    corpus = corpus_of([1, 9, 4, 5, 12, 2, 3, 8])
    starts = {0, *corpus.ends.tolist()}
    for batch, before in windows_with_the_one_before(list(grouped(corpus, shuffle=shuffle).batches(Position()))):
        mask = torch.ones_like(batch.targets, dtype=torch.bool) if batch.mask is None else batch.mask
        if batch.fresh:
            assert (batch.inputs[0] == BEGIN).all()
            assert set(batch.targets[0].tolist()) <= starts
        else:
            assert before is not None
            live = mask[0]
            assert torch.equal(batch.inputs[0][live], before.targets[-1][live])
        assert torch.equal(batch.inputs[1:][mask[1:]], batch.targets[:-1][mask[1:]])
        assert (batch.targets[1:][mask[1:]] == batch.targets[:-1][mask[1:]] + 1).all()


def windows_with_the_one_before(batches: list[Batch]) -> list[tuple[Batch, Batch | None]]:
    return list(zip(batches, [None, *batches[:-1]], strict=True))


def test_a_small_text_by_hand() -> None:
    """Lines 0-2 and 3-7 side by side in windows of four; the short one is filled up with its last token."""
    one, two = grouped(corpus_of([3, 5]), batch_size=2, shuffle=False).batches(Position())
    assert one.inputs.tolist() == [[BEGIN, BEGIN], [0, 3], [1, 4], [2, 5]]
    assert one.targets.tolist() == [[0, 3], [1, 4], [2, 5], [2, 6]]
    assert one.mask is not None
    assert one.mask.tolist() == [[True, True], [True, True], [True, True], [False, True]]
    assert (one.fresh, one.num_tokens, one.then, one.progress) == (True, 7, Position(0, 0, 4), 0.8)
    assert two.inputs[:, 1].tolist() == [6]
    assert two.targets[:, 1].tolist() == [7]
    assert two.mask is not None
    assert two.mask.tolist() == [[False, True]]
    assert (two.fresh, two.num_tokens, two.then, two.progress) == (False, 1, Position(1), 1.0)


@settings(deadline=None, max_examples=60)
@given(st.data(), LENGTHS, st.integers(1, 5), st.integers(1, 7), st.booleans())
def test_a_run_taken_up_anywhere_sees_the_rest_of_the_epoch(
    data: st.DataObject, lengths: list[int], batch_size: int, bptt: int, shuffle: bool
) -> None:
    """Between groups of lines and inside a group of long ones."""
    batches = grouped(corpus_of(lengths), batch_size=batch_size, bptt=bptt, shuffle=shuffle)
    epoch = data.draw(st.integers(0, 3))
    whole = list(batches.batches(Position(epoch)))
    index = data.draw(st.integers(0, len(whole) - 1))
    place = Position(epoch) if index == 0 else whole[index - 1].then
    assert_same(list(batches.batches(place)), whole[index:])


def test_pools_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    """With pools of two groups of three lines, the last of them short: every token still once."""
    monkeypatch.setattr(lines, "POOL", 2)
    corpus = corpus_of([1 + n * 7 % 5 for n in range(20)])
    for shuffle in (False, True):
        batches = list(grouped(corpus, shuffle=shuffle).batches(Position()))
        assert Counter(counted(batches)) == Counter(range(corpus.num_tokens))


def test_lines_of_like_length_stand_side_by_side() -> None:
    """A hundred lines of two lengths, mixed: no group holds both, so nothing is filled up."""
    batches = list(grouped(corpus_of([2, 4] * 50), batch_size=10).batches(Position()))
    assert all(batch.mask is None for batch in batches)
    assert len(batches) == 10


def test_every_epoch_has_another_order() -> None:
    batches = grouped(corpus_of([3] * 30))
    orders = {tuple(counted(list(batches.batches(Position(epoch))))) for epoch in range(3)}
    assert len(orders) == 3
    assert len(orders | {tuple(counted(list(grouped(corpus_of([3] * 30), seed=2).batches(Position()))))}) == 4


def test_weights_are_those_of_the_targets() -> None:
    corpus = corpus_of([3, 5], [2], weights=[1, 4])
    for batch in grouped(corpus).batches(Position()):
        assert batch.weights is not None
        assert torch.equal(batch.weights, torch.where(batch.targets < 8, 1.0, 4.0))


def test_the_number_of_windows_is_about_right() -> None:
    batches = grouped(corpus_of([4] * 300))
    assert batches.num_batches == pytest.approx(len(list(batches.batches(Position()))), rel=0.02)
