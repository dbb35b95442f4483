"""The maximum-entropy model: its formula written out place by place, its gradient, and what its weights have to do."""

from __future__ import annotations

import numpy as np
import pytest

from rnntool.ngram.maxent import DISCOUNT, MaximumEntropy, Nest, estimate
from rnntool.ngram.pruning import staying, thresholds
from rnntool.text.vocabulary import Vocabulary
from tests.ngram.conftest import LINES, counted, prob, random_lines, read, tables

SHORT = ["a b", "a b c a", "", "c", "a c b b"]


def maxent_of(lines: list[str], order: int, prune: tuple[int, ...] = ()) -> MaximumEntropy:
    counts = counted(read(lines), order)
    nest = Nest(counts, staying(counts, thresholds(prune, order)))
    return MaximumEntropy(nest, (20.0, 5.0, 2.0))


def weights_by_words(maxent: MaximumEntropy, theta: np.ndarray) -> dict[tuple[int, ...], float]:
    """θ of each n-gram, by its words."""
    grams, found = maxent.nest.grams, {}
    for order, weights in enumerate(maxent.nest.split(theta), 1):
        columns = grams.words(order, np.arange(grams.size(order)))
        found |= zip(zip(*(column.tolist() for column in columns), strict=True), weights.tolist(), strict=True)
    return found


def log_probs_written_out(
    weights: dict[tuple[int, ...], float], history: tuple[int, ...], vocab_size: int
) -> np.ndarray:
    """log P of all words, from the sums of the weights of the n-grams that end with each."""
    s = np.zeros(vocab_size)
    for word in range(vocab_size):
        for length in range(len(history) + 1):
            s[word] += weights.get((*history[len(history) - length :], word), 0.0)
    return s - np.log(np.exp(s).sum())


@pytest.mark.parametrize("order", [1, 2, 3, 5])
@pytest.mark.parametrize("prune", [(), (0, 1)], ids=str)
def test_objective_and_model_are_the_formula_place_by_place(order: int, prune: tuple[int, ...]) -> None:
    prune = prune[:order]
    maxent = maxent_of(SHORT, order, prune)
    text = read(SHORT)
    vocab_size, bos, eos = len(text.vocabulary), maxent.nest.grams.bos_id, text.vocabulary.eos_id
    theta = np.random.default_rng(1).normal(size=len(maxent.wanted))
    weights = weights_by_words(maxent, theta)
    model = maxent.model(theta, text.vocabulary)
    nll, history = 0.0, (bos,)
    contexts = model.begin()
    for word in text.ids.tolist():
        log_probs = log_probs_written_out(weights, history[max(0, len(history) - order + 1) :], vocab_size)
        np.testing.assert_allclose(model.next_log_probs(contexts)[0], log_probs, atol=1e-12)
        nll -= float(log_probs[word])
        history = (bos,) if word == eos else (*history, word)
        contexts = model.begin() if word == eos else model.after(contexts, np.array([word]))
    pairs = zip(maxent.nest.split(theta), maxent.nest.occurrences, strict=True)
    taken = sum(DISCOUNT * float(own[seen > 0].sum()) for own, seen in list(pairs)[1:])
    penalty = float((maxent.pull * theta) @ theta) / 2
    assert maxent.objective(theta)[0] == pytest.approx(nll + taken + penalty, rel=1e-12)


@pytest.mark.parametrize("prune", [(), (0, 1), (0, 0, 1)], ids=str)
def test_the_gradient_is_what_the_objective_changes_by(prune: tuple[int, ...]) -> None:
    maxent = maxent_of(LINES, 4, prune)
    random = np.random.default_rng(1)
    theta = random.normal(size=len(maxent.wanted)) / 2
    _, gradient = maxent.objective(theta)
    for _ in range(5):
        way = random.normal(size=len(theta))
        change = maxent.objective(theta + 1e-5 * way)[0] - maxent.objective(theta - 1e-5 * way)[0]
        assert change / 2e-5 == pytest.approx(float(gradient @ way), rel=1e-6)


def test_words_alone_without_a_prior_are_as_likely_as_they_are_frequent() -> None:
    """a 3, b 2, </s> 2 of 7."""
    text = read(["a b a", "b a"])
    model = estimate(counted(text, 1), text.vocabulary, thresholds=(0,), variances=(1e9,)).model
    assert [prob(model, word) for word in ("a", "b", "</s>")] == pytest.approx([3 / 7, 2 / 7, 2 / 7], rel=1e-3)


def test_what_is_expected_is_what_was_counted_but_for_discount_and_prior() -> None:
    """3 P(b | a) = 2 − D − θ(a b)/σ², and P(b | a) = P(b) exp θ(a b) times the back-off weight of a; so for c, once."""
    text = read(["a b", "a b", "a c"])
    seen: list[float] = []
    model = estimate(
        counted(text, 2),
        text.vocabulary,
        thresholds=(0, 0),
        variances=(100.0, 8.0),
        observe=lambda _, value: seen.append(value),
    ).model
    backoff = np.log(10) * tables(model)[0]["a",][1]
    for word, occurrences in (("b", 2), ("c", 1)):
        theta = np.log(prob(model, f"a {word}") / prob(model, word)) - backoff
        assert 3 * prob(model, f"a {word}") == pytest.approx(occurrences - DISCOUNT - theta / 8, abs=0.01)
    assert seen == sorted(seen, reverse=True) and len(seen) > 5


@pytest.mark.parametrize("order", [1, 2, 3, 7])
@pytest.mark.parametrize("prune", [(), (0, 1), (0, 0, 2)], ids=str)
def test_probabilities_sum_to_one(order: int, prune: tuple[int, ...]) -> None:
    for lines in (LINES, random_lines(1), ["a"]):
        text = read(lines)
        limits = thresholds(prune[:order], order)
        model = estimate(counted(text, order), text.vocabulary, thresholds=limits).model
        contexts = [model.begin()]
        for word in np.random.default_rng(1).integers(len(model.vocabulary), size=40):
            contexts.append(model.after(contexts[-1], np.array([word])))
        probs = np.exp(model.next_log_probs(np.concatenate(contexts)))
        np.testing.assert_allclose(probs.sum(axis=1), 1, rtol=1e-9)
        assert (probs > 0).all()


def test_words_of_a_vocabulary_that_the_text_lacks_are_possible() -> None:
    vocabulary = Vocabulary("word", ["the", "</s>", "zebra", "cat", "<unk>", "gnu"])
    text = read(LINES, vocabulary)
    model = estimate(counted(text, 2), vocabulary, thresholds=(0, 0)).model
    assert prob(model, "zebra") == pytest.approx(prob(model, "gnu"))
    assert 0 < prob(model, "zebra") < prob(model, "cat") < prob(model, "<unk>")
