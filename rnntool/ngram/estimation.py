"""From counts to a model, order by order: what is left of the counts, smoothed with the order below."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rnntool.ngram.adjusted import adjusted, last_in_kenlm, suffixes_of
from rnntool.ngram.counts import Counts
from rnntool.ngram.model import ZERO, NgramModel
from rnntool.ngram.pruning import staying
from rnntool.ngram.smoothing import Floats, Level, Smoothing
from rnntool.text.vocabulary import Vocabulary


@dataclass(frozen=True)
class Estimate:
    """A model, and what was estimated for it.

    Args:
        model: the model.
        found: n-grams before pruning, by order from 1 on.
        parameters: those of the smoothing, by order.
    """

    model: NgramModel
    found: tuple[int, ...]
    parameters: tuple[dict[str, float], ...]


def estimate(
    counts: Counts,
    vocabulary: Vocabulary,
    smoothing: Smoothing,
    *,
    thresholds: Sequence[int],
    interpolate_unigrams: bool = True,
    appearance: NDArray[np.int64] | None = None,
) -> Estimate:
    """The model of a text.

    Args:
        counts: of the text.
        vocabulary: what its ids are.
        smoothing: the way.
        thresholds: of each order: n-grams that occur no more often are left out (`pruning.thresholds`).
        interpolate_unigrams: whether what smoothing takes from the words goes to all of them alike, or to `<unk>` alone,
            as in SRILM.
        appearance: for each id a number that rises in the order in which they first came, to agree with KenLM; None if
            that is not known.
    """
    grams = counts.grams
    stays = staying(counts, thresholds)
    suffixes = suffixes_of(grams)
    numbers = adjusted(counts, suffixes) if smoothing.counts_histories else list(counts.occurrences)
    numbers[0] = np.where(suffixes[0] == grams.bos_id, 0, numbers[0])  # nothing predicts `<s>`
    lasts = [] if appearance is None else last_in_kenlm(grams, suffixes, appearance)
    below = _order_0(vocabulary, uniform=interpolate_unigrams)
    log10_probs, log10_backoffs, parameters = [], [], []
    for order in range(1, grams.order + 1):
        evidence = numbers[order - 1]
        if order <= len(lasts):
            evidence = evidence.copy()
            evidence[lasts[order - 1]] = counts.occurrences[order - 1][lasts[order - 1]]
        level = Level(
            order=order,
            counts=numbers[order - 1],
            evidence=evidence,
            histories=grams.histories(order),
            num_histories=grams.size(order - 1) if order > 1 else 1,
            below=below[suffixes[order - 1]],
            stays=stays[order - 1],
            vocab_size=len(vocabulary),
        )
        smoothed = smoothing.smooth(level)
        below = smoothed.probs
        log10_probs.append(np.minimum(_log10(smoothed.probs[level.stays]), 0))  # rounding may have led past 1
        if order > 1:
            log10_backoffs.append(_log10(smoothed.backoffs[stays[order - 2]]))
        parameters.append(smoothed.parameters)
    log10_probs[0][grams.bos_id] = ZERO
    model = NgramModel(vocabulary, grams.pruned(stays), tuple(log10_probs), tuple(log10_backoffs))
    found = tuple(map(grams.size, range(1, grams.order + 1)))
    return Estimate(model, found, tuple(parameters))


def _order_0(vocabulary: Vocabulary, *, uniform: bool) -> Floats:
    """What is said of each word, `<s>` too, before any was counted."""
    probs = np.full(len(vocabulary) + 1, 1 / len(vocabulary) if uniform else 0.0)
    if not uniform:
        probs[vocabulary.unk_id] = 1
    return probs


def _log10(values: Floats) -> Floats:
    """The logarithms, and `ZERO` of 0."""
    return np.log10(np.maximum(values, 10**ZERO))
