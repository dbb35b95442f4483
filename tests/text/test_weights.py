"""Weights of features, on a command line and in a file, and what they multiply."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnntool.errors import InputError
from rnntool.text.nbest import weights
from rnntool.text.nbest.lists import Hypothesis, NbestList

NUMBERS = st.floats(-10, 10)

HYPOTHESIS = Hypothesis("the old  king", {"F0": (-2.0,), "TM": (1.0, 3.0)}, -8.0, line=4)
LIST = NbestList("7", (HYPOTHESIS,), "n")


def test_weights_are_names_and_numbers() -> None:
    assert weights.parse("F0:0.5,LM:-.2,TM:1:2e-3:+3") == {"F0": (0.5,), "LM": (-0.2,), "TM": (1.0, 0.002, 3.0)}
    assert weights.parse("lm:big:2") == {"lm:big": (2.0,)}


@pytest.mark.parametrize("text", ["", "F0", "F0=1", "F0:", ":1", "F0:1,", "F0:x", "F0:inf", "a.weights", "F0:1 2"])
def test_other_texts_are_none(text: str) -> None:
    assert weights.parse(text) is None


def test_weights_that_cannot_be_used_are_refused() -> None:
    with pytest.raises(ValueError, match="'F0' has two weights"):
        weights.parse("F0:1,F0:2")
    with pytest.raises(ValueError, match="the weight of 'F0' is not a finite number"):
        weights.parse("F0:1e999")


@given(st.dictionaries(st.text("abF0_", min_size=1), st.lists(NUMBERS, min_size=1, max_size=3).map(tuple), min_size=1))
def test_one_line_and_a_file_say_the_same(given_weights: dict[str, tuple[float, ...]]) -> None:
    import tempfile

    assert weights.parse(weights.one_line(given_weights)) == given_weights
    with tempfile.NamedTemporaryFile("w") as file:
        file.write("\n" + weights.to_text(given_weights))
        file.flush()
        assert weights.read(file.name) == given_weights


def test_broken_files_are_refused_with_the_line(tmp_path: Path) -> None:
    path = tmp_path / "w"

    def message(text: str) -> str:
        path.write_text(text)
        with pytest.raises(InputError) as caught:
            weights.read(str(path))
        return str(caught.value).replace(str(path), "w")

    assert message("") == "w: no weights; a file of weights has NAME= weight on each line"
    assert message("F0= 1\nLM 2\n") == "w:2: 'LM 2' is not NAME= weight"
    assert message("F0=\n") == "w:1: 'F0=' is not NAME= weight"
    assert message("= 1\n") == "w:1: '= 1' is not NAME= weight"
    assert message("F0= 1\nF0= 2\n") == "w:2: 'F0' has weights already"
    assert message("F0= nan\n") == "w:1: the weight of 'F0' is 'nan', not a finite number"


def test_a_total_is_the_weighted_sum() -> None:
    assert weights.total(LIST, HYPOTHESIS, {"F0": (0.5,), "TM": (1.0, 10.0)}) == 0.5 * -2 + 1 + 30
    assert weights.total(LIST, HYPOTHESIS, {"score": (2.0,), "words": (1.0,)}) == -16 + 3
    assert weights.total(LIST, HYPOTHESIS, None) == -8


def test_a_feature_goes_before_what_rnntool_adds() -> None:
    own = Hypothesis("the old king", {"words": (100.0,), "score": (5.0,)}, -8.0)
    assert weights.values_of(own, "words") == (100.0,)
    assert weights.values_of(own, "score") == (5.0,)
    assert weights.known_names(own) == ["words", "score"]


def test_what_cannot_be_weighed_is_refused() -> None:
    def message(given_weights: dict[str, tuple[float, ...]] | None, hypothesis: Hypothesis = HYPOTHESIS) -> str:
        with pytest.raises(InputError) as caught:
            weights.total(LIST, hypothesis, given_weights)
        return str(caught.value)

    assert message({"LM": (1.0,)}) == "n:4: no feature 'LM' to weigh; known are F0, TM, score, words"
    assert message({"TM": (1.0,)}) == "n:4: 'TM' has 2 here, 1 in the weights"
    assert message({"F0": (1e308,)}) == "n:4: its features, times their weights, are past all numbers"
    bare = Hypothesis("a", line=2)
    assert message(None, bare) == "n:2: no score, and no weights for features"
    assert message({"score": (1.0,)}, bare) == "n:2: no feature 'score' to weigh; known are words"
