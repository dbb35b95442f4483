"""N-best lists of four families of programs: what is read is what is written, and broken lines are named."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnntool.errors import InputError
from rnntool.text.nbest import keyed, moses
from rnntool.text.nbest.forms import FORMS, read_nbest
from rnntool.text.nbest.lists import Hypothesis, NbestList, spelled, words_of

MARIAN = (  # marian-regression-tests, tests/decoder/wmt16/nbest.expected: the form, the words are ours
    "0 ||| der König sieht es ||| F0= -1.66407 ||| -1.66407",
    "0 ||| ein König sieht es ||| F0= -2.1 ||| -2.1",
    "1 |||  ||| F0= -3 ||| -3",
)
MOSES = (
    "0 ||| das haus ||| LexicalReordering0= -1.5 0 0 Distortion0= 0 LM0= -17.25 WordPenalty0= -2 "
    "||| -8.125 ||| 0-0 1=1 ||| 0-0 1-1"
)


def lists(lines: Sequence[str], form: str = "moses") -> list[NbestList]:
    return list(FORMS[form].read(lines, "n"))


def written(lines: Sequence[str], form: str = "moses") -> str:
    return "".join(map(FORMS[form].write, lists(lines, form)))


def message(*lines: str, form: str = "moses") -> str:
    with pytest.raises(InputError) as caught:
        lists(lines, form)
    return str(caught.value)


# --- Moses -----------------------------------------------------------------------------------------------------------


def test_the_lines_of_an_id_are_one_list() -> None:
    first, second = lists(MARIAN)
    assert first == NbestList(
        "0",
        (
            Hypothesis("der König sieht es", {"F0": (-1.66407,)}, -1.66407),
            Hypothesis("ein König sieht es", {"F0": (-2.1,)}, -2.1),
        ),
    )
    assert second == NbestList("1", (Hypothesis("", {"F0": (-3.0,)}, -3.0),))
    assert first.where(first.hypotheses[1]) == "n:2"


SPELLINGS = ["0 ||| ein mann ||| d= -1.50 lm= 1e-5 -13.34637312345678901 ||| -4.0"]
"""Of numbers, as others may write them."""


@pytest.mark.parametrize("lines", [MARIAN, [MOSES], SPELLINGS], ids=["marian", "moses", "spellings"])
def test_what_is_read_is_what_is_written(lines: Sequence[str]) -> None:
    assert written(lines) == "".join(f"{line}\n" for line in lines)


def test_a_feature_may_have_several_values_and_fields_may_follow_the_score() -> None:
    (hypothesis,) = lists([MOSES])[0].hypotheses
    assert hypothesis.features == {
        "LexicalReordering0": (-1.5, 0, 0),
        "Distortion0": (0,),
        "LM0": (-17.25,),
        "WordPenalty0": (-2,),
    }
    assert (hypothesis.text, hypothesis.score, hypothesis.after) == ("das haus", -8.125, ("0-0 1=1", "0-0 1-1"))


def test_fields_between_hypothesis_and_features_are_kept() -> None:
    """Marian's alignments, hard or soft, and scores of words."""
    line = "0 ||| a b ||| 0-0 1-1 2-2 ||| WordScores= -0.5 -1 -0.25 ||| F0= -1.75 ||| -1.75"
    (hypothesis,) = lists([line])[0].hypotheses
    assert hypothesis.text == "a b"
    assert hypothesis.between == ("0-0 1-1 2-2", "WordScores= -0.5 -1 -0.25")
    assert hypothesis.features == {"F0": (-1.75,)}
    soft = "0 ||| a b ||| 0.75,0.25 0.1,0.9 1e-3,0.999 ||| F0= -1 ||| -1"
    assert lists([soft])[0].hypotheses[0].between == ("0.75,0.25 0.1,0.9 1e-3,0.999",)
    assert written([line, soft]) == f"{line}\n{soft}\n"


@pytest.mark.parametrize("features", ["F0=-1 LM=-2.5", "F0: -1 LM: -2.5", "F0= -1 LM= -2.5", " F0= -1  LM= -2.5 "])
def test_names_and_values_are_told_apart_in_all_spellings(features: str) -> None:
    assert lists([f"0 ||| a ||| {features} ||| -3"])[0].hypotheses[0].features == {"F0": (-1,), "LM": (-2.5,)}


def test_a_list_of_three_fields_has_no_features() -> None:
    """Nematus."""
    assert lists(["0 ||| a b ||| -2.5"])[0].hypotheses == (Hypothesis("a b", {}, -2.5),)
    assert written(["0 ||| a b ||| -2.5"]) == "0 ||| a b |||  ||| -2.5\n"
    assert written(["0 ||| a b |||  ||| -2.5"]) == "0 ||| a b |||  ||| -2.5\n"


@pytest.mark.parametrize("blank", ["0 |||  ||| F0= 1 ||| 1", "0 ||| ||| F0= 1 ||| 1", "0||||||F0= 1|||1"])
def test_a_blank_hypothesis_is_a_hypothesis(blank: str) -> None:
    assert lists([blank])[0].hypotheses == (Hypothesis("", {"F0": (1,)}, 1.0),)


@given(st.text(st.characters(exclude_characters="\n", exclude_categories=["Cs"])) | st.text(" |ab"))
def test_any_text_is_found_again(text: str) -> None:
    """With bars in it, too."""
    hypothesis = Hypothesis(text, {"F0": (-1.5,), "TM": (1e-7, 2.0)}, -1.25)
    assert moses.parse(moses.format_line("7", hypothesis), "n", 1) == (7, hypothesis)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_are_spelled_so_that_they_are_read_again(value: float) -> None:
    assert float(spelled(value)) == value


def test_whole_numbers_have_no_point() -> None:
    assert [spelled(value) for value in (-3.0, 0.5, 1e-7, 12.0)] == ["-3", "0.5", "1e-07", "12"]


def test_missing_ids_have_lists_without_hypotheses() -> None:
    found = lists(["1 ||| a ||| 1", "4 ||| b ||| 1"])
    assert [(each.id, len(each.hypotheses)) for each in found] == [("0", 0), ("1", 1), ("2", 0), ("3", 0), ("4", 1)]
    assert written(["1 ||| a ||| F= 1 ||| 1", "4 ||| b ||| F= 1 ||| 1"]).count("\n") == 2
    assert lists([]) == []


def test_a_list_is_out_when_the_next_one_begins() -> None:
    def lines() -> object:
        yield from MARIAN
        raise AssertionError("read too far")

    assert next(moses.read(lines(), "n")).id == "0"  # type: ignore[arg-type]


def test_the_lists_before_a_broken_line_are_given() -> None:
    found = moses.read([*MARIAN, "2 ||| c ||| 1", "x"], "n")
    assert [next(found).id for _ in range(2)] == ["0", "1"]
    with pytest.raises(InputError):
        next(found)


def test_broken_lines_are_refused_with_their_place() -> None:
    is_no_line = "no line of an n-best list, which is id ||| hypothesis ||| features ||| score"
    assert message("") == f"n:1: {is_no_line}"
    assert message(MARIAN[0], "a rose is a rose") == f"n:2: {is_no_line}"
    assert message("0 ||| a") == f"n:1: {is_no_line}"
    assert message("x ||| a ||| F0= 1 ||| 1") == "n:1: the id is 'x', not a whole number from 0"
    assert message("-1 ||| a ||| F0= 1 ||| 1") == "n:1: the id is '-1', not a whole number from 0"
    assert message("٣ ||| a ||| F0= 1 ||| 1") == "n:1: the id is '٣', not a whole number from 0"
    assert message("0 ||| a ||| F0= 1") == "n:1: no score; the last field is 'F0= 1'"
    assert message("0 ||| a ||| F0= 1 ||| nan") == "n:1: the score is 'nan', not a finite number"
    assert message("0 ||| a ||| F0= -inf ||| 1") == "n:1: the feature 'F0' is '-inf', not a finite number"
    assert message("0 ||| a ||| F0= x ||| 1") == "n:1: the feature 'F0' is 'x', not a finite number"
    assert message("0 ||| a ||| -1 F0= 1 ||| 1") == "n:1: features begin with '-1'; a feature is NAME= value"
    assert message("0 ||| a ||| F0= G= 1 ||| 1") == "n:1: the feature 'F0' has no value"
    assert message("0 ||| a ||| F0= 1 F0= 2 ||| 1") == "n:1: the feature 'F0' twice"
    assert message("3 ||| a ||| 1", "1 ||| a ||| 1") == "n:2: id 1 after id 3"
    far = "n:2: id 999999999999 after id 0: 999999999998 ids are missing"
    assert message("0 ||| a ||| 1", "999999999999 ||| a ||| 1") == far


@given(st.text(st.characters(exclude_characters="\n", exclude_categories=["Cs"])), st.sampled_from(list(FORMS)))
def test_no_line_makes_it_fail_in_another_way(line: str, form: str) -> None:
    try:
        lists([line], form)
    except InputError as error:
        assert error.where == "n:1"


# --- SRILM -----------------------------------------------------------------------------------------------------------

SRILM = ["-205.5 -12.25 3 the old king", "-206 -12 2 the king", "-210 -3.5 0"]
DECIPHER = ["NBestList1.0", "(-2050) the old king", "(-2061) the king"]


def test_an_srilm_file_is_one_list() -> None:
    (found,) = FORMS["srilm"].read(SRILM, "lists/utt7.score.gz")
    assert found.id == "utt7"
    first = found.hypotheses[0]
    assert (first.text, first.features) == ("the old king", {"ascore": (-205.5,), "lscore": (-12.25,), "nwords": (3,)})
    assert first.score == -205.5 + 8 * -12.25
    assert found.hypotheses[2].text == ""
    assert written(SRILM, "srilm") == "".join(f"{line}\n" for line in SRILM)


@pytest.mark.parametrize(
    ("words", "text"),
    [("<s> the king </s>", "the king"), ("<s> </s>", ""), ("<s>", ""), ("a </s>", "a"), ("a <s> b", "a <s> b")],
)
def test_srilms_marks_are_kept_and_are_no_words(words: str, text: str) -> None:
    for lines in (["-12.50 -2 3 " + words], ["NBestList1.0", f"(-7) {words}"]):
        (found,) = lists(lines, "srilm")
        assert found.hypotheses[0].text == text
        assert written(lines, "srilm") == "".join(f"{line}\n" for line in lines)


def test_decipher_lists_have_one_score_in_bytelogs() -> None:
    (found,) = lists(DECIPHER, "srilm")
    assert found.hypotheses[0] == Hypothesis("the old king", {"bytelog": (-2050,)}, -2050)
    assert written(DECIPHER, "srilm") == "".join(f"{line}\n" for line in DECIPHER)


def test_broken_srilm_lines_are_refused() -> None:
    assert message("-1 -2", form="srilm") == "n:1: 2 columns; a hypothesis is ascore lscore nwords word …"
    assert message("-1 b 3 a b c", form="srilm") == "n:1: the lscore is 'b', not a finite number"
    assert message("NBestList1.0", "3 a b", form="srilm") == "n:2: '3' is no score in parentheses"
    assert message("NBestList2.0", form="srilm") == "n:1: NBestList2.0, whose scores of single words are not read"


def test_several_files_are_several_lists(tmp_path: object) -> None:
    from pathlib import Path

    paths = [Path(str(tmp_path)) / name for name in ("b.nbest", "a.nbest")]
    for path in paths:
        path.write_text("".join(f"{line}\n" for line in SRILM))
    assert [each.id for each in read_nbest([str(path) for path in paths], "srilm")] == ["b", "a"]


# --- rnnlm and Kaldi -------------------------------------------------------------------------------------------------

RNNLM = ["utt1 the old king", "utt1 the king", "utt2", "utt1 again"]
KALDI = ["sp-1-utt1-1 the old king", "sp-1-utt1-3 the king", "sp-1-utt2-1"]


def test_lines_with_one_key_are_one_list() -> None:
    found = lists(RNNLM, "rnnlm")
    assert [(each.id, [h.text for h in each.hypotheses]) for each in found] == [
        ("utt1", ["the old king", "the king"]),
        ("utt2", [""]),
        ("utt1", ["again"]),
    ]
    assert written(RNNLM, "rnnlm") == "".join(f"{line}\n" for line in RNNLM)


def test_kaldi_keys_end_in_the_number_of_the_hypothesis() -> None:
    found = lists(KALDI, "kaldi")
    assert [(each.id, [(h.rank, h.text) for h in each.hypotheses]) for each in found] == [
        ("sp-1-utt1", [(1, "the old king"), (3, "the king")]),
        ("sp-1-utt2", [(1, "")]),
    ]
    assert written(KALDI, "kaldi") == "".join(f"{line}\n" for line in KALDI)
    renamed = NbestList("u", (Hypothesis("a"), Hypothesis("b")))
    assert FORMS["kaldi"].write(renamed) == "u-1 a\nu-2 b\n"


def test_broken_keys_are_refused() -> None:
    assert message("u a", " ", form="rnnlm") == "n:2: blank; a hypothesis has at least its key"
    for key in ("utt", "-1", "utt-", "utt-a"):
        expected = f"n:1: the key '{key}' does not end in -N, the number of a hypothesis"
        assert message(f"{key} the king", form="kaldi") == expected


def test_words_end_at_white_space_of_ascii_alone() -> None:
    assert words_of(" the\u00a0old  king\u2028it\t") == ["the\u00a0old", "king\u2028it"]
    assert lists(["utt1 the\u00a0old king"], "rnnlm")[0].hypotheses[0].text == "the\u00a0old king"


def with_numbers(numbers: list[str], form: str = "rnnlm", lines: Sequence[str] = RNNLM) -> list[tuple[str, object]]:
    found = keyed.with_numbers(lists(lines, form), "LM", numbers, "s")
    return [(each.id, [h.features["LM"][0] for h in each.hypotheses]) for each in found]


def test_scores_come_from_files_of_their_own() -> None:
    assert with_numbers(["-3.5", "-4", "-1", "-2"]) == [("utt1", [-3.5, -4]), ("utt2", [-1]), ("utt1", [-2])]
    costs = ["sp-1-utt1-1 12.5", "sp-1-utt1-3 11", "sp-1-utt2-1 3"]
    assert with_numbers(costs, "kaldi", KALDI) == [("sp-1-utt1", [-12.5, -11]), ("sp-1-utt2", [-3])]


def test_scores_of_other_hypotheses_are_refused() -> None:
    def refused(numbers: list[str], form: str = "rnnlm", lines: Sequence[str] = RNNLM) -> str:
        with pytest.raises(InputError) as caught:
            with_numbers(numbers, form, lines)
        return str(caught.value)

    assert refused(["-1", "-2"]) == "s: 2 scores; there are more hypotheses in n"
    assert refused(["-1"] * 5) == "s:5: a score more than the 4 hypotheses"
    assert refused(["-1", "x"]) == "s:2: the score is 'x', not a finite number"
    assert refused(["a b c"]) == "s:1: 3 columns; a score is one number, or a key and a cost"
    costs = ["sp-1-utt1-1 12.5", "sp-1-utt1-2 11"]
    assert refused(costs, "kaldi", KALDI) == "s:2: a score of 'sp-1-utt1-2'; the hypothesis is sp-1-utt1-3"
    assert refused(["1"], "moses", ["0 ||| a ||| LM= 1 ||| 1"]) == "n:1: the list has a feature 'LM' already"
