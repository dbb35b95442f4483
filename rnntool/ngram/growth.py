"""One random tree: from the histories of a text to questions that split them, level by level.

At a node a random position of the history is chosen, and the words found there are put into two sets A and B, at random.
Then words change sides as long as the text of the node becomes likelier:

    L(A, B) = Σ_w f(c(A, w)) + f(c(B, w))  −  f(c(A)) − f(c(B))        f(c) = c log c

All nodes of a level are split at once, and in them all words that would gain by changing sides alone do so at once, each
with probability 1/2; where these changes together make a node's text less likely, they are undone.  After `ROUNDS` of them
the sets are the children.  A node where that makes nothing likelier, as where all histories have the same
word, tries the other positions.  Nodes that have fewer than `SMALLEST` words of text are leaves.

Source: Xu and Jelinek 2004, "Random Forests in Language Modeling"; Martin, Liermann and Ney 1998 for the exchange.
Differs: words change sides together instead of one after another, which arrays do faster; leaves are not pruned by text
held out, since it is the large nodes that are asked (`forest`): growing on to single histories made nothing better.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rnntool.ngram.histories import Ids, where
from rnntool.ngram.tree import Bools, Samples, Tree

ROUNDS = 15

SMALLEST = 128

ENOUGH = 1e-9
"""Nats; a smaller gain is rounding."""


def grow(samples: Samples, stride: int, rng: np.random.Generator) -> Tree:
    """A tree.

    Args:
        samples: of a text.
        stride: V + 1.
        rng: what decides of positions and sets.
    """
    length, num_histories = samples.columns.shape
    f = _xlogx(int(samples.counts.sum()))
    at = np.zeros(num_histories, np.int64)  # the node of each history
    active = np.arange(int(samples.counts.sum() >= SMALLEST))
    tried = np.zeros((len(active), length), np.bool_)
    questions = _Questions(stride)
    histories, words, counts = samples.histories, samples.words, samples.counts
    while len(active):
        local = np.full(questions.num_nodes, -1)
        local[active] = np.arange(len(active))
        is_here = local[at[histories]] >= 0
        histories, words, counts = histories[is_here], words[is_here], counts[is_here]
        positions = rng.random(tried.shape)
        positions[tried] = 2
        positions = positions.argmin(axis=1)
        tried[np.arange(len(active)), positions] = True
        (here,) = (local[at] >= 0).nonzero()
        nodes = local[at[here]]
        keys = np.full(num_histories, -1)
        keys[here] = nodes * stride + samples.columns[positions[nodes], here]
        level = _Level(keys[histories], words, counts, len(active), stride, f)
        level.shuffle(rng)
        for _ in range(ROUNDS):
            if not level.exchange(rng):
                break
        splits = level.splits
        children = questions.ask(active, positions, level, splits)
        places, _ = where(level.keys, keys[here])
        moves = splits[nodes]
        at[here[moves]] = children[nodes[moves]] + level.sides[places[moves]]
        again = ~splits & ~tried.all(axis=1)
        below = (children[:, None] + [0, 1])[splits][level.child_totals[splits] >= SMALLEST]
        active = np.concatenate([active[again], below])
        tried = np.concatenate([tried[again], np.zeros((len(below), length), np.bool_)])
    return questions.tree()


class _Questions:
    """What has been found of a tree.

    Args:
        stride: V + 1.
    """

    def __init__(self, stride: int) -> None:
        self.stride = stride
        self.num_nodes = 1
        self.inner: list[tuple[Ids, Ids, Ids]] = []  # nodes, positions, left children
        self.known: list[tuple[Ids, Bools]] = []  # node · stride + word, sides

    def ask(self, nodes: Ids, positions: Ids, level: _Level, splits: Bools) -> Ids:
        """Give the nodes of a level that split their children; the left child of each node, 0 where there is none."""
        children = np.zeros(len(nodes), np.int64)
        children[splits] = self.num_nodes + 2 * np.arange(splits.sum())
        self.num_nodes += 2 * int(splits.sum())
        self.inner.append((nodes[splits], positions[splits], children[splits]))
        asked = splits[level.node_of_set]
        local, words = np.divmod(level.keys[asked], self.stride)
        self.known.append((nodes[local] * self.stride + words, level.sides[asked]))
        return children

    def tree(self) -> Tree:
        """The tree."""
        positions, children = np.zeros((2, self.num_nodes), np.int32)
        for nodes, asked, left in self.inner:
            positions[nodes] = asked
            children[nodes] = left
        keys = np.concatenate([np.zeros(0, np.int64), *(keys for keys, _ in self.known)])
        sides = np.concatenate([np.zeros(0, np.bool_), *(sides for _, sides in self.known)])
        order = np.argsort(keys)
        nodes, words = np.divmod(keys[order], self.stride)
        sizes = np.bincount(nodes, minlength=self.num_nodes)
        return Tree(self.stride, positions, children, sizes.astype(np.int32), words.astype(np.int32), sides[order])


class _Level:
    """The nodes of one level, and the two sets of words of each.

    Args:
        keys: of each sample, node · stride + the word that decides.
        words: of each, the word after the history.
        counts: of each, how often.
        num_nodes: all nodes are below.
        stride: V + 1.
        f: c log c.
    """

    def __init__(self, keys: Ids, words: Ids, counts: Ids, num_nodes: int, stride: int, f: NDArray[np.float64]) -> None:
        self.f = f
        self.num_nodes = num_nodes
        self.keys, inverse = np.unique(keys, return_inverse=True)
        self.node_of_set = self.keys // stride
        pairs, inverse = np.unique(inverse * stride + words, return_inverse=True)
        self.pair_counts = np.bincount(inverse, counts, len(pairs)).astype(np.int64)
        self.pair_sets = pairs // stride
        cells, self.pair_cells = np.unique(
            self.node_of_set[self.pair_sets] * stride + pairs % stride, return_inverse=True
        )
        self.cell_nodes = cells // stride
        self.cell_counts = self._sum(self.pair_cells, self.pair_counts, len(cells))
        self.set_counts = self._sum(self.pair_sets, self.pair_counts, len(self.keys))
        self.node_counts = self._sum(self.node_of_set, self.set_counts, num_nodes)
        self.sides = np.zeros(len(self.keys), np.bool_)
        self._measure()

    def _sum(self, places: Ids, values: Ids, size: int) -> Ids:
        return np.bincount(places, values, size).astype(np.int64)

    def _sums(self, sides: Bools) -> tuple[Ids, Ids, NDArray[np.float64]]:
        """c(B, w), c(B), and how likely the text of each node is."""
        cells = self._sum(self.pair_cells, self.pair_counts * sides[self.pair_sets], len(self.cell_counts))
        nodes = self._sum(self.node_of_set, self.set_counts * sides, self.num_nodes)
        f = self.f
        inside = np.bincount(self.cell_nodes, f[cells] + f[self.cell_counts - cells], self.num_nodes)
        return cells, nodes, inside - f[nodes] - f[self.node_counts - nodes]

    def _measure(self) -> None:
        self.cells, self.nodes, self.likelihood = self._sums(self.sides)

    def shuffle(self, rng: np.random.Generator) -> None:
        """Put every second word of each node, in a random order, to the right."""
        order = np.lexsort((rng.random(len(self.keys)), self.node_of_set))
        sizes = np.bincount(self.node_of_set, minlength=self.num_nodes)
        ranks = np.arange(len(order)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        self.sides[order] = ranks % 2 == 1
        self._measure()

    def exchange(self, rng: np.random.Generator) -> bool:
        """Let words change sides that gain by it; false if none does."""
        moves = (self._gains() > ENOUGH) & (rng.random(len(self.sides)) < 0.5)
        if not moves.any():
            return False
        sides = self.sides ^ moves
        cells, nodes, likelihood = self._sums(sides)
        worse = (likelihood <= self.likelihood) | (nodes == 0) | (nodes == self.node_counts)
        self.sides = np.where(worse[self.node_of_set], self.sides, sides)
        self.cells = np.where(worse[self.cell_nodes], self.cells, cells)
        self.nodes = np.where(worse, self.nodes, nodes)
        self.likelihood = np.where(worse, self.likelihood, likelihood)
        return True

    def _gains(self) -> NDArray[np.float64]:
        """What the text of its node gains if one word changes sides, for each word."""
        f, moved = self.f, self.pair_counts
        right = self.cells[self.pair_cells]
        left = self.cell_counts[self.pair_cells] - right
        is_right = self.sides[self.pair_sets]
        own, other = np.where(is_right, right, left), np.where(is_right, left, right)
        gains = np.bincount(self.pair_sets, f[own - moved] - f[own] + f[other + moved] - f[other], len(self.sides))
        right, moved = self.nodes[self.node_of_set], self.set_counts
        left = self.node_counts[self.node_of_set] - right
        own, other = np.where(self.sides, right, left), np.where(self.sides, left, right)
        return gains - (f[own - moved] - f[own] + f[other + moved] - f[other])

    @property
    def splits(self) -> Bools:
        """Which nodes have words on both sides, and a likelier text for it."""
        f = self.f
        whole = np.bincount(self.cell_nodes, f[self.cell_counts], self.num_nodes) - f[self.node_counts]
        return (self.nodes > 0) & (self.nodes < self.node_counts) & (self.likelihood > whole + ENOUGH)

    @property
    def child_totals(self) -> Ids:
        """(nodes, 2) the counts to the left and to the right."""
        return np.stack([self.node_counts - self.nodes, self.nodes], axis=1)


def _xlogx(largest: int) -> NDArray[np.float64]:
    """c log c of 0, 1, ..., `largest`."""
    c = np.arange(largest + 1, dtype=np.float64)
    return c * np.log(np.maximum(c, 1))
