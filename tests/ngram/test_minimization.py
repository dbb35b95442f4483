"""L-BFGS on functions whose minimum is known."""

from __future__ import annotations

from itertools import islice, pairwise

import numpy as np
import pytest

from rnntool.ngram.minimization import Floats, descend


def test_a_parabola_with_its_own_diagonal_takes_one_step() -> None:
    bends = 10.0 ** np.arange(-3, 4)
    goal = np.linspace(-1, 1, 7)

    def parabola(x: Floats) -> tuple[float, Floats]:
        return float(bends @ (x - goal) ** 2) / 2, bends * (x - goal)

    _, second = islice(descend(parabola, np.zeros(7), bends), 2)
    np.testing.assert_allclose(second.x, goal, atol=1e-12)


@pytest.mark.parametrize("seed", [1, 2])
def test_the_logarithm_of_a_sum_of_exponentials_is_brought_down_to_its_minimum(seed: int) -> None:
    """log Σ exp(a x + b) + |x|²/2: where the gradient is 0; every point is lower than the one before."""
    random = np.random.default_rng(seed)
    a, b = random.normal(size=(30, 12)) * 3, random.normal(size=30)

    def function(x: Floats) -> tuple[float, Floats]:
        z = a @ x + b
        e = np.exp(z - z.max())
        return float(np.log(e.sum()) + z.max() + x @ x / 2), a.T @ (e / e.sum()) + x

    points = list(islice(descend(function, random.normal(size=12) * 5, np.ones(12)), 200))
    values = [point.value for point in points]
    assert all(one > other for one, other in pairwise(values))
    np.testing.assert_allclose(function(points[-1].x)[1], 0, atol=1e-5)


def test_a_step_that_leads_too_far_is_halved() -> None:
    """cosh from a diagonal that is much too small: the first step would be 1000 long, and infinite."""

    def cosh(x: Floats) -> tuple[float, Floats]:
        with np.errstate(over="ignore"):
            return float(np.cosh(x).sum()), np.sinh(x)

    points = list(islice(descend(cosh, np.array([2.0]), np.array([1e-3])), 50))
    assert points[-1].x[0] == pytest.approx(0, abs=1e-6)


def test_it_ends_at_the_minimum() -> None:
    assert len(list(descend(lambda x: (float(x @ x), 2 * x), np.ones(3), np.ones(3)))) < 10
