"""Scores of characters, bytes and pieces as scores of words."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from rnntool.score.perplexity import ScoredLine
from rnntool.score.words import Word, words_of
from rnntool.text.counting import build, count
from rnntool.text.pieces import train
from rnntool.text.vocabulary import Vocabulary, sentencepiece_vocabulary

TEXT = "the cat sat on the mat König\n"


def vocabulary(unit: str) -> Vocabulary:
    if unit == "spm":
        model = train([TEXT.strip()] * 20, size=30, model_type="bpe")
        return sentencepiece_vocabulary(model, "test")
    return build(count([TEXT.encode()], unit), unit)


def scored(text: str, unit: str, oov: Sequence[int] = ()) -> tuple[list[Word], ScoredLine]:
    """Token n scores −2ⁿ, so that a sum tells which tokens are in it."""
    known = vocabulary(unit)
    ids = known.encode(text)
    log_probs = -(2.0 ** np.arange(len(ids) + 1))
    line = ScoredLine(text, ids, log_probs, [place in oov for place in range(len(ids))])
    return list(words_of(line, known)), line


def total(*places: int) -> float:
    return -float(sum(2**place for place in places))


def test_characters() -> None:
    """t h e ␣ c a t: the space ends the word before it."""
    found, _ = scored("the cat", "char")
    assert found == [
        Word("the", total(0, 1, 2, 3), False),
        Word("cat", total(4, 5, 6), False),
        Word("</s>", total(7), False),
    ]


def test_white_space_belongs_to_the_word_before_it_or_the_first_or_the_end() -> None:
    found, _ = scored(" \tthe  cat ", "char", oov=[1])
    assert found == [
        Word("the", total(0, 1, 2, 3, 4, 5, 6), True),
        Word("cat", total(7, 8, 9, 10), False),
        Word("</s>", total(11), False),
    ]
    found, _ = scored("  ", "char")
    assert found == [Word("</s>", total(0, 1, 2), False)]
    found, _ = scored("", "char")
    assert found == [Word("</s>", total(0), False)]


def test_bytes() -> None:
    """ö is two bytes."""
    found, _ = scored("König sat", "byte")
    assert found == [
        Word("König", total(0, 1, 2, 3, 4, 5, 6), False),
        Word("sat", total(7, 8, 9), False),
        Word("</s>", total(10), False),
    ]


def test_words_are_themselves() -> None:
    found, _ = scored("the cat <unk>", "word", oov=[1])
    assert found == [
        Word("the", total(0), False),
        Word("cat", total(1), True),
        Word("<unk>", total(2), False),
        Word("</s>", total(3), False),
    ]


@pytest.mark.parametrize("text", ["the cat sat", "satmat the on", "mat", "  the   cat ", "", " "])
@pytest.mark.parametrize("unit", ["char", "byte", "spm", "word"])
def test_words_are_what_white_space_separates_and_nothing_is_lost(text: str, unit: str) -> None:
    found, line = scored(text, unit)
    assert [word.spelling for word in found] == [*text.split(), "</s>"]
    assert sum(word.log_prob for word in found) == line.log_probs.sum()


def test_pieces_begin_words() -> None:
    known = vocabulary("spm")
    pieces = known.pieces("the mats")
    found, _ = scored("the mats", "spm")
    first = next(place for place, piece in enumerate(pieces) if place and piece.startswith("▁"))
    assert found[0] == Word("the", total(*range(first)), False)
    assert found[1].log_prob == total(*range(first, len(pieces)))
