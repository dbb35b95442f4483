"""Which scorer goes around which."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest

from rnntool.config.adaptation import Adaptation, Cache, Dynamic, Pointer
from rnntool.errors import OptionError
from rnntool.score.adaptation import adapted
from rnntool.score.cache import CacheScorer
from rnntool.score.dynamic import DynamicScorer
from rnntool.score.mixture import Mixture
from rnntool.score.network import NetworkScorer
from rnntool.score.pointer import PointerScorer
from rnntool.score.scorer import LogProbs
from rnntool.text.vocabulary import Vocabulary
from tests.score.conftest import LINES, scorer, words

IDS = [words().encode(line) for line in LINES]
DYNAMIC = Dynamic(rule="sgd", lr=0.01)


@dataclass
class Uniform:
    """A model that is no network."""

    vocabulary: Vocabulary
    context: str = "carry"

    def state0(self) -> None:
        pass

    def score(self, lines: Sequence[Sequence[int]], state: None) -> tuple[list[LogProbs], None]:
        return [np.full(len(line) + 1, -2.0) for line in lines], state


def test_nothing_asked_for_is_nothing_done() -> None:
    plain = scorer("carry")
    assert adapted(plain, Adaptation()) is plain


def test_everything_goes_around_the_network_in_its_order() -> None:
    everything = Adaptation(DYNAMIC, 1.1, Pointer(), (Cache(), Cache(order=2)))
    outer = adapted(scorer("carry"), everything)
    assert isinstance(outer, CacheScorer) and outer.cache.order == 2
    assert isinstance(outer.scorer, CacheScorer) and outer.scorer.cache.order == 1
    pointed = outer.scorer.scorer
    assert isinstance(pointed, PointerScorer)
    assert isinstance(pointed.scorer, DynamicScorer) and pointed.scorer.temperature == 1.1


@pytest.mark.parametrize("context", ["carry", "reset"])
def test_everything_at_once_does_not_depend_on_how_lines_are_grouped(context: str) -> None:
    everything = Adaptation(DYNAMIC, 1.1, Pointer(window=30), (Cache(), Cache(order=2)))
    outer = adapted(Mixture([scorer(context), Uniform(words(), context)], [0.7, 0.3], ["a", "b"]), everything)
    whole, _ = outer.score(IDS, outer.state0())
    found, state = [], outer.state0()
    for first in range(0, len(IDS), 9):
        part, state = outer.score(IDS[first : first + 9], state)
        found += part
    np.testing.assert_allclose(np.concatenate(found), np.concatenate(whole), rtol=1e-5)


def test_of_a_mixture_every_network_adapts_and_nothing_else() -> None:
    uniform = Uniform(words())
    mixture = Mixture([scorer("carry"), uniform, scorer("carry", seed=2)], [0.5, 0.3, 0.2], ["a", "b", "c"])
    new = adapted(mixture, Adaptation(DYNAMIC, caches=(Cache(),)))
    assert isinstance(new, CacheScorer) and isinstance(new.scorer, Mixture)
    one, same, other = new.scorer.scorers
    assert isinstance(one, DynamicScorer) and isinstance(other, DynamicScorer) and same is uniform
    assert new.scorer.weights.tolist() == [0.5, 0.3, 0.2]


def test_a_temperature_keeps_the_batch_size() -> None:
    warm = adapted(scorer("reset", batch_size=7), Adaptation(temperature=1.2))
    assert isinstance(warm, NetworkScorer)
    assert (warm.batch_size, warm.temperature, warm.context) == (7, 1.2, "reset")


@pytest.mark.parametrize(
    ("adaptation", "option"),
    [
        (Adaptation(DYNAMIC), "--dynamic"),
        (Adaptation(temperature=1.0), "--temperature"),
        (Adaptation(pointer=Pointer()), "--pointer"),
    ],
)
def test_what_is_done_to_networks_needs_one(adaptation: Adaptation, option: str) -> None:
    for model in (Uniform(words()), Mixture([Uniform(words())] * 2, [0.5, 0.5], ["a", "b"])):
        with pytest.raises(OptionError) as refused:
            adapted(model, adaptation)
        assert str(refused.value) == f"{option}: it is done to networks, and no model is one"
    assert isinstance(adapted(Uniform(words()), Adaptation(caches=(Cache(),))), CacheScorer)
