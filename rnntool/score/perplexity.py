"""From log-probabilities to perplexities that say how they were counted.

    ppl = exp(−1/N Σ log P(w))

over N tokens, every line's `</s>` among them.  As in SRILM, `ppl1` divides the same sum by the tokens without the
line ends.  Bits are of the whole sum, divided by tokens, by code points or by bytes of the text, line ends included.  The
perplexity per word divides by what white space separates, and the line ends: that of a model of characters or pieces can be
compared with that of a model of words.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from rnntool.score.scorer import LogProbs, Scorer
from rnntool.text.vocabulary import Vocabulary

GROUP = 1024
GROUP_SIZE = 1 << 16
"""Most lines, and about the most tokens or characters, in one of the groups of `grouped`."""

Line = TypeVar("Line", bound=Sequence[object])


@dataclass
class Tally:
    """What has been scored so far; tallies add up.

    Args:
        sentences: lines.
        tokens: predictions, line ends among them.
        oov: tokens that the vocabulary does not have; they were scored as `<unk>`.
        nll: −Σ log P over all tokens, in nats.
        oov_nll: the part of it that fell on tokens not in the vocabulary.
        chars: code points of the text, line ends among them.
        bytes: bytes of the text, line ends among them.
        words: what white space separates, and line ends.
    """

    sentences: int = 0
    tokens: int = 0
    oov: int = 0
    nll: float = 0.0
    oov_nll: float = 0.0
    chars: int = 0
    bytes: int = 0
    words: int = 0

    def __add__(self, other: Tally) -> Tally:
        """The tally of both texts."""
        return Tally(*(getattr(self, name) + getattr(other, name) for name in self.__dataclass_fields__))

    @property
    def nll_per_token(self) -> float:
        """Nats per token: the logarithm of the perplexity."""
        return self.nll / self.tokens

    @property
    def ppl(self) -> float:
        """Perplexity of all tokens."""
        return _exp(self.nll, self.tokens)

    @property
    def ppl_excl_oov(self) -> float:
        """Perplexity without the tokens that are not in the vocabulary."""
        return _exp(self.nll - self.oov_nll, self.tokens - self.oov)

    def without_oov(self) -> Tally:
        """The tally without the tokens that are not in the vocabulary."""
        return replace(self, tokens=self.tokens - self.oov, nll=self.nll - self.oov_nll, oov_nll=0.0)

    @property
    def ppl1(self) -> float:
        """SRILM's ppl1: the same sum over the tokens without line ends."""
        return _exp(self.nll, self.tokens - self.sentences)

    @property
    def ppl_per_word(self) -> float:
        """Perplexity of words, whatever the tokens are."""
        return _exp(self.nll, self.words)

    @property
    def bits_per_token(self) -> float:
        """Entropy in bits per token."""
        return self.nll / math.log(2) / self.tokens

    @property
    def bits_per_char(self) -> float:
        """Entropy in bits per code point."""
        return self.nll / math.log(2) / self.chars if self.chars else math.nan

    @property
    def bits_per_byte(self) -> float:
        """Entropy in bits per byte."""
        return self.nll / math.log(2) / self.bytes if self.bytes else math.nan


def _exp(nll: float, tokens: int) -> float:
    if tokens <= 0:
        return math.nan
    return math.exp(nll / tokens) if nll / tokens < 700 else math.inf


@dataclass(frozen=True)
class ScoredLine:
    """A line, its ids, and what they scored.

    Args:
        text: as read.
        ids: without `</s>`.
        log_probs: of each id, then of `</s>`.
        is_oov: for each id, whether it stands for a token that is not in the vocabulary.
    """

    text: str
    ids: Sequence[int]
    log_probs: LogProbs
    is_oov: Sequence[bool]

    def tally(self) -> Tally:
        """The tally of this line."""
        text = self.text.encode()
        oov_nll = -sum(p for p, is_oov in zip(self.log_probs, self.is_oov, strict=False) if is_oov)
        return Tally(
            sentences=1,
            tokens=len(self.log_probs),
            oov=sum(self.is_oov),
            nll=-float(self.log_probs.sum()),
            oov_nll=float(oov_nll),
            chars=len(self.text) + 1,
            bytes=len(text) + 1,
            words=len(text.split()) + 1,
        )


def score_lines(scorer: Scorer, groups: Iterable[Sequence[str]]) -> Iterator[list[ScoredLine]]:
    """Score lines of text, group by group, in order; where the context is carried, from each line to the next.

    Args:
        scorer: the model.
        groups: lines that are computed together (`grouped`); each group's answer is out before the next is read.
    """
    vocabulary = scorer.vocabulary
    state = scorer.state0()
    for lines in groups:
        ids = [vocabulary.encode(line) for line in lines]
        log_probs, state = scorer.score(ids, state)
        flags = [oov_flags(vocabulary, line, line_ids) for line, line_ids in zip(lines, ids, strict=True)]
        yield [ScoredLine(*each) for each in zip(lines, ids, log_probs, flags, strict=True)]


def score_ids(scorer: Scorer, lines: Iterable[Sequence[int]]) -> Tally:
    """The tally of lines that are ids already; chars, bytes and words are left at 0, and every `<unk>` is unknown."""
    state = scorer.state0()
    total = Tally()
    unk = scorer.vocabulary.unk_id
    for part in grouped(lines):
        scores, state = scorer.score(part, state)
        for line, log_probs in zip(part, scores, strict=True):
            total.sentences += 1
            total.tokens += len(log_probs)
            total.nll -= float(log_probs.sum())
            if unk in line:
                is_unknown = np.append(np.asarray(line) == unk, False)
                total.oov += int(is_unknown.sum())
                total.oov_nll -= float(log_probs[is_unknown].sum())
    return total


class Bootstrap:
    """A confidence interval for a perplexity, in one pass and in constant memory.

    Every replicate takes each line a Poisson(1) number of times, which for many lines is drawing with replacement.
    Source: Koehn 2004 (the interval); Hanley and MacGibbon 2006 (Poisson weights).

    Args:
        replicates: how many; 1000 give two digits.
        seed: of the draws.
    """

    def __init__(self, replicates: int = 1000, seed: int = 1) -> None:
        self._random = np.random.default_rng(seed)
        self._nll = np.zeros(replicates)
        self._tokens = np.zeros(replicates)

    def add(self, tally: Tally) -> None:
        """Count one line."""
        times = self._random.poisson(1.0, len(self._nll))
        self._nll += times * tally.nll
        self._tokens += times * tally.tokens

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """The perplexities between which the share `level` of the replicates lies."""
        drawn = self._tokens > 0
        if not drawn.any():
            return math.nan, math.nan
        nll = np.quantile(self._nll[drawn] / self._tokens[drawn], [(1 - level) / 2, (1 + level) / 2])
        return _exp(nll[0], 1), _exp(nll[1], 1)


def oov_flags(vocabulary: Vocabulary, line: str, ids: Sequence[int]) -> list[bool]:
    """For each id of a line, whether it stands for a token that is not in the vocabulary."""
    if vocabulary.unk_id not in ids:
        return [False] * len(ids)
    unk = vocabulary.tokens[vocabulary.unk_id]
    pieces = vocabulary.pieces(line)
    return [id_ == vocabulary.unk_id and piece != unk for id_, piece in zip(ids, pieces, strict=True)]


def grouped(lines: Iterable[Line]) -> Iterator[list[Line]]:
    """Lines in groups that are worth computing together and small enough to be held at once."""
    group: list[Line] = []
    size = 0
    for line in lines:
        group.append(line)
        size += len(line) + 1
        if len(group) >= GROUP or size >= GROUP_SIZE:
            yield group
            group, size = [], 0
    if group:
        yield group
