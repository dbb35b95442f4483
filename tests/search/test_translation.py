"""Lines of a source as lines of a target."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from rnntool.config.network import NetworkConfig
from rnntool.models.network import Network, build_network
from rnntool.score.pairs import score_pairs
from rnntool.search.drawing import Bend
from rnntool.search.translation import Line, Manner, Target, Translation
from rnntool.search.translator import Companion, Translator
from rnntool.text.vocabulary import Vocabulary

SOURCE = Vocabulary("word", ["<unk>", "</s>", *"abcdefgh"])
TARGET = Vocabulary("word", ["<unk>", "</s>", *"PQRSTUVWXY"])
TEXTS = ["a b c", "d", "", "e f g h a", "zyx b", "h g", "a b c"]


def network(*, seed: int = 1, **options: Any) -> Network:
    """A network whose weights are normal with a deviation of 1."""
    how = {"encoder": "bi-gru:4", "link": "attention", "context": "reset", **options}
    built = build_network(NetworkConfig("gru:8", **how), len(TARGET), len(SOURCE))
    return drawn(built, seed)


def drawn(built: Network, seed: int) -> Network:
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in built.parameters():
            parameter.normal_(generator=generator)
    return built


def language_model() -> Network:
    return drawn(build_network(NetworkConfig("gru:6"), len(TARGET)), 9)


def translation(
    networks: tuple[Network, ...] = (),
    *,
    batch_size: int = 8,
    companions: tuple[Companion, ...] = (),
    banned: tuple[int, ...] = (),
    **manner: Any,
) -> Translation:
    networks = networks or (network(),)
    weights = [1 / len(networks)] * len(networks)
    translator = Translator(
        networks,
        weights,
        eos_id=TARGET.eos_id,
        source_ends=[SOURCE.eos_id] * len(networks),
        companions=companions,
        banned=banned,
    )
    attending = [index for index, each in enumerate(networks) if each.attends]
    return Translation(
        translator,
        TARGET,
        [SOURCE] * len(networks),
        attending=attending,
        weights=weights,
        batch_size=batch_size,
        manner=Manner(**manner),
    )


def targets(how: Translation, *texts: str, prefixes: tuple[str, ...] = ()) -> list[list[Target]]:
    lines = [
        Line(text, number, prefixes[number] if prefixes else "") for number, text in enumerate(texts or tuple(TEXTS))
    ]
    return list(how.targets(lines))


def texts_of(found: list[list[Target]]) -> list[list[str]]:
    return [[each.text for each in some] for some in found]


MANNERS: list[dict[str, Any]] = [
    {},
    {"num_best": 5, "coverage_penalty": 0.5},
    {"num_best": 3, "is_distinct": True, "replacements": {}},
    {"bend": Bend((), 1.5), "num_best": 2},
    {"min_length": 1.0, "level": "word"},
]


@pytest.mark.parametrize("manner", MANNERS)
def test_the_answer_to_a_line_does_not_depend_on_the_lines_beside_it(manner: dict[str, Any]) -> None:
    one, two, all_of_them = (targets(translation(batch_size=size, **manner)) for size in (1, 2, 64))
    assert texts_of(one) == texts_of(two) == texts_of(all_of_them)
    for some, others in zip(one, all_of_them, strict=True):
        for each, other in zip(some, others, strict=True):
            assert each.score == pytest.approx(other.score, rel=1e-9)


def test_long_lines_are_not_looked_at_side_by_side(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = texts_of(targets(translation()))
    monkeypatch.setattr("rnntool.search.translation.POSITIONS", 12)
    how = translation()
    rows: list[int] = []
    read = how.translator.read
    monkeypatch.setattr(
        how.translator, "read", lambda sources, **more: rows.append(len(sources[0])) or read(sources, **more)
    )
    assert texts_of(targets(how)) == expected
    assert max(rows) == 1 and len(rows) == 6


def test_blank_and_too_long_lines_have_empty_targets() -> None:
    found = targets(translation(max_source=3, num_best=2))
    assert [some[0].is_refused for some in found] == [False, False, False, True, False, False, False]
    assert [len(some) for some in found] == [2, 2, 1, 1, 2, 2, 2]
    assert found[2][0].text == found[3][0].text == ""


@pytest.mark.parametrize("bend", [None, Bend((), 3.0)])
def test_a_target_that_becomes_too_long_ends_there(bend: Bend | None) -> None:
    """With the probability of its end among its own, so that it is scored as any other text."""
    manner: dict[str, Any] = {"max_length": 0.1, "min_length": 0.1, "bend": bend, "num_best": 5}
    found = [(each, text) for some, text in zip(targets(translation(**manner)), TEXTS, strict=True) for each in some]
    assert max(len(each.continuation.ids) for each, _ in found) == 10
    for each, text in found:
        if text:
            assert each.continuation.has_ended
            (expected,) = score_pairs(network(), [SOURCE.encode(text)], [each.continuation.ids], ends=(1, 1))
            assert each.continuation.logprob == pytest.approx(float(expected.sum()), rel=1e-4)


def test_lengths_are_within_their_limits() -> None:
    for (found,), text in zip(targets(translation(min_length=2.0, max_length=2.0)), TEXTS, strict=True):
        assert len(found.continuation.ids) >= 2 * len(text.split())
        assert len(found.continuation.ids) <= 2 * len(text.split()) + 10
    assert min(len(each[0].continuation.ids) for each in targets(translation(), "e f g h a")) < 10


@pytest.mark.parametrize("bend", [None, Bend()])
def test_targets_begin_as_they_are_told_to(bend: Bend | None) -> None:
    """Unknown words as they were spelled, banned or not; and the rest is what the model finds likely after them."""
    prefixes = ("R Q", "", "P", "zz", "S", "T T T", "P")
    found = targets(translation(bend=bend, banned=(TARGET.unk_id,)), prefixes=prefixes)
    free = targets(translation(bend=bend, banned=(TARGET.unk_id,)))
    for (each,), prefix, text in zip(found, prefixes, TEXTS, strict=True):
        assert f"{each.text} ".startswith(f"{prefix} " if prefix and text else "")
    assert found[1] == free[1]
    for (each,), text in zip(found, TEXTS, strict=True):
        if text and each.continuation.has_ended:
            (expected,) = score_pairs(network(), [SOURCE.encode(text)], [each.continuation.ids], ends=(1, 1))
            assert each.continuation.logprob == pytest.approx(float(expected.sum()), rel=1e-4)


def test_a_longer_prefix_than_there_is_room_for_is_kept_whole() -> None:
    prefix = " ".join("PQRST" * 4)
    ((found,),) = targets(translation(max_length=0.5), "d", prefixes=(prefix,))
    assert found.text == prefix


def test_what_is_drawn_at_no_temperature_is_what_a_beam_of_one_finds() -> None:
    greedy = targets(translation(beam_size=1))
    assert texts_of(targets(translation(bend=Bend((), 0.0)))) == texts_of(greedy)


def test_a_line_has_draws_of_its_own_by_its_number() -> None:
    found = texts_of(targets(translation(bend=Bend(), num_best=4)))
    assert found[0] != found[6]
    assert found == texts_of(targets(translation(bend=Bend(), num_best=4)))
    assert found != texts_of(targets(translation(bend=Bend(), num_best=4, seed=2)))


def test_no_text_twice() -> None:
    how: dict[str, Any] = {"bend": Bend((), 0.5), "num_best": 20}
    several = texts_of(targets(translation(**how)))
    assert texts_of(targets(translation(**how, is_distinct=True))) == [list(dict.fromkeys(some)) for some in several]
    assert any(len(set(some)) < len(some) for some in several)


def test_a_language_model_adds_its_weighted_log_probability() -> None:
    beside = language_model()
    translator = Translator(
        [network()], (1.0,), eos_id=1, source_ends=[1], companions=(Companion(beside, 0.7),), banned=(0,)
    )
    alone = Translator([network()], (1.0,), eos_id=1, source_ends=[1])
    begun, begun_alone = translator.read([[[2, 3], [4]]]), alone.read([[[2, 3], [4]]])
    found, state = translator.step(begun)
    expected, _ = alone.step(begun_alone)
    lm, own = beside.double().step(begun.last, beside.state0(2))
    assert torch.allclose(found[:, 1:], (expected + 0.7 * lm)[:, 1:], rtol=1e-9)
    assert (found[:, 0] == -math.inf).all()
    second, _ = translator.step(type(begun)(torch.tensor([3, 4]), state))
    lm_second, _ = beside.step(torch.tensor([3, 4]), own)
    assert not torch.allclose(lm, lm_second)
    expected_second, _ = alone.step(type(begun)(torch.tensor([3, 4]), alone.step(begun_alone)[1]))
    assert torch.allclose(second[:, 1:], (expected_second + 0.7 * lm_second)[:, 1:], rtol=1e-9)


def test_each_model_scores_what_they_found_together() -> None:
    """The features of a list are what scoring the target under each model gives, and make up its score."""
    networks = (network(), network(seed=2, encoder="lstm:3", link="init"))
    beside = language_model()
    how = translation(networks, companions=(Companion(beside, 0.3),), num_best=3, has_features=True)
    for some, text in zip(targets(how), TEXTS, strict=True):
        for each in some:
            ids = each.continuation.ids
            if not (text and each.continuation.has_ended):
                continue
            for model, log_prob in zip(networks, each.log_probs, strict=False):
                (expected,) = score_pairs(model, [SOURCE.encode(text)], [ids], ends=(1, 1))
                assert log_prob == pytest.approx(float(expected.sum()), rel=1e-4, abs=1e-4)
            state, last, total = beside.state0(1), 1, 0.0
            with torch.no_grad():
                for id_ in (*ids, 1):
                    log_probs, state = beside.double().step(torch.tensor([last]), tuple(s.double() for s in state))
                    total, last = total + float(log_probs[0, id_]), id_
            assert each.log_probs[2] == pytest.approx(total, rel=1e-6)


def test_a_penalty_for_what_was_not_looked_at() -> None:
    """By the definition, from the attention of every token, of all that the search has finished."""
    plain = translation(num_best=5, level="piece")
    penalised = translation(num_best=5, level="piece", coverage_penalty=2.0)
    for some, others in zip(targets(plain), targets(penalised), strict=True):
        assert [each.score for each in others] == sorted((each.score for each in others), reverse=True)
        before = {each.text: each.score for each in some}
        for each in others:
            assert each.aligned is not None and each.coverage is not None
            if not each.continuation.has_ended or not each.text:
                continue
            looked = each.aligned.attention[:, :-1].double().sum(dim=0).clamp(max=1)
            # the end of the target looked, too, and is in no alignment
            assert float(looked.log().sum()) <= each.coverage + 1e-6
            if each.text in before:
                assert each.score == pytest.approx(before[each.text] + 2.0 * each.coverage)
    assert texts_of(targets(plain)) != texts_of(targets(penalised))


def unknowns(**manner: Any) -> list[Target]:
    """Targets with a token that is unknown."""
    found = [each for some in targets(translation(**manner)) for each in some if TARGET.unk_id in each.continuation.ids]
    assert found
    return found


def test_unknown_words_stand_as_they_are_unless_asked_otherwise() -> None:
    for each in unknowns(num_best=5):
        assert each.text == TARGET.decode(each.continuation.ids)
        assert "<unk>" in each.text
    banned = targets(translation(num_best=5, banned=(TARGET.unk_id,)))
    assert not any("<unk>" in each.text for some in banned for each in some)


def test_unknown_words_become_the_word_looked_at_or_what_a_lexicon_has_for_it() -> None:
    for each in unknowns(num_best=5, level="word", replacements={"a": "two words", "b": "B"}):
        assert each.aligned is not None
        assert each.text == " ".join(each.aligned.target)
        place = each.continuation.ids.index(TARGET.unk_id)
        if place == 0:
            looked = each.aligned.source[int(each.aligned.attention[0, :-1].argmax())]
            assert each.text.startswith({"a": "two words", "b": "B"}.get(looked, looked))
        assert "<unk>" not in each.text


def test_only_what_attends_is_asked_where_it_looked() -> None:
    ensemble = (network(seed=3, link="init"), network(), network(seed=4, link="each"))
    found = targets(translation(ensemble, level="word"), "a b c")
    assert found[0][0].aligned is not None
    rows = found[0][0].aligned.attention
    assert rows.sum(dim=1).tolist() == pytest.approx([1.0] * len(rows))
