"""Pairs under networks that translate."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from rnntool.config.network import NetworkConfig
from rnntool.models.network import Network, build_network
from rnntool.score.pairs import PairScorer, score_pairs
from rnntool.text.vocabulary import Vocabulary

WORDS = Vocabulary("word", ["<unk>", "</s>", *"abcdef"])
SOURCES = ["a b c", "", "d e f a b c d", "f"]
TARGETS = ["b", "c c d", "zyx f", ""]
LINKS: list[dict[str, Any]] = [
    {"link": "init", "encoder": "lstm:5"},
    {"link": "attention", "encoder": "bi-gru:4", "input_feeding": True},
    {"link": "attention:dot", "encoder": "bi-gru:4"},
]


def network(seed: int, **options: Any) -> Network:
    built = build_network(NetworkConfig("gru:8", context="reset", **options), len(WORDS), len(WORDS))
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in built.parameters():
            parameter.normal_(generator=generator)
    return built


def log_probs(scorer: PairScorer, sources: list[str], targets: list[str]) -> list[np.ndarray]:
    return [line.log_probs for line in scorer.scored(sources, targets)]


@pytest.mark.parametrize("options", LINKS, ids=lambda options: options["link"])
def test_a_pair_scores_alike_whatever_stands_beside_it(
    options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where long targets are cut into windows, and long sources are computed alone."""
    model = network(1, **options)
    together = log_probs(PairScorer([model], [WORDS], WORDS, [1.0]), SOURCES, TARGETS)
    alone = log_probs(PairScorer([model], [WORDS], WORDS, [1.0], batch_size=1), SOURCES, TARGETS)
    monkeypatch.setattr("rnntool.score.pairs.WINDOW", 2)
    monkeypatch.setattr("rnntool.score.pairs.POSITIONS", 9)
    cut = log_probs(PairScorer([model], [WORDS], WORDS, [1.0]), SOURCES, TARGETS)
    assert [len(each) for each in together] == [2, 4, 3, 1]
    for one, two, three in zip(together, alone, cut, strict=True):
        assert one == pytest.approx(two, rel=1e-5)
        assert one == pytest.approx(three, rel=1e-5)


def test_targets_of_all_words_have_a_probability_of_one() -> None:
    """Σ_w P(w | source): of all first words of a target."""
    model = network(2, **LINKS[1])
    first = score_pairs(model, [[2, 3]] * len(WORDS), [[id_] for id_ in range(len(WORDS))], ends=(1, 1))
    assert sum(np.exp(each[0]) for each in first) == pytest.approx(1, rel=1e-5)


def test_several_models_mix_their_probabilities() -> None:
    models = [network(seed, **options) for seed, options in enumerate(LINKS[:2])]
    each = [log_probs(PairScorer([model], [WORDS], WORDS, [1.0]), SOURCES, TARGETS) for model in models]
    mixed = log_probs(PairScorer(models, [WORDS, WORDS], WORDS, [0.25, 0.75]), SOURCES, TARGETS)
    for one, two, both in zip(*each, mixed, strict=True):
        assert np.exp(both) == pytest.approx(0.25 * np.exp(one) + 0.75 * np.exp(two), rel=1e-6)


def test_words_that_are_not_in_the_vocabulary_are_known() -> None:
    scored = PairScorer([network(1, **LINKS[0])], [WORDS], WORDS, [1.0]).scored(SOURCES, TARGETS)
    assert [list(line.is_oov) for line in scored] == [[False], [False] * 3, [True, False], []]
