"""`rnntool plot --attention`: what translations looked at."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Run


def record(**changes: Any) -> str:
    """A target of two words, of which the first looked at the second of the source, and the other at its end and there."""
    values = {"sentence": 7, "source": ["the", "sea"], "target": ["die", "See"]}
    values |= {"alignment": [[0.05, 0.95, 0.0], [0.0, 0.5, 0.5]], **changes}
    return json.dumps(values) + "\n"


def test_a_map_has_a_row_for_each_word_and_a_column_for_each_word_of_the_source(run: Run) -> None:
    done = run("plot", "--attention", stdin=record() + record(target=[], alignment=[]) + record(target=["a", "b"]))
    assert (done.status, done.err) == (0, "")
    head = ["          <", "    t  s  /", "    h  e  s", "    e  a  >"]
    assert done.out.splitlines()[:7] == [*head, "die    ██", "See    ▒▒ ▒▒", ""]
    assert done.out.splitlines()[11:] == ["a    ██", "b    ▒▒ ▒▒"]


def test_a_source_that_is_too_wide_is_drawn_in_parts(run: Run) -> None:
    words = [f"w{number}" for number in range(30)]
    rows = [[1.0 if column == place else 0.0 for column in range(31)] for place in (0, 29)]
    done = run("plot", "--attention", stdin=record(source=words, alignment=rows), env={"COLUMNS": "48"})
    assert done.status == 0
    lines = done.out.splitlines()
    assert max(map(len, lines)) <= 48
    assert sum(line.startswith("die") for line in lines) == 3
    assert done.out.count("██") == 2


def test_odd_words_are_shown_and_cut(run: Run) -> None:
    odd = ["\x1b[2J", "Donaudampfschifffahrt"]
    done = run("plot", "--attention", stdin=record(target=odd, source=["猫", "b"]))
    assert done.status == 0
    assert "\x1b" not in done.out
    assert "\\x1b[2J" in done.out
    assert "Donaudampfs…" in done.out
    assert "猫" in done.out


def test_what_translate_writes_is_drawn(run: Run, toys: Path, tmp_path: Path) -> None:
    done = run(
        "translate", "-m", toys / "ende", "--json", "--alignment", "soft", "-j", "1", stdin="the sea\n\na rose\n"
    )
    (tmp_path / "records").write_text(done.out)
    drawn = run("plot", "--attention", "records")
    assert (drawn.status, drawn.err) == (0, "")
    first, _, third = map(json.loads, done.out.splitlines())
    assert len(drawn.out.split("\n\n")) == 2
    for part, each in zip(drawn.out.split("\n\n"), (first, third), strict=True):
        labels = [line.split(" ")[0] for line in part.splitlines() if not line.startswith(" ")]
        assert labels == [word if len(word) <= 12 else f"{word[:11]}…" for word in each["target"]]


@pytest.mark.parametrize("suffix", ["png", "svg", "pdf"])
def test_maps_are_written_as_one_picture(run: Run, tmp_path: Path, suffix: str) -> None:
    pytest.importorskip("matplotlib")
    name = f"map.{suffix}"
    done = run("plot", "--attention", "-o", name, stdin=record() * 3 + record(source=["a$b$", "<"]))
    assert (done.status, done.out, done.err) == (0, "", "")
    once = (tmp_path / name).read_bytes()
    assert len(once) > 1000
    run("plot", "--attention", "-o", name, stdin=record() * 3 + record(source=["a$b$", "<"]))
    assert (tmp_path / name).read_bytes() == once


@pytest.mark.parametrize(
    ("words", "given", "status", "message"),
    [
        ([], "x\n", 1, "standard input:1: not JSON\ntry: rnntool translate --json --alignment soft\n"),
        ([], record() + record(alignment=[[0, 0], [1, 1]]), 1, "standard input:2: a record without soft alignments\n"),
        ([], record(alignment=[[0.1, 0.9, 0.0]]), 1, "standard input:1: a record without soft alignments\n"),
        ([], record(alignment=[[0.1, 7, 0.0]] * 2), 1, "standard input:1: a record without soft alignments\n"),
        ([], '{"text": "a"}\n', 1, "standard input:1: a record without soft alignments\n"),
        ([], "[1]\n", 1, "standard input:1: a record without soft alignments\n"),
        (["--lag"], "", 2, "--lag: is for the course of runs; leave out --attention\n"),
        (["--table"], "", 2, "--table: is for the course of runs; leave out --attention\n"),
        (["--over", "steps"], "", 2, "--over: is for the course of runs; leave out --attention\n"),
        (["-o", "x.png"], record() * 21, 2, "--output: one picture has room for 20 translations\ntry: head -n 20\n"),
        (["-o", "x.png"], "", 1, "no words that looked at anything\n"),
        (["missing"], "", 1, "missing: No such file or directory\n"),
    ],
)
def test_what_cannot_be_drawn_is_said(run: Run, words: list[str], given: str, status: int, message: str) -> None:
    done = run("plot", "--attention", *words, stdin=given)
    assert done.status == status
    assert f"rnntool plot: {message}" in done.err


def test_no_records_are_no_maps(run: Run) -> None:
    done = run("plot", "--attention", stdin="")
    assert (done.status, done.out, done.err) == (0, "", "")
