"""N-grams as a scorer, alone and beside networks."""

from __future__ import annotations

import numpy as np
import pytest

from rnntool.errors import ModelError
from rnntool.ngram.witten_bell import WittenBell
from rnntool.score.mixture import Mixture
from rnntool.score.ngram import NgramScorer
from rnntool.score.perplexity import score_ids, score_lines
from rnntool.text.vocabulary import Vocabulary
from tests.ngram.conftest import estimated
from tests.score.conftest import LINES, scorer, words


def ngrams(context: str = "reset", vocabulary: Vocabulary | None = None) -> NgramScorer:
    return NgramScorer(estimated(LINES, WittenBell(), 3, vocabulary=vocabulary or words()).model, context)


def test_lines_are_scored_as_the_model_does() -> None:
    one = ngrams()
    (lines,) = score_lines(one, [LINES])
    expected = one.model.log_probs([words().encode(line) for line in LINES])
    assert [line.log_probs.tolist() for line in lines] == [scores.tolist() for scores in expected]
    assert score_ids(one, [words().encode(line) for line in LINES]).tokens == 300


def test_nothing_is_carried_from_line_to_line() -> None:
    one = ngrams("carry")
    scores, state = one.score([words().encode(line) for line in ["the cat", "a dog", "the cat"]], one.state0())
    assert scores[0].tolist() == scores[2].tolist()
    assert one.score([], state) == ([], state)


@pytest.mark.parametrize("context", ["carry", "reset"])
def test_n_grams_are_mixed_with_networks_of_the_same_words_in_another_order(context: str) -> None:
    other = Vocabulary("word", [*reversed(words().tokens)])
    network, one = scorer(context), ngrams(context, other)
    mixture = Mixture([network, one], [0.3, 0.7], ["a.rnn", "b.arpa"])
    ids = [words().encode(line) for line in LINES]
    mixed, _ = mixture.score(ids, mixture.state0())
    own, _ = network.score(ids, network.state0())
    theirs, _ = one.score([other.encode(line) for line in LINES], one.state0())
    for parts in zip(mixed, own, theirs, strict=True):
        found, p, q = map(np.exp, parts)
        np.testing.assert_allclose(found, 0.3 * p + 0.7 * q, rtol=1e-9)
    assert mixture.context == context


def test_n_grams_of_other_words_cannot_be_mixed() -> None:
    other = NgramScorer(estimated(["the cow"], WittenBell(), 2).model, "carry")
    with pytest.raises(ModelError) as refused:
        Mixture([scorer("carry"), other], [0.5, 0.5], ["a.rnn", "b.arpa"])
    assert refused.value.what == (
        "its vocabulary has no 'a', which a.rnn has; probabilities of different tokens cannot be mixed"
    )
