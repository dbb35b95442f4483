"""Add-k: every word is counted k times more often than it was seen.

    P(w | h) = (c(h w) + k) / (c(h) + k V)

for w seen after h.  What this leaves for words not seen is shared out as the order below would, with the back-off weight

    b(h) = (1 − Σ P(w | h)) / (1 − Σ P(w | h'))        over the words w seen after h

In order 1 it is the same for all of them.  With k = 1 this is Laplace's rule of succession.  It is here for the textbook;
why it is no good: Gale and Church 1994, "What is wrong with adding one?"
"""

from __future__ import annotations

import numpy as np

from rnntool.ngram.smoothing import Level, Smoothed

NOTHING = 1e-9
"""Below this, what is left of a sum of probabilities is rounding."""


class AddK:
    """Add-k smoothing.

    Args:
        k: above 0.
    """

    counts_histories = False

    def __init__(self, k: float) -> None:
        self.k = k

    def smooth(self, level: Level) -> Smoothed:
        """As `Smoothing.smooth`."""
        totals = level.sums(level.counts) + self.k * level.vocab_size
        probs = (level.counts + self.k) / totals[level.histories]
        left = 1 - level.sums(probs * level.stays)
        left_below = 1 - level.sums(level.below * level.stays)
        has_rest = left_below > NOTHING
        backoffs = np.divide(left, left_below, out=np.ones_like(left), where=has_rest)
        return Smoothed(probs, np.maximum(backoffs, 0), {"k": self.k})
