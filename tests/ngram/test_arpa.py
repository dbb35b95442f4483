"""ARPA files, ours and others', whole and broken."""

from __future__ import annotations

import math
from pathlib import Path
from random import Random

import numpy as np
import pytest

from rnntool.errors import InputError, ModelError, RnntoolWarning
from rnntool.ngram.add_k import AddK
from rnntool.ngram.arpa import read_arpa
from rnntool.ngram.kneser_ney import KneserNey
from rnntool.ngram.recognition import HEAD, is_arpa, take_head
from rnntool.ngram.witten_bell import WittenBell
from rnntool.text.vocabulary import Vocabulary
from tests.ngram.conftest import GOLDEN, LINES, estimated, parsed, random_lines, tables, written

SMALL = """\
\\data\\
ngram 1=5
ngram 2=3
ngram 3=1

\\1-grams:
-1\t<unk>
-99\t<s>\t-0.25
-0.5\t</s>
-0.5\ta\t-0.3
-0.6\tb

\\2-grams:
-0.1\t<s> a\t-0.2
-0.2\ta b
-0.3\ta </s>

\\3-grams:
-0.05\t<s> a b

\\end\\
"""
"""As SRILM writes it: no weight where nothing goes on.  Line 1 is \\data\\, 7 the first 1-gram, 14 the first 2-gram."""


# --- there and back --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", [1, 2, 5, 7])
def test_what_is_written_is_read(order: int) -> None:
    model = estimated(random_lines(order), WittenBell(), order).model
    text = written(model)
    again = parsed(text)
    assert written(again) == text
    assert again.vocabulary.tokens == model.vocabulary.tokens
    for mine, theirs in zip(tables(model), tables(again), strict=True):
        assert mine.keys() == theirs.keys()
        np.testing.assert_allclose([*mine.values()], [*theirs.values()], atol=1e-6)


def test_a_file_looks_as_other_programs_expect_it() -> None:
    """By hand: a, V = 3, add-one; nothing but `a` follows `<s>`, and `<unk>` and `</s>` share the half that is left."""
    assert written(estimated(["a"], AddK(1), 2).model) == (
        "\\data\\\nngram 1=4\nngram 2=2\n\n"
        "\\1-grams:\n"
        f"{math.log10(1 / 5):.7g}\t<unk>\t0\n"
        f"{math.log10(2 / 5):.7g}\t</s>\t0\n"
        f"{math.log10(2 / 5):.7g}\ta\t{math.log10((1 / 2) / (3 / 5)):.7g}\n"
        f"-99\t<s>\t{math.log10((1 / 2) / (3 / 5)):.7g}\n\n"
        "\\2-grams:\n"
        f"{math.log10(1 / 2):.7g}\ta </s>\n"
        f"{math.log10(1 / 2):.7g}\t<s> a\n\n"
        "\\end\\\n"
    )


@pytest.mark.parametrize("unit", ["char", "byte"])
def test_tokens_that_are_no_words_come_back(unit: str) -> None:
    lines = ["a b\\c\té", " ", "", "\\s <unk> #"]
    tokens = {"char": sorted({*"".join(lines)}), "byte": [f"<0x{byte:02x}>" for byte in range(256)]}[unit]
    vocabulary = Vocabulary(unit, ["<unk>", "</s>", *tokens])
    text = written(estimated(lines, WittenBell(), 3, vocabulary=vocabulary).model)
    assert text.startswith(f"#unit\t{unit}\n\\data\\\n")
    model = parsed(text)
    assert (model.vocabulary.unit, model.vocabulary.tokens) == (unit, vocabulary.tokens)
    ids = model.vocabulary.encode(lines[0])
    assert ids == vocabulary.encode(lines[0])
    assert len(model.log_probs([ids])[0]) == len(ids) + 1


def test_blocks_may_end_anywhere() -> None:
    text = written(estimated(LINES, WittenBell(), 3).model).encode()
    random = Random(1)
    for _ in range(5):
        cuts = sorted(random.sample(range(len(text)), 30))
        chunks = [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]
        assert written(read_arpa(chunks, "m")).encode() == text


# --- as others write it ----------------------------------------------------------------------------------------------


def test_weights_that_are_left_out_are_one() -> None:
    first, second, third = tables(parsed(SMALL))
    assert first == {
        ("<unk>",): (-1, 0),
        ("<s>",): (-99, -0.25),
        ("</s>",): (-0.5, 0),
        ("a",): (-0.5, -0.3),
        ("b",): (-0.6, 0),
    }
    assert second == {("<s>", "a"): (-0.1, -0.2), ("a", "b"): (-0.2, 0), ("a", "</s>"): (-0.3, 0)}
    assert third == {("<s>", "a", "b"): (-0.05, 0)}


def test_ids_are_the_order_of_the_file_without_the_beginning_of_a_line() -> None:
    model = parsed(SMALL)
    assert model.vocabulary.tokens == ("<unk>", "</s>", "a", "b")
    assert model.grams.bos_id == 4


@pytest.mark.parametrize(
    "change",
    [
        lambda text: "# made by hand\n\n" + text,
        lambda text: text.replace("\t", " "),
        lambda text: text.replace("\n\n", "\n"),
        lambda text: text.replace("\n\n", "\n\n\n"),
        lambda text: text.replace("\n", " \n"),
        lambda text: text.replace("ngram 1=5", "ngram  1 = 5"),
        lambda text: text.replace("-0.2\ta b\n-0.3\ta </s>", "-0.3\ta </s>\n-0.2\ta b"),
        lambda text: text.replace("-0.05\t<s> a b", "-0.05\t<s> a b\t0"),
        lambda text: text.replace("-99\t<s>", "-inf\t<s>"),
        lambda text: text + "and more\n",
    ],
    ids=["comment", "spaces", "tight", "loose", "trailing", "counts", "any order", "a weight too many", "inf", "after"],
)
def test_files_that_say_the_same_are_read_alike(change) -> None:  # type: ignore[no-untyped-def]
    assert tables(parsed(change(SMALL))) == tables(parsed(SMALL))


def test_carriage_returns_are_dropped_with_a_warning() -> None:
    with pytest.warns(RnntoolWarning, match="m.arpa:1: lines end in"):
        assert tables(parsed(SMALL.replace("\n", "\r\n"))) == tables(parsed(SMALL))


def test_a_model_without_unk_gives_unknown_words_no_chance() -> None:
    text = SMALL.replace("-1\t<unk>\n", "").replace("ngram 1=5", "ngram 1=4")
    with pytest.warns(RnntoolWarning) as warned:
        model = parsed(text)
    assert [str(each.message) for each in warned] == [
        "m.arpa: no <unk> among its 1-grams: words that it does not have are given the probability 1e-99"
    ]
    assert tables(model)[0][("<unk>",)] == (-99, 0)
    (scores,) = model.log_probs([model.vocabulary.encode("zebra a")])
    np.testing.assert_allclose(scores / math.log(10), [-99.25, -0.5, -0.3])


def test_unk_may_be_spelled_in_capitals() -> None:
    model = parsed(SMALL.replace("<unk>", "<UNK>").replace("-0.3\ta </s>", "-0.3\ta <UNK>"))
    assert tables(model)[0][("<unk>",)] == (-1, 0)
    assert tables(model)[1][("a", "<unk>")] == (-0.3, 0)
    assert model.vocabulary.encode("zebra") == [model.vocabulary.unk_id]


def test_a_model_may_know_no_beginning_of_a_line() -> None:
    text = "\\data\\\nngram 1=3\n\n\\1-grams:\n-0.5\t</s>\n-0.5\t<unk>\n-0.6\ta\n\n\\end\\\n"
    (scores,) = parsed(text).log_probs([[2]])
    np.testing.assert_allclose(scores / math.log(10), [-0.6, -0.5])


def test_kenlm_reads_what_we_write_and_says_the_same(tmp_path: Path) -> None:
    """Word by word, of models of every kind up to the order that KenLM is compiled for."""
    kenlm = pytest.importorskip("kenlm", reason="no kenlm (pip install kenlm) to compare with")
    for smoothing, order, prune in (
        (KneserNey(modified=True), 5, ()),
        (KneserNey(modified=True), 3, (0, 1)),
        (KneserNey(modified=False), 6, ()),
        (WittenBell(), 4, (0, 0, 1)),
        (AddK(0.1), 2, ()),
    ):
        model = estimated(LINES, smoothing, order, prune=prune).model
        path = tmp_path / f"{order}.arpa"
        path.write_text(written(model))
        theirs = kenlm.Model(str(path))
        for line in [*LINES, "", "a zebra slept", "home mouse home mouse the the the"]:
            (ours,) = model.log_probs([model.vocabulary.encode(line)])
            golden = [log10_prob for log10_prob, _, _ in theirs.full_scores(line)]
            np.testing.assert_allclose(ours / math.log(10), golden, atol=1e-5)


# --- broken ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ("\\data\\", "data", "1: not an ARPA file: no \\data\\ before this line"),
        ("ngram 2=3", "ngram 2=three", "3: 'ngram 2=three' is no line of an ARPA file's head"),
        ("ngram 2=3\n", "", "3: a count of 3-grams where that of 2-grams belongs"),
        ("ngram 2=3", "ngram 2=4", "18: 3 2-grams in the section before; \\data\\ speaks of 4"),
        ("ngram 3=1", "ngram 3=1\nngram 4=9", "22: the end after 3 of 4 sections"),
        ("ngram 3=1\n", "", "17: a section of 3-grams; 2 orders are announced"),
        ("\\2-grams:\n", "\\3-grams:\n", "13: a section of 3-grams; after 1"),
        ("\\2-grams:", "\\2-gram:", "13: '\\2-gram:' is neither an n-gram nor the heading of a section"),
        ("\\end\\\n", "", "cut off: line 20 is the last, and no \\end\\ has come"),
        ("-0.2\ta b", "-0.2\ta", "15: 2 columns; a 2-gram has a logarithm, its words, and perhaps another logarithm"),
        (
            "-0.2\ta b",
            "-0.2\ta b c d",
            "15: 5 columns; a 2-gram has a logarithm, its words, and perhaps another logarithm",
        ),
        ("-0.2\ta b", "oops\ta b", "15: 'oops' is not a number"),
        ("-0.2\ta b", "-0.2\ta b\tb", "15: 'b' is not a number"),
        ("-0.2\ta b", "0.2\ta b", "15: the logarithm 0.2 is above 0: no probability"),
        ("-0.2\ta b", "nan\ta b", "15: the logarithm nan is not finite"),
        ("-0.2\ta b", "-0.2\ta b\tinf", "15: the logarithm inf is not finite"),
        ("-0.2\ta b", "-0.2\ta dog", "15: 'dog' is not among the 1-grams"),
        ("-0.05\t<s> a b", "-0.05\tb a b", "19: its history 'b a' is not among the 2-grams"),
        ("-0.2\ta b", "-0.2\ta </s>", "16: the 2-gram of line 15 again"),
        ("-0.6\tb", "-0.6\ta", "11: the 1-gram 'a' again"),
        ("</s>", "<end>", "13: no </s> among the 1-grams, so that no line can end"),
        ("\\1-grams:", "#unit\tchar", "6: '#unit\tchar' is no line of an ARPA file's head"),
        (
            "\n\\3-grams:",
            "ngram 3=1",
            "17: 2 columns; a 2-gram has a logarithm, its words, and perhaps another logarithm",
        ),
    ],
)
def test_what_is_wrong_is_named_with_its_line(old: str, new: str, what: str) -> None:
    assert old in SMALL
    with pytest.raises(ModelError) as refused:
        parsed(SMALL.replace(old, new, 1) if old != "</s>" else SMALL.replace(old, new))
    assert str(refused.value) == (f"m.arpa:{what}" if what[0].isdigit() else f"m.arpa: {what}")


def test_bytes_that_are_not_utf8_are_named() -> None:
    with pytest.raises(InputError, match="m:7: not UTF-8: byte 0xff at column 4"):
        read_arpa([SMALL.encode().replace(b"<unk>", b"\xffunk>", 1)], "m")


def test_an_unknown_unit_is_refused() -> None:
    with pytest.raises(ModelError, match=r"m\.arpa:1: unit 'spm'; known are word, char, byte"):
        parsed("#unit\tspm\n" + SMALL)
    with pytest.raises(ModelError, match=r"'\\x' has a \\ that begins none of"):
        parsed("#unit\tchar\n" + SMALL.replace("\tb\n", "\t\\x\n").replace("a b", "a \\x"))


def test_no_word_is_a_page_long() -> None:
    with pytest.raises(ModelError, match=r"m\.arpa:11: a word of 70000 bytes; 65536 are allowed"):
        parsed(SMALL.replace("\tb", "\t" + "b" * 70_000))


def test_a_head_that_promises_much_costs_nothing() -> None:
    with pytest.raises(
        ModelError, match=r"m\.arpa:18: 3 2-grams in the section before; .* speaks of 999999999999999999"
    ):
        parsed(SMALL.replace("ngram 2=3", "ngram 2=999999999999999999"))


# --- recognised ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("head", "is_one"),
    [
        (b"\\data\\\nngram", True),
        (b"\n\n\\data\\\r\n", True),
        (b"# written by hand\n#unit\tchar\n \t\n\\data\\ \n", True),
        (b"\xef\xbb\xbf\\data\\\n", True),
        (b"\\data\\", False),
        (b"\\data\\ and more\n", False),
        (b"a rose\n\\data\\\n", False),
        (b"", False),
        (b"\x00\x10\x00\x00\x00\x00\x00\x00{", False),
    ],
)
def test_an_arpa_file_is_known_by_its_beginning(head: bytes, is_one: bool) -> None:
    assert is_arpa(head) == is_one


def test_no_more_is_read_than_is_needed_to_know() -> None:
    chunks = iter([b"#", b" a\n", b"\\da", b"ta\\", b"\n", b"ngram 1=5\n"])
    head = take_head(chunks)
    assert is_arpa(head)
    assert next(chunks) == b"ngram 1=5\n"
    foreign = iter([b"a rose", b" is"])
    assert take_head(foreign) == b"a rose"
    assert len(take_head(iter([b"#" * 1000] * 1000))) < 2 * HEAD
    assert take_head(iter([])) == b""


def test_kenlms_models_are_known() -> None:
    assert is_arpa((GOLDEN / "trigram.arpa").read_bytes())
