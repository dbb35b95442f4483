"""Which lines an epoch holds: shuffled, drawn, of several texts, of a part."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rnntool.data.batch import Position
from rnntool.data.epoch import Epoch, token_weights
from rnntool.data.stream import StreamBatches
from rnntool.errors import ModelError
from rnntool.text.corpus import Corpus, hold_out
from tests.data.conftest import BEGIN, corpus_of


def epoch(corpus: Corpus, number: int = 0, **options: Any) -> Epoch:
    return Epoch(corpus, number=number, **({"shuffle": False, "seed": 1} | options))


def lines(epoch: Epoch) -> list[int]:
    return epoch.lines(np.arange(epoch.num_lines)).tolist()


def test_an_epoch_in_order_is_the_corpus() -> None:
    whole = epoch(corpus_of([2, 3], [1, 4]))
    assert lines(whole) == [0, 1, 2, 3]
    assert whole.tokens(np.arange(10)).tolist() == list(range(10))
    assert (whole.num_lines, whole.num_tokens) == (4, 10)


def test_shuffling_permutes_lines_and_every_epoch_has_another_order() -> None:
    corpus = corpus_of([1 + n % 7 for n in range(100)])
    orders = [lines(epoch(corpus, number, shuffle=True)) for number in range(3)]
    assert all(sorted(order) == list(range(100)) for order in orders)
    assert len({tuple(order) for order in orders}) == 3
    assert orders[0] == lines(epoch(corpus, 0, shuffle=True))
    assert orders[0] != lines(epoch(corpus, 0, shuffle=True, seed=2))


def test_a_shuffled_stream_holds_its_lines_whole() -> None:
    corpus = corpus_of([3, 1, 4, 1, 5])
    shuffled = epoch(corpus, shuffle=True)
    text = shuffled.tokens(np.arange(14)).tolist()
    starts = [0, 3, 4, 8, 9, 14]
    assert text == [token for line in lines(shuffled) for token in range(starts[line], starts[line + 1])]


@pytest.mark.parametrize("shuffle", [False, True])
def test_a_fraction_draws_that_share_of_the_lines_each_epoch_others(shuffle: bool) -> None:
    corpus = corpus_of([2] * 100, [3] * 40, fractions=[0.25, 1.0])
    drawn = [lines(epoch(corpus, number, shuffle=shuffle)) for number in range(4)]
    for one in drawn:
        assert len(set(one)) == len(one) == 65
        assert sum(line < 100 for line in one) == 25
        assert {line for line in one if line >= 100} == set(range(100, 140))
        assert shuffle or one == sorted(one)
    assert len({tuple(sorted(one)) for one in drawn}) == 4
    assert epoch(corpus).num_tokens == 25 * 2 + 40 * 3


def test_every_line_is_drawn_about_as_often_as_any() -> None:
    """200 epochs of a quarter: a line comes 50 times, within five σ = √(200·¼·¾) = 6.1."""
    corpus = corpus_of([1] * 40, fractions=[0.25])
    times = np.bincount(np.concatenate([lines(epoch(corpus, number)) for number in range(200)]), minlength=40)
    assert abs(times - 50).max() < 31


def test_a_fraction_of_a_short_text_still_draws_a_line() -> None:
    """A hundredth of ten lines rounds to none: an epoch without a token would never end."""
    corpus = corpus_of([2] * 10, fractions=[0.01])
    assert len(lines(epoch(corpus))) == 1
    assert len(list(StreamBatches(corpus, begin_id=BEGIN, batch_size=2, bptt=3).batches(Position()))) == 1


def test_an_empty_text_among_others_changes_nothing() -> None:
    assert lines(epoch(corpus_of([2, 3], [], [1]))) == [0, 1, 2]
    assert sorted(lines(epoch(corpus_of([2, 3], [], [1], fractions=[1, 0.5, 1]), shuffle=True))) == [0, 1, 2]
    weights = token_weights(corpus_of([2], [], [1], weights=[2, 3, 4]), np.arange(3))
    assert weights is not None
    assert weights.tolist() == [2, 2, 4]


def test_a_token_weighs_what_its_text_does() -> None:
    corpus = corpus_of([2, 1], [4], weights=[1, 0.5])
    weights = token_weights(corpus, np.arange(7).reshape(7, 1))
    assert weights is not None
    assert weights[:, 0].tolist() == [1, 1, 1, 0.5, 0.5, 0.5, 0.5]
    assert token_weights(corpus_of([2], [4]), np.arange(6)) is None
    batch = next(StreamBatches(corpus, begin_id=BEGIN, batch_size=1, bptt=7).batches(Position()))
    assert batch.weights is not None
    assert batch.weights[:, 0].tolist() == weights[:, 0].tolist()


@pytest.mark.parametrize("shuffle", [False, True])
def test_what_is_held_out_is_never_learnt_from(shuffle: bool) -> None:
    """Two texts of five lines of two: a fifth of each is lines 4 and 9, tokens 8, 9, 18 and 19."""
    kept, held = hold_out(corpus_of([2] * 5, [2] * 5), 0.2)
    batches = StreamBatches(kept, begin_id=BEGIN, batch_size=2, bptt=3, shuffle=shuffle).batches(Position())
    targets = [
        t for batch in batches for t in batch.targets[batch.mask if batch.mask is not None else ...].flatten().tolist()
    ]
    assert sorted(targets) == [*range(8), *range(10, 18)]
    assert sorted(lines(epoch(held, shuffle=shuffle))) == [4, 9]
    assert epoch(held).tokens(np.arange(4)).tolist() == [8, 9, 18, 19]


def test_the_part_held_out_of_one_text_is_an_epoch_of_its_own() -> None:
    _, held = hold_out(corpus_of([2] * 5), 0.4)
    assert lines(epoch(held)) == [3, 4]
    assert epoch(held).tokens(np.arange(4)).tolist() == [6, 7, 8, 9]


def test_many_lines_are_found_by_landmarks(monkeypatch: pytest.MonkeyPatch) -> None:
    """The places of tokens do not depend on how many lines are looked at together."""
    corpus = corpus_of([1 + n % 5 for n in range(50)], [2, 0, 3], fractions=[0.5, 1.0])
    whole = epoch(corpus, shuffle=True)
    places = np.arange(whole.num_tokens).reshape(-1, 1)
    expected = whole.tokens(places)
    for block in (1, 7, 27, 28, 29):
        monkeypatch.setattr("rnntool.data.epoch.BLOCK", block)
        by_blocks = epoch(corpus, shuffle=True)
        assert (by_blocks.tokens(places) == expected).all()
        assert by_blocks.landmarks[[0, -1]].tolist() == [0, whole.num_tokens]


def test_landmarks_that_are_known_spare_reading_the_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a thousand lines, those of the places that are asked for are looked at, and no others."""
    monkeypatch.setattr("rnntool.data.epoch.BLOCK", 10)
    corpus = corpus_of([1 + n % 5 for n in range(1000)])
    first = epoch(corpus, shuffle=True)
    expected = first.tokens(np.array([0, 2999]))
    looked_at: list[int] = []
    spans = Epoch.spans

    def counted(self: Epoch, places: Any) -> Any:
        looked_at.extend(places.tolist())
        return spans(self, places)

    monkeypatch.setattr(Epoch, "spans", counted)
    again = epoch(corpus, shuffle=True, landmarks=first.landmarks)
    assert again.num_tokens == 3000
    assert looked_at == []
    assert (again.tokens(np.array([0, 2999])) == expected).all()
    assert looked_at == [*range(10), *range(990, 1000)]


@pytest.mark.parametrize("change", ["size", "start", "falling"])
def test_landmarks_that_cannot_be_are_made_again(monkeypatch: pytest.MonkeyPatch, change: str) -> None:
    monkeypatch.setattr("rnntool.data.epoch.BLOCK", 10)
    corpus = corpus_of([2] * 100)
    good = epoch(corpus, shuffle=True).landmarks
    bad = {"size": good[:-1], "start": good + 1, "falling": np.where(good == 40, 70, good)}[change]
    assert epoch(corpus, shuffle=True, landmarks=bad).landmarks.tolist() == good.tolist()


def test_landmarks_of_another_order_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rnntool.data.epoch.BLOCK", 10)
    corpus = corpus_of([1 + n % 5 for n in range(100)])
    with pytest.raises(ModelError, match="the lines are not as long as the run's state says"):
        epoch(corpus, shuffle=True, landmarks=epoch(corpus, 1, shuffle=True).landmarks).tokens(np.arange(200))
