"""What all ways of smoothing share: from the counts of one order, and what the order below says, to its probabilities.

An interpolated one takes something from every count and gives it to all words, as the order below would:

    P(w | h) = kept(h w) / total(h)  +  γ(h) P(w | h')        h' is h without its first word
    γ(h)     = 1 − Σ_w kept(h w) / total(h)

An n-gram that is pruned has kept nothing; its share goes into γ with the rest, so that the sum stays 1.  γ is the back-off
weight of h, too: what is not in the model has only the second part.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from rnntool.ngram.grams import Places

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Level:
    """The n-grams of one order, before smoothing.

    Args:
        order: n.
        counts: of each.
        evidence: what counts of counts are taken of: the counts, but for an oddity; see `adjusted`.
        histories: where the history of each is.
        num_histories: how many there are in the order below.
        below: P(w | h') of each.
        stays: which are not pruned.
        vocab_size: V, the words that are predicted.
    """

    order: int
    counts: NDArray[np.int64]
    evidence: NDArray[np.int64]
    histories: Places
    num_histories: int
    below: Floats
    stays: NDArray[np.bool_]
    vocab_size: int

    @property
    def name(self) -> str:
        """As messages have it."""
        return f"{self.order}-grams"

    def sums(self, values: NDArray[np.float64] | NDArray[np.int64] | NDArray[np.bool_]) -> Floats:
        """Of a value of each n-gram, the sum over those with the same history."""
        return np.bincount(self.histories, values, self.num_histories).astype(np.float64)


@dataclass(frozen=True)
class Smoothed:
    """The n-grams of one order, after it.

    Args:
        probs: P(w | h) of each.
        backoffs: what P(w | h') is multiplied with for the words that are not there, for each history.
        parameters: what was estimated, by name.
    """

    probs: Floats
    backoffs: Floats
    parameters: dict[str, float] = field(default_factory=dict)


class Smoothing(Protocol):
    """A way of smoothing."""

    @property
    def counts_histories(self) -> bool:
        """Whether below the highest order an n-gram counts once for every different word before it."""
        ...

    def smooth(self, level: Level) -> Smoothed:
        """The probabilities of one order."""
        ...


def interpolated(level: Level, kept: Floats, totals: Floats) -> Smoothed:
    """Interpolate with the order below.

    Args:
        level: the order.
        kept: what is left of the count of each n-gram.
        totals: what it is divided by, for each history.
    """
    missing = totals - level.sums(kept * level.stays)
    backoffs = np.divide(missing, totals, out=np.ones_like(totals), where=totals > 0)
    own = np.divide(kept, totals[level.histories], out=np.zeros_like(kept), where=kept > 0)
    return Smoothed(own + backoffs[level.histories] * level.below, backoffs)
