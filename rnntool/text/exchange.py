"""Classes of words that stand between like neighbours: the bigram exchange algorithm.

Of a class bigram model P(w | v) = P(c(w) | c(v)) P(w | c(w)), the classes that make a text likeliest maximise

    Σ_{a,b} f(N(a, b)) − Σ_a f(N(a, ·)) − Σ_b f(N(·, b))      f(n) = n ln n

with N(a, b) how often a word of class b follows one of class a.  Word by word, the commonest first, each is moved to
where this sum grows most, until hardly any moves.  What moving w changes depends on its neighbours' classes alone, so all
C places are tried by one sum over those of them that it has.

Source: Kneser and Ney 1993, "Improved clustering techniques for class-based statistical language modelling"; Martin,
Liermann and Ney 1998, "Algorithms for bigram and trigram word clustering".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rnntool.errors import OptionError

MAX_PASSES = 20
"""Passes over all words."""

ENOUGH = 0.002
"""Share of the words; if fewer move in a pass, it is the last."""

PAIRS_TOGETHER = 1 << 22
"""Pairs of words that are counted at once."""

Whole = NDArray[np.int64]
Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class Bigrams:
    """How often which word follows which, for pairs that occur, sorted by the first, then the second.

    Args:
        first: ids, (P,).
        second: ids of what follows, (P,).
        counts: how often, (P,).
        vocab_size: V.
    """

    first: Whole
    second: Whole
    counts: Whole
    vocab_size: int


def count_bigrams(lines: Iterable[list[int]], vocab_size: int, eos_id: int) -> Bigrams:
    """Count pairs of neighbours; a line begins after `</s>` and ends with it.

    Args:
        lines: ids, without `</s>`.
        vocab_size: V.
        eos_id: that of `</s>`.
    """
    codes: Whole = np.empty(0, dtype=np.int64)
    counts: Whole = np.empty(0, dtype=np.int64)
    stream = [eos_id]

    def take() -> tuple[Whole, Whole]:
        ids = np.array(stream, dtype=np.int64)
        new, how_often = np.unique(ids[:-1] * vocab_size + ids[1:], return_counts=True)
        merged, places = np.unique(np.concatenate([codes, new]), return_inverse=True)
        total = np.bincount(places, weights=np.concatenate([counts, how_often]), minlength=len(merged))
        return merged, total.astype(np.int64)

    for line in lines:
        stream += line
        stream.append(eos_id)
        if len(stream) > PAIRS_TOGETHER:
            codes, counts = take()
            stream = [eos_id]
    codes, counts = take()
    return Bigrams(codes // vocab_size, codes % vocab_size, counts, vocab_size)


def exchange(
    bigrams: Bigrams, num_classes: int, *, observe: Callable[[int, int, float], None] = lambda *_: None
) -> tuple[int, ...]:
    """The class of every word, none of them empty.

    Args:
        bigrams: of the text.
        num_classes: C.
        observe: is told after each pass its number, how many words moved, and the perplexity of the class bigram model.

    Raises:
        OptionError: more classes than words.
    """
    if num_classes > bigrams.vocab_size:
        raise OptionError("--classes", f"{num_classes} classes for {bigrams.vocab_size} tokens")
    table = _Table(bigrams, num_classes)
    for number in range(1, MAX_PASSES + 1):
        moved = sum(table.move(int(word)) for word in table.order)
        observe(number, moved, table.perplexity)
        if moved <= ENOUGH * bigrams.vocab_size:
            break
    return tuple(int(c) for c in table.class_of)


class _Table:
    """Classes, and how often which follows which."""

    def __init__(self, bigrams: Bigrams, num_classes: int) -> None:
        V = bigrams.vocab_size
        self.num_classes = num_classes
        by_second = np.argsort(bigrams.second, kind="stable")
        self._after = _Neighbours(bigrams.first, bigrams.second, bigrams.counts, V)
        self._before = _Neighbours(bigrams.second[by_second], bigrams.first[by_second], bigrams.counts[by_second], V)
        self._as_first = np.bincount(bigrams.first, weights=bigrams.counts, minlength=V).astype(np.int64)
        self._as_second = np.bincount(bigrams.second, weights=bigrams.counts, minlength=V).astype(np.int64)
        self.order = np.argsort(-self._as_second, kind="stable")
        self.class_of = np.empty(V, dtype=np.int64)
        self.class_of[self.order] = np.arange(V) % num_classes
        self._sizes = np.bincount(self.class_of, minlength=num_classes)
        codes = self.class_of[bigrams.first] * num_classes + self.class_of[bigrams.second]
        pairs = _sums(codes, bigrams.counts, num_classes**2)
        self._pairs: Numbers = pairs.reshape(num_classes, num_classes)  # N(a, b)
        self._firsts: Numbers = self._pairs.sum(axis=1)
        self._seconds: Numbers = self._pairs.sum(axis=0)

    @property
    def perplexity(self) -> float:
        """Of the text under the class bigram model."""
        words = float(_f(self._as_second.astype(np.float64)).sum())
        classes = float(_f(self._pairs).sum() - _f(self._firsts).sum() - _f(self._seconds).sum())
        return float(np.exp(-(classes + words) / self._as_second.sum()))

    def move(self, word: int) -> bool:
        """Put a word where it makes the text likeliest; whether that is elsewhere."""
        old = int(self.class_of[word])
        if self._sizes[old] == 1:
            return False
        after, before, own = self._neighbours(word)
        self._add(word, old, -1, after, before, own)
        new = int(np.argmax(self._gains(word, after, before, own)))
        self._add(word, new, 1, after, before, own)
        self.class_of[word] = new
        return new != old

    def _neighbours(self, word: int) -> tuple[Numbers, Numbers, float]:
        """How often each class, this word not counted, follows and precedes it, (C,) each; how often it does so itself."""
        sums = []
        own = 0
        for neighbours in (self._after, self._before):
            others, counts = neighbours.of(word)
            is_own = others == word
            own = int(counts[is_own].sum())
            kept = ~is_own
            sums.append(_sums(self.class_of[others[kept]], counts[kept], self.num_classes))
        return sums[0], sums[1], float(own)

    def _add(self, word: int, c: int, sign: int, after: Numbers, before: Numbers, own: float) -> None:
        """Count a word in, or out, of a class."""
        self._pairs[c] += sign * after
        self._pairs[:, c] += sign * before
        self._pairs[c, c] += sign * own
        self._firsts += sign * before
        self._firsts[c] += sign * (after.sum() + own)
        self._seconds += sign * after
        self._seconds[c] += sign * (before.sum() + own)
        self._sizes[c] += sign

    def _gains(self, word: int, after: Numbers, before: Numbers, own: float) -> Numbers:
        """What the sum grows by if the word, counted out, joins each class, (C,), but for what is the same for all."""
        followed, preceded = after.nonzero()[0], before.nonzero()[0]
        rows = self._pairs[:, followed]
        grown = _f(rows + after[followed]) - _f(rows)
        columns = self._pairs[preceded]
        grown_columns = _f(columns + before[preceded, None]) - _f(columns)
        gains: Numbers = grown.sum(axis=1) + grown_columns.sum(axis=0)
        # a class's own pair is in both sums, and grows once, by all that joins it
        diagonal = self._pairs.diagonal()
        gains[followed] -= grown[followed, np.arange(len(followed))]
        gains[preceded] -= grown_columns[np.arange(len(preceded)), preceded]
        gains += _f(diagonal + after + before + own) - _f(diagonal)
        # the marginals of the other classes grow by the same whichever takes the word, but for its own part of them
        for marginal, neighbours, count in (
            (self._firsts, before, self._as_first[word]),
            (self._seconds, after, self._as_second[word]),
        ):
            gains -= _f(marginal + neighbours + count) - _f(marginal + neighbours)
        return gains


class _Neighbours:
    """Of each word, the words beside it on one side, and how often."""

    def __init__(self, words: Whole, others: Whole, counts: Whole, vocab_size: int) -> None:
        self._others, self._counts = others, counts
        self._starts = np.searchsorted(words, np.arange(vocab_size + 1))

    def of(self, word: int) -> tuple[Whole, Whole]:
        """Ids and counts."""
        where = slice(self._starts[word], self._starts[word + 1])
        return self._others[where], self._counts[where]


def _sums(places: Whole, counts: Whole, size: int) -> Numbers:
    """Of counts by place."""
    return np.bincount(places, weights=counts, minlength=size).astype(np.float64)


def _f(n: Numbers) -> Numbers:
    """N ln n, 0 where n is 0."""
    product: Numbers = n * np.log(np.maximum(n, 1.0))
    return product
