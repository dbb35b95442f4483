"""Lexicons of two columns."""

from __future__ import annotations

from pathlib import Path

import pytest

from rnntool.errors import InputError
from rnntool.text.lexicon import read_lexicon


def test_the_first_entry_of_a_word_counts_and_further_columns_do_not(tmp_path: Path) -> None:
    path = tmp_path / "lexicon"
    path.write_text("sea\tSee\t0.7\nsea\tMeer\t0.3\nNew York\tNew York\nuh\t\n")
    assert read_lexicon(str(path)) == {"sea": "See", "New York": "New York", "uh": ""}


@pytest.mark.parametrize("line", ["sea See", "", "\tSee"])
def test_a_line_without_an_entry_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "lexicon"
    path.write_text(f"sea\tSee\n{line}\n")
    with pytest.raises(InputError, match=r"lexicon:2: '?.*'? is no entry of a lexicon"):
        read_lexicon(str(path))
