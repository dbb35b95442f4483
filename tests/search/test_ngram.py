"""N-grams as a part of a predictor."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from rnntool.ngram.witten_bell import WittenBell
from rnntool.nn.precision import has_bf16, largest_int8
from rnntool.search.beam import beam_search
from rnntool.search.drawing import Bend
from rnntool.search.ngram import NgramPart
from rnntool.search.predictor import PRECISIONS, Predictor, together
from rnntool.search.sampling import Wish, sample_lines
from rnntool.search.stride import Strider
from rnntool.text.vocabulary import Vocabulary
from tests.ngram.conftest import LINES, estimated
from tests.search.conftest import network

MODEL = estimated(LINES, WittenBell(), 3).model
SHUFFLED = Vocabulary("word", [*sorted(MODEL.vocabulary.tokens), "<pad>"])
"""The same words in another order, and a mark that is never found in text."""


def predictor(vocabulary: Vocabulary = MODEL.vocabulary, order: int = 3) -> Predictor:
    model = MODEL if order == 3 else estimated(LINES, WittenBell(), order).model
    return Predictor([NgramPart(model, vocabulary)], [1.0], eos_id=vocabulary.eos_id)


@pytest.mark.parametrize("vocabulary", [MODEL.vocabulary, SHUFFLED], ids=["own", "shuffled"])
@pytest.mark.parametrize("line", ["", "the cat", "zebra the cat sat by the fire"])
def test_predictions_are_those_of_the_model(vocabulary: Vocabulary, line: str) -> None:
    """Word by word, for every word that could come."""
    one = predictor(vocabulary)
    log_probs, _ = one.step(one.begin(vocabulary.encode(line)))
    ids = MODEL.vocabulary.encode(line)
    for id_, token in enumerate(vocabulary.tokens):
        if token == "<pad>":
            assert log_probs[0, id_] == -math.inf
        elif token != "</s>":
            expected = MODEL.log_probs([[*ids, MODEL.vocabulary.tokens.index(token)]])[0][len(ids)]
            assert log_probs[0, id_].item() == pytest.approx(expected, rel=1e-12)
    assert log_probs.exp().sum().item() == pytest.approx(1, abs=1e-12)
    assert log_probs[0, vocabulary.eos_id].item() == pytest.approx(MODEL.log_probs([ids])[0][-1], rel=1e-12)


def test_a_line_begins_anew_after_the_end_of_one() -> None:
    """As in one running text, whose state is carried."""
    one = predictor()
    eos = MODEL.vocabulary.eos_id
    first, _ = one.step(one.begin([]))
    again, _ = one.step(one.begin([*MODEL.vocabulary.encode("the old dog"), eos]))
    assert torch.equal(first, again)


def test_n_grams_cannot_be_recorded_on_a_gpu() -> None:
    assert not predictor().is_recordable
    assert Predictor([network()], [1.0], eos_id=1).is_recordable


@pytest.mark.gpu
def test_n_grams_and_a_network_on_a_gpu_draw_what_they_draw_on_a_processor() -> None:
    net = network(vocab_size=len(MODEL.vocabulary))
    part = NgramPart(MODEL, MODEL.vocabulary)
    drawn = []
    for device in ("cpu", "cuda"):
        one = Predictor([net.to(device), part], [0.25, 0.75], eos_id=1)
        wishes = [Wish(one.begin(ids), 0, sample) for sample, ids in enumerate(([], [3, 4], [], []))]
        drawn.append(
            [line.ids for line in sample_lines(Strider(one, Bend(), batch_size=3), wishes, max_tokens=9, seed=1)]
        )
    assert drawn[0] == drawn[1]


@pytest.mark.parametrize("precision", PRECISIONS)
def test_n_grams_are_mixed_with_networks(precision: str) -> None:
    if not {"bf16": has_bf16(torch.device("cpu")), "int8": bool(largest_int8())}.get(precision, True):
        pytest.skip(f"this processor does not compute in {precision} by itself")
    size = len(MODEL.vocabulary)
    net = network(vocab_size=size)
    part = NgramPart(MODEL, MODEL.vocabulary)
    ids = MODEL.vocabulary.encode("the cat")
    parts = []
    for models, weights in (([net], [1.0]), ([part], [1.0]), ([net, part], [0.25, 0.75]), ([part, net], [0.75, 0.25])):
        one = Predictor(models, weights, eos_id=1, precision=precision)
        log_probs, _ = one.step(together([one.begin([]), one.begin(ids)]))
        parts.append(log_probs.double().exp())
    p, q, mixed, other_way = parts
    torch.testing.assert_close(mixed, 0.25 * p + 0.75 * q, rtol=1e-5, atol=1e-7)
    torch.testing.assert_close(other_way, mixed, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("order", [1, 3])
def test_what_is_drawn_has_the_score_that_the_model_gives_it(order: int) -> None:
    one = predictor(order=order)
    model = one.models[0].model  # type: ignore[union-attr]
    wishes = [Wish(one.begin(()), 0, sample) for sample in range(30)]
    lines = list(sample_lines(Strider(one, Bend(), batch_size=7), wishes, max_tokens=20, seed=1))
    assert len({line.ids for line in lines}) > 10
    for line, scores in zip(lines, model.log_probs([line.ids for line in lines]), strict=True):
        assert line.logprob == pytest.approx(scores.sum() if line.has_ended else scores[:-1].sum(), rel=1e-9)


def test_words_are_drawn_as_often_as_the_model_says() -> None:
    """First words of 4000 lines, against χ² of 31 degrees of freedom: above 61 once in a thousand seeds."""
    one = predictor()
    wishes = (Wish(one.begin(()), 0, sample) for sample in range(4000))
    lines = sample_lines(Strider(one, Bend(), batch_size=500), wishes, max_tokens=1, seed=1)
    first = [line.ids[0] if line.ids else one.eos_id for line in lines]
    expected = np.exp(MODEL.next_log_probs(MODEL.begin())[0]) * 4000
    found = np.bincount(first, minlength=len(expected))
    assert ((found - expected) ** 2 / expected).sum() < 61


def test_a_beam_finds_the_likeliest_line() -> None:
    """No drawn line is likelier."""
    one = predictor()
    ((best, *_),) = beam_search(one, one.begin([]), beam_size=20, num_best=1, max_tokens=20)
    wishes = [Wish(one.begin(()), 0, sample) for sample in range(200)]
    drawn = sample_lines(Strider(one, Bend(), batch_size=50), wishes, max_tokens=20, seed=2)
    assert best.logprob >= max(line.logprob for line in drawn)
    assert best.logprob == pytest.approx(MODEL.log_probs([best.ids])[0].sum(), rel=1e-9)
