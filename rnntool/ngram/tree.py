"""A decision tree over histories: at every inner node one word of the history decides whether to go left or right.

    node    position i, and the words that were seen there, each with its side
    child   of a node n: children[n] to the left, children[n] + 1 to the right

Nodes are numbered from the root, 0, a child after its parent.  A history with a word that was not seen at a node stays
there.  Leaves are lined up from left to right, so that a node is a span of leaves, and its counts are sums over a span:

    c(n, w) = Σ c(l, w)        over the leaves l of n

The counts of the leaves are kept by word; sums up to each make c(n, w) a difference of two.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from rnntool.ngram.histories import Ids, distinct, where

Bools = NDArray[np.bool_]
Small = NDArray[np.int32]


@dataclass(frozen=True)
class Samples:
    """A text as histories and the words after them.

    Args:
        columns: (length, H) different histories, the nearest word first.
        histories: of each kind of sample, which history.
        words: of each, the word after it.
        counts: of each, how often.
    """

    columns: Ids
    histories: Ids
    words: Ids
    counts: Ids


def sampled(columns: Sequence[Ids], words: Ids, stride: int) -> Samples:
    """Histories and words of a text, each kind once.

    Args:
        columns: the history of each word.
        words: what came after.
        stride: more than any word.
    """
    first, inverse = distinct(columns, stride)
    keys, counts = np.unique(inverse * stride + words, return_counts=True)
    return Samples(np.array([column[first] for column in columns]), keys // stride, keys % stride, counts)


@dataclass(frozen=True)
class Tree:
    """The questions of a tree.

    Args:
        stride: V + 1.
        positions: of each node, which word of the history it looks at; of a leaf, 0.
        children: of each node, its left child; of a leaf, 0.
        sizes: of each node, how many words it knows; of a leaf, 0.
        words: those of all nodes, one node after another, rising.
        sides: of each of these, whether it goes to the right.
    """

    stride: int
    positions: Small
    children: Small
    sizes: Small
    words: Small
    sides: Bools

    @cached_property
    def keys(self) -> Ids:
        """node · stride + word, rising."""
        return np.repeat(np.arange(len(self.sizes)), self.sizes) * self.stride + self.words

    @cached_property
    def levels(self) -> list[Ids]:
        """The inner nodes, by their distance from the root."""
        levels: list[Ids] = []
        nodes = np.zeros(1, np.int64)
        while True:
            nodes = nodes[self.children[nodes] > 0]
            if not len(nodes):
                return levels
            levels.append(nodes)
            left = self.children[nodes].astype(np.int64)
            nodes = np.concatenate([left, left + 1])

    @cached_property
    def spans(self) -> tuple[Ids, Ids]:
        """The first leaf of each node and the one after its last."""
        num_leaves = np.ones(len(self.children), np.int64)
        for nodes in reversed(self.levels):
            num_leaves[nodes] = num_leaves[self.children[nodes]] + num_leaves[self.children[nodes] + 1]
        starts = np.zeros(len(self.children), np.int64)
        for nodes in self.levels:
            left = self.children[nodes]
            starts[left] = starts[nodes]
            starts[left + 1] = starts[nodes] + num_leaves[left]
        return starts, starts + num_leaves

    def descend(self, columns: Ids) -> Iterator[Ids]:
        """Where histories are: at the root, then one step further, and so on, until none moves.

        Args:
            columns: (length, H) histories.
        """
        at = np.zeros(columns.shape[1], np.int64)
        yield at
        moving = np.arange(len(at))
        while True:
            moving = moving[self.children[at[moving]] > 0]
            words = columns[self.positions[at[moving]], moving]
            places, is_known = where(self.keys, at[moving] * self.stride + words)
            moving, places = moving[is_known], places[is_known]
            if not len(moving):
                return
            at = at.copy()
            at[moving] = self.children[at[moving]] + self.sides[places]
            yield at

    def count(self, samples: Samples) -> CountedTree:
        """The tree with the counts of a text; what does not come to a leaf counts nowhere."""
        ends = deque(self.descend(samples.columns), maxlen=1)[0][samples.histories]
        is_leaf = self.children[ends] == 0
        starts, stops = self.spans
        num_leaves = int(stops[0])
        keys = samples.words[is_leaf] * num_leaves + starts[ends[is_leaf]]
        kinds, inverse = np.unique(keys, return_inverse=True)
        counts = np.bincount(inverse, samples.counts[is_leaf], len(kinds))
        return CountedTree(
            self,
            np.bincount(kinds // num_leaves, minlength=self.stride).astype(np.int32),
            (kinds % num_leaves).astype(np.int32),
            counts.astype(np.int32),
        )


@dataclass(frozen=True)
class CountedTree:
    """A tree and what came after the histories of its leaves.

    Args:
        tree: the tree.
        word_sizes: of each word, after how many leaves it came.
        leaves: these leaves, one word after another, rising.
        counts: how often the word came after each.
    """

    tree: Tree
    word_sizes: Small
    leaves: Small
    counts: Small

    @cached_property
    def _keys(self) -> Ids:
        return np.repeat(np.arange(len(self.word_sizes)), self.word_sizes) * self._num_leaves + self.leaves

    @cached_property
    def _sums(self) -> Ids:
        """Of the counts before each, and of all."""
        return np.concatenate([[0], np.cumsum(self.counts, dtype=np.int64)])

    @cached_property
    def totals(self) -> Ids:
        """c(n) of each node."""
        starts, stops = self.tree.spans
        sums = np.concatenate([[0], np.cumsum(np.bincount(self.leaves, self.counts, self._num_leaves))])
        totals: Ids = (sums[stops] - sums[starts]).astype(np.int64)
        return totals

    @property
    def _num_leaves(self) -> int:
        return int(self.tree.spans[1][0])

    def probs(self, columns: Ids, words: Ids, which: Ids, sizes: Sequence[int]) -> NDArray[np.float64]:
        """c(n, w) / c(n) for the deepest node n of a history that has at least some count, or the root.

        Args:
            columns: (length, H) histories.
            words: (E) after them.
            which: (E) history each comes after.
            sizes: K counts.

        Returns:
            (K, E) a probability for each size and word.
        """
        cuts = np.zeros((len(sizes), columns.shape[1]), np.int64)
        for at in self.tree.descend(columns):
            for cut, size in zip(cuts, sizes, strict=True):
                np.copyto(cut, at, where=self.totals[at] >= size)
        nodes = cuts[:, which]
        starts, stops = self.tree.spans
        before, up_to = (
            self._sums[np.searchsorted(self._keys, words * self._num_leaves + ends[nodes])] for ends in (starts, stops)
        )
        return (up_to - before) / self.totals[nodes]
