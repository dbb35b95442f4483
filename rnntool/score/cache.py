"""A cache: what has just been said is likely to be said again.

    P(w | h) = (1 − λ) P_model(w | h) + λ P_cache(w | v)

    P_cache(w | v) = C(v, w) / C(v),   C(v, w) = Σ_{i < t} exp(−(t − 1 − i) / T) [w_i = w, v_i = v]

v is the n − 1 tokens before, none for a unigram cache; C runs over the last N tokens, all alike where T is infinite.  Where
the cache knows nothing of v, the model stands alone.  The cache looks across line ends, also where the model does not: its
tokens, `</s>` and `<unk>` among them, are one stream.

Sources: Kuhn and De Mori 1990, "A cache-based natural language model for speech recognition" (the last N tokens); Jelinek
et al. 1991, "A dynamic language model for speech recognition" (n-grams); Clarkson and Robinson 1997, "Language model
adaptation using mixtures and an exponentially decaying cache".
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from rnntool.config.adaptation import Cache
from rnntool.score.interpolation import linear
from rnntool.score.scorer import LogProbs, Scorer
from rnntool.text.vocabulary import Vocabulary

NOTHING = 1e-12
"""What a token counts that does not matter any more."""


class CacheScorer:
    """A scorer and a cache of its tokens.

    What is carried is what the scorer carries, and the last tokens.

    Args:
        scorer: the model.
        cache: with a weight.
    """

    def __init__(self, scorer: Scorer, cache: Cache) -> None:
        assert cache.weight is not None
        self.scorer = scorer
        self.cache = cache
        self._shares = (1 - cache.weight, cache.weight)

    @property
    def vocabulary(self) -> Vocabulary:
        """The model's."""
        return self.scorer.vocabulary

    @property
    def context(self) -> str:
        """The model's."""
        return self.scorer.context

    def state0(self) -> tuple[Any, tuple[int, ...]]:
        """The model's, and no token."""
        return self.scorer.state0(), ()

    def score(
        self, lines: Sequence[Sequence[int]], state: tuple[Any, tuple[int, ...]]
    ) -> tuple[list[LogProbs], tuple[Any, tuple[int, ...]]]:
        """As `Scorer.score`."""
        before, history = state
        answers, after = self.scorer.score(lines, before)
        ids = [*history, *(id_ for line in lines for id_ in (*line, self.vocabulary.eos_id))]
        cached = cache_log_probs(ids, len(history), self.cache)
        mixed = []
        first = 0
        for answer in answers:
            own = cached[first : first + len(answer)]
            both = np.stack([answer, np.where(np.isnan(own), answer, own)])
            mixed.append(linear(both, self._shares))
            first += len(answer)
        return mixed, (after, tuple(ids[-reach(self.cache) :]))


def reach(cache: Cache) -> int:
    """How many of the last tokens have to be known."""
    matters = math.ceil(-math.log(NOTHING) * cache.time) if cache.time < math.inf else cache.window
    return min(matters, cache.window or matters) + cache.order - 1


def cache_log_probs(ids: Sequence[int], first: int, cache: Cache) -> LogProbs:
    """log P_cache of `ids[first:]`, each after all before it; NaN where the cache knows nothing of the n − 1 before.

    Args:
        ids: a stream of tokens.
        first: how many of them are history alone.
        cache: order, time and window.
    """
    width = cache.order - 1
    window = reach(cache) - width
    counts = _Counts(math.exp(-1 / cache.time), window)
    log_probs = np.full(len(ids) - first, math.nan)
    oldest = max(width, first - window)
    for place in range(oldest, len(ids)):
        if place - window > oldest:
            gone = place - window - 1
            counts.drop(ids[gone - width : gone + 1], place)
        present = ids[place - width : place + 1]
        if place >= first and (total := counts.at(present[:-1], place)):
            hit = counts.at(present, place)
            log_probs[place - first] = math.log(hit / total) if hit else -math.inf
        counts.add(present, place)
    return log_probs


class _Counts:
    """C(v) and C(v, w) of tokens that come, fade and go."""

    def __init__(self, fading: float, window: int) -> None:
        self.fading = fading
        self.last = fading**window
        self.counts: dict[tuple[int, ...], tuple[float, int, int]] = {}  # the count, before which place, of how many

    def at(self, gram: Sequence[int], place: int) -> float:
        """The count of a gram before the token at `place`."""
        count, when, _ = self.counts.get(tuple(gram), (0.0, place, 0))
        return count * self.fading ** (place - when)

    def add(self, gram: Sequence[int], place: int) -> None:
        """Count v and w, of which w is the token at `place`."""
        for key in (tuple(gram[:-1]), tuple(gram)):
            number = self.counts[key][2] if key in self.counts else 0
            self.counts[key] = self.at(key, place + 1) + 1, place + 1, number + 1

    def drop(self, gram: Sequence[int], place: int) -> None:
        """Count v and w, which were added first of all that are left, no more before `place`."""
        for key in (tuple(gram[:-1]), tuple(gram)):
            number = self.counts[key][2]
            if number == 1:
                del self.counts[key]  # rounding would leave something of it
            else:
                self.counts[key] = self.at(key, place) - self.last, place, number - 1
