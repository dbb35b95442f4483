"""Lines drawn side by side, and running text."""

from __future__ import annotations

import math
from collections import Counter

import pytest

from rnntool.score.network import NetworkScorer
from rnntool.search.continuation import Continuation
from rnntool.search.drawing import Bend
from rnntool.search.predictor import Predictor
from rnntool.search.sampling import Wish, sample_lines, sample_stream
from rnntool.search.stride import Strider
from tests.search.conftest import EOS, network, predictor

PROMPTS = [[], [3], [4, 5, 6], [7, 8]]


def lines(
    model: Predictor, *, batch_size: int, samples: int = 10, seed: int = 1, max_tokens: int = 20, **bend: float
) -> list[Continuation]:
    wishes = (Wish(model.begin(ids), number, sample) for number, ids in enumerate(PROMPTS) for sample in range(samples))
    return list(
        sample_lines(Strider(model, Bend(**bend), batch_size=batch_size), wishes, max_tokens=max_tokens, seed=seed)  # type: ignore[arg-type]
    )


@pytest.mark.parametrize("arch", ["elman:30", "lstm:2x20", "gru-before:10", "scrn:4+3"])
@pytest.mark.parametrize("bend", [{}, {"top_p": 0.8, "temperature": 0.7}, {"top_k": 5}])
def test_lines_do_not_depend_on_the_batch_size(arch: str, bend: dict[str, float]) -> None:
    model = predictor(network(arch, vocab_size=300))
    one, eight, all_of_them = (lines(model, batch_size=size, **bend) for size in (1, 8, 64))
    assert [line.ids for line in one] == [line.ids for line in eight] == [line.ids for line in all_of_them]
    assert [line.logprob for line in one] == pytest.approx([line.logprob for line in eight], rel=1e-12)


@pytest.mark.parametrize("stride", [2, 7, 64])
def test_lines_do_not_depend_on_how_many_tokens_are_drawn_at_once(stride: int) -> None:
    model = predictor()
    wishes = [Wish(model.begin(ids), number, sample) for number, ids in enumerate(PROMPTS) for sample in range(10)]
    striders = (Strider(model, Bend(), batch_size=8, length=length) for length in (1, stride))
    one, several = (list(sample_lines(strider, wishes, max_tokens=20, seed=1)) for strider in striders)
    assert [line.ids for line in one] == [line.ids for line in several]
    assert [line.logprob for line in one] == pytest.approx([line.logprob for line in several], rel=1e-12)


@pytest.mark.parametrize("stride", [2, 7, 64])
@pytest.mark.parametrize("carry", [True, False])
def test_running_text_does_not_depend_on_how_many_tokens_are_drawn_at_once(stride: int, carry: bool) -> None:
    striders = (Strider(predictor(), Bend(), batch_size=1, length=length) for length in (1, stride))
    one, several = (list(sample_stream(strider, num_tokens=100, carry=carry, seed=1)) for strider in striders)
    assert one == several
    assert len(one) > 1


@pytest.mark.gpu
def test_a_recorded_stride_draws_what_one_token_at_a_time_does() -> None:
    model = predictor(network("lstm:2x20", vocab_size=300).to("cuda"))
    wishes = [Wish(model.begin(ids), number, sample) for number, ids in enumerate(PROMPTS) for sample in range(10)]
    striders = (Strider(model, Bend(top_p=0.9), batch_size=8, length=length) for length in (None, 1))
    several, one = (list(sample_lines(strider, wishes, max_tokens=20, seed=1)) for strider in striders)
    assert [line.ids for line in several] == [line.ids for line in one]


def test_a_sample_does_not_depend_on_how_many_there_are() -> None:
    model = predictor()
    few, many = lines(model, batch_size=4, samples=2), lines(model, batch_size=4, samples=5)
    same = [many[5 * prompt + sample] for prompt in range(len(PROMPTS)) for sample in range(2)]
    assert [line.ids for line in few] == [line.ids for line in same]


def test_another_seed_gives_other_lines() -> None:
    model = predictor()
    assert lines(model, batch_size=8, seed=1) != lines(model, batch_size=8, seed=2)


def test_a_line_ends_with_its_mark_or_at_the_limit() -> None:
    found = lines(predictor(), batch_size=8, max_tokens=5)
    assert {line.has_ended for line in found} == {True, False}
    for line in found:
        assert EOS not in line.ids
        assert len(line.ids) <= 5
        assert line.has_ended or len(line.ids) == 5
        assert line.num_tokens == len(line.ids) + line.has_ended


def test_a_line_is_out_before_the_next_wish_is_read() -> None:
    """With one row, a prompt is taken when the line before it is out: a pipe's partner can wait for each answer."""
    model = predictor()
    taken: list[int] = []

    def wishes() -> object:
        for number in range(5):
            taken.append(number)
            yield Wish(model.begin([]), number, 0)

    for number, _ in enumerate(
        sample_lines(Strider(model, Bend(), batch_size=1), wishes(), max_tokens=5, seed=1)  # type: ignore[arg-type]
    ):
        assert taken == list(range(number + 1))


def test_no_wishes_give_no_lines() -> None:
    assert list(sample_lines(Strider(predictor(), Bend(), batch_size=4), [], max_tokens=5, seed=1)) == []


def test_words_come_as_often_as_the_model_says() -> None:
    """The first word of 2000 lines; 4 standard deviations of a binomial count."""
    model = predictor()
    wishes = (Wish(model.begin([]), 0, sample) for sample in range(2000))
    first = Counter(
        line.ids[0] if line.ids else EOS
        for line in sample_lines(Strider(model, Bend(), batch_size=500), wishes, max_tokens=1, seed=3)
    )
    for word, p in enumerate(model.step(model.begin([]))[0][0].exp().tolist()):
        assert first[word] == pytest.approx(2000 * p, abs=4 * math.sqrt(2000 * p * (1 - p)) + 1e-9)


def test_log_probabilities_are_those_that_scoring_gives() -> None:
    """Whatever was done to the distribution before drawing; float32 scoring, hence 1e-5."""

    class Vocabulary:
        eos_id = EOS

    net = network("gru:8")
    model = predictor(net)
    scorer = NetworkScorer(net, Vocabulary(), "reset")  # type: ignore[arg-type]
    for line in lines(model, batch_size=8, temperature=0.5, top_k=4)[:10]:  # those of the empty prompt
        (scores,), _ = scorer.score([line.ids], scorer.state0())
        assert line.logprob == pytest.approx(scores.sum() if line.has_ended else scores[:-1].sum(), rel=1e-5)


# --- running text ----------------------------------------------------------------------------------------------------


def stream(*, carry: bool, num_tokens: int = 60, seed: int = 1) -> list[Continuation]:
    return list(
        sample_stream(Strider(predictor(), Bend(), batch_size=1), num_tokens=num_tokens, carry=carry, seed=seed)
    )


def test_running_text_has_as_many_tokens_as_asked_for() -> None:
    for num_tokens in (1, 7, 60):
        text = stream(carry=True, num_tokens=num_tokens)
        assert sum(line.num_tokens for line in text) == num_tokens
        assert all(line.has_ended for line in text[:-1])


def test_running_text_carries_its_state_or_does_not() -> None:
    carried, reset = stream(carry=True), stream(carry=False)
    assert carried[0] == reset[0]
    assert carried[1:] != reset[1:]
    assert carried == stream(carry=True)


def test_a_longer_running_text_begins_like_a_shorter_one() -> None:
    short = stream(carry=True, num_tokens=60)[:-1]  # its last line is cut
    assert stream(carry=True, num_tokens=200)[: len(short)] == short
