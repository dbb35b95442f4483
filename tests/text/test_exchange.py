"""Classes by exchange: every move pays, and words of like neighbours meet."""

from __future__ import annotations

import math
from itertools import pairwise
from random import Random

import numpy as np
import pytest

from rnntool.errors import OptionError
from rnntool.text import exchange as module
from rnntool.text.exchange import count_bigrams, exchange

EOS = 0


def drawn_lines(seed: int, vocab_size: int = 9, num_lines: int = 60) -> list[list[int]]:
    random = Random(seed)
    return [[random.randrange(1, vocab_size) for _ in range(random.randrange(6))] for _ in range(num_lines)]


def likelihood(lines: list[list[int]], class_of: tuple[int, ...]) -> float:
    """Log-likelihood of the class bigram model, counted from scratch."""
    pairs: dict[tuple[int, int], int] = {}
    firsts: dict[int, int] = {}
    seconds: dict[int, int] = {}
    words: dict[int, int] = {}
    for line in lines:
        stream = [EOS, *line, EOS]
        for v, w in pairwise(stream):
            a, b = class_of[v], class_of[w]
            pairs[a, b] = pairs.get((a, b), 0) + 1
            firsts[a] = firsts.get(a, 0) + 1
            seconds[b] = seconds.get(b, 0) + 1
            words[w] = words.get(w, 0) + 1
    by_class = sum(n * math.log(n / firsts[a] / seconds[b]) for (a, b), n in pairs.items())
    return by_class + sum(n * math.log(n) for n in words.values())


def test_bigrams_are_counted_over_line_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [[1, 2], [], [2, 2]]
    for together in (1, 1 << 20):
        monkeypatch.setattr(module, "PAIRS_TOGETHER", together)
        found = count_bigrams(iter(lines), 3, EOS)
        triples = zip(found.first.tolist(), found.second.tolist(), found.counts.tolist(), strict=True)
        assert list(triples) == [(0, 0, 1), (0, 1, 1), (0, 2, 1), (1, 2, 1), (2, 0, 2), (2, 2, 1)]


@pytest.mark.parametrize("seed", range(5))
def test_no_single_move_makes_the_text_likelier(seed: int) -> None:
    """At the end every word's every other place is tried from scratch, but for words alone in their class."""
    lines = drawn_lines(seed)
    passes: list[tuple[int, int, float]] = []
    class_of = exchange(count_bigrams(lines, 9, EOS), 3, observe=lambda *told: passes.append(told))
    assert passes[-1][1] == 0
    best = likelihood(lines, class_of)
    for word, own in enumerate(class_of):
        if class_of.count(own) == 1:
            continue
        for other in range(3):
            moved = (*class_of[:word], other, *class_of[word + 1 :])
            assert likelihood(lines, moved) <= best + 1e-9


def test_the_perplexity_told_is_that_of_the_classes_and_falls() -> None:
    lines = drawn_lines(7, num_lines=200)
    told: list[float] = []
    class_of = exchange(count_bigrams(lines, 9, EOS), 3, observe=lambda number, moved, ppl: told.append(ppl))
    assert told == sorted(told, reverse=True)
    num_tokens = sum(len(line) + 1 for line in lines)
    assert told[-1] == pytest.approx(math.exp(-likelihood(lines, class_of) / num_tokens), rel=1e-9)


def test_words_of_like_neighbours_meet() -> None:
    """Articles 1 to 3, nouns 4 to 6, verbs 7 and 8: every sentence is one of each."""
    random = Random(1)
    lines = [[random.randrange(1, 4), random.randrange(4, 7), random.randrange(7, 9)] for _ in range(300)]
    class_of = exchange(count_bigrams(lines, 9, EOS), 4)
    groups = [class_of[:1], class_of[1:4], class_of[4:7], class_of[7:]]
    assert [len(set(group)) for group in groups] == [1, 1, 1, 1]
    assert len(set(class_of)) == 4


def test_no_class_is_left_empty() -> None:
    class_of = exchange(count_bigrams([[1, 1, 1]] * 5, 4, EOS), 4)
    assert sorted(np.bincount(class_of).tolist()) == [1, 1, 1, 1]


def test_more_classes_than_words_are_refused() -> None:
    with pytest.raises(OptionError) as refused:
        exchange(count_bigrams([[1]], 2, EOS), 3)
    assert str(refused.value) == "--classes: 3 classes for 2 tokens"
