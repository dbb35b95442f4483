"""The hypothesis of least risk: the one that is, on the whole, most like all the others.

    P(h)  ∝  exp(scale · score(h))                        over the hypotheses of the list
    best  =  argmax_h Σ_r P(r) · metric(h, reference r)    metric: BLEU or chrF of the sentence

Source: Kumar and Byrne 2004, "Minimum Bayes-Risk Decoding for Statistical Machine Translation".
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rnntool.score.overlap import PAIRWISE, Array


def posterior(scores: Sequence[float], scale: float) -> Array:
    """(K,) probabilities of hypotheses.

    Args:
        scores: natural logarithms, up to a constant.
        scale: 0 makes all alike; the greater, the more the best one counts.
    """
    values = np.asarray(scores, dtype=np.float64)
    with np.errstate(over="ignore"):  # what is past all floats has no probability
        behind = np.maximum(values - values.max(), np.finfo(np.float64).min)
        weights = np.exp(scale * behind)
    normalized: Array = weights / weights.sum()
    return normalized


def expected(metric: str, segments: Sequence[str], probabilities: Array) -> Array:
    """(K,) the expected score of each hypothesis.

    Args:
        metric: a name of `PAIRWISE`.
        segments: the hypotheses as the metric compares them; those that are spelled alike are compared once.
        probabilities: (K,) of the hypotheses as references.
    """
    places: dict[str, int] = {}
    kind = np.array([places.setdefault(segment, len(places)) for segment in segments])
    mass = np.bincount(kind, weights=probabilities)
    return np.asarray((PAIRWISE[metric](list(places)) @ mass)[kind])
