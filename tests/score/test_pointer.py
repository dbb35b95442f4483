"""The continuous cache, against sums over all that was said before."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from rnntool.config.adaptation import Pointer
from rnntool.score import network as network_module
from rnntool.score.pointer import Memory, PointerScorer, pointed_log_probs
from tests.score.conftest import LINES, scorer, words

IDS = [words().encode(line) for line in LINES]


def random_memory(size: int) -> Memory:
    generator = torch.Generator().manual_seed(1)
    return Memory(torch.randn(size, 4, generator=generator), torch.randint(5, (size,), generator=generator))


@pytest.mark.parametrize("pointer", [Pointer(window=9, theta=0.7), Pointer(window=500, theta=0.0), Pointer(window=1)])
@pytest.mark.parametrize("start", [0, 1, 30])
def test_it_points_at_tokens_that_followed_like_states(pointer: Pointer, start: int) -> None:
    memory = random_memory(60)
    found = pointed_log_probs(memory, start, pointer)
    for t in range(start, 60):
        total = hit = 0.0
        for i in range(max(0, t - pointer.window), t):
            likeness = math.exp(pointer.theta * float(memory.h[t] @ memory.h[i]))
            total += likeness
            hit += likeness * bool(memory.ids[i] == memory.ids[t])
        assert float(found[t - start]) == pytest.approx(math.log(hit / total) if hit else -math.inf, rel=1e-5)


def test_without_sharpness_it_is_a_window_of_tokens() -> None:
    """θ = 0: of a a b, two thirds are a."""
    memory = Memory(torch.randn(4, 3), torch.tensor([0, 0, 1, 0]))
    assert float(pointed_log_probs(memory, 3, Pointer(theta=0.0)).exp()) == pytest.approx(2 / 3)


@pytest.mark.parametrize("context", ["carry", "reset"])
def test_how_lines_are_grouped_changes_nothing(context: str, monkeypatch: pytest.MonkeyPatch) -> None:
    whole_scorer = PointerScorer(scorer(context), Pointer(window=40, weight=0.3))
    whole, _ = whole_scorer.score(IDS, whole_scorer.state0())
    monkeypatch.setattr(network_module, "WINDOW", 11)
    found, state = [], whole_scorer.state0()
    for first in range(0, len(IDS), 3):
        part, state = whole_scorer.score(IDS[first : first + 3], state)
        found += part
    np.testing.assert_allclose(np.concatenate(found), np.concatenate(whole), rtol=1e-5)
    assert whole_scorer.score([], state) == ([], state)


@pytest.mark.parametrize("context", ["carry", "reset"])
def test_it_stands_beside_the_model_with_its_weight(context: str) -> None:
    """P(0.5) is the mean of P(0) and P_cache; the first token is the model's alone."""
    shares = {}
    for weight in (0.0, 0.25, 0.5):
        pointed = PointerScorer(scorer(context), Pointer(weight=weight))
        scores, _ = pointed.score(IDS, pointed.state0())
        shares[weight] = np.exp(np.concatenate(scores))
    plain, _ = scorer(context).score(IDS, scorer(context).state0())
    np.testing.assert_allclose(shares[0.0], np.exp(np.concatenate(plain)), rtol=1e-5)
    np.testing.assert_allclose(shares[0.25], (shares[0.0] + shares[0.5]) / 2, rtol=1e-6)
    assert shares[0.5][0] == pytest.approx(shares[0.0][0])


@pytest.mark.parametrize("context", ["carry", "reset"])
def test_the_mixture_sums_to_one(context: str) -> None:
    vocabulary = words()
    pointed = PointerScorer(scorer(context), Pointer(window=30, weight=0.4))
    _, state = pointed.score(IDS[:20], pointed.state0())
    history = vocabulary.encode("the cat")
    total = 0.0
    for id_ in range(len(vocabulary)):
        line = history if id_ == vocabulary.eos_id else [*history, id_]
        (scores,), _ = pointed.score([line], state)
        total += math.exp(scores[len(history)])
    assert total == pytest.approx(1, abs=1e-5)
