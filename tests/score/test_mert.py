"""Tuning: the search along a line finds the best of all, and the weights it prints choose what it counted."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnntool.score import mert
from rnntool.score.mert import Problem, problem


def mean(statistics: np.ndarray) -> np.ndarray:
    """A metric: the share of lines that are right."""
    return statistics[..., 0] / np.maximum(statistics[..., 1], 1)


def drawn(seed: int, lines: int = 12, features: int = 3) -> Problem:
    """Lists of one to five hypotheses, each right or wrong."""
    random = np.random.default_rng(seed)
    sizes = random.integers(1, 6, size=lines)
    return problem(
        [random.integers(-4, 5, size=(size, features)).tolist() for size in sizes],
        [[[float(random.integers(2)), 1.0] for _ in range(size)] for size in sizes],
        mean,
    )


def test_one_change_is_found_between_two_lines() -> None:
    """Heights 3 and 1, slopes 0 and 1: the second is better from γ = 2 on.  Only the second is right."""
    lists = problem([[[3.0, 0.0], [1.0, 1.0]]], [[[0.0, 1.0], [1.0, 1.0]]], mean)
    assert lists.best(np.array([1.0, 1.9])).tolist() == [0]
    assert lists.best(np.array([1.0, 2.1])).tolist() == [1]
    gamma, value = mert._search(lists, np.array([1.0, 0.0]), np.array([0.0, 1.0]))
    assert (gamma, value) == (3.0, 1.0)


def test_the_middle_of_the_best_interval_is_taken() -> None:
    """Three lines in turn, changing at γ = 0 and γ = 4; only the second is right."""
    lists = problem([[[0.0, -1.0], [0.0, 0.0], [-4.0, 1.0]]], [[[0.0, 1.0], [1.0, 1.0], [0.0, 1.0]]], mean)
    assert mert._search(lists, np.array([1.0, 0.0]), np.array([0.0, 1.0])) == (2.0, 1.0)


@settings(deadline=None)
@given(st.integers(0, 10_000))
def test_no_point_of_a_line_is_better_than_the_one_found(seed: int) -> None:
    lists = drawn(seed)
    random = np.random.default_rng(seed + 1)
    weights, direction = random.normal(size=(2, 3))
    gamma, value = mert._search(lists, weights, direction)
    assert lists.score(weights + gamma * direction) == pytest.approx(value)
    grid = np.linspace(-20, 20, 2001)
    assert max(lists.score(weights + g * direction) for g in grid) <= value + 1e-12


def test_padding_is_never_chosen() -> None:
    lists = problem([[[-5.0]], [[-1.0], [-2.0], [-3.0]]], [[[1.0, 1.0]], [[0.0, 1.0], [0.0, 1.0], [1.0, 1.0]]], mean)
    assert lists.best(np.array([1.0])).tolist() == [0, 0]
    assert lists.score(np.array([-1.0])) == 1.0
    assert mert.maximize(lists, [1.0], restarts=0, seed=1) == ((-1.0,), 1.0)


def test_the_weights_are_normalised_and_reach_the_score_they_are_given_with() -> None:
    for seed in range(5):
        lists = drawn(seed, lines=30)
        weights, score = mert.maximize(lists, [1.0, 1.0, 1.0], restarts=2, seed=seed)
        assert sum(map(abs, weights)) == pytest.approx(1, abs=1e-5)
        assert lists.score(np.array(weights)) == score
        assert score >= lists.score(np.ones(3))
        assert weights == tuple(float(f"{weight:.6g}") for weight in weights)


def test_the_same_seed_finds_the_same_and_more_restarts_no_less() -> None:
    lists = drawn(3, lines=40)
    found = [mert.maximize(lists, [1.0, 0.0, 0.0], restarts=restarts, seed=5) for restarts in (0, 3, 3, 8)]
    assert found[1] == found[2]
    assert found[0][1] <= found[1][1] <= found[3][1]


def test_scaling_a_feature_does_not_hide_it() -> None:
    """A feature a million times as large as the other is right alone only with a weight a million times as small."""
    random = np.random.default_rng(1)
    right = random.integers(2, size=(50, 4)).astype(float)
    other = random.normal(size=(50, 4))
    features = np.stack([1e6 * other, right - 1e-3 * other], axis=-1)
    lists = problem(features.tolist(), np.stack([right, np.ones_like(right)], axis=-1).tolist(), mean)
    _, score = mert.maximize(lists, [1.0, 1.0], restarts=2, seed=1)
    assert score == (right.max(axis=1)).mean()


def test_features_that_never_differ_leave_the_start() -> None:
    lists = problem([[[1.0], [1.0]]], [[[1.0, 1.0], [0.0, 1.0]]], mean)
    assert mert.maximize(lists, [1.0], restarts=1, seed=1) == ((1.0,), 1.0)
    assert mert.maximize(lists, [0.0], restarts=0, seed=1)[0] == (0.0,)
