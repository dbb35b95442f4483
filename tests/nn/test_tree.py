"""Huffman's code as a tree, and the words' ways through it."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rnntool.nn.output.tree import TreeSoftmax, huffman


def lengths(weights: list[float]) -> list[int]:
    """Of each word's way, counted up to the root."""
    parents, _ = huffman(weights)
    root = 2 * len(weights) - 2
    found = []
    for word in range(len(weights)):
        at, steps = word, 0
        while at != root:
            at, steps = len(weights) + parents[at], steps + 1
        found.append(steps)
    return found


def test_a_tree_by_hand() -> None:
    """Weights 5, 2, 1, 1: the last two meet first, then the second joins them, then the first."""
    assert lengths([5, 2, 1, 1]) == [1, 2, 3, 3]


@given(st.lists(st.floats(0.1, 1000), min_size=2, max_size=40))
def test_the_mean_way_is_within_one_bit_of_the_entropy(weights: list[float]) -> None:
    """Shannon's bounds; and Kraft's sum is one, as every inner node has two below it."""
    total = sum(weights)
    entropy = -sum(w / total * math.log2(w / total) for w in weights)
    found = lengths(weights)
    mean = sum(w / total * length for w, length in zip(weights, found, strict=True))
    assert entropy - 1e-9 <= mean < entropy + 1
    assert sum(2.0**-length for length in found) == pytest.approx(1)


def test_probabilities_by_hand() -> None:
    """All u zero; the root's bias ln 3: left ¾.  The word of weight 5, the heavier one, is on the right: ¼."""
    tree = TreeSoftmax(1, [5, 2, 1, 1])
    with torch.no_grad():
        for parameter in tree.parameters():
            parameter.zero_()
        tree.bias[-1] = math.log(3)
    p = tree.log_probs(torch.ones(1, 1)).exp()[0]
    torch.testing.assert_close(
        p, torch.tensor([1 / 4, 3 / 8, 3 / 16, 3 / 16]).sort(descending=True).values[[1, 0, 2, 3]]
    )


def test_no_edge_of_a_block_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = torch.Generator().manual_seed(1)
    tree = TreeSoftmax(3, [1.0] * 20)
    with torch.no_grad():
        for parameter in tree.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    h = torch.randn(9, 3, generator=generator, requires_grad=True)
    targets = torch.randint(20, (9,), generator=generator)

    def results() -> list[torch.Tensor]:
        loss, nll = tree.loss(h, targets)
        return [loss, nll, tree.nll(h, targets), *torch.autograd.grad(loss, [h, *tree.parameters()])]

    whole = results()
    monkeypatch.setattr("rnntool.nn.output.tree.BLOCK_NUMBERS", 5 * 3 * 2)
    for one, other in zip(results(), whole, strict=True):
        torch.testing.assert_close(one, other)
