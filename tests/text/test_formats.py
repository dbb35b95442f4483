"""Vocabulary files, ours and other programs', and what is wrong with broken ones."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnntool.errors import InputError
from rnntool.text.formats import Listing, escape, parse, to_bytes, unescape

OURS = "<unk>\t7\n</s>\t5\nthe\t9\ncat\t2\n"


def read(text: str | bytes) -> Listing:
    data = text.encode() if isinstance(text, str) else text
    return parse([data if data.endswith(b"\n") else data + b"\n"] if data else [], "v")


def message(text: str | bytes) -> str:
    with pytest.raises(InputError) as caught:
        read(text)
    return str(caught.value)


def test_our_own_form_is_token_and_count() -> None:
    listing = read(OURS)
    assert listing == Listing("word", ("<unk>", "</s>", "the", "cat"), (7, 5, 9, 2))
    assert to_bytes(listing) == OURS.encode()


def test_a_third_column_is_the_class() -> None:
    listing = read("<unk>\t7\t0\n</s>\t5\t0\nthe\t9\t1\n")
    assert listing.classes == (0, 0, 1)
    assert to_bytes(listing) == b"<unk>\t7\t0\n</s>\t5\t0\nthe\t9\t1\n"


def test_other_units_have_a_header_and_escapes() -> None:
    listing = Listing("char", ("<unk>", "</s>", " ", "\\", "\t", "\x1b", "a", "\u2028"), (0, 1, 9, 8, 7, 6, 5, 4))
    data = to_bytes(listing)
    assert data.startswith(b"#unit\tchar\n<unk>\t0\n</s>\t1\n\\s\t9\n\\\\\t8\n\\t\t7\n\\x1b\t6\na\t5\n")
    assert parse([data], "v") == listing


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_escapes_are_undone_and_hold_no_white_space(token: str) -> None:
    assert unescape(escape(token)) == token
    assert not set(escape(token)) & set(" \t\n\r\v\f\x00\x1b\x7f\x9b")


def test_a_word_called_unit_is_a_word() -> None:
    assert read("#unit\t12\n" + OURS).tokens[0] == "#unit"


def test_a_plain_list_gets_the_special_tokens() -> None:
    assert read("the\ncat\n") == Listing("word", ("<unk>", "</s>", "the", "cat"), (0, 0, 0, 0))
    assert read("</s>\nthe\n<s>\n<unk>\ncat").tokens == ("<unk>", "</s>", "the", "cat")


def test_fairseq_dictionaries_are_read() -> None:
    text = "the 90\ncat 20\nmat 3 #fairseq:overwrite\nmadeupword0000 0\n"
    assert read(text) == Listing("word", ("<unk>", "</s>", "the", "cat", "mat", "madeupword0000"), (0, 0, 90, 20, 3, 0))


def test_kaldi_symbol_tables_are_read_in_the_order_of_their_ids() -> None:
    text = "<eps> 0\n<unk> 4\nthe 2\n!SIL 1\n#0 5\n<s> 6\n</s> 7\ncat 3\n"
    assert read(text).tokens == ("<unk>", "</s>", "!SIL", "the", "cat")
    assert read(text.replace(" ", "\t")).tokens == read(text).tokens
    assert read("a 0\nb 1\n").counts == (0, 0, 0, 0), "numbers that count lines are ids, not counts"


def test_srilm_classes_are_read() -> None:
    listing = read("DAY 0.5 monday\nDAY 0.5 tuesday\nTOWN 1 paris\n")
    assert listing.tokens == ("<unk>", "</s>", "monday", "tuesday", "paris")
    assert listing.classes == (0, 1, 2, 2, 3)


def test_a_broken_vocabulary_is_refused_with_the_line() -> None:
    assert message("") == "v: empty; a vocabulary has one token on each line"
    assert message(OURS + "the\t1\n") == "v:5: 'the' again, which line 3 has"
    assert message(OURS + "\t1\n") == "v:5: an empty token"
    assert message(OURS + "dog\n") == "v:5: 1 columns; line 1 has 2"
    assert message(OURS + "dog\tmany\n") == "v:5: the count is 'many', not a whole number"
    assert message(OURS + "dog\t-3.2\n") == "v:5: the count is '-3.2', not a whole number"
    assert message(OURS + "dog\t" + "9" * 5000 + "\n").startswith("v:5: the count is '999")
    assert message(OURS + "dog\t٣\n") == "v:5: the count is '٣', not a whole number"
    assert message(OURS + "a b\t3\n") == "v:5: white space in the word 'a b'"
    assert message("the\t9\n") == "v:1: no <unk> here or below"
    assert message("<unk>\t9\nthe\t3\n") == "v:1: no </s> here or below"
    assert message("#unit\tsyllable\n" + OURS) == "v:1: unit 'syllable'; known are word, char, byte"
    assert message("#unit\tchar\n" + OURS + "\\q\t1\n") == r"v:6: '\q' has a \ that begins none of \\ \t \s \xNN"
    assert message("the\n\ncat\n") == "v:2: an empty token"
    assert message("the\ncat\nthe\n") == "v:3: 'the' again, which line 1 has"
    assert message("the\ncat sat\n") == "v:2: 2 columns; line 1 has 1"
    assert message("the 1\ncat\n") == "v:2: 1 columns; line 1 has 2"
    assert message("<eps> 0\nthe x\n") == "v:2: the id is 'x', not a whole number"
    assert message("D 0.5 a\nD 0.5 a b\n") == "v:2: 4 columns; a word class has CLASS prob word, one word each"
    assert message("we had a cat\n") == "v:1: 4 columns; a vocabulary has token⇥count[⇥class]"
    assert message("a" * 70_000 + "\t3\n") == "v:1: a token of 70000 bytes; 65536 are allowed"


@given(st.binary(max_size=200))
def test_no_bytes_make_it_fail_in_another_way(data: bytes) -> None:
    try:
        parse([line + b"\n" for line in data.decode(errors="ignore").encode().split(b"\n")], "v")
    except InputError as error:
        assert error.where.startswith("v")
