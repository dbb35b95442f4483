"""What absolute discounting takes from a count, estimated from how many n-grams occur once, twice, three and four times.

    Y    = n₁ / (n₁ + 2 n₂)
    D_j  = j − (j + 1) Y n_{j+1} / n_j        modified Kneser-Ney: for counts of 1, 2, and 3 or more
    D    = Y                                  Kneser-Ney: for all counts

In text that is small, or not natural, some n_j is 0, or a discount is more than there is to take; then `FALLBACK` holds for
all counts of that order.

Source: Chen and Goodman 1998, "An Empirical Study of Smoothing Techniques for Language Modeling", equation (26); Ney, Essen
and Kneser 1994 for D.
"""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray

from rnntool.errors import RnntoolWarning

FALLBACK = (0.5, 1.0, 1.5)
"""KenLM's, under its --discount_fallback."""

PLAIN_FALLBACK = 0.5
"""What the first of these takes from single occurrences, which are most of what there is."""

Discounts = NDArray[np.float64]
"""(4) what is taken from counts of 0, 1, 2, and 3 or more."""


def modified(counts: NDArray[np.int64], name: str) -> Discounts:
    """The three discounts of modified Kneser-Ney.

    Args:
        counts: of all n-grams of one order.
        name: of the order, for a warning.
    """
    n = np.bincount(np.minimum(counts, 5), minlength=6).tolist()
    if not all(n[1:4]):
        return _fallback(name, _missing(n[1:4]), FALLBACK)
    y = n[1] / (n[1] + 2 * n[2])
    found = [j - (j + 1) * y * n[j + 1] / n[j] for j in (1, 2, 3)]
    for j, discount in enumerate(found, 1):
        if not 0 <= discount <= j:
            return _fallback(name, f"{discount:.2f} would be taken from counts of {j}", FALLBACK)
    return np.array([0, *found])


def plain(counts: NDArray[np.int64], name: str) -> Discounts:
    """The one discount of Kneser-Ney, three times.

    Args:
        counts: of all n-grams of one order.
        name: of the order, for a warning.
    """
    n = np.bincount(np.minimum(counts, 3), minlength=4).tolist()
    if not all(n[1:3]):
        return _fallback(name, _missing(n[1:3]), (PLAIN_FALLBACK,) * 3)
    return np.array([0] + [n[1] / (n[1] + 2 * n[2])] * 3)


def _missing(n: list[int]) -> str:
    """Which counts, from 1 on, no n-gram has."""
    return "no counts of " + ", ".join(str(j) for j, number in enumerate(n, 1) if not number)


def _fallback(name: str, reason: str, discounts: tuple[float, float, float]) -> Discounts:
    what = f"{reason}; the discounts are {', '.join(f'{d:g}' for d in discounts)} instead of estimated ones"
    warnings.warn(RnntoolWarning(name, what), stacklevel=2)
    return np.array([0, *discounts])
