"""From lines of pieces or ids back to text."""

from __future__ import annotations

import pytest

from rnntool.errors import InputError
from rnntool.text.counting import build, count
from rnntool.text.decoding import decoder
from rnntool.text.vocabulary import Vocabulary


def vocabulary(unit: str) -> Vocabulary:
    return build(count([b"a b\n"], unit), unit)


def test_lines_stay_lines() -> None:
    lines = decoder(vocabulary("word"), ids=True)(b"2 3\n\n 002   1 0 \n", "t", 1)
    assert list(lines) == ["a b", "", "a <unk>"]
    assert list(decoder(vocabulary("char"), ids=False)(b"a \\s b </s>\n\n", "t", 1)) == ["a b", ""]


def test_what_is_no_id_is_named_with_its_line_after_the_lines_before() -> None:
    for wrong in ("4", "-1", "x", "1.0", "9" * 30, "٣", "1_0"):
        lines = decoder(vocabulary("word"), ids=True)(f"2\n3 {wrong}\n".encode(), "t", 7)
        assert next(lines) == "a"
        with pytest.raises(InputError) as caught:
            next(lines)
        assert str(caught.value) == f"t:8: '{wrong}' is no id from 0 to 3"


def test_what_is_no_piece_is_named_with_its_line() -> None:
    for unit, wrong in (("char", "ab"), ("char", "\\q"), ("byte", "a"), ("byte", "<0xZZ>")):
        with pytest.raises(InputError) as caught:
            list(decoder(vocabulary(unit), ids=False)(f"\n{wrong}\n".encode(), "t", 1))
        assert str(caught.value) == f"t:2: '{wrong}' is no piece of unit {unit}"
