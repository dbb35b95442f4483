"""Several models as one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from rnntool.errors import ModelError
from rnntool.score.mixture import Mixture, difference_of
from rnntool.score.network import NetworkScorer
from rnntool.score.scorer import LogProbs
from rnntool.text.counting import build, count
from rnntool.text.vocabulary import Vocabulary
from tests.score.conftest import LINES, network, scorer, words

IDS = [words().encode(line) for line in LINES]


@dataclass
class Constant:
    """A model that finds every token equally likely, and counts lines."""

    log_prob: float
    vocabulary: Vocabulary
    context: str = "carry"

    def state0(self) -> int:
        return 0

    def score(self, lines: Sequence[Sequence[int]], state: Any) -> tuple[list[LogProbs], Any]:
        return [np.full(len(line) + 1, self.log_prob) for line in lines], state + len(lines)


@pytest.mark.parametrize("context", ["carry", "reset"])
def test_a_model_mixed_with_itself_is_itself(context: str) -> None:
    one = scorer(context)
    mixture = Mixture([scorer(context)] * 2, [0.3, 0.7], ["a", "b"])
    expected, _ = one.score(IDS, one.state0())
    found, _ = mixture.score(IDS, mixture.state0())
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)


def test_probabilities_are_mixed_not_their_logarithms() -> None:
    """¼ · 0.5 + ¾ · 0.1 = 0.2."""
    mixture = Mixture([Constant(math.log(0.5), words()), Constant(math.log(0.1), words())], [0.25, 0.75], ["a", "b"])
    scores, state = mixture.score([[2, 3], []], mixture.state0())
    np.testing.assert_allclose(np.concatenate(scores), math.log(0.2), rtol=1e-12)
    assert [len(score) for score in scores] == [3, 1]
    assert state == (2, 2)


def test_improbable_tokens_do_not_underflow() -> None:
    """exp(−2000) is 0 in float64; log(½ e^−2000 + ½ e^−2001) = −2000 + log(½ (1 + 1/e))."""
    mixture = Mixture([Constant(-2000, words()), Constant(-2001, words())], [0.5, 0.5], ["a", "b"])
    (score,), _ = mixture.score([[]], mixture.state0())
    assert score[0] == pytest.approx(-2000 + math.log(0.5 * (1 + math.exp(-1))), rel=1e-15)


def test_every_model_carries_a_state_of_its_own() -> None:
    """Line by line as all at once."""
    mixture = Mixture([scorer("carry"), scorer("carry", arch="gru:16", seed=2)], [0.5, 0.5], ["a", "b"])
    whole, _ = mixture.score(IDS, mixture.state0())
    state = mixture.state0()
    for line, expected in zip(IDS, whole, strict=True):
        (found,), state = mixture.score([line], state)
        np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_models_of_different_words_cannot_be_mixed() -> None:
    other = build(count([b"the cat sat on a mat\na cow\n"], "word"), "word")
    with pytest.raises(ModelError) as refused:
        Mixture([scorer("carry"), NetworkScorer(network(), other, "carry")], [0.5, 0.5], ["a.rnn", "b.rnn"])
    assert str(refused.value) == (
        "b.rnn: its vocabulary has no 'dog', which a.rnn has; probabilities of different tokens cannot be mixed"
    )


def test_what_one_has_and_another_has_not_is_named() -> None:
    def vocabulary(*tokens: str, unit: str = "word") -> Vocabulary:
        return Vocabulary(unit, ["<unk>", "</s>", *tokens])

    assert difference_of(vocabulary("a", "b"), vocabulary("b", "<pad>", "a"), "m") == ""
    assert difference_of(vocabulary("a"), vocabulary("a", "b"), "m") == "its vocabulary has no 'b', which m has"
    assert difference_of(vocabulary("a", "b"), vocabulary("a"), "m") == "its vocabulary has 'b', which m has not"
    assert difference_of(vocabulary("a", unit="char"), vocabulary("a"), "m") == (
        "its tokens are of unit char, those of m of unit word"
    )


def test_the_same_words_in_another_order_are_mixed_word_by_word() -> None:
    """A model that likes low ids: P is ½, ¼, ... by its own id, whatever the first model calls the word."""

    @dataclass
    class LikesLowIds(Constant):
        def score(self, lines: Sequence[Sequence[int]], state: Any) -> tuple[list[LogProbs], Any]:
            eos = self.vocabulary.eos_id
            return [-np.log(2) * (1 + np.array([*line, eos])) for line in lines], state

    first = LikesLowIds(0, Vocabulary("word", ["<unk>", "</s>", "a", "b", "<pad>"]))
    second = LikesLowIds(0, Vocabulary("word", ["b", "a", "</s>", "<unk>"]))
    mixture = Mixture([first, second], [0.5, 0.5], ["x", "y"])
    (score,), _ = mixture.score([first.vocabulary.encode("a b zebra")], mixture.state0())
    expected = [(1 / 8 + 1 / 4) / 2, (1 / 16 + 1 / 2) / 2, (1 / 2 + 1 / 16) / 2, (1 / 4 + 1 / 8) / 2]
    np.testing.assert_allclose(np.exp(score), expected, rtol=1e-12)
    assert mixture.vocabulary is first.vocabulary


def test_models_of_different_contexts_cannot_be_mixed() -> None:
    with pytest.raises(ModelError) as refused:
        Mixture([scorer("carry"), scorer("reset")], [0.5, 0.5], ["a.rnn", "b.rnn"])
    assert str(refused.value) == "b.rnn: its context is reset, that of a.rnn is carry"
