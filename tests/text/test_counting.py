"""From text to a vocabulary."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnntool.errors import InputError, OptionError, RnntoolWarning
from rnntool.text.counting import build, count, require_tokens

TEXT = b"b a b\n\n c a b <unk>\n"
LINES = st.lists(st.text("ab c\t\u00e9\u00a0", max_size=12))


def test_special_tokens_come_first_then_the_commonest_then_code_points() -> None:
    vocabulary = build(count([TEXT], "word"), "word")
    assert vocabulary.tokens == ("<unk>", "</s>", "b", "a", "c")
    assert vocabulary.counts == (1, 3, 3, 2, 1)
    tied = build(count(["z é a 中 Z\n".encode()], "word"), "word")
    assert tied.tokens[2:] == ("Z", "a", "z", "é", "中")


def test_what_is_left_out_counts_as_unk() -> None:
    for options in ({"size": 4}, {"min_count": 2}):
        vocabulary = build(count([TEXT], "word"), "word", **options)
        assert vocabulary.tokens == ("<unk>", "</s>", "b", "a")
        assert vocabulary.counts == (2, 3, 3, 2)


@given(LINES, st.sampled_from(["word", "char", "byte"]), st.integers(3, 9), st.integers(1, 3))
def test_counts_sum_to_the_tokens_of_the_text(lines: list[str], unit: str, size: int, min_count: int) -> None:
    text = "".join(line + "\n" for line in lines)
    options = {} if unit == "byte" else {"size": size, "min_count": min_count}
    vocabulary = build(count([text.encode()] if text else [], unit), unit, **options)
    num_tokens = sum(len(vocabulary.pieces(line)) + 1 for line in lines)
    assert sum(vocabulary.counts) == num_tokens
    assert len(vocabulary) <= size or unit == "byte"


@given(st.text(st.characters(exclude_characters="\n", exclude_categories=["Cs"])))
def test_characters_are_counted_as_python_counts_them(line: str) -> None:
    assert count([f"{line}\n".encode()], "char").tokens == Counter(line)


def test_a_closed_list_keeps_all_its_words_and_no_others() -> None:
    counts = count([TEXT], "word", only=["dog", "b", "<unk>"])
    vocabulary = build(counts, "word", min_count=0)
    assert vocabulary.tokens == ("<unk>", "</s>", "b", "dog")
    assert vocabulary.counts == (4, 3, 3, 0)


def test_special_tokens_are_kept_whatever_their_count() -> None:
    vocabulary = build(count([b"a a <2de> a\n"], "word"), "word", size=5, specials=["<2de>", "<2fr>"])
    assert vocabulary.tokens == ("<unk>", "</s>", "<2de>", "<2fr>", "a")
    assert vocabulary.counts == (0, 1, 1, 0, 3)
    assert vocabulary.encode("<2de> a") == [2, 4], "text may hold them"


def test_control_tokens_in_text_are_no_words() -> None:
    vocabulary = build(count([b"<s> a </s>\n"], "word"), "word")
    assert vocabulary.tokens == ("<unk>", "</s>", "a")
    assert vocabulary.counts == (2, 1, 1)


def test_bytes_are_all_there() -> None:
    vocabulary = build(count(["é\n".encode()], "byte"), "byte")
    assert len(vocabulary) == 258
    assert vocabulary.tokens[2:5] == ("<0xa9>", "<0xc3>", "<0x00>")


def test_impossible_wishes_are_named() -> None:
    counts = count([TEXT], "word")
    for options, message in (
        ({"size": 2}, "--size: 2 leaves no room beside 2 special tokens"),
        ({"specials": ["a b"]}, "--special: 'a b' has white space, or is empty"),
        ({"specials": [""]}, "--special: '' has white space, or is empty"),
        ({"specials": ["</s>"]}, "--special: '</s>' is there already"),
        ({"specials": ["<x>", "<x>"]}, "--special: '<x>' is there already"),
    ):
        with pytest.raises(OptionError) as caught:
            build(counts, "word", **options)  # type: ignore[arg-type]
        assert str(caught.value) == message
    with pytest.raises(OptionError, match=r"^--size: 99 is less than 256 bytes and 2 special tokens$"):
        build(count([TEXT], "byte"), "byte", size=99)


def test_a_text_without_tokens_is_refused() -> None:
    for blocks in ([], [b"\n \n"]):
        with pytest.raises(InputError, match=r"^t: no tokens$"):
            require_tokens(count(blocks, "word"), "t")


def test_a_word_that_no_vocabulary_file_holds_is_left_out_with_a_warning() -> None:
    with pytest.warns(RnntoolWarning, match=r"^2 words of more than 65536 bytes are left out$"):
        counts = count([b"a " + b"x" * 70_000 + b" " + b"y" * 70_000 + b"\n"], "word")
    vocabulary = build(counts, "word")
    assert (vocabulary.tokens, vocabulary.counts) == (("<unk>", "</s>", "a"), (2, 1, 1))
