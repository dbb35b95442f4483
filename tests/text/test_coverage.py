"""How much of a text a vocabulary knows."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnntool.text.counting import build, count
from rnntool.text.coverage import Coverage, growth


def test_growth_is_told_at_powers_of_ten_and_at_the_end() -> None:
    vocabulary = build(count([b"a b\n"], "word"), "word")
    rows = list(growth([b"a b c\n\n", b"a b c d a a a a <unk> </s>\n"], vocabulary))
    assert rows == [Coverage(10, 4, 3, 2), Coverage(13, 6, 4, 3)]
    assert rows[-1].oov_rate == pytest.approx(4 / 13)


def test_a_text_that_ends_at_a_power_of_ten_is_told_once() -> None:
    vocabulary = build(count([b"a\n"], "word"), "word")
    assert list(growth([b"a " * 10 + b"\n"], vocabulary)) == [Coverage(10, 1, 0, 0)]
    assert list(growth([], vocabulary)) == [Coverage(0, 0, 0, 0)]
    assert Coverage(0, 0, 0, 0).oov_rate == 0


@given(
    st.sampled_from(["word", "char", "byte"]),
    st.lists(st.text("abé\u00a0 <unk>", max_size=20), max_size=20),
    st.lists(st.text("abc 中", max_size=20), max_size=20),
)
def test_the_last_row_agrees_with_encoding(unit: str, known: list[str], text: list[str]) -> None:
    block = "".join(line + "\n" for line in known).encode() or b"x\n"
    vocabulary = build(count([block], unit), unit)
    *_, last = growth(["".join(line + "\n" for line in text).encode() or b"\n"], vocabulary)
    assert last.tokens == sum(len(vocabulary.encode(line)) for line in text)
    assert last.oov == sum(vocabulary.encode_counting(line)[1] for line in text)
    assert last.types == len({piece for line in text for piece in vocabulary.pieces(line)})
