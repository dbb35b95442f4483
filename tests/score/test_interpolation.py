"""Mixtures, and the weights that suit a text best."""

from __future__ import annotations

import math

import numpy as np
import pytest

from rnntool.score.interpolation import TOLERANCE, fit_linear, linear, log_linear


def log(*rows: list[float]) -> np.ndarray:
    with np.errstate(divide="ignore"):
        return np.log(np.array(rows))


def test_shares_of_probabilities_are_added() -> None:
    """¼ · 0.5 + ¾ · 0.1 = 0.2; ¼ · 0 + ¾ · 0.4 = 0.3; nothing of nothing."""
    mixed = linear(log([0.5, 0, 0], [0.1, 0.4, 0]), (0.25, 0.75))
    np.testing.assert_allclose(mixed, [math.log(0.2), math.log(0.3), -math.inf])
    np.testing.assert_allclose(
        linear(np.array([[-2000.0], [-2001.0]]), (0.5, 0.5)), -2000 + math.log(0.5 + 0.5 / math.e)
    )


def test_powers_of_probabilities_are_multiplied() -> None:
    """√(0.4 · 0.1) = 0.2; x⁰ is 1 of zero, too."""
    both = log([0.4, 0], [0.1, 0.5])
    np.testing.assert_allclose(log_linear(both, (0.5, 0.5)), [math.log(0.2), -math.inf])
    np.testing.assert_allclose(log_linear(both, (0, 1)), np.log([0.1, 0.5]))


def test_the_log_linear_mixture_is_a_lower_bound() -> None:
    """Over all words it sums to at most one, so that dividing by the sum can only raise it."""
    random = np.random.default_rng(1)
    for _ in range(100):
        distributions = np.log(random.dirichlet(np.full(20, 0.3), size=3) + 1e-300)
        weights = random.dirichlet(np.ones(3))
        assert np.exp(log_linear(distributions, weights)).sum() <= 1 + 1e-12


def test_fitted_weights_are_those_of_a_hand_calculation() -> None:
    """Two tokens with (0.5, 0.1), one with (0.1, 0.5).

    The derivative of 2 log(0.1 + 0.4 λ) + log(0.5 − 0.4 λ) is zero where 2 (0.5 − 0.4 λ) = 0.1 + 0.4 λ: λ = 0.75.
    """
    fit = fit_linear(log([0.5, 0.5, 0.1], [0.1, 0.1, 0.5]))
    assert fit.weights == pytest.approx((0.75, 0.25), abs=1e-4)


def test_no_weights_nearby_are_better_than_the_tolerance() -> None:
    random = np.random.default_rng(1)
    log_probs = np.log(random.beta(0.5, 3, size=(3, 500)))
    fit = fit_linear(log_probs)
    best = linear(log_probs, fit.weights).mean()
    assert sum(fit.weights) == pytest.approx(1)
    for _ in range(200):
        others = np.abs(np.array(fit.weights) + 0.02 * random.standard_normal(3))
        assert linear(log_probs, (others / others.sum()).tolist()).mean() <= best + TOLERANCE


def test_a_stream_that_helps_nobody_gets_nothing_and_the_only_one_all() -> None:
    better, worse = [0.5, 0.4, 0.3], [0.1, 0.2, 0.1]
    assert fit_linear(log(better, worse)).weights == pytest.approx((1, 0), abs=1e-6)
    assert fit_linear(log(worse)).weights == (1,)


def test_a_stream_that_alone_knows_a_token_keeps_a_share() -> None:
    """3 log(0.01 + 0.49 λ) + log(0.01 (1 − λ)) is highest where 1.47 (1 − λ) = 0.01 + 0.49 λ: λ = 1.46 / 1.96."""
    fit = fit_linear(log([0.5, 0.5, 0.5, 0], [0.01, 0.01, 0.01, 0.01]))
    assert fit.weights[0] == pytest.approx(1.46 / 1.96, abs=1e-4)


def test_equal_streams_share_equally() -> None:
    assert fit_linear(log([0.2, 0.4], [0.2, 0.4])).weights == (0.5, 0.5)
