"""The hierarchical softmax: a word is a path of yes and no through a binary tree.

    P(w | h) = Π_n σ(± (u_n · h + b_n))      over the nodes n on the way to w, + to the left, − to the right

In the tree of Huffman's code for the words' counts the way is short where a word is frequent: about 9 nodes on average for
10,000 words, where a softmax has 10,000 rows.
Source: Morin and Bengio 2005; Mikolov et al. 2013, "Distributed representations of words and phrases", §2.1.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor
from torch.nn import functional as F

from rnntool.config.output import frequencies
from rnntool.nn.output.direct import Runs
from rnntool.nn.output.layer import ExactLayer
from rnntool.nn.output.ragged import Ragged

BLOCK_NUMBERS = 8 << 20
"""Most numbers of gathered rows that exist at once."""


class TreeSoftmax(ExactLayer):
    """One weight row and one bias for each of the V − 1 inner nodes; `weight` has no row for a word.

    Args:
        input_size: H, width of h.
        counts: of the words, (V,), at least two; all zero where they are not known.
    """

    def __init__(self, input_size: int, counts: Sequence[float]) -> None:
        super().__init__(input_size, len(counts) - 1, None)
        parents, is_left = huffman(frequencies(counts))
        nodes, signs, lengths = _paths(parents, is_left, len(counts))
        self._nodes: Tensor  # of all paths, one after the other
        self._signs: Tensor  # 1 or −1, of the same
        self._lengths: Tensor  # of the path of each word, (V,)
        self._starts: Tensor  # where it begins, (V,)
        self.register_buffer("_nodes", nodes, persistent=False)
        self.register_buffer("_signs", signs, persistent=False)
        self.register_buffer("_lengths", lengths, persistent=False)
        self.register_buffer("_starts", lengths.cumsum(0) - lengths, persistent=False)
        edges, self._levels = _by_level(parents, is_left, len(counts))
        self._edges: Tensor  # from the root down: what is below, the node above it, and the sign, (2V − 2, 3)
        self.register_buffer("_edges", edges, persistent=False)

    def init(self, p: Tensor) -> None:
        """As `OutputLayer.init`: each side of a node is as likely as the words below it together."""
        for parameter in self.parameters():
            parameter.zero_()
        masses = p[torch.repeat_interleave(self._lengths)]
        left, right = (
            p.new_zeros(len(self.bias)).index_add(0, self._nodes, masses * (self._signs == sign)) for sign in (1, -1)
        )
        self.bias.copy_(left.log() - right.log())

    @property
    def rows(self) -> tuple[Tensor, Tensor]:
        """As `OutputLayer.rows`: one for every inner node."""
        return self.weight, self.bias

    def rows_computed(self, counts: Sequence[float]) -> float:
        """As `OutputLayer.rows_computed`: the mean length of the way."""
        weights = frequencies(counts)
        lengths = self._lengths.tolist()
        return float(sum(weight * length for weight, length in zip(weights, lengths, strict=True)) / sum(weights))

    def normalize(self, z: Tensor) -> Tensor:
        """As `OutputLayer.normalize`: sums along all ways at once, level by level."""
        vocab_size = len(self._lengths)
        log_probs = z.new_zeros(len(z), 2 * vocab_size - 1)  # of words, then of inner nodes
        for first, end in pairwise(self._levels):  # from the root's children down
            below, above, sign = self._edges[first:end].unbind(dim=1)
            steps = F.logsigmoid(sign * z[:, above])
            log_probs = log_probs.index_copy(1, below, log_probs[:, vocab_size + above] + steps)
        return log_probs[:, :vocab_size]

    def nll(self, h: Tensor, targets: Tensor, starts: Tensor | None = None) -> Tensor:
        """As `OutputLayer.nll`."""
        del starts
        nll = []
        for rows in self._blocks(h, targets):
            ways, nodes, signs = self._ways(targets[rows])
            z = torch.linalg.vecdot(h[rows][ways.row], self.weight[nodes]) + self.bias[nodes]
            nll.append(ways.sums(F.softplus(-signs * z)))
        return torch.cat(nll) if nll else h.sum(dim=1)

    def differentiate(
        self,
        h: Tensor,
        parameters: Sequence[Tensor],
        targets: Tensor,
        *,
        weights: Tensor | None,
        smoothing: float,
        dtype: torch.dtype,
        runs: Runs | None = None,
    ) -> tuple[Tensor, Tensor, list[Tensor]]:
        """As `ExactLayer.differentiate`, without smoothing; there is no product whose precision could be lower."""
        del dtype
        assert not smoothing and runs is None
        U, b = parameters
        dh, dU, db = torch.empty_like(h), torch.zeros_like(U), torch.zeros_like(b)
        nll = h.new_zeros(len(h))
        for rows in self._blocks(h, targets):
            ways, nodes, signs = self._ways(targets[rows])
            some_h, some_U = h[rows][ways.row], U[nodes]
            z = signs * (torch.linalg.vecdot(some_h, some_U) + b[nodes])
            nll[rows] = ways.sums(F.softplus(-z))
            dz = -signs * torch.sigmoid(-z)
            if weights is not None:
                dz *= weights[rows][ways.row]
            dh[rows] = ways.sums(some_U * dz[:, None])
            dU.index_add_(0, nodes, some_h * dz[:, None])
            db.index_add_(0, nodes, dz)
        return (nll.sum() if weights is None else nll @ weights), nll.sum(), [dh, dU, db]

    def loss_reference(
        self,
        h: Tensor,
        targets: Tensor,
        *,
        starts: Tensor | None = None,
        weights: Tensor | None = None,
        smoothing: float = 0.0,
    ) -> tuple[Tensor, Tensor]:
        """As `ExactLayer.loss_reference`, without smoothing."""
        assert not smoothing
        return super().loss_reference(h, targets, weights=weights)

    def _ways(self, targets: Tensor) -> tuple[Ragged, Tensor, Tensor]:
        """The ways to all targets, and the node and the sign of each step."""
        ways = Ragged(self._lengths[targets])
        steps = self._starts[targets][ways.row] + ways.column
        return ways, self._nodes[steps], self._signs[steps]

    def _blocks(self, h: Tensor, targets: Tensor) -> list[slice]:
        """The rows in blocks whose ways are not too many."""
        longest = int(self._lengths[targets].max()) if len(targets) else 1
        size = max(1, BLOCK_NUMBERS // (longest * h.shape[1]))
        return [slice(first, first + size) for first in range(0, len(h), size)]


def huffman(weights: Sequence[float]) -> tuple[list[int], list[bool]]:
    """The tree of Huffman's code for V weights, at least two.

    Returns:
        For each word, then for each of the V − 1 inner nodes, the lightest first and the root last, the inner node above
        it, from 0 (the root's is its own), and whether it is the left one below.  Equal weights keep the words' order.
    """
    vocab_size = len(weights)
    heap = [(weight, number) for number, weight in enumerate(weights)]
    heapq.heapify(heap)
    parents, is_left = [0] * (2 * vocab_size - 1), [False] * (2 * vocab_size - 1)
    for node in range(vocab_size - 1):
        (lightest, left), (lighter, right) = heapq.heappop(heap), heapq.heappop(heap)
        parents[left] = parents[right] = node
        is_left[left] = True
        heapq.heappush(heap, (lightest + lighter, vocab_size + node))
    parents[-1] = vocab_size - 2
    return parents, is_left


def _paths(parents: Sequence[int], is_left: Sequence[bool], vocab_size: int) -> tuple[Tensor, Tensor, Tensor]:
    """All words' ways from the leaf to the root, one after the other: nodes and signs; and the length of each, (V,)."""
    cpu = torch.device("cpu")
    above, left = torch.tensor(parents, device=cpu), torch.tensor(is_left, device=cpu)
    root = vocab_size - 2
    at, words = torch.arange(vocab_size, device=cpu), torch.arange(vocab_size, device=cpu)
    steps = []
    while len(words):
        steps.append(torch.stack([words, above[at], torch.where(left[at], 1, -1)]))
        going_on = above[at] != root
        at, words = above[at][going_on] + vocab_size, words[going_on]
    all_words, nodes, signs = torch.cat(steps, dim=1)
    order = all_words.argsort(stable=True)
    return nodes[order], signs[order], torch.bincount(all_words, minlength=vocab_size)


def _by_level(parents: Sequence[int], is_left: Sequence[bool], vocab_size: int) -> tuple[Tensor, list[int]]:
    """All but the root by depth, each with the inner node above it and the sign; and where each depth begins."""
    depths = [0] * (2 * vocab_size - 1)
    for number in reversed(range(2 * vocab_size - 2)):  # an inner node comes after all that is below it, words first
        depths[number] = depths[vocab_size + parents[number]] + 1
    edges = torch.tensor([parents[:-1], is_left[:-1]], dtype=torch.long, device="cpu")
    depth = torch.tensor(depths[:-1], device="cpu")
    order = depth.argsort(stable=True)
    signs = torch.where(edges[1] > 0, 1, -1)
    ends: list[int] = depth.bincount().cumsum(0).tolist()
    return torch.stack([order, edges[0][order], signs[order]], dim=1), ends
