"""Witten-Bell, interpolated: how often something new came after a history is how likely something new will come.

    P(w | h) = (c(h w) + T(h) P(w | h')) / (c(h) + T(h))        T(h) different words came after h

Source: Witten and Bell 1991, "The zero-frequency problem", method C; in this form Chen and Goodman 1998.  It needs no
counts of counts, and so suits text that is small, or not natural.
"""

from __future__ import annotations

from rnntool.ngram.smoothing import Level, Smoothed, interpolated


class WittenBell:
    """Witten-Bell smoothing."""

    counts_histories = False

    def smooth(self, level: Level) -> Smoothed:
        """As `Smoothing.smooth`."""
        totals = level.sums(level.counts) + level.sums(level.counts > 0)
        return interpolated(level, level.counts.astype(float), totals)
