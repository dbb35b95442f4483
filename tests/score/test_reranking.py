"""The best line of a list, and weights that make the best lines good ones."""

from __future__ import annotations

import re

import pytest

from rnntool.config.metrics import MetricConfig
from rnntool.errors import InputError
from rnntool.score import reranking
from rnntool.text.nbest import moses
from rnntool.text.nbest.lists import NbestList

LINES = (
    "0 ||| the old king sees it ||| F0= -4 LM= -9 ||| -4",
    "0 ||| the old king ||| F0= -2 LM= -6 ||| -2",
    "0 ||| the old king sees it ||| F0= -4 LM= -9 ||| -4",
    "2 |||  ||| F0= -1 LM= -9 ||| -1",
    "2 ||| no river follows the sea ||| F0= -3 LM= -12 ||| -3",
)
REFERENCE = ["the old king sees it", "a rose", "no river follows the sea"]
PLAIN = MetricConfig(tokenize="none")


@pytest.fixture
def lists() -> list[NbestList]:
    return list(moses.read(LINES, "n"))


def test_the_highest_score_is_chosen_and_a_blank_line_where_there_is_none(lists: list[NbestList]) -> None:
    choices = [reranking.by_score(None)(nbest) for nbest in lists]
    assert [(each.text, each.rank, each.score) for each in choices] == [
        ("the old king", 2, -2.0),
        ("", None, None),
        ("", 1, -1.0),
    ]


def test_weights_choose_otherwise_and_the_first_of_equals_wins(lists: list[NbestList]) -> None:
    choices = [reranking.by_score({"F0": (1.0,), "words": (2.0,)})(nbest) for nbest in lists]
    assert [(each.text, each.rank) for each in choices] == [
        ("the old king sees it", 1),
        ("", None),
        ("no river follows the sea", 2),
    ]


def test_the_consensus_counts_equal_lines_together(lists: list[NbestList]) -> None:
    for metric in ("bleu", "chrf"):
        choose = reranking.by_consensus(metric, PLAIN, None, 0.0)
        assert [choose(nbest).rank for nbest in lists] == [1, None, 2]
    sharp = reranking.by_consensus("bleu", PLAIN, None, 100.0)
    assert sharp(lists[0]).rank == 2


def test_weights_are_tuned_until_the_right_lines_are_chosen(lists: list[NbestList]) -> None:
    for metric in ("bleu", "chrf"):
        tuned = reranking.tune(lists, [REFERENCE], metric, PLAIN, start=None, restarts=1, seed=1)
        assert list(tuned.weights) == ["F0", "LM", "words"]
        assert tuned.score > tuned.before
        choose = reranking.by_score(tuned.weights)
        assert [choose(nbest).text for nbest in lists] == [REFERENCE[0], "", REFERENCE[2]]


def test_a_missing_line_counts_as_a_blank_one_in_tuning(lists: list[NbestList]) -> None:
    from sacrebleu import BLEU

    tuned = reranking.tune(lists, [REFERENCE], "bleu", PLAIN, start=None, restarts=0, seed=1)
    theirs = BLEU(tokenize="none")
    assert tuned.score == pytest.approx(theirs.corpus_score([REFERENCE[0], "", REFERENCE[2]], [REFERENCE]).score)
    assert tuned.before == theirs.corpus_score(["the old king", "", ""], [REFERENCE]).score


def test_only_features_that_are_named_are_tuned(lists: list[NbestList]) -> None:
    tuned = reranking.tune(lists, [REFERENCE], "bleu", PLAIN, start={"LM": (1.0,)}, restarts=0, seed=1)
    assert tuned.weights == {"LM": (-1.0,)}


def test_lists_without_features_cannot_be_tuned() -> None:
    lists = list(moses.read(["0 ||| a ||| 1"], "n"))
    with pytest.raises(InputError, match="n:1: no features to tune the weights of"):
        reranking.tune(lists, [["a"]], "bleu", PLAIN, start=None, restarts=0, seed=1)
    lists = list(moses.read(["0 ||| a ||| F0= 1e200 ||| 1"], "n"))
    with pytest.raises(InputError, match=re.escape("n:1: a feature past 1e+100, which cannot be tuned")):
        reranking.tune(lists, [["a"]], "bleu", PLAIN, start=None, restarts=0, seed=1)


def test_features_far_apart_are_tuned_without_a_warning() -> None:
    """What stands for the logarithm of zero."""
    lists = list(moses.read(["0 ||| a b c d ||| F0= -1e9 ||| 1", "0 ||| a ||| F0= -2 ||| 1"], "n"))
    tuned = reranking.tune(lists, [["a b c d"]], "bleu", PLAIN, start=None, restarts=2, seed=1)
    assert tuned.score == pytest.approx(100)
