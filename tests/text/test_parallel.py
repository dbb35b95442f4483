"""Lines beside other lines."""

from __future__ import annotations

from pathlib import Path

import pytest

from rnntool.errors import InputError
from rnntool.text.parallel import Parallel


def test_lines_are_taken_file_by_file(tmp_path: Path) -> None:
    for name, text in (("a", "1\n\n"), ("b", "3")):
        (tmp_path / name).write_text(text)
    lines = Parallel([str(tmp_path / "a"), str(tmp_path / "b")])
    assert [lines.take("x:1") for _ in range(3)] == ["1", "", "3"]
    lines.end()
    with pytest.raises(InputError, match=r"^2 files: 3 lines, and x:4 is one more$"):
        lines.take("x:4")


def test_what_is_left_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("1\n2\n")
    lines = Parallel([str(tmp_path / "a")])
    lines.take("x:1")
    with pytest.raises(InputError, match=r"/a: more than 1 lines, which is all that the text has$"):
        lines.end()
