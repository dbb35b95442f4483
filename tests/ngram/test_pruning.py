"""What is left out."""

from __future__ import annotations

import pytest

from rnntool.errors import OptionError
from rnntool.ngram.kneser_ney import KneserNey
from rnntool.ngram.pruning import thresholds
from tests.ngram.conftest import LINES, counted, estimated, read, tables


@pytest.mark.parametrize(
    ("given", "limits"),
    [((), (0, 0, 0)), ((0,), (0, 0, 0)), ((0, 1), (0, 1, 1)), ((0, 0, 2), (0, 0, 2))],
)
def test_the_last_threshold_holds_for_the_rest(given: tuple[int, ...], limits: tuple[int, ...]) -> None:
    assert thresholds(given, 3) == limits


@pytest.mark.parametrize(
    ("given", "what"),
    [
        ((1,), "the first threshold is 1; words are not pruned, so it must be 0"),
        ((0, 2, 1), "1 after 2; thresholds must not fall from order to order"),
        ((0, 0, 0, 0), "4 thresholds; --order is 3"),
    ],
)
def test_thresholds_that_make_no_sense_are_refused(given: tuple[int, ...], what: str) -> None:
    with pytest.raises(OptionError) as refused:
        thresholds(given, 3)
    assert refused.value.what == what


def test_what_occurs_more_often_stays_and_nothing_else() -> None:
    counts = counted(read(LINES), 3)
    model = estimated(LINES, KneserNey(modified=True), 3, prune=(0, 1, 2)).model
    whole = estimated(LINES, KneserNey(modified=True), 3).model
    for order, limit in ((2, 1), (3, 2)):
        occurrences = dict(zip(tables(whole)[order - 1], counts.occurrences[order - 1].tolist(), strict=True))
        assert set(tables(model)[order - 1]) == {gram for gram, times in occurrences.items() if times > limit}


def test_all_may_be_left_out() -> None:
    model = estimated(LINES, KneserNey(modified=True), 3, prune=(0, 1000)).model
    assert [model.grams.size(order) for order in (2, 3)] == [0, 0]
    alone = model.log_probs([model.vocabulary.encode("the cat")])[0]
    assert alone.tolist() == pytest.approx(model.log_probs([model.vocabulary.encode("cat the")])[0][[1, 0, 2]].tolist())
