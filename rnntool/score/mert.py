"""Weights of features that make the best lines of n-best lists score highest: minimum error rate training.

    w* = argmax_w  metric( Σ_s statistics of argmax_h w · f_sh )      h: a hypothesis for line s, f: its features

The metric of a text is no smooth function of w, but along a line w + γ d it is constant between the places where some
line's best hypothesis changes, and these can be found exactly: each hypothesis is a straight line in γ, and the best ones
are the upper envelope of them.  So every search along a line finds the best γ of all.  A point is improved along the axes
and some random directions, always by the best of these steps, until none improves it; the best of several starting points
is the result.

Features are handed over in one array for all lines, padded.  Everything drawn at random comes from the seed.

Source: Och 2003, "Minimum Error Rate Training in Statistical Machine Translation" (the envelope); Cer, Jurafsky and
Manning 2008, "Regularization and Search for Minimum Error Rate Training" (random directions).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rnntool.score.overlap import Array

DIGITS = 6
"""Of a weight; the lines are those that the weights choose as they are printed."""


NARROW = 1e-9
"""Width of an interval, for a γ of 1, below which rounding decides what is best in its middle."""


@dataclass(frozen=True)
class Problem:
    """N-best lists as arrays.

    Args:
        features: (S, K, D) of hypothesis k for line s; zeros where there is none.
        statistics: (S, K, M) of the metric; zeros where there is none.
        is_there: (S, K) whether there is a hypothesis; at least one for each line.
        metric: from sums (…, M) of statistics to scores (…), higher being better.
    """

    features: Array
    statistics: Array
    is_there: NDArray[np.bool_]
    metric: Callable[[Array], Array]

    def best(self, weights: Array) -> NDArray[np.intp]:
        """(S,) the best hypothesis of each line; the first of equally good ones."""
        return np.asarray(np.where(self.is_there, self.features @ weights, -np.inf).argmax(axis=1))

    def score(self, weights: Array) -> float:
        """The metric of the best hypotheses."""
        chosen = self.best(weights)
        return float(self.metric(self.statistics[np.arange(len(chosen)), chosen].sum(axis=0)))


def problem(
    features: Sequence[Sequence[Sequence[float]]],
    statistics: Sequence[Sequence[Sequence[float]]],
    metric: Callable[[Array], Array],
) -> Problem:
    """The arrays of lists of features and of statistics, both for each hypothesis of each line.

    Of hypotheses with the same features the first counts, since no weights choose another.
    """
    lengths = np.array([len(each) for each in features])
    is_there = np.arange(lengths.max()) < lengths[:, None]

    def padded(ragged: Sequence[Sequence[Sequence[float]]]) -> Array:
        array = np.zeros((*is_there.shape, len(ragged[0][0])))
        array[is_there] = [row for rows in ragged for row in rows]
        return array

    found = Problem(padded(features), padded(statistics), is_there, metric)
    for line, rows in enumerate(features):
        seen: set[tuple[float, ...]] = set()
        for place, row in enumerate(map(tuple, rows)):
            found.is_there[line, place] = row not in seen  # rounding would else decide between equals
            seen.add(row)
    return found


def maximize(problem: Problem, start: Sequence[float], *, restarts: int, seed: int) -> tuple[tuple[float, ...], float]:
    """The best weights found.

    Args:
        problem: the lists.
        start: (D,) a point to begin from.
        restarts: how many more starting points are drawn at random.
        seed: of all draws.

    Returns:
        Weights whose absolute values sum to one, of `DIGITS` digits, and the metric that they reach.
    """
    scale = _scale(problem)
    best_weights, best_score = _normalized(np.asarray(start, dtype=np.float64)), -np.inf
    for place in range(1 + restarts):
        random = np.random.default_rng((seed, place))  # so that more restarts begin with those of fewer
        point = np.asarray(start, dtype=np.float64) if place == 0 else random.normal(size=len(scale)) / scale
        weights = _normalized(_climb(problem, point, scale, random))
        score = problem.score(weights)
        if score > best_score:
            best_weights, best_score = weights, score
    return tuple(best_weights.tolist()), best_score


def _scale(problem: Problem) -> Array:
    """(D,) how widely each feature is spread within a list; 1 if it is not."""
    present = problem.is_there[..., None]
    counts = present.sum(axis=1)
    means = problem.features.sum(axis=1) / counts
    squares = np.where(present, problem.features - means[:, None], 0.0) ** 2
    spread = np.sqrt(squares.sum(axis=(0, 1)) / counts.sum())
    return np.where(spread > 0, spread, 1.0)


def _normalized(weights: Array) -> Array:
    size = np.abs(weights).sum()
    rounded = [float(f"{weight:.{DIGITS}g}") for weight in (weights / size if size > 0 else weights)]
    return np.array(rounded) + 0.0  # no -0


def _climb(problem: Problem, weights: Array, scale: Array, random: np.random.Generator) -> Array:
    """The end of the best steps from a point."""
    score = problem.score(weights)
    while True:
        directions = np.concatenate([np.eye(len(scale)), random.normal(size=(len(scale), len(scale)))]) / scale
        steps = [_search(problem, weights, direction) for direction in directions]
        at = max(range(len(steps)), key=lambda step: steps[step][1])
        candidate = weights + steps[at][0] * directions[at]
        reached = problem.score(candidate)
        if not reached > score:  # where two changes are next to each other, rounding may miss what lies between
            return weights
        weights, score = candidate, reached


def _search(problem: Problem, weights: Array, direction: Array) -> tuple[float, float]:
    """The γ at which weights + γ · direction is best, in the middle of its interval, and the metric there."""
    gammas, changes, first = _envelope(problem, problem.features @ weights, problem.features @ direction)
    order = np.argsort(gammas, kind="stable")
    gammas = gammas[order]
    sums = first + np.concatenate([np.zeros((1, len(first))), np.cumsum(changes[order], axis=0)])
    ends = np.concatenate([[-np.inf], gammas, [np.inf]])  # interval i lies between ends i and i + 1
    is_wide = ends[1:] - ends[:-1] > NARROW * np.maximum(1, np.abs(ends[1:]))
    is_wide[[0, -1]] = True  # without an end on one side
    values = np.where(is_wide, problem.metric(sums), -np.inf)
    at = int(values.argmax())
    return _middle(float(ends[at]), float(ends[at + 1])), float(values[at])


def _middle(low: float, high: float) -> float:
    if np.isinf(low) and np.isinf(high):
        return 0.0
    if np.isinf(low):
        return high - 1.0
    return low + 1.0 if np.isinf(high) else (low + high) / 2


def _envelope(problem: Problem, heights: Array, slopes: Array) -> tuple[Array, Array, Array]:
    """Where the best hypothesis of a line changes as γ rises from -∞ to ∞.

    Args:
        problem: the lists.
        heights: (S, K) of the hypotheses at γ = 0.
        slopes: (S, K) how much γ raises them.

    Returns:
        (N,) places of changes, (N, M) what each adds to the statistics, and (M,) the statistics before all changes.
    """
    lines = np.arange(len(heights))
    lowest = np.where(problem.is_there, slopes, np.inf).min(axis=1, keepdims=True)
    current = np.where(problem.is_there & (slopes == lowest), heights, -np.inf).argmax(axis=1)
    first = problem.statistics[lines, current].sum(axis=0)
    gammas: list[Any] = []
    changes: list[Any] = []
    while len(lines):
        steeper = slopes[lines] - slopes[lines, current][:, None]
        is_next = problem.is_there[lines] & (steeper > 0)
        fall = heights[lines, current][:, None] - heights[lines]
        crossings = np.where(is_next, fall / np.where(is_next, steeper, 1.0), np.inf)
        nearest = crossings.min(axis=1)
        # Of those that cross at once, the steepest goes on.
        following = np.where(crossings == nearest[:, None], steeper, -np.inf).argmax(axis=1)
        goes_on = np.isfinite(nearest)
        lines, current, following = lines[goes_on], current[goes_on], following[goes_on]
        gammas.append(nearest[goes_on])
        changes.append(problem.statistics[lines, following] - problem.statistics[lines, current])
        current = following
    if not gammas:
        return np.empty(0), np.empty((0, len(first))), first
    return np.concatenate(gammas), np.concatenate(changes), first
