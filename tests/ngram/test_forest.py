"""Random forests: trees compared with what they are by definition, and what is mixed of them."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest

from rnntool.errors import InputError
from rnntool.ngram import growth
from rnntool.ngram.estimation import estimate as estimate_ngrams
from rnntool.ngram.forest import SIZES, STEPS, Forest, classes
from rnntool.ngram.forest_estimation import PRIOR, estimate, fitted
from rnntool.ngram.growth import grow
from rnntool.ngram.histories import streamed
from rnntool.ngram.model import NgramModel
from rnntool.ngram.normalization import forest_deviation_from_one
from rnntool.ngram.tree import Samples, Tree, sampled
from rnntool.ngram.witten_bell import WittenBell
from tests.ngram.conftest import random_lines, read

LINES = random_lines(1, number=400)


def forest(lines: Sequence[str] = LINES, *, order: int = 3, num_trees: int = 3, seed: int = 1) -> Forest:
    text = read(lines)

    def make(counts: object) -> NgramModel:
        return estimate_ngrams(counts, text.vocabulary, WittenBell(), thresholds=[0] * order).model  # type: ignore[arg-type]

    return estimate([text.ids], text.vocabulary, make, order=order, num_trees=num_trees, seed=seed, memory=1 << 20)


FOREST = forest()


def ids_of(lines: Sequence[str], model: Forest = FOREST) -> list[list[int]]:
    return [model.vocabulary.encode(line) for line in lines]


def samples(lines: Sequence[str] = LINES, length: int = 2) -> Samples:
    stream = streamed(ids_of(lines), eos_id=FOREST.vocabulary.eos_id, bos_id=len(FOREST.vocabulary))
    return sampled(stream.histories(length), stream.words, len(FOREST.vocabulary) + 1)


# --- by definition ---------------------------------------------------------------------------------------------------


def way_reference(tree: Tree, history: Sequence[int]) -> list[int]:
    """The nodes that a history comes to, from the root on."""
    known: list[dict[int, bool]] = []
    place = 0
    for size in tree.sizes.tolist():
        known.append(
            dict(zip(tree.words[place : place + size].tolist(), tree.sides[place : place + size].tolist(), strict=True))
        )
        place += size
    way = [0]
    while tree.children[way[-1]]:
        word = history[tree.positions[way[-1]]]
        if word not in known[way[-1]]:
            break
        way.append(int(tree.children[way[-1]]) + known[way[-1]][word])
    return way


def log_probs_reference(model: Forest, lines: list[list[int]], training: list[list[int]]) -> list[list[float]]:
    """One word after another, each tree's nodes counted anew."""
    bos, eos = len(model.vocabulary), model.vocabulary.eos_id

    def events(line: list[int]) -> list[tuple[tuple[int, ...], int]]:
        whole = [bos] * model.length + line + [eos]
        return [
            (tuple(whole[n - k] for k in range(1, model.length + 1)), whole[n]) for n in range(model.length, len(whole))
        ]

    cells: list[Counter[tuple[int, int]]] = []
    totals: list[Counter[int]] = []
    for counted in model.trees:
        cell: Counter[tuple[int, int]] = Counter()
        total: Counter[int] = Counter()
        for history, word in itertools.chain.from_iterable(map(events, training)):
            way = way_reference(counted.tree, history)
            if not counted.tree.children[way[-1]]:
                cell.update((node, word) for node in way)
                total.update(way)
        cells.append(cell)
        totals.append(total)
    found = []
    for line, by_ngrams in zip(lines, model.ngrams.log_probs(lines), strict=True):
        stream = streamed([line], eos_id=eos, bos_id=bos)
        scores = []
        for (history, word), log_prob, class_ in zip(
            events(line), by_ngrams, classes(model.ngrams, stream), strict=True
        ):
            weights = model.weights[class_]
            prob = weights[0] * math.exp(log_prob)
            for weight, size in zip(weights[1:], SIZES, strict=True):
                for counted, cell, total in zip(model.trees, cells, totals, strict=True):
                    way = way_reference(counted.tree, history)
                    node = next((node for node in reversed(way) if total[node] >= size), 0)
                    prob += weight * cell[node, word] / total[node] / len(model.trees)
            scores.append(math.log(prob))
        found.append(scores)
    return found


def test_scores_are_those_of_the_definition() -> None:
    """Of lines of the text, of others, and of a blank one."""
    lines = ids_of([*LINES[:20], *random_lines(7, num_types=9, number=20), "", "w3 w3 w3 w8 w8 zebra"])
    expected = log_probs_reference(FOREST, lines, ids_of(LINES))
    for scores, reference in zip(FOREST.log_probs(lines), expected, strict=True):
        np.testing.assert_allclose(scores, reference, rtol=1e-9)
    assert FOREST.log_probs([]) == []


@pytest.mark.parametrize("order", [2, 3, 4])
def test_probabilities_sum_to_one(order: int) -> None:
    assert forest_deviation_from_one(forest(order=order), num_contexts=6) < 1e-9


def test_lines_are_scored_alone_as_together() -> None:
    lines = ids_of(random_lines(5))
    for line, scores in zip(lines, FOREST.log_probs(lines), strict=True):
        np.testing.assert_allclose(FOREST.log_probs([line])[0], scores, rtol=1e-12)


# --- growth ----------------------------------------------------------------------------------------------------------


def likelihood_reference(found: Samples, at: np.ndarray) -> float:
    """Σ log c(n, w) / c(n) over the text, n being where each history is."""
    cells: Counter[tuple[int, int]] = Counter()
    totals: Counter[int] = Counter()
    nodes = at[found.histories].tolist()
    for node, word, number in zip(nodes, found.words.tolist(), found.counts.tolist(), strict=True):
        cells[node, word] += number
        totals[node] += number
    return sum(number * math.log(number / totals[node]) for (node, _), number in cells.items())


def test_every_level_makes_the_text_likelier() -> None:
    found = samples()
    tree = grow(found, len(FOREST.vocabulary) + 1, np.random.default_rng(3))
    values = [likelihood_reference(found, at) for at in tree.descend(found.columns)]
    assert len(values) > 2 and values == sorted(values)


def test_the_exchange_finds_words_that_are_alike() -> None:
    """After a or b comes x or y, after c or d z: nothing is left to be told apart, and words that are alike mostly are."""
    lines = ["a x", "b x", "a y", "b y", "c z", "d z"] * 400
    text = read(lines)
    encoded = [text.vocabulary.encode(line) for line in lines]
    stream = streamed(encoded, eos_id=text.vocabulary.eos_id, bos_id=len(text.vocabulary))
    stride = len(text.vocabulary) + 1
    found = sampled(stream.histories(1), stream.words, stride)
    a, b, c, d = map(text.vocabulary.tokens.index, "abcd")
    best = likelihood_reference(found, np.arange(found.columns.shape[1]))
    together = 0
    for seed in range(10):
        tree = grow(found, stride, np.random.default_rng(seed))
        *_, at = tree.descend(found.columns)
        assert likelihood_reference(found, at) == pytest.approx(best, rel=1e-12)
        *_, at = tree.descend(np.array([[a, b, c, d]]))
        assert not {*at[:2]} & {*at[2:]}
        together += int(at[0] == at[1]) + int(at[2] == at[3])
    assert together > 10


def test_small_nodes_are_leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    found = samples()
    stride = len(FOREST.vocabulary) + 1
    counted = grow(found, stride, np.random.default_rng(3)).count(found)
    assert counted.totals[counted.tree.children > 0].min() >= growth.SMALLEST
    assert counted.totals[0] == found.counts.sum()
    monkeypatch.setattr(growth, "SMALLEST", 10**9)
    assert len(grow(found, stride, np.random.default_rng(3)).children) == 1


def test_a_word_that_no_question_knows_goes_no_further() -> None:
    tree = FOREST.trees[0].tree
    *_, at = tree.descend(np.full((2, 1), FOREST.vocabulary.unk_id))
    assert at.tolist() == [0]


# --- weights ---------------------------------------------------------------------------------------------------------


def test_weights_go_to_what_is_likelier() -> None:
    probs = np.array([[0.5, 0.5, 0.1, 0.1], [0.1, 0.1, 0.5, 0.5]]).repeat(50, axis=1)
    weights = fitted(probs, np.array([1, 1, 2, 2]).repeat(50), 4)
    np.testing.assert_allclose(weights.sum(axis=1), 1)
    assert weights[1, 0] > 0.9 and weights[2, 1] > 0.9
    np.testing.assert_allclose(weights[0], weights[3])  # classes that never came are like all
    np.testing.assert_allclose(weights[0], [0.5, 0.5], atol=1e-6)
    assert PRIOR < 50


def test_classes_tell_how_far_n_grams_know_a_history() -> None:
    """After `<s>` they know words; after a word that they never saw, nothing."""
    (line,) = ids_of(["w0 w0 zebra"])
    stream = streamed([line], eos_id=FOREST.vocabulary.eos_id, bos_id=len(FOREST.vocabulary))
    found = classes(FOREST.ngrams, stream)
    assert 1 <= found[0] <= STEPS < found[1] <= 2 * STEPS and found[3] == 0


# --- the whole -------------------------------------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_forest() -> None:
    again, other = forest(), forest(seed=2)
    lines = ids_of(LINES[:50])
    same, different = (
        all((a == b).all() for a, b in zip(model.log_probs(lines), FOREST.log_probs(lines), strict=True))
        for model in (again, other)
    )
    assert same and not different
    first = forest(num_trees=1).trees[0]
    assert (first.tree.words == FOREST.trees[0].tree.words).all()  # whatever comes after it
    assert not np.array_equal(FOREST.trees[0].tree.words, FOREST.trees[1].tree.words)


def test_text_held_out_likes_more_trees() -> None:
    """Words of two kinds in turns: a forest knows the kind, and n-grams of that little text do not."""
    rng = np.random.default_rng(1)
    lines = [" ".join(f"{'ab'[n % 2]}{rng.integers(60)}" for n in range(rng.integers(4, 12))) for _ in range(1500)]
    model = forest(lines[:1400], num_trees=4)
    encoded = ids_of(lines[1400:], model)
    mixed = -np.concatenate(model.log_probs(encoded)).mean()
    alone = -np.concatenate(model.ngrams.log_probs(encoded)).mean()
    assert mixed < alone - 0.1


def test_two_lines_are_enough_and_one_is_not() -> None:
    assert forest_deviation_from_one(forest(["a b c", "a b"], num_trees=1)) < 1e-9
    with pytest.raises(InputError, match="one line"):
        forest(["a b c"])
