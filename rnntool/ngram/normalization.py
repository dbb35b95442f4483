"""Whether the probabilities of n-grams are probabilities: Σ_w P(w | h) = 1 for every history h."""

from __future__ import annotations

import numpy as np

from rnntool.ngram.forest import Forest
from rnntool.ngram.model import NgramModel

TOLERANCE = 1e-4
"""Largest deviation from one that numbers of five digits, which some programs write, explain."""


def deviation_from_one(model: NgramModel, *, num_contexts: int = 64, seed: int = 1) -> float:
    """The largest |Σ_w P(w | h) − 1| over histories: the beginning of a line, and n-grams of the model drawn at random."""
    order = max(1, model.order - 1)
    while order > 1 and not model.grams.size(order):
        order -= 1
    places = np.random.default_rng(seed).integers(model.grams.size(order), size=num_contexts - 1)
    columns = model.grams.words(order, places)
    worst = 0.0
    for number in range(num_contexts):
        contexts = model.begin()
        for column in columns if number else []:
            word = column[number - 1 : number]
            contexts = model.begin() if word == model.grams.bos_id else model.after(contexts, word)
        total = float(np.exp(model.next_log_probs(contexts)).sum())
        worst = max(worst, abs(total - 1))
    return worst


def forest_deviation_from_one(forest: Forest, *, num_contexts: int = 4, seed: int = 1) -> float:
    """The same of a forest, which is asked for every word after beginnings of lines of 0, 1, 2, ... words."""
    vocabulary = forest.vocabulary
    prefix = np.random.default_rng(seed).integers(len(vocabulary), size=num_contexts - 1).tolist()
    worst = 0.0
    for length in range(num_contexts):
        before = prefix[:length]
        after = [word for word in range(len(vocabulary)) if word != vocabulary.eos_id]
        scored = forest.log_probs([before, *([*before, word] for word in after)])
        total = sum(float(np.exp(line[length])) for line in scored)
        worst = max(worst, abs(total - 1))
    return worst
