"""Streams of log-probabilities as one, and the weights with which they go together best.

    linear       P(w) = Σ_i λ_i P_i(w)
    log-linear   P(w) = Π_i P_i(w)^λ_i / Z

with λ_i >= 0, Σ_i λ_i = 1.  Z = Σ_v Π_i P_i(v)^λ_i is a sum over all words, of which a stream has but one.  By Hölder's
inequality it is at most 1: without it, the log-linear mixture is a lower bound of each probability, and its perplexity an
upper bound.  Without Z the best weights lie all on one stream, so that only linear ones can be fitted.

Arrays are (K, N): K streams, N tokens; natural logarithms, −inf for a probability of zero.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rnntool.score.scorer import LogProbs

Weights = Sequence[float] | NDArray[np.float64]
"""λ, summing to one."""

TOLERANCE = 1e-8
"""Nats per token by which the fitted weights may miss the best."""

MOST_ITERATIONS = 10_000
"""After which a fit ends in any case."""


@dataclass(frozen=True)
class Fit:
    """Weights, and what it took to find them."""

    weights: tuple[float, ...]
    """λ, summing to one."""
    iterations: int
    """Steps of the algorithm."""


def linear(log_probs: LogProbs, weights: Weights) -> LogProbs:
    """log Σ_i λ_i exp(l_i), (N,)."""
    top = log_probs.max(axis=0)
    top[np.isneginf(top)] = 0.0
    with np.errstate(divide="ignore"):  # log 0 where no stream has a probability
        return np.asarray(top + np.log(np.asarray(weights) @ np.exp(log_probs - top)))


def log_linear(log_probs: LogProbs, weights: Weights) -> LogProbs:
    """Σ_i λ_i l_i, (N,): at most the logarithm of the mixture, whose Z is not known."""
    total = np.zeros(log_probs.shape[1])
    for row, weight in zip(log_probs, weights, strict=True):
        if weight:  # 0 · −inf is no number; x⁰ is 1
            total += weight * row
    return total


def fit_linear(log_probs: LogProbs) -> Fit:
    """The weights under which the tokens are likeliest in a linear mixture, by expectation maximisation.

        λ_i ← λ_i · g_i,   g_i = 1/N Σ_t P_i(t) / Σ_j λ_j P_j(t)

    The mean log-likelihood is concave in λ and at most log max_i g_i below its maximum, which tells when to stop.
    Source: Dempster et al. 1977; the bound: Cover 1984, "An algorithm for maximizing expected log investment return".

    Args:
        log_probs: (K, N), N at least 1; no token is impossible under all streams.
    """
    probs = np.exp(log_probs - log_probs.max(axis=0))
    num_streams, num_tokens = probs.shape
    weights = np.full(num_streams, 1 / num_streams)
    iterations = 0
    while iterations < MOST_ITERATIONS:
        gains = probs @ (1 / (weights @ probs)) / num_tokens
        if math.log(gains.max()) <= TOLERANCE:
            break
        weights *= gains
        iterations += 1
    return Fit(tuple((weights / weights.sum()).tolist()), iterations)
