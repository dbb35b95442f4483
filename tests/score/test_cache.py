"""Caches of tokens, against sums over all that was said before."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

import numpy as np
import pytest

from rnntool.config.adaptation import Cache
from rnntool.score.cache import CacheScorer, cache_log_probs, reach
from tests.score.conftest import LINES, scorer, words

CACHES = [
    Cache(time=3.0, weight=0.2),
    Cache(time=math.inf, window=7, weight=0.2),
    Cache(time=20.0, window=15, weight=0.2),
    Cache(order=2, time=10.0, weight=0.2),
    Cache(order=3, time=math.inf, window=50, weight=0.2),
]

each_cache = pytest.mark.parametrize("cache", CACHES, ids=str)


def reference(ids: Sequence[int], first: int, cache: Cache) -> list[float]:
    """The formula, term by term."""
    width = cache.order - 1
    window = reach(cache) - width
    answers = []
    for t in range(first, len(ids)):
        v, total, hit = ids[t - width : t], 0.0, 0.0
        for i in range(max(width, t - window), t):
            if t >= width and ids[i - width : i] == v:
                counts = math.exp(-(t - 1 - i) / cache.time)
                total += counts
                hit += counts * (ids[i] == ids[t])
        answers.append(math.nan if not total else math.log(hit / total) if hit else -math.inf)
    return answers


@each_cache
@pytest.mark.parametrize("first", [0, 1, 100])
def test_a_cache_is_the_share_of_a_token_among_those_before(cache: Cache, first: int) -> None:
    drawn = random.Random(1)
    ids = [drawn.randrange(6) for _ in range(300)]
    np.testing.assert_allclose(cache_log_probs(ids, first, cache), reference(ids, first, cache), rtol=1e-9)


def test_a_small_cache_by_hand() -> None:
    """After a b a, with T = 1/log 2 each step halves: C(a) = 1 + 1/4, C(b) = 1/2, together 7/4."""
    cache = Cache(time=1 / math.log(2))
    a, b, c = (cache_log_probs([0, 1, 0, id_], 3, cache)[0] for id_ in (0, 1, 2))
    assert (math.exp(a), math.exp(b), c) == (pytest.approx(5 / 7), pytest.approx(2 / 7), -math.inf)
    first, second, _, last = cache_log_probs([0, 1, 0, 1], 0, Cache(order=2, time=math.inf, window=9))
    assert math.isnan(first) and math.isnan(second)
    assert last == 0  # b always came after a


@each_cache
def test_only_the_reach_matters(cache: Cache) -> None:
    drawn = random.Random(2)
    ids = [drawn.randrange(4) for _ in range(200)]
    kept = ids[100 - reach(cache) :] if reach(cache) < 100 else ids
    whole = cache_log_probs(ids, 100, cache)
    np.testing.assert_allclose(cache_log_probs(kept, len(kept) - 100, cache), whole, rtol=1e-9)


@each_cache
@pytest.mark.parametrize("context", ["carry", "reset"])
def test_how_lines_are_grouped_changes_nothing(cache: Cache, context: str) -> None:
    lines = [words().encode(line) for line in LINES]
    cached = CacheScorer(scorer(context), cache)
    whole, _ = cached.score(lines, cached.state0())
    found, state = [], cached.state0()
    for first in range(0, len(lines), 7):
        part, state = cached.score(lines[first : first + 7], state)
        found += part
    np.testing.assert_allclose(np.concatenate(found), np.concatenate(whole), rtol=1e-6)
    assert cached.score([], state) == ([], state)


@each_cache
def test_the_mixture_of_model_and_cache_sums_to_one(cache: Cache) -> None:
    cached = CacheScorer(scorer("reset"), cache)
    _, state = cached.score([words().encode(line) for line in LINES[:20]], cached.state0())
    vocabulary = words()
    history = vocabulary.encode("the cat")
    total = 0.0
    for id_ in range(len(vocabulary)):
        line = history if id_ == vocabulary.eos_id else [*history, id_]
        (scores,), _ = cached.score([line], state)
        total += math.exp(scores[len(history)])
    assert total == pytest.approx(1, abs=1e-5)


def test_where_the_cache_knows_nothing_the_model_stands_alone() -> None:
    plain = scorer("reset")
    line = words().encode("the cat sat on a mat")
    (alone,), _ = plain.score([line], plain.state0())
    for cache in (Cache(weight=0.3), Cache(order=2, weight=0.3)):
        cached = CacheScorer(plain, cache)
        (scores,), _ = cached.score([line], cached.state0())
        assert scores[0] == pytest.approx(alone[0], rel=1e-12)
    assert scores == pytest.approx(alone, rel=1e-12)  # no token of the line has been there: no bigram is known


def test_the_cache_looks_across_lines_that_the_model_does_not_carry_over() -> None:
    """All alike in a window: each of the three tokens of a line is a third of what the next line finds first."""
    plain = scorer("reset")
    cached = CacheScorer(plain, Cache(time=math.inf, window=3, weight=0.5))
    line = words().encode("a dog")
    alone, _ = plain.score([line, line], ())
    (first, again), _ = cached.score([line, line], cached.state0())
    assert first[0] == pytest.approx(alone[0][0], rel=1e-12)
    np.testing.assert_allclose(np.exp(again), np.exp(alone[1]) / 2 + 1 / 6, rtol=1e-6)
