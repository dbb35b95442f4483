"""The line of least risk, by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sacrebleu import BLEU

from rnntool.score import consensus


def test_probabilities_are_of_the_scaled_scores() -> None:
    """e⁰ : e⁻¹ at scale 1, and 1 : 1 at scale 0; no score is too small or too large."""
    assert consensus.posterior([-1.0, -2.0], 1.0).tolist() == pytest.approx([math.e / (math.e + 1), 1 / (math.e + 1)])
    assert consensus.posterior([-1.0, -2.0], 0.0).tolist() == [0.5, 0.5]
    assert consensus.posterior([-1e5, -2e5], 1.0).tolist() == [1.0, 0.0]
    assert consensus.posterior([1e308, -1e308], 1e308).tolist() == [1.0, 0.0]
    assert consensus.posterior([-1e308, 1e308], 0.0).tolist() == [0.5, 0.5]


def test_the_expected_score_is_the_mean_over_all_as_references() -> None:
    segments = ["the old king sees it", "the king sees it", "the old king sees it", "no dog"]
    probabilities = np.array([0.1, 0.4, 0.2, 0.3])
    metric = BLEU(tokenize="none", effective_order=True)
    expected = [
        sum(p * metric.sentence_score(hyp, [ref]).score for p, ref in zip(probabilities, segments, strict=True))
        for hyp in segments
    ]
    assert consensus.expected("bleu", segments, probabilities).tolist() == pytest.approx(expected)


def test_what_many_agree_on_beats_the_single_best() -> None:
    segments = ["a dog barks", "the king sees the sea", "the king sees a sea", "a king sees the sea"]
    probabilities = consensus.posterior([-1.0, -1.5, -1.6, -1.7], 1.0)
    for metric in ("bleu", "chrf"):
        assert consensus.expected(metric, segments, probabilities).argmax() == 1


def test_the_scores_of_blank_lines_are_zero() -> None:
    assert consensus.expected("bleu", ["", ""], np.array([0.5, 0.5])).tolist() == [0, 0]
