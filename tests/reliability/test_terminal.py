"""Names and texts cannot steer a terminal: whatever they hold, only what is meant to move the cursor reaches it."""

from __future__ import annotations

import os
import pty
import re
import shutil
import threading
from collections.abc import Callable
from multiprocessing.context import ForkServerContext
from pathlib import Path

import pytest

from tests.conftest import Running, Start

EVIL = "e\x1b]0;evil\x07\x1b[2J\u009b31m\u202e\r\x08"
"""What sets the title, clears the screen, colours, turns the writing round, and overwrites the line."""

STEERING = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]|\r(?!\n)")

Show = Callable[..., str]


@pytest.fixture
def show(start: Start, tmp_path: Path) -> Show:
    """show(*words, …) -> all that a terminal is sent by a command whose output and messages go there."""

    def shown(*words: str | Path, term: str = "dumb", **streams: object) -> str:
        ours, theirs = pty.openpty()
        parts: list[bytes] = []

        def read() -> None:
            try:
                while part := os.read(ours, 4096):
                    parts.append(part)
            except OSError:  # nobody writes there any more
                pass

        reader = threading.Thread(target=read)
        reader.start()
        running = start(*words, stdout=theirs, stderr=theirs, env={"TERM": term, "COLUMNS": "200"}, **streams)
        os.close(theirs)
        running.finish()
        reader.join()
        os.close(ours)
        return b"".join(parts).decode()

    return shown


@pytest.fixture(scope="module")
def evil(toys: Path, server: ForkServerContext, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which everything has an evil name, and a model that was made of such files."""
    folder = tmp_path_factory.mktemp("evil") / EVIL
    folder.mkdir()
    for name in ("words.tsv", "text.txt"):
        shutil.copy(toys / name, folder / f"{EVIL}{name}")
    (folder / f"{EVIL}train.txt").write_text(f"{EVIL.replace(chr(13), '')} the king\na rose\n" * 9)
    words = f"train -V {EVIL}words.tsv --hold-out .2 --arch elman:4 --max-epochs 1 -o {EVIL}run {EVIL}train.txt"
    assert Running(server, words.split(" "), cwd=folder).finish().status == 0
    (folder / "lines").write_bytes(f"a\n{EVIL} b\n".encode() + b"\xff\n")
    return folder


@pytest.mark.parametrize(
    "line",
    [
        "check {e}run",
        "check {e}text.txt {e}missing",
        "info {e}run",
        "ppl -m {e}run {e}missing",
        "ppl -m {e}missing",
        "ppl -m {e}run lines",
        "score -m {e}run --tokens {e}train.txt",
        "encode -V {e}words.tsv --unknown copy {e}train.txt",
        "vocab {e}train.txt",
        "vocab --unit {e}",
        "vocab --{e}",
        "{e}",
        "plot {e}run",
        "plot {e}text.txt",
        "rerank {e}train.txt",
        "mix {e}train.txt",
        "train -V {e}words.tsv --valid {e}missing -o {e}new {e}train.txt",
        "train -V {e}words.tsv --hold-out .2 --arch {e} -o {e}new {e}train.txt",
        "train -V {e}words.tsv --hold-out .2 --arch elman:4 -o {e}run {e}train.txt",
        "train --config {e}train.txt -o {e}new",
        "generate -m {e}run --samples 2 --max-tokens 5 --seed 1",
    ],
)
def test_nothing_that_a_file_or_a_name_holds_reaches_a_terminal(show: Show, evil: Path, line: str) -> None:
    shown = show(*(word.format(e=EVIL) for word in line.split()), cwd=evil)
    assert shown
    assert STEERING.search(shown) is None, repr(shown)


def test_a_display_that_moves_has_no_other_sequences_than_its_own(show: Show, evil: Path) -> None:
    words = f"train -V {EVIL}words.tsv --hold-out .2 --arch elman:4 --max-epochs 2 -o {EVIL}new {EVIL}train.txt"
    shown = show(*words.split(" "), term="xterm", cwd=evil)
    assert "\x1b[" in shown and "finished: 2 epochs are done" in shown
    for sequence in ("\x1b]", "\x07", "\x1b[2J", "\u009b", "\u202e", "\x08"):
        assert sequence not in shown
    assert r"\x1b]0;evil\x07" in shown
