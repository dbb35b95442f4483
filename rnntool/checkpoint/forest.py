"""A forest file: n-grams, trees, and the weights of both, in one container.

Its tensors are `weights`, `vocabulary`, `keys.N` (from 2 on), `probs.N` and `backoffs.N` of the n-grams of each order, and
those of all trees, one tree after another: by node, `nodes.positions`, `nodes.children` and `nodes.sizes`; by word that a
node knows, `known.words` and `known.sides`; by word of the vocabulary and `<s>`, `counted.sizes`; and by leaf that the word
came after, `counted.leaves` and `counted.counts`.  Its facts say how many of each a tree has.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rnntool.checkpoint.container import Facts, read_container, write_container
from rnntool.errors import ModelError, RnntoolError
from rnntool.ngram.forest import SIZES, Forest, num_classes
from rnntool.ngram.grams import Grams
from rnntool.ngram.model import NgramModel
from rnntool.ngram.recognition import FOREST
from rnntool.ngram.tree import CountedTree, Tree
from rnntool.text.vocabulary import Vocabulary

PARTS = ("nodes", "known", "counted")
"""What of each tree is listed in the facts: how many nodes, words that nodes know, words that came after leaves."""

_TREE = {
    "nodes.positions": torch.int32,
    "nodes.children": torch.int32,
    "nodes.sizes": torch.int32,
    "known.words": torch.int32,
    "known.sides": torch.bool,
    "counted.sizes": torch.int32,
    "counted.leaves": torch.int32,
    "counted.counts": torch.int32,
}


def save_forest(path: str, forest: Forest) -> None:
    """Write a forest file.

    Raises:
        OutputError: the disk does not take it.
    """
    ngrams = forest.ngrams
    arrays: dict[str, NDArray[np.generic]] = {"weights": forest.weights}
    arrays["vocabulary"] = np.frombuffer(ngrams.vocabulary.to_bytes(), np.uint8).copy()
    for order in range(1, ngrams.order + 1):
        arrays[f"probs.{order}"] = ngrams.log10_probs[order - 1]
        if order > 1:
            arrays[f"keys.{order}"] = ngrams.grams.keys[order - 2]
        if order < ngrams.order:
            arrays[f"backoffs.{order}"] = ngrams.log10_backoffs[order - 1]
    columns = zip(*map(_arrays, forest.trees), strict=True)
    arrays |= {name: np.concatenate(column) for name, column in zip(_TREE, columns, strict=True)}
    facts = {
        "vocabulary": ngrams.vocabulary.digest,
        "order": ngrams.order,
        "length": forest.length,
        "sizes": list(SIZES),
        "trees": [
            dict(zip(PARTS, (len(t.tree.sizes), len(t.tree.words), len(t.leaves)), strict=True)) for t in forest.trees
        ],
    }
    write_container(path, FOREST, facts, {name: torch.from_numpy(array) for name, array in arrays.items()})


def load_forest(path: str, data: bytes | None = None) -> Forest:
    """Read a forest file.

    Args:
        path: where it is.
        data: its bytes, where they have been read already.

    Raises:
        InputError: the file cannot be read.
        ModelError: it is no forest, damaged, or its parts do not fit each other.
    """
    facts, tensors = read_container(path, FOREST, data)
    try:
        vocabulary = Vocabulary.from_bytes(tensors["vocabulary"].numpy().tobytes(), path)
        ngrams = _ngrams(tensors, vocabulary, facts["order"])
        trees = tuple(_trees(tensors, facts, ngrams.grams.stride))
        forest = Forest(ngrams, trees, facts["length"], _array(tensors["weights"], torch.float64))
        _check(forest, facts)
    except RnntoolError as error:
        raise ModelError(path, f"damaged: {error}") from error
    except (AttributeError, IndexError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise ModelError(path, "damaged: its parts do not make a forest") from error
    if facts.get("vocabulary") != vocabulary.digest:
        raise ModelError(path, f"damaged: its vocabulary is {vocabulary.digest}, not {facts.get('vocabulary')}")
    return forest


def _arrays(counted: CountedTree) -> tuple[NDArray[np.generic], ...]:
    """Those of one tree, in the order of `_TREE`."""
    tree = counted.tree
    of_tree = (tree.positions, tree.children, tree.sizes, tree.words, tree.sides)
    return (*of_tree, counted.word_sizes, counted.leaves, counted.counts)


def _ngrams(tensors: dict[str, Tensor], vocabulary: Vocabulary, order: int) -> NgramModel:
    orders = range(1, order + 1)
    grams = Grams(len(vocabulary), [_array(tensors[f"keys.{n}"], torch.int64) for n in orders[1:]])
    probs = tuple(_array(tensors[f"probs.{n}"], torch.float64) for n in orders)
    backoffs = tuple(_array(tensors[f"backoffs.{n}"], torch.float64) for n in orders[:-1])
    for n in orders:
        keys = grams.keys[n - 2] if n > 1 else np.arange(grams.stride)
        limit = grams.size(n - 1) * grams.stride if n > 1 else grams.stride
        _require(len(probs[n - 1]) == len(keys) and (n == order or len(backoffs[n - 1]) == len(keys)))
        _require(not len(keys) or (bool((np.diff(keys) > 0).all()) and bool(keys[0] >= 0) and bool(keys[-1] < limit)))
    return NgramModel(vocabulary, grams, probs, backoffs)


def _trees(tensors: dict[str, Tensor], facts: Facts, stride: int) -> Iterable[CountedTree]:
    """The trees, one after another."""
    found = [dict(tree) for tree in facts["trees"]]
    sizes = {name: [tree[name.partition(".")[0]] for tree in found] for name in _TREE}
    sizes["counted.sizes"] = [stride] * len(found)
    columns = []
    for name, dtype in _TREE.items():
        array = _array(tensors[name], dtype)
        _require(all(type(size) is int and size >= 0 for size in sizes[name]) and sum(sizes[name]) == len(array))
        columns.append(np.split(array, np.cumsum(sizes[name])[:-1]))
    for *of_tree, word_sizes, leaves, counts in zip(*columns, strict=True):
        yield CountedTree(Tree(stride, *of_tree), word_sizes, leaves, counts)


def _check(forest: Forest, facts: Facts) -> None:
    """Raise ValueError if a number leads nowhere; then nothing that a forest is asked can fail."""
    stride = forest.ngrams.grams.stride
    _require(type(forest.length) is int and 1 <= forest.length < forest.ngrams.order)
    _require(forest.weights.shape == (num_classes(forest.ngrams), 1 + len(SIZES)))
    _require(bool(np.isfinite(forest.weights).all()) and facts["sizes"] == list(SIZES) and bool(forest.trees))
    for counted in forest.trees:
        tree = counted.tree
        nodes = np.arange(len(tree.children))
        inner = tree.children > 0
        # every node but the root is the child of one node, which comes before it
        born = np.sort(np.concatenate([tree.children[inner], tree.children[inner] + 1]))
        _require(len(nodes) > 0 and np.array_equal(born, nodes[1:]))
        _require(bool((tree.children[inner] > nodes[inner]).all() and (tree.children >= 0).all()))
        _require(bool(((tree.positions >= 0) & (tree.positions < forest.length)).all()))
        _require(bool((tree.sizes >= 0).all()) and int(tree.sizes.sum()) == len(tree.words))
        _require(bool(((tree.words >= 0) & (tree.words < stride)).all()) and bool((np.diff(tree.keys) > 0).all()))
        _require(bool((counted.word_sizes >= 0).all()) and int(counted.word_sizes.sum()) == len(counted.leaves))
        num_leaves = int(tree.spans[1][0])
        _require(bool(((counted.leaves >= 0) & (counted.leaves < num_leaves)).all()))
        _require(bool((counted.counts > 0).all() and (counted.totals > 0).all()))


def _array(tensor: Tensor, dtype: torch.dtype) -> NDArray[Any]:
    _require(tensor.dtype == dtype)
    return tensor.numpy()


def _require(holds: bool) -> None:
    if not holds:
        raise ValueError
