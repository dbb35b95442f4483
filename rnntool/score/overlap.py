"""BLEU and chrF of many texts at once, from their statistics; and of every hypothesis of a list against every other.

    BLEU = BP · exp(1/N Σ_n log p_n)      p_n = matches_n / n-grams_n of the hypothesis,  n = 1 … 4
           BP = min(1, exp(1 − r/c))      c, r: words of hypothesis and reference
    chrF = (1 + β²) P R / (β² P + R)      P, R: means over n of matches_n / n-grams_n of hypothesis, of reference

Statistics lie in the last axis, as `rnntool.score.bleu.statistics` gives them.  sacreBLEU computes the same numbers one
text at a time, and is what the tests compare with; searching for weights asks for some ten thousand texts, and a list of
a hundred hypotheses has ten thousand pairs.

Source: sacreBLEU 2.6, whose conventions for counts of zero these are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

BLEU_ORDER = 4
CHRF_ORDER = 6
CHRF_BETA = 2
COLUMNS = 4096
"""n-grams that are compared at once; bounds memory."""


def bleu(statistics: Array, *, effective_order: bool = False) -> Array:
    """BLEU with sacreBLEU's default smoothing, from 0 to 100.

    Args:
        statistics: (…, 2 + 2 N) lengths of hypothesis and reference, matches, n-grams of the hypothesis.
        effective_order: leave orders out of the mean for which the hypothesis is too short, as for single sentences.

    Returns:
        (…).
    """
    order = (statistics.shape[-1] - 2) // 2
    hyp_length, ref_length = statistics[..., 0], statistics[..., 1]
    matches, totals = statistics[..., 2 : 2 + order], statistics[..., 2 + order :]
    has_ngrams = np.cumprod(totals > 0, axis=-1) > 0  # (…, N)
    # The k-th order without a match counts as one match of 2^k.
    halvings = np.cumsum(has_ngrams & (matches == 0), axis=-1)
    counted = np.where(matches > 0, matches, 0.5**halvings)
    log_precisions = np.log(np.where(has_ngrams, counted, 1.0) / np.where(has_ngrams, totals, 1.0))
    with np.errstate(divide="ignore", invalid="ignore"):
        log_penalty = np.minimum(0.0, 1 - ref_length / hyp_length)
        orders = has_ngrams.sum(axis=-1) if effective_order else float(order)
        scores = 100 * np.exp(log_penalty + log_precisions.sum(axis=-1) / orders)
    is_zero = ~matches.any(axis=-1)
    if not effective_order:
        is_zero |= ~has_ngrams.all(axis=-1)
    return np.where(is_zero, 0.0, scores)


def chrf(statistics: Array, *, beta: int = CHRF_BETA) -> Array:
    """chrF, from 0 to 100.

    Args:
        statistics: (…, 3 N) n-grams of the hypothesis, of the reference, and matches, for each order.
        beta: how many times as much recall weighs as precision.

    Returns:
        (…).
    """
    hyp, ref, matches = (statistics[..., part::3] for part in range(3))  # (…, N)
    counts = (hyp > 0) & (ref > 0)
    orders = np.maximum(counts.sum(axis=-1), 1)
    precision = (np.where(counts, matches, 0.0) / np.where(counts, hyp, 1.0)).sum(axis=-1) / orders
    recall = (np.where(counts, matches, 0.0) / np.where(counts, ref, 1.0)).sum(axis=-1) / orders
    denominator = beta**2 * precision + recall
    scores: Array = 100 * (1 + beta**2) * precision * recall / np.where(denominator > 0, denominator, 1.0)
    return scores


def pairwise_bleu(segments: Sequence[str]) -> Array:
    """(K, K) BLEU of sentence i with sentence j as its reference.

    Args:
        segments: K sentences, words separated by white space.
    """
    words = [segment.split() for segment in segments]
    totals, matches = _matches(words, BLEU_ORDER)
    lengths = np.array([len(sentence) for sentence in words], dtype=np.float64)
    pairs = len(words), len(words)
    statistics = np.empty((*pairs, 2 + 2 * BLEU_ORDER))
    statistics[..., 0] = lengths[:, None]
    statistics[..., 1] = lengths
    statistics[..., 2 : 2 + BLEU_ORDER] = matches
    statistics[..., 2 + BLEU_ORDER :] = totals[:, None]
    return bleu(statistics, effective_order=True)


def pairwise_chrf(segments: Sequence[str]) -> Array:
    """(K, K) chrF of sentence i with sentence j as its reference, n-grams of characters only."""
    characters = ["".join(segment.split()) for segment in segments]
    totals, matches = _matches(characters, CHRF_ORDER)
    statistics = np.empty((len(characters), len(characters), 3 * CHRF_ORDER))
    statistics[..., 0::3] = totals[:, None]
    statistics[..., 1::3] = totals
    statistics[..., 2::3] = matches
    return chrf(statistics)


PAIRWISE: dict[str, Callable[[Sequence[str]], Array]] = {"bleu": pairwise_bleu, "chrf": pairwise_chrf}
"""Metric → the scores of all pairs of sentences."""

OF_TEXTS: dict[str, Callable[[Array], Array]] = {"bleu": bleu, "chrf": chrf}
"""Metric → the scores of texts, from sums of statistics of their lines."""


def _matches(sentences: Sequence[Sequence[str]], order: int) -> tuple[Array, Array]:
    """The n-grams that sentences have in common.

    Args:
        sentences: K sequences of words, or of characters.
        order: N, longest n-gram.

    Returns:
        (K, N) n-grams of each, and (K, K, N) those that two share, each as often as in the one that has fewer.
    """
    totals = np.array([[max(0, len(s) + 1 - n) for n in range(1, order + 1)] for s in sentences], dtype=np.float64)
    matches = np.empty((len(sentences), len(sentences), order))
    for n in range(1, order + 1):
        matches[..., n - 1] = _shared(sentences, n)
    return totals, matches


def _shared(sentences: Sequence[Sequence[str]], n: int) -> Array:
    """(K, K) Σ over n-grams of min(count in i, count in j) = Σ_t Σ over n-grams of [count in i ≥ t] [count in j ≥ t]."""
    ids: dict[Sequence[str], int] = {}
    rows, columns = [], []
    for row, sentence in enumerate(sentences):
        grams = sentence if n == 1 else [sentence[at : at + n] for at in range(len(sentence) + 1 - n)]
        for gram in grams:
            key = gram if isinstance(gram, str) else tuple(gram)
            columns.append(ids.setdefault(key, len(ids)))
            rows.append(row)
    counts = np.zeros((len(sentences), min(COLUMNS, max(1, len(ids)))), dtype=np.float32)
    shared = np.zeros((len(sentences), len(sentences)))
    row_of, column_of = np.array(rows, dtype=np.intp), np.array(columns, dtype=np.intp)
    for first in range(0, len(ids), COLUMNS):
        here = (column_of >= first) & (column_of < first + COLUMNS)
        counts[:] = 0
        np.add.at(counts, (row_of[here], column_of[here] - first), 1)
        threshold = 1
        while (reached := (counts >= threshold).astype(np.float32)).any():
            shared += reached @ reached.T
            threshold += 1
    return shared
