"""The maximum-entropy model: every n-gram of the text has a weight, and those that end a history and a word are added up.

    P(w | h) = exp s(h w) / Z(h)        s(h w) = θ(h w) + s(h' w), or s(h' w) where h w is not in the text

h' is h without its first word; with no word of history left, s is the weight of the word.  The weights are those under
which the text, its n-grams' counts c discounted, is likeliest, and which a normal prior around 0 finds likely, too:

    Σ (c − D) θ − Σ_h c(h) log Z(h) − Σ θ² / 2σ²

c(h) counts the places before which h is the longest history that is known.  All of this is computed for the whole text at
once, in as many additions as there are n-grams, since n-grams are nested (Wu and Khudanpur 2000):

    Z(h) = Z(h') + Σ_w (exp s(h w) − exp s(h' w))                 w seen after h
    R(h) = c(h) / Z(h) + Σ_v R(v h)                               v seen before h
    E(h w) = exp s(h w) (R(h) − Σ_v R(v h)) + Σ_v E(v h w)        v seen before h w

E is how often the model expects an n-gram where its histories stand in the text, and c − D − E − θ/σ² the gradient.

What is not in the text has the same weights as after h', so that P(w | h) = P(w | h') Z(h') / Z(h): a back-off model.

Source: Berger, Della Pietra and Della Pietra 1996, "A maximum entropy approach to natural language processing"; Chen and
Rosenfeld 2000 for the prior; Wu and Khudanpur 2000, "Efficient training methods for maximum entropy language modeling".
Differs from the n-grams beside rnnlm's networks (Mikolov et al. 2011): those are hashed into a table, where strangers share
weights, and every word has one after every history; here no two n-grams share one, and what never occurred has none.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from rnntool.ngram.adjusted import suffixes_of
from rnntool.ngram.counts import Counts
from rnntool.ngram.estimation import Estimate
from rnntool.ngram.grams import Grams
from rnntool.ngram.minimization import descend
from rnntool.ngram.model import LN10, ZERO, NgramModel
from rnntool.ngram.pruning import staying
from rnntool.ngram.smoothing import Floats
from rnntool.text.vocabulary import Vocabulary

VARIANCES = (100.0, 8.0, 3.0, 1.5, 1.0)
"""σ², by order; the last holds for all higher ones.  Chosen on the Penn Treebank's validation text, with DISCOUNT."""

DISCOUNT = 0.2
"""D, of n-grams of two words and more: what once occurred is expected to do so 0.8 times."""

ENOUGH = 3e-5
"""It is over once an iteration brings less than this, in nats a token, on average over `LATELY` of them."""

LATELY = 10

MOST = 300
"""Iterations, at most."""

Observer = Callable[[int, float], None]
"""Told the number of every iteration and the objective in nats a token."""


class Nest:
    """N-grams and how each is in another.

    Args:
        counts: of all that occur.
        kept: of each order from 1 on, which have a weight.
    """

    def __init__(self, counts: Counts, kept: Sequence[NDArray[np.bool_]]) -> None:
        self.grams: Grams = counts.grams.pruned(kept)
        orders = range(1, self.grams.order + 1)
        self.suffixes = suffixes_of(self.grams)
        self.histories = [self.grams.histories(order) for order in orders]
        self.occurrences = [
            each[stays].astype(np.float64) for each, stays in zip(counts.occurrences, kept, strict=True)
        ]
        self.occurrences[0][self.grams.bos_id] = 0  # nothing predicts `<s>`
        self.num_tokens = float(self.occurrences[0].sum())
        self.sizes = [len(each) for each in self.occurrences]
        self.ends = np.cumsum(self.sizes)
        self.longest = self._longest(counts, kept)

    def _longest(self, counts: Counts, kept: Sequence[NDArray[np.bool_]]) -> list[Floats]:
        """c(h), for the histories of 0, 1, 2, ... words."""
        before = [np.array([self.num_tokens])]  # how many words come after each, whatever stands before it
        for order in range(2, self.grams.order + 1):
            whole = np.bincount(
                counts.grams.histories(order), counts.occurrences[order - 1], counts.grams.size(order - 1)
            )
            before.append(whole[kept[order - 2]].astype(np.float64))
        longest = [each.copy() for each in before]
        for length in range(len(before) - 1):
            longest[length] -= self.up(length + 1, before[length + 1])
        return longest

    def split(self, x: Floats) -> list[Floats]:
        """One number for each n-gram of all orders, order by order."""
        return np.split(x, self.ends[:-1])

    def down(self, length: int, values: Floats) -> Floats:
        """The value of h', for each history h of `length` words, at least 1."""
        return np.full(self.sizes[0], values[0]) if length == 1 else values[self.suffixes[length - 1]]

    def up(self, length: int, values: Floats) -> Floats:
        """Of values of histories of `length` words, at least 1, the sum over those with the same h'."""
        if length == 1:
            return np.array([values.sum()])
        sums: Floats = np.bincount(self.suffixes[length - 1], values, self.sizes[length - 2]).astype(
            np.float64, copy=False
        )
        return sums

    def after(self, order: int, values: Floats) -> Floats:
        """Of values of n-grams, the sum over those with the same history."""
        size = self.sizes[order - 2] if order > 1 else 1
        sums: Floats = np.bincount(self.histories[order - 1], values, size).astype(np.float64, copy=False)
        return sums


class MaximumEntropy:
    """The model of some n-grams, as a function of their weights.

    Args:
        nest: the n-grams.
        variances: σ², by order; the last holds for the rest.
    """

    def __init__(self, nest: Nest, variances: Sequence[float]) -> None:
        self.nest = nest
        wanted = [np.maximum(each - DISCOUNT * (order > 0), 0) for order, each in enumerate(nest.occurrences)]
        self.wanted = np.concatenate(wanted)
        sigma2 = [variances[min(order, len(variances) - 1)] for order in range(nest.grams.order)]
        self.pull = np.repeat(1 / np.array(sigma2), nest.sizes)

    def start(self) -> Floats:
        """Weights with which words are as likely as they are frequent, whatever their history."""
        theta = np.zeros(len(self.wanted))
        size = self.nest.sizes[0]
        theta[:size] = np.log(np.maximum(self.wanted[:size], 0.5) / self.nest.num_tokens)
        theta[self.nest.grams.bos_id] = 0
        return theta

    @property
    def diagonal(self) -> Floats:
        """About the second derivatives."""
        return self.wanted + self.pull

    def sums(self, theta: Floats) -> tuple[list[Floats], list[Floats], list[Floats]]:
        """s of all n-grams, exp s, and Z of all histories of 0, 1, ... words."""
        nest = self.nest
        s = nest.split(theta)
        s[0] = s[0].copy()
        s[0][nest.grams.bos_id] = -np.inf
        for order in range(2, nest.grams.order + 1):
            s[order - 1] = s[order - 1] + s[order - 2][nest.suffixes[order - 1]]
        exp = [np.exp(each) for each in s]
        Z = [nest.after(1, exp[0])]
        for order in range(2, nest.grams.order + 1):
            more = exp[order - 1] - exp[order - 2][nest.suffixes[order - 1]]
            Z.append(nest.down(order - 1, Z[-1]) + nest.after(order, more))
        return s, exp, Z

    def objective(self, theta: Floats) -> tuple[float, Floats]:
        """What is to be small, the formula above times −1, and its gradient."""
        nest = self.nest
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            _, exp, Z = self.sums(theta)
            pairs = zip(nest.longest, Z, strict=True)
            log_z = sum(float(c @ np.log(z, out=np.zeros_like(z), where=c > 0)) for c, z in pairs)
            value = log_z - float(self.wanted @ theta) + float((self.pull * theta) @ theta) / 2
            R = [c / z for c, z in zip(nest.longest, Z, strict=True)]
            for length in range(nest.grams.order - 1, 0, -1):
                R[length - 1] = R[length - 1] + nest.up(length, R[length])
            expected: list[Floats] = []
            above: Floats | None = None  # R of the history of each n-gram of the order above
            for order in range(nest.grams.order, 0, -1):
                own = share = R[order - 1][nest.histories[order - 1]]
                longer: Floats | float = 0.0
                if above is not None:
                    share = own - nest.up(order + 1, above)
                    longer = nest.up(order + 1, expected[-1])
                expected.append(exp[order - 1] * share + longer)
                above = own
            gradient = np.concatenate(expected[::-1]) - self.wanted + self.pull * theta
        return value, gradient

    def model(self, theta: Floats, vocabulary: Vocabulary) -> NgramModel:
        """The model as one that backs off."""
        nest = self.nest
        s, _, Z = self.sums(theta)
        log_z = [np.log(z) for z in Z]
        log10_probs, log10_backoffs = [], []
        for order in range(1, nest.grams.order + 1):
            log10_probs.append((s[order - 1] - log_z[order - 1][nest.histories[order - 1]]) / LN10)
            if order > 1:
                log10_backoffs.append((nest.down(order - 1, log_z[order - 2]) - log_z[order - 1]) / LN10)
        log10_probs[0][nest.grams.bos_id] = ZERO
        return NgramModel(vocabulary, nest.grams, tuple(log10_probs), tuple(log10_backoffs))


def estimate(
    counts: Counts,
    vocabulary: Vocabulary,
    *,
    thresholds: Sequence[int],
    variances: Sequence[float] = VARIANCES,
    observe: Observer | None = None,
) -> Estimate:
    """The model of a text.

    Args:
        counts: of the text.
        vocabulary: what its ids are.
        thresholds: of each order: n-grams that occur no more often have no weight (`pruning.thresholds`).
        variances: σ², by order; the last holds for the rest.
        observe: who is told how far it is.
    """
    maxent = MaximumEntropy(Nest(counts, staying(counts, thresholds)), variances)
    values: list[float] = []
    theta = maxent.start()
    for point in islice(descend(maxent.objective, theta, maxent.diagonal), MOST + 1):
        theta = point.x
        values.append(point.value / maxent.nest.num_tokens)
        if observe is not None:
            observe(len(values) - 1, values[-1])
        if len(values) > LATELY and values[-1 - LATELY] - values[-1] < ENOUGH * LATELY:
            break
    found = tuple(map(counts.grams.size, range(1, counts.grams.order + 1)))
    names = [{"variance": variances[min(order, len(variances) - 1)]} for order in range(counts.grams.order)]
    return Estimate(maxent.model(theta, vocabulary), found, tuple(names))
