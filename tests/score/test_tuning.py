"""Fitting an adaptation on a text."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from rnntool.config.adaptation import Adaptation, Cache, Choices, Dynamic, Pointer
from rnntool.errors import TrainingError
from rnntool.score.adaptation import adapted
from rnntool.score.mixture import Mixture
from rnntool.score.perplexity import score_ids
from rnntool.score.scorer import Scorer
from rnntool.score.tuning import Trial, fit
from tests.score.conftest import LINES, scorer, words

IDS = [words().encode(line) for line in LINES]


def ppl(model: Scorer, adaptation: Adaptation) -> float:
    return score_ids(adapted(model, adaptation), IDS).ppl


@pytest.mark.parametrize("context", ["carry", "reset"])
@pytest.mark.parametrize("part", [Cache(time=20.0), Cache(order=2), Pointer(window=50)], ids=str)
def test_a_fitted_weight_is_better_than_those_beside_it(context: str, part: Cache | Pointer) -> None:
    open_part = replace(part, weight=None)
    choices = Choices(caches=((open_part,),)) if isinstance(open_part, Cache) else Choices(pointer=(open_part,))
    found, reported = fit(scorer(context), choices, IDS)
    best = found.caches[0] if isinstance(part, Cache) else found.pointer
    assert best is not None and best.weight is not None and 0.01 < best.weight < 0.9999
    assert ppl(scorer(context), found) == pytest.approx(reported, rel=1e-6)
    for factor in (0.95, 1.05):
        other = Adaptation().with_part(replace(best, weight=min(0.9999, best.weight * factor)))
        assert ppl(scorer(context), other) > reported


def test_the_weight_of_a_pointer_in_a_mixture_is_found_too() -> None:
    mixture = Mixture([scorer("carry"), scorer("carry", arch="gru:16", seed=2)], [0.6, 0.4], ["a", "b"])
    found, reported = fit(mixture, Choices(pointer=(Pointer(weight=None),)), IDS)
    assert found.pointer is not None and found.pointer.weight is not None
    for factor in (0.95, 1.05):
        other = Adaptation(pointer=replace(found.pointer, weight=found.pointer.weight * factor))
        assert ppl(mixture, other) > reported


def test_the_best_of_all_candidates_is_chosen_and_all_are_told() -> None:
    temperatures = (0.5, 1.0, 2.0, 4.0)
    trials: list[Trial] = []
    found, reported = fit(scorer("carry"), Choices(temperature=temperatures), IDS, on_trial=trials.append)
    ppls = {t: ppl(scorer("carry"), Adaptation(temperature=t)) for t in temperatures}
    assert [trial.candidate for trial in trials] == list(temperatures)
    assert [trial.ppl for trial in trials] == pytest.approx(list(ppls.values()))
    assert found == Adaptation(temperature=min(ppls, key=lambda t: ppls[t]))
    assert reported == pytest.approx(min(ppls.values()))


def test_parts_are_fitted_one_around_the_other() -> None:
    """The second cache is fitted around the first, and all is as good as it was said to be."""
    choices = Choices(
        dynamic=(Dynamic(rule="sgd", lr=0.05), Dynamic(rule="sgd", lr=0.2)),
        pointer=(Pointer(weight=None),),
        caches=((Cache(time=5.0, weight=None), Cache(time=50.0, weight=None)), (Cache(order=2, weight=None),)),
    )
    trials: list[Trial] = []
    found, reported = fit(scorer("carry"), choices, IDS, on_trial=trials.append)
    assert len(trials) == 6
    assert len(found.caches) == 2 and found.dynamic and found.pointer and found.temperature is None
    assert ppl(scorer("carry"), found) == pytest.approx(reported, rel=1e-5)


def test_candidates_that_diverge_are_passed_over_and_all_of_them_an_error() -> None:
    wild, mild = Dynamic(rule="sgd", lr=1e38), Dynamic(rule="sgd", lr=0.01)
    found, _ = fit(scorer("carry"), Choices(dynamic=(wild, mild)), IDS)
    assert found.dynamic == mild
    with pytest.raises(TrainingError):
        fit(scorer("carry"), Choices(dynamic=(wild,)), IDS)


def test_impossible_tokens_are_worse_than_improbable_ones() -> None:
    many, few = np.array([-9.0, -9.0, -9.0]), np.array([-1.0, -1.0, -math.inf])
    assert Trial(1.0, many).merit > Trial(1.0, few).merit
    assert math.isfinite(Trial(1.0, few).ppl)
