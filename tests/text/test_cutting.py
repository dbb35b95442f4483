"""Lines cut anew."""

from __future__ import annotations

import pytest

from rnntool.text.cutting import Cutter
from rnntool.text.pieces import train
from rnntool.text.vocabulary import Vocabulary, sentencepiece_vocabulary

LINES = ["the sea and the rose", "a rose in the sea", "the roses see the seas", "and the sea rose"] * 5


@pytest.fixture(scope="module", params=["unigram", "bpe"])
def vocabulary(request: pytest.FixtureRequest) -> Vocabulary:
    return sentencepiece_vocabulary(train(LINES, size=17, model_type=request.param), "model")


def test_other_pieces_have_the_same_text(vocabulary: Vocabulary) -> None:
    cutter = Cutter(vocabulary, 0.3)
    for line in LINES[:4]:
        ids = vocabulary.encode(line)
        drawn = [cutter.cut(ids, seed) for seed in range(20)]
        assert {vocabulary.decode(each) for each in drawn} == {line}
        assert len({tuple(each) for each in drawn}) > 3


def test_the_same_seed_draws_the_same(vocabulary: Vocabulary) -> None:
    ids = vocabulary.encode(LINES[0])
    assert Cutter(vocabulary, 0.3).cut(ids, 7) == Cutter(vocabulary, 0.3).cut(ids, 7)


def test_what_is_unknown_stays_as_it_is(vocabulary: Vocabulary) -> None:
    ids = vocabulary.encode("the sea, the rose")
    assert vocabulary.unk_id in ids
    assert all(Cutter(vocabulary, 0.3).cut(ids, seed) == ids for seed in range(5))
