"""Streams: the text in B columns, window after window."""

from __future__ import annotations

import itertools
from collections import Counter
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rnntool.data.batch import Batch, Position
from rnntool.data.stream import StreamBatches
from rnntool.text.corpus import Corpus
from tests.data.conftest import BEGIN, corpus_of

LENGTHS = st.lists(st.integers(1, 9), min_size=1, max_size=12)


def streams(corpus: Corpus, **options: Any) -> StreamBatches:
    return StreamBatches(corpus, begin_id=BEGIN, **({"batch_size": 3, "bptt": 4} | options))


def counted(batches: list[Batch]) -> list[int]:
    """The targets that count, column by column within each window."""
    found = []
    for batch in batches:
        mask = torch.ones_like(batch.targets, dtype=torch.bool) if batch.mask is None else batch.mask
        found += batch.targets[mask].tolist()
        assert batch.num_tokens == int(mask.sum())
    return found


@settings(deadline=None, max_examples=150)
@given(st.data(), st.lists(LENGTHS, min_size=1, max_size=3), st.integers(1, 9), st.integers(1, 12), st.integers(0, 2))
def test_every_token_is_a_target_once_an_epoch(
    data: st.DataObject, lengths: list[list[int]], batch_size: int, bptt: int, epoch: int
) -> None:
    every = data.draw(st.integers(0, bptt))
    kind = data.draw(st.sampled_from([{"every": every}, {"random": True}, {"shuffle": True, "every": every}]))
    corpus = corpus_of(*lengths)
    batches = list(streams(corpus, batch_size=batch_size, bptt=bptt, **kind).batches(Position(epoch)))
    assert Counter(counted(batches)) == Counter(range(corpus.num_tokens))
    assert [batch.fresh for batch in batches] == [True] + [False] * (len(batches) - 1)
    assert [batch.ends_epoch for batch in batches] == [False] * (len(batches) - 1) + [True]
    assert batches[-1].then == Position(epoch + 1)
    assert batches[-1].progress == 1
    assert all(one.progress < other.progress for one, other in itertools.pairwise(batches))
    assert all(batch.inputs.shape[1] == batch_size for batch in batches)


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("random", [False, True])
def test_a_target_is_the_next_input_and_columns_go_on_where_they_stopped(shuffle: bool, random: bool) -> None:
    corpus = corpus_of([3, 1, 4, 2, 9, 2, 6, 5, 3, 5] * 4)
    batches = list(streams(corpus, random=random, shuffle=shuffle).batches(Position()))
    inputs = torch.cat([batch.inputs for batch in batches])
    targets = torch.cat([batch.targets for batch in batches])
    assert torch.equal(inputs[1:], targets[:-1])
    assert inputs[0, 0] == BEGIN
    text = targets.T.flatten().tolist()  # column after column is the text
    lines = np.split(np.arange(corpus.num_tokens), corpus.ends[:-1])
    order = [line[0] for line in lines] if not shuffle else [t for t in text if t in {line[0] for line in lines}]
    starts = {int(line[0]): line.tolist() for line in lines}
    expected = [token for first in dict.fromkeys(order) for token in starts[int(first)]]
    assert text[: corpus.num_tokens] == expected
    # a column begins after the last token of the one before
    assert inputs[0, 1:].tolist() == targets[-1, :-1].tolist()


def test_a_small_text_by_hand() -> None:
    """Ten tokens in three columns of four: 0-3, 4-7, 8-9 and two that do not count; windows of three, then one."""
    one, two = streams(corpus_of([10]), bptt=3).batches(Position())
    assert one.inputs.tolist() == [[BEGIN, 3, 7], [0, 4, 8], [1, 5, 9]]
    assert one.targets.tolist() == [[0, 4, 8], [1, 5, 9], [2, 6, 9]]
    assert one.mask is not None
    assert one.mask.tolist() == [[True] * 3, [True] * 3, [True, True, False]]
    assert (one.num_tokens, one.progress, one.then, one.keep) == (8, 0.75, Position(0, 1), None)
    assert two.inputs[:, :2].tolist() == [[2, 6]]
    assert two.targets[:, :2].tolist() == [[3, 7]]
    assert two.mask is not None
    assert two.mask.tolist() == [[True, True, False]]


@settings(deadline=None, max_examples=60)
@given(st.data(), LENGTHS, st.integers(1, 5), st.integers(1, 7), st.booleans(), st.booleans())
def test_a_run_taken_up_anywhere_sees_the_rest_of_the_epoch(
    data: st.DataObject, lengths: list[int], batch_size: int, bptt: int, random: bool, shuffle: bool
) -> None:
    batches = streams(corpus_of(lengths), batch_size=batch_size, bptt=bptt, random=random, shuffle=shuffle)
    epoch = data.draw(st.integers(0, 3))
    whole = list(batches.batches(Position(epoch)))
    index = data.draw(st.integers(0, len(whole) - 1))
    place = Position(epoch) if index == 0 else whole[index - 1].then
    later = streams(corpus_of(lengths), batch_size=batch_size, bptt=bptt, random=random, shuffle=shuffle)
    later.memory = data.draw(st.sampled_from([batches.memory, later.memory]))
    assert_same(list(later.batches(place)), whole[index:])
    assert later.memory.tolist() == batches.memory.tolist()


def assert_same(ours: list[Batch], theirs: list[Batch]) -> None:
    for one, other in zip(ours, theirs, strict=True):
        for name in Batch.__dataclass_fields__:
            mine, yours = getattr(one, name), getattr(other, name)
            assert torch.equal(mine, yours) if isinstance(mine, torch.Tensor) else mine == yours, name


@settings(deadline=None, max_examples=60)
@given(LENGTHS, st.integers(1, 4), st.data())
def test_overlapping_windows_reach_back_and_learn_from_the_newest_tokens(
    lengths: list[int], batch_size: int, data: st.DataObject
) -> None:
    """Targets advance by `every`; inputs begin up to bptt − every before them; the next window's inputs begin where
    the state was kept."""
    bptt = data.draw(st.integers(1, 8))
    every = data.draw(st.integers(1, bptt))
    corpus = corpus_of(lengths)
    windows = list(streams(corpus, batch_size=batch_size, bptt=bptt, every=every).batches(Position()))
    plain = next(iter(streams(corpus, batch_size=batch_size, bptt=10_000).batches(Position())))
    first_input = 0
    for number, window in enumerate(windows):
        first = number * every
        end = min(first + every, len(plain.targets))
        assert torch.equal(window.targets, plain.targets[first:end])
        back = max(0, first - (bptt - every))
        assert back == first_input
        assert torch.equal(window.inputs, plain.inputs[back:end])
        assert len(window.inputs) <= bptt
        kept = len(window.inputs) if window.keep is None else window.keep
        first_input += kept


def test_windows_that_advance_by_their_length_are_plain_windows() -> None:
    corpus = corpus_of([5, 2, 7, 9, 1])
    assert_same(list(streams(corpus, every=4).batches(Position())), list(streams(corpus).batches(Position())))


def test_random_windows_are_a_function_of_seed_and_epoch() -> None:
    corpus = corpus_of([2000])

    def sizes(seed: int, epoch: int) -> list[int]:
        batches = streams(corpus, bptt=20, batch_size=1, random=True, seed=seed).batches(Position(epoch))
        return [len(batch.targets) for batch in batches]

    assert sizes(1, 0) == sizes(1, 0)
    assert len({tuple(sizes(1, 0)), tuple(sizes(1, 1)), tuple(sizes(2, 0))}) == 3


def test_random_windows_are_normal_around_bptt_and_one_in_twenty_around_half_of_it() -> None:
    """Merity et al. 2018, §5: 0.95 of N(70, 5) and 0.05 of N(35, 5): the mean is 68.25."""
    batches = streams(corpus_of([200_000]), bptt=70, batch_size=1, random=True).batches(Position())
    sizes = np.array([len(batch.targets) for batch in batches])[:-1]
    short = sizes < 52
    assert short.mean() == pytest.approx(0.05, abs=0.02)
    assert sizes[~short].mean() == pytest.approx(70, abs=0.5)
    assert sizes[~short].std() == pytest.approx(5, abs=0.4)
    assert sizes[short].mean() == pytest.approx(35, abs=2)
    assert sizes.min() >= 5


@pytest.mark.parametrize("every", [0, 2])
def test_the_number_of_windows_is_about_right(every: int) -> None:
    batches = streams(corpus_of([997]), every=every)
    assert batches.num_batches == pytest.approx(len(list(batches.batches(Position()))), abs=1)
