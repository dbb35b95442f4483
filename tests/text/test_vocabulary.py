"""From a line to ids and back, in every unit."""

from __future__ import annotations

import random
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnntool.errors import InputError, OptionError, RnntoolWarning
from rnntool.text import units
from rnntool.text.counting import build, count
from rnntool.text.pieces import train
from rnntool.text.vocabulary import Vocabulary, read_vocabulary

TEXT = b"the cat sat on the mat\n\n the  <unk>\tsat \nna\xc3\xafve \xe4\xb8\xad\xc2\xa0\xe6\x96\x87\n"
LINES = TEXT.decode().split("\n")[:-1]
LINE = st.text(st.characters(exclude_characters="\n", exclude_categories=["Cs"]))


@cache
def vocabulary(unit: str, text: bytes = TEXT) -> Vocabulary:
    if unit == "spm":
        lines = [line for line in text.decode().split("\n") if line] * 20
        return Vocabulary.from_bytes(train(lines, size=30, model_type="bpe"), "model")
    return build(count([text], unit), unit)


UNITS = pytest.mark.parametrize("unit", ["word", "char", "byte", "spm"])


@UNITS
def test_the_fast_way_gives_what_the_plain_way_gives(unit: str) -> None:
    known = vocabulary(unit)
    text = "the dog sat\n\n<unk> dog\tn\x00 \u2028\x1c\n".encode()
    lines = text.decode().split("\n")[:-1]
    ids, num_oov = known.encode_block(text)
    assert ids.tolist() == [id_ for line in lines for id_ in [*known.encode(line), known.eos_id]]
    assert num_oov == sum(known.encode_counting(line)[1] for line in lines)
    assert b"".join(known.id_lines(text)).decode() == "".join(
        " ".join(map(str, known.encode(line))) + "\n" for line in lines
    )
    assert b"".join(known.piece_lines(text)).decode() == "".join(" ".join(known.pieces(line)) + "\n" for line in lines)


@UNITS
def test_there_is_a_piece_for_every_id(unit: str) -> None:
    known = vocabulary(unit)
    for line in [*LINES, "an unknown dog", "  "]:
        ids, num_oov = known.encode_counting(line)
        assert ids == known.encode(line)
        assert len(known.pieces(line)) == len(ids)
        assert known.eos_id not in ids
        assert num_oov <= ids.count(known.unk_id)


@UNITS
def test_it_is_the_same_after_being_written_and_read(unit: str) -> None:
    known = vocabulary(unit)
    again = Vocabulary.from_bytes(known.to_bytes(), "copy")
    assert again == known
    assert (again.unit, again.tokens, again.counts) == (known.unit, known.tokens, known.counts)
    assert again.digest == known.digest
    assert [again.encode(line) for line in LINES] == [known.encode(line) for line in LINES]


@pytest.mark.parametrize("unit", ["char", "byte"])
@given(line=LINE)
def test_characters_and_bytes_come_back_as_they_were(unit: str, line: str) -> None:
    known = vocabulary(unit, f"{line}\n".encode())
    assert known.decode(known.encode(line)) == line
    assert known.join(known.pieces(line)) == line
    written = b"".join(known.piece_lines(f"{line}\n".encode())).decode()
    assert known.join(written[:-1].split(" ") if line else []) == line


@UNITS
@given(text=st.text("the cat\n \u00a0é中", max_size=60), size=st.integers(4, 20))
def test_cutting_long_lines_changes_nothing(unit: str, text: str, size: int) -> None:
    known, block = vocabulary(unit), f"{text}\n".encode()

    def outcome() -> tuple[bytes, bytes, list[int], int]:
        encoded = [known.encode_block(part) for part in known.slices(block)]
        ids = [id_ for ids, _ in encoded for id_ in ids.tolist()]
        oov = sum(num_oov for _, num_oov in encoded)
        return b"".join(known.id_lines(block)), b"".join(known.piece_lines(block)), ids, oov

    whole = outcome()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(units, "SLICE", size)
        assert outcome() == whole
        assert b"".join(known.slices(block)) == block


@given(line=LINE)
def test_words_come_back_with_single_spaces(line: str) -> None:
    known = vocabulary("word", f"{line}\n".encode())
    tidy = " ".join(word.decode() for word in line.encode().split())
    assert known.decode(known.encode(line)) == tidy
    assert known.join(known.pieces(line)) == tidy


def test_only_ascii_white_space_separates_words() -> None:
    known = vocabulary("word", "a\u00a0b c\u3000d\x1ce\n".encode())
    assert known.pieces("a\u00a0b c\u3000d\x1ce") == ["a\u00a0b", "c\u3000d\x1ce"]
    assert known.encode_counting("a\u00a0b c\u3000d\x1ce")[1] == 0


def test_a_literal_unk_is_known_and_an_unknown_word_is_not() -> None:
    known = vocabulary("word")
    assert known.encode_counting("the <unk> dog") == ([known.tokens.index("the"), known.unk_id, known.unk_id], 1)
    assert known.pieces("the <unk> dog") == ["the", "<unk>", "dog"]
    assert known.encode_block(b"the <unk> dog\n")[1] == 1


def test_a_word_spelled_like_the_end_of_a_line_is_unknown_with_one_warning() -> None:
    known = vocabulary.__wrapped__("word")
    with pytest.warns(RnntoolWarning, match=r"^the text holds </s> as a word; read as <unk>$") as caught:
        assert known.encode_counting("the </s> </s>")[1] == 2
        ids, num_oov = known.encode_block(b"the </s>\n<s>\n")
    assert len(caught) == 1
    assert (ids == known.eos_id).tolist() == [False, False, True, False, True]
    assert num_oov == 2


def test_control_tokens_are_left_out_of_the_text_of_ids_and_unk_is_not() -> None:
    for unit in ("word", "char", "byte"):
        known = vocabulary(unit)
        ids = [*known.encode("sat"), known.eos_id, known.unk_id]
        assert known.decode(ids) == ("sat <unk>" if unit == "word" else "sat<unk>")


def test_bytes_that_are_no_text_become_replacement_characters() -> None:
    known = vocabulary("byte")
    assert known.decode(known.encode("é")[:1]) == "\ufffd"


def test_spm_has_unk_and_eos_first_whatever_the_text() -> None:
    known = vocabulary("spm")
    assert known.tokens[:2] == ("<unk>", "</s>")
    assert (known.unk_id, known.eos_id, known.control_ids) == (0, 1, (1,))
    assert known.decode([*known.encode("the cat"), known.eos_id]) == "the cat"


def test_the_same_text_gives_the_same_bytes_in_another_process() -> None:
    program = (
        "from rnntool.text.pieces import train;"
        "import hashlib, sys;"
        "lines = ['the cat sat on the mat', 'a dog sat there'] * 9;"
        "print(hashlib.sha256(train(lines, size=18, model_type='unigram')).hexdigest())"
    )
    root = Path(__file__).parent.parent.parent
    digests = {
        subprocess.run([sys.executable, "-c", program], cwd=root, stdout=subprocess.PIPE, check=True).stdout
        for _ in range(2)
    }
    assert len(digests) == 1


def test_a_sentencepiece_model_is_known_by_its_bytes(tmp_path: Path) -> None:
    data = vocabulary("spm").to_bytes()
    (tmp_path / "v.tsv").write_bytes(data)
    assert read_vocabulary(str(tmp_path / "v.tsv")).unit == "spm"


def test_damaged_sentencepiece_models_are_refused_in_one_line() -> None:
    data = bytearray(vocabulary("spm").to_bytes())
    draw = random.Random(1)
    for _ in range(300):
        broken = bytearray(data)
        for _ in range(draw.randrange(1, 4)):
            broken[draw.randrange(len(broken))] = draw.randrange(256)
        if draw.random() < 0.3:
            del broken[draw.randrange(len(broken)) :]
        try:
            Vocabulary.from_bytes(bytes(broken), "v").encode("the cat sat")
        except InputError as error:
            assert error.where.startswith("v")


@given(st.binary(max_size=300))
def test_no_bytes_make_reading_fail_in_another_way(data: bytes) -> None:
    try:
        Vocabulary.from_bytes(data, "v")
    except (InputError, RnntoolWarning) as error:
        assert error.where.startswith("v")


def test_a_vocabulary_with_mark_and_carriage_returns_is_read_with_warnings() -> None:
    with pytest.warns(RnntoolWarning):
        known = Vocabulary.from_bytes(b"\xef\xbb\xbf<unk>\t0\r\n</s>\t0\r\nthe\t1\r\n", "v")
    assert known.tokens == ("<unk>", "</s>", "the")


def test_what_is_no_vocabulary_is_refused(tmp_path: Path) -> None:
    for data, expected in (
        (b"", "v: empty; a vocabulary has one token on each line"),
        (b"<unk>\t0\n</s>\t0\n\xff\t1\n", "v:3: not UTF-8: byte 0xff at column 1"),
        (b"x" * 300_000, "v:1: a line of more than 262208 bytes"),
        (b"\x10\x00\x00\x00\x00\x00\x00\x00" + b'{"a":{}}', "v: a model, not a vocabulary"),
        (b"\\data\\\nngram 1=3\n", "v: an n-gram model, not a vocabulary"),
        (b"\n\x0e\n\x05<unk>" + b"\xff" * 90, "v: damaged, or not a SentencePiece model"),
    ):
        with pytest.raises(InputError) as caught:
            Vocabulary.from_bytes(data, "v")
        assert str(caught.value) == expected
    with pytest.raises(InputError, match=r"a line of more than"):
        read_vocabulary("/dev/zero")


def test_only_sentencepiece_can_sample() -> None:
    with pytest.raises(OptionError, match=r"this one has unit word$"):
        vocabulary("word").sample("the cat", alpha=0.1)


def test_ids_are_small_enough_for_what_holds_them() -> None:
    ids, _ = vocabulary("word").encode_block(TEXT)
    assert ids.dtype == np.uint32


def test_what_no_written_line_may_hold() -> None:
    """Marks but `</s>`, and a line's end as a byte; <unk> on request."""
    words = Vocabulary("word", ["<unk>", "</s>", "<s>", "<0x0A>", "a"])
    assert words.unwritable() == (2,)
    assert words.unwritable(no_unk=True) == (0, 2)
    line_end = Vocabulary("byte", ["<unk>", "</s>", "<0x0A>", "<0x61>"])
    assert line_end.unwritable() == (2,)
