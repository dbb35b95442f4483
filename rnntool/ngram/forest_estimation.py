"""From text to a random forest: trees, one after another, and weights that suit text that none of them has seen.

The last tenth of the lines is held out.  Trees are grown from what is before it, and asked of it; the weights are those
under which it is likeliest, found by expectation and maximisation:

    r_k = λ_k P_k(w | h) / Σ_j λ_j P_j(w | h)        λ_k ← mean of r_k, over the words whose history is in the class

where each class has `PRIOR` words more, which are like all others.  Then the n-grams and the nodes of the trees are counted
in all of the text.  The tenth is taken from the end, not from everywhere, for text to come is not from the same articles.

Source: Jelinek and Mercer 1980, "Interpolated estimation of Markov source parameters from sparse data".
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from rnntool.errors import InputError, RnntoolWarning
from rnntool.ngram.counts import Counts, count
from rnntool.ngram.forest import SIZES, Floats, Forest, classes, mixture, ngram_probs, num_classes, tree_probs
from rnntool.ngram.growth import grow
from rnntool.ngram.histories import Ids, streamed
from rnntool.ngram.model import NgramModel
from rnntool.ngram.tree import CountedTree, Samples, sampled
from rnntool.text.vocabulary import Vocabulary

LENGTH = 2
"""Words of history that trees see.  On the Penn Treebank's validation text 5 trees over three words gave a perplexity of
138.9 instead of 137.0, both with weights fitted to half of that text."""

HELD_OUT = 10
"""One line in so many."""

PRIOR = 5.0

ROUNDS = 60

Observer = Callable[[int, float], None]
"""Told the number of every tree and the perplexity of what is held out with the trees so far."""


def estimate(
    blocks: Iterable[NDArray[np.uint32]],
    vocabulary: Vocabulary,
    make: Callable[[Counts], NgramModel],
    *,
    order: int,
    num_trees: int,
    seed: int,
    memory: int,
    observe: Observer | None = None,
) -> Forest:
    """The forest of a text.

    Args:
        blocks: ids of whole lines, each ended by `</s>`; all are kept in memory.
        vocabulary: what they are.
        make: n-grams of counts; called first with some of the text, then with all of it.
        order: of the n-grams, at least 2.
        num_trees: M.
        seed: of all that is random.
        memory: bytes that sorting may take.
        observe: who is told how far it is.

    Raises:
        InputError: the text has one line only.
    """
    ids = np.concatenate(list(blocks))
    eos_id, stride = vocabulary.eos_id, len(vocabulary) + 1
    lines = [line[:-1].astype(np.int64) for line in np.split(ids, np.flatnonzero(ids == eos_id)[:-1] + 1)]
    num_known = len(lines) - -(-len(lines) // HELD_OUT)
    if not num_known:
        raise InputError("", "one line; a forest needs some to learn from, and some to be judged by")

    def counted(text: NDArray[np.uint32]) -> Counts:
        return count([text], order, vocab_size=len(vocabulary), eos_id=eos_id, memory=memory)

    def samples_of(text: Sequence[Ids]) -> Samples:
        stream = streamed(text, eos_id=eos_id, bos_id=len(vocabulary))
        return sampled(stream.histories(length), stream.words, stride)

    length = min(LENGTH, order - 1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RnntoolWarning)  # whatever there is to say will be said of the whole text
        known_ngrams = make(counted(ids[: sum(map(len, lines[:num_known])) + num_known]))
    known, whole = samples_of(lines[:num_known]), samples_of(lines)
    judge = _Judge(known_ngrams, lines[num_known:], length)
    trees: list[CountedTree] = []
    for number in range(num_trees):
        tree = grow(known, stride, np.random.default_rng([seed, number]))
        perplexity = judge.add(tree.count(known))
        trees.append(replace(tree.count(whole), tree=replace(tree)))  # without what they keep when they are asked
        if observe is not None:
            observe(number + 1, perplexity)
    return Forest(make(counted(ids)), tuple(trees), length, judge.weights)


class _Judge:
    """What is held out, and the weights that make it likely.

    Args:
        ngrams: of the text before it.
        lines: those that are held out.
        length: of the histories that trees see.
    """

    def __init__(self, ngrams: NgramModel, lines: Sequence[Ids], length: int) -> None:
        self.stream = streamed(lines, eos_id=ngrams.vocabulary.eos_id, bos_id=ngrams.grams.bos_id)
        self.length = length
        self.classes = classes(ngrams, self.stream)
        self.num_classes = num_classes(ngrams)
        self.by_ngrams = ngram_probs(ngrams, lines)
        self.by_trees = np.zeros((len(SIZES), len(self.by_ngrams)))  # summed up
        self.num_trees = 0
        self.weights = np.zeros((self.num_classes, 1 + len(SIZES)))

    def add(self, tree: CountedTree) -> float:
        """Take one tree more; the perplexity of what is held out, with the weights that suit it."""
        self.by_trees += tree_probs(tree, self.stream, self.length)
        self.num_trees += 1
        self.weights = fitted(
            np.vstack([self.by_ngrams, self.by_trees / self.num_trees]), self.classes, self.num_classes
        )
        mixed = mixture(self.weights, self.classes, self.by_ngrams, self.by_trees / self.num_trees)
        return float(np.exp(-np.log(mixed).mean()))


def fitted(probs: Floats, classes: Ids, num_classes: int) -> Floats:
    """Weights (classes, 1 + K) for what is mixed.

    Args:
        probs: (1 + K, E) of each word; of those that are held out, none is impossible to n-grams.
        classes: (E) of its history.
        num_classes: how many there may be.
    """
    weights = np.full((num_classes, len(probs)), 1 / len(probs))
    for _ in range(ROUNDS):
        shares = weights.T[:, classes] * probs
        shares /= shares.sum(axis=0)
        sums = np.array([np.bincount(classes, share, num_classes) for share in shares]).T
        weights = sums + PRIOR * shares.mean(axis=1)
        weights /= weights.sum(axis=1, keepdims=True)
    return weights
