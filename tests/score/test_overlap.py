"""BLEU and chrF of many at once are sacreBLEU's of each."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sacrebleu import BLEU, CHRF

from rnntool.config.metrics import MetricConfig
from rnntool.score import bleu, overlap

SENTENCES = st.lists(st.text("ab ", max_size=24), min_size=1, max_size=6)


def sums(name: str, hypotheses: list[str], reference: list[str]) -> np.ndarray:
    metric = bleu.build(name, MetricConfig(tokenize="none"), [reference])
    statistics_of = bleu.statistics(metric)
    return np.sum([statistics_of(place, text) for place, text in enumerate(hypotheses)], axis=0, dtype=float)


@given(SENTENCES, SENTENCES)
def test_a_text_scores_as_sacrebleu_has_it(hypotheses: list[str], reference: list[str]) -> None:
    size = min(len(hypotheses), len(reference))
    hypotheses, reference = hypotheses[:size], reference[:size]
    for name, metric in (("bleu", BLEU(tokenize="none", force=True)), ("chrf", CHRF())):
        expected = metric.corpus_score(hypotheses, [reference]).score
        assert overlap.OF_TEXTS[name](sums(name, hypotheses, reference)) == pytest.approx(expected, abs=1e-9)


def test_several_texts_are_scored_at_once() -> None:
    texts = ["a b c d e", "a b c d", "b a", "", "a b c e e e e"]
    for name in ("bleu", "chrf"):
        statistics = np.stack([sums(name, [text], ["a b c d e"]) for text in texts])
        together = overlap.OF_TEXTS[name](statistics.reshape(1, 5, -1))
        assert together.shape == (1, 5)
        assert together[0].tolist() == [overlap.OF_TEXTS[name](row) for row in statistics]


@given(SENTENCES)
def test_every_pair_scores_as_sacrebleu_has_the_sentence(sentences: list[str]) -> None:
    for pairwise, metric in (
        (overlap.pairwise_bleu, BLEU(tokenize="none", effective_order=True)),
        (overlap.pairwise_chrf, CHRF()),
    ):
        found = pairwise(sentences)
        expected = [[metric.sentence_score(hyp, [ref]).score for ref in sentences] for hyp in sentences]
        assert found == pytest.approx(np.array(expected), abs=1e-9)


def test_many_ngrams_are_compared_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    sentences = ["the old king sees the sea", "the king sees the old sea", "a rose", ""]
    whole = overlap.pairwise_bleu(sentences), overlap.pairwise_chrf(sentences)
    monkeypatch.setattr(overlap, "COLUMNS", 3)
    assert (overlap.pairwise_bleu(sentences) == whole[0]).all()
    assert (overlap.pairwise_chrf(sentences) == whole[1]).all()
