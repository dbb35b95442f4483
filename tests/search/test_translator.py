"""Targets found for sources."""

from __future__ import annotations

import pytest
import torch

from rnntool.config.network import NetworkConfig
from rnntool.models.network import Network, build_network
from rnntool.score.pairs import score_pairs
from rnntool.search.beam import beam_search
from rnntool.search.continuation import Continuation
from rnntool.search.translator import Translator
from tests.search.conftest import EOS

SOURCES = [[3, 4, 5], [2], [5, 6, 7, 8, 2], [9, 3]]
LINKS = [
    {"link": "init", "encoder": "lstm:5", "reverse_source": True},
    {"link": "each", "encoder": "bag"},
    {"link": "attention", "encoder": "bi-gru:4"},
    {"link": "attention:general", "encoder": "bi-gru:4", "input_feeding": True},
]


def network(*, seed: int = 1, **options: object) -> Network:
    """A network whose weights are normal with a deviation of 1."""
    built = build_network(NetworkConfig("gru:8", context="reset", **options), 12, 10)  # type: ignore[arg-type]
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in built.parameters():
            parameter.normal_(generator=generator)
    return built


def translated(
    networks: list[Network],
    *,
    batch_size: int = 8,
    beam_size: int = 4,
    weights: tuple[float, ...] = (1.0,),
    **how: float,
) -> list[list[Continuation]]:
    translator = Translator(networks, weights, eos_id=EOS, source_ends=[0] * len(networks))
    found: list[list[Continuation]] = []
    for first in range(0, len(SOURCES), batch_size):
        part = SOURCES[first : first + batch_size]
        found += beam_search(
            translator,
            translator.read([part] * len(networks)),
            beam_size=beam_size,
            num_best=min(beam_size, 3),
            max_tokens=[len(line) + 6 for line in part],
            **how,  # type: ignore[arg-type]
        )
    return found


@pytest.mark.parametrize("options", LINKS, ids=lambda options: options["link"])
@pytest.mark.parametrize("length_penalty", [0.0, 1.0])
def test_a_target_does_not_depend_on_the_sources_beside_its_own(
    options: dict[str, object], length_penalty: float
) -> None:
    model = network(**options)
    one, all_of_them = (translated([model], batch_size=size, length_penalty=length_penalty) for size in (1, 8))
    assert [[c.ids for c in each] for each in one] == [[c.ids for c in each] for each in all_of_them]


@pytest.mark.parametrize("options", LINKS, ids=lambda options: options["link"])
def test_a_target_has_the_probability_that_scoring_gives_it(options: dict[str, object]) -> None:
    model = network(**options)
    for source, found in zip(SOURCES, translated([model]), strict=True):
        for continuation in found:
            if continuation.has_ended:
                (log_probs,) = score_pairs(model, [source], [continuation.ids], ends=(0, EOS))
                assert continuation.logprob == pytest.approx(float(log_probs.sum()), rel=1e-4, abs=1e-4)


def test_one_hypothesis_is_the_likeliest_token_each_time() -> None:
    model = network(**LINKS[2])
    translator = Translator([model], (1.0,), eos_id=EOS, source_ends=[0])
    for source, (found,) in zip(SOURCES, translated([model], beam_size=1, length_penalty=1.0), strict=True):
        prefixes = translator.read([[source]])
        greedy: list[int] = []
        while len(greedy) < len(source) + 6:
            log_probs, state = translator.step(prefixes)
            word = log_probs.argmax(dim=1)
            if int(word) == EOS:
                break
            greedy.append(int(word))
            prefixes = type(prefixes)(word, state)
        assert list(found.ids) == greedy


def test_an_ensemble_of_a_model_with_itself_is_the_model() -> None:
    model = network(**LINKS[2])
    alone, twice = translated([model]), translated([model, model], weights=(0.3, 0.7))
    assert [[c.ids for c in each] for each in alone] == [[c.ids for c in each] for each in twice]


def test_an_ensemble_mixes_models_of_different_kinds() -> None:
    networks = [network(seed=seed, **options) for seed, options in enumerate(LINKS)]
    found = translated(networks, weights=(0.25,) * 4)
    assert all(each for each in found)
    assert found != translated(networks[:1])


def test_a_length_penalty_prefers_the_likelier_tokens() -> None:
    model = network(**LINKS[2])
    for found in translated([model], beam_size=6, length_penalty=1.0):
        means = [c.logprob / max(1, c.num_tokens) for c in found]
        assert means == sorted(means, reverse=True)


def test_a_target_is_no_longer_than_its_own_limit() -> None:
    for source, found in zip(SOURCES, translated([network(**LINKS[2])], length_penalty=1.0), strict=True):
        assert all(len(c.ids) <= len(source) + 6 for c in found)
