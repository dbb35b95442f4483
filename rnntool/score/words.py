"""Scores of characters, bytes or pieces as scores of words.

    log P(word) = Σ log P(token), over the tokens of the word

Every token belongs to one word, or to the end of the line, so that the sum over a line stays what it was.  White space
after a word is part of it, for it is what ends the word; that before the first word belongs to that one.  In
SentencePiece, where the white space is the beginning of a piece, it belongs to the word that follows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from rnntool.score.perplexity import ScoredLine
from rnntool.text.vocabulary import Vocabulary

SPACES = " \t\n\r\v\f"
"""What separates words, as in text made of words."""

MARK = "▁"
"""What stands for white space in a SentencePiece piece."""


class Word(NamedTuple):
    """A word of a line, or its end."""

    spelling: str
    log_prob: float
    is_oov: bool
    """Whether it has a token that is not in the vocabulary."""


def words_of(line: ScoredLine, vocabulary: Vocabulary) -> Iterator[Word]:
    """The words of a line, then its `</s>`."""
    pieces = vocabulary.pieces(line.text)
    starts = word_starts(pieces, vocabulary)
    ends = [*starts[1:], len(pieces)] if starts else []
    for start, end in zip([0, *starts[1:]], ends, strict=False):
        spelling = pieces[start] if vocabulary.unit == "word" else vocabulary.join(pieces[start:end]).strip(SPACES)
        yield Word(spelling, float(line.log_probs[start:end].sum()), any(line.is_oov[start:end]))
    rest = ends[-1] if ends else 0
    yield Word(vocabulary.tokens[vocabulary.eos_id], float(line.log_probs[rest:].sum()), any(line.is_oov[rest:]))


def word_starts(pieces: Sequence[str], vocabulary: Vocabulary) -> list[int]:
    """Where the words of a line begin among its pieces; before the first there may be white space, which is part of it."""
    if vocabulary.unit == "word":
        return list(range(len(pieces)))
    is_spm = vocabulary.unit == "spm"
    texts = [piece.replace(MARK, " ") if is_spm else vocabulary.join([piece]) for piece in pieces]
    starts: list[int] = []
    start = 0  # of white space before a word, which is part of it in SentencePiece
    for place, text in enumerate(texts):
        follows_space = place > 0 and texts[place - 1].endswith(tuple(SPACES))
        if text.strip(SPACES):
            if not starts or follows_space or text.startswith(tuple(SPACES)):
                starts.append(start if is_spm else place)
            start = place + 1
    return starts
