"""Each way of smoothing by hand, on texts of a few words; and the law that all of them obey."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rnntool.ngram.add_k import AddK
from rnntool.ngram.kneser_ney import KneserNey
from rnntool.ngram.smoothing import Smoothing
from rnntool.ngram.witten_bell import WittenBell
from rnntool.text.vocabulary import Vocabulary
from tests.ngram.conftest import GOLDEN, LINES, estimated, parsed, prob, random_lines, tables

WAYS: dict[str, Smoothing] = {
    "mkn": KneserNey(modified=True),
    "kn": KneserNey(modified=False),
    "wb": WittenBell(),
    "add-k": AddK(0.3),
}

every_way = pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)


# --- by hand ---------------------------------------------------------------------------------------------------------


def test_kneser_ney_by_hand() -> None:
    """a b, a b, a c.

    Words: <unk> </s> a b c, V = 5.  Bigrams: <s> a 3, a b 2, a c 1, b </s> 2, c </s> 1; n₁ = 2, n₂ = 2, D = 2/6 = 1/3.
    Different words before: a 1, b 1, c 1, </s> 2, of 5; n₁ = 3, n₂ = 1, D = 3/5.
    """
    model = estimated(["a b", "a b", "a c"], WAYS["kn"], 2).model
    taken = 4 * (3 / 5) / 5
    p_b = (1 - 3 / 5) / 5 + taken / 5
    p_eos = (2 - 3 / 5) / 5 + taken / 5
    assert prob(model, "b") == pytest.approx(p_b, rel=1e-12)
    assert prob(model, "</s>") == pytest.approx(p_eos, rel=1e-12)
    assert prob(model, "<unk>") == pytest.approx(taken / 5, rel=1e-12)
    assert prob(model, "a b") == pytest.approx((2 - 1 / 3) / 3 + (2 / 3) / 3 * p_b, rel=1e-12)
    assert prob(model, "a </s>") == pytest.approx((2 / 3) / 3 * p_eos, rel=1e-12)
    assert prob(model, "<s> b") == pytest.approx((1 / 3) / 3 * p_b, rel=1e-12)


def test_witten_bell_by_hand() -> None:
    """The same text.  9 words, 4 of them different; after a 3, 2 of them different."""
    model = estimated(["a b", "a b", "a c"], WAYS["wb"], 2).model
    p_b = (2 + 4 / 5) / (9 + 4)
    p_eos = (3 + 4 / 5) / (9 + 4)
    assert prob(model, "b") == pytest.approx(p_b, rel=1e-12)
    assert prob(model, "<unk>") == pytest.approx(4 / 5 / 13, rel=1e-12)
    assert prob(model, "a b") == pytest.approx((2 + 2 * p_b) / (3 + 2), rel=1e-12)
    assert prob(model, "a </s>") == pytest.approx(2 * p_eos / 5, rel=1e-12)


def test_laplace_by_hand() -> None:
    """The same text: (c + 1) / (c(h) + 5); what b and c leave after a, the others share as they share among all."""
    model = estimated(["a b", "a b", "a c"], AddK(1), 2).model
    assert [prob(model, word) for word in ("<unk>", "</s>", "a", "b", "c")] == pytest.approx(
        [1 / 14, 4 / 14, 4 / 14, 3 / 14, 2 / 14], rel=1e-12
    )
    assert prob(model, "a b") == pytest.approx(3 / 8, rel=1e-12)
    assert prob(model, "a c") == pytest.approx(2 / 8, rel=1e-12)
    assert prob(model, "a </s>") == pytest.approx(3 / 8 * 4 / 9, rel=1e-12)


def test_what_smoothing_takes_from_words_may_go_to_unk_alone() -> None:
    """By hand above: 12/25 of 1 is taken from the words."""
    model = estimated(["a b", "a b", "a c"], WAYS["kn"], 2, interpolate_unigrams=False).model
    assert prob(model, "<unk>") == pytest.approx(4 * (3 / 5) / 5, rel=1e-12)
    assert prob(model, "b") == pytest.approx((1 - 3 / 5) / 5, rel=1e-12)


# --- as KenLM --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "order", "prune", "interpolate_unigrams"),
    [("trigram", 3, (), True), ("pruned", 4, (0, 0, 1), False)],
)
def test_the_model_is_kenlms(name: str, order: int, prune: tuple[int, ...], interpolate_unigrams: bool) -> None:
    """Every probability and weight, to the digits that both write; `<s>` is never predicted, and KenLM writes 0."""
    made = estimated(LINES, WAYS["mkn"], order, prune=prune, interpolate_unigrams=interpolate_unigrams)
    ours, theirs = tables(made.model), tables(parsed((GOLDEN / f"{name}.arpa").read_text()))
    for mine, golden in zip(ours, theirs, strict=True):
        assert mine.keys() == golden.keys()
        for gram, (log10_prob, log10_backoff) in golden.items():
            assert mine[gram][1] == pytest.approx(log10_backoff, abs=2e-6), gram
            if gram != ("<s>",):
                assert mine[gram][0] == pytest.approx(log10_prob, abs=2e-6), gram


def test_a_word_that_is_spelled_unk_is_a_word() -> None:
    """As in the Penn Treebank: the same model as with any other spelling, but for the <unk> that is another word there."""
    ours = estimated([line.replace("cat", "<unk>") for line in LINES], WAYS["mkn"], 3).model
    named = estimated(LINES, WAYS["mkn"], 3).model
    assert len(ours.vocabulary) == len(named.vocabulary) - 1
    assert prob(ours, "the <unk> sat") == pytest.approx(prob(named, "the cat sat"), rel=0.01)
    assert prob(ours, "<unk> sat") == pytest.approx(prob(named, "cat sat"), rel=0.01)
    assert prob(ours, "<unk> sat") > 2 * prob(named, "<unk> sat")


# --- laws ------------------------------------------------------------------------------------------------------------


@every_way
@pytest.mark.parametrize("order", [1, 2, 3, 7])
@pytest.mark.parametrize("prune", [(), (0, 1), (0, 0, 2)], ids=str)
def test_probabilities_sum_to_one(way: Smoothing, order: int, prune: tuple[int, ...]) -> None:
    """After every history of the text, and after some that it does not have."""
    for lines in (LINES, random_lines(1), ["a"]):
        model = estimated(lines, way, order, prune=prune[:order]).model
        contexts = [model.begin()]
        for word in np.random.default_rng(1).integers(len(model.vocabulary), size=40):
            contexts.append(model.after(contexts[-1], np.array([word])))
        for line in lines[:20]:
            contexts.append(model.begin())
            for word in model.vocabulary.encode(line):
                contexts.append(model.after(contexts[-1], np.array([word])))
        probs = np.exp(model.next_log_probs(np.concatenate(contexts)))
        np.testing.assert_allclose(probs.sum(axis=1), 1, rtol=1e-9)
        assert (probs > 0).all()


@every_way
def test_words_of_a_vocabulary_that_the_text_lacks_are_possible(way: Smoothing) -> None:
    """All alike, and what is not in the vocabulary is `<unk>`, as often as it comes."""
    vocabulary = Vocabulary("word", ["the", "</s>", "zebra", "cat", "<unk>", "gnu"])
    model = estimated(LINES, way, 2, vocabulary=vocabulary).model
    assert model.vocabulary is vocabulary
    assert 0 < prob(model, "zebra") == prob(model, "gnu") < prob(model, "cat") < prob(model, "<unk>")
    probs = np.exp(model.next_log_probs(model.after(model.begin(), np.array([0]))))
    assert probs.sum() == pytest.approx(1, abs=1e-12)


@every_way
def test_the_text_that_a_model_was_made_of_is_likelier_under_higher_orders(way: Smoothing) -> None:
    nll = []
    for order in (1, 2):
        model = estimated(LINES, way, order).model
        nll.append(-sum(float(scores.sum()) for scores in model.log_probs([*map(model.vocabulary.encode, LINES)])))
    assert nll == sorted(nll, reverse=True)


def test_golden_files_say_where_they_come_from() -> None:
    assert "lmplz -o 3" in Path(GOLDEN / "README.md").read_text()
