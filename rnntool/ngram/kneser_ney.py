"""Kneser-Ney, interpolated: absolute discounts, and lower orders that count histories instead of occurrences.

    P(w | h) = (c(h w) − D(c(h w))) / c(h)  +  γ(h) P(w | h')

c is the number of occurrences in the highest order, and of n-grams that begin with `<s>`, which nothing can stand before;
elsewhere the number of different words before the n-gram.

Source: Kneser and Ney 1995, "Improved backing-off for m-gram language modeling"; Chen and Goodman 1998 for three discounts
and for the interpolation.  As in KenLM (Heafield et al. 2013), discounts are estimated from what is there before pruning.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from rnntool.ngram import discounts
from rnntool.ngram.smoothing import Level, Smoothed, interpolated


class KneserNey:
    """Kneser-Ney smoothing.

    Args:
        modified: whether counts of 1, 2, and 3 or more have discounts of their own.
    """

    counts_histories = True

    def __init__(self, *, modified: bool) -> None:
        self.modified = modified

    def smooth(self, level: Level) -> Smoothed:
        """As `Smoothing.smooth`."""
        estimate = discounts.modified if self.modified else discounts.plain
        taken = estimate(level.evidence, level.name)
        kept = level.counts - taken[np.minimum(level.counts, 3)]
        named = {"D1": taken[1], "D2": taken[2], "D3": taken[3]} if self.modified else {"D": taken[1]}
        return replace(interpolated(level, kept, level.sums(level.counts)), parameters=named)
