"""What is said to a human: what is escaped, what --quiet hides, what a terminal gets."""

from __future__ import annotations

import os
import pty
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnntool.cli import report
from tests.conftest import Run, Start


@pytest.fixture(autouse=True)
def manner(monkeypatch: pytest.MonkeyPatch) -> Iterator[report.Manner]:
    monkeypatch.setattr(report, "manner", report.Manner())
    monkeypatch.setattr(report, "_console", None)
    yield report.manner


@given(st.text())
def test_visible_text_has_nothing_that_steers(text: str) -> None:
    shown = report.visible(text)
    assert not any(ord(character) < 0x20 and character not in "\n\t" for character in shown)
    assert not any(0x7F <= ord(character) < 0xA0 for character in shown)
    assert not set(shown) & set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u061c")


@given(st.text(st.characters(exclude_categories=["Cc", "Cf", "Cs"])))
def test_other_text_is_left_alone(text: str) -> None:
    assert report.visible(text) == report.one_line(text) == text


def test_a_failure_is_one_line_whatever_it_quotes(capsys: pytest.CaptureFixture[str]) -> None:
    report.failure("a\nb.txt", "\x1b[2Jbad\x9b", "rm 'a\nb.txt'")
    assert capsys.readouterr().err == "rnntool: a\\x0ab.txt: \\x1b[2Jbad\\x9b\ntry: rm 'a\\x0ab.txt'\n"


def test_quiet_hides_all_but_failures(capsys: pytest.CaptureFixture[str], manner: report.Manner) -> None:
    manner.quiet = True
    report.say("hello")
    report.record(step=1)
    report.warning("a", "b")
    assert capsys.readouterr().err == ""
    report.failure("a", "b")
    assert capsys.readouterr().err == "rnntool: a: b\n"


def test_details_are_for_verbose(capsys: pytest.CaptureFixture[str], manner: report.Manner) -> None:
    report.detail("once")
    manner.verbose = True
    report.detail("twice")
    assert capsys.readouterr().err == "twice\n"


def test_a_record_is_keys_and_values(capsys: pytest.CaptureFixture[str]) -> None:
    report.record(step=120, lr=0.000123456, valid_ppl=None, note="kept")
    assert capsys.readouterr().err == "step 120 lr 0.00012346 note kept\n"


@pytest.mark.parametrize(
    ("option", "environment", "expected"),
    [
        ("auto", {}, False),
        ("auto", {"FORCE_COLOR": "1"}, True),
        ("auto", {"FORCE_COLOR": "1", "NO_COLOR": "1"}, False),
        ("auto", {"FORCE_COLOR": "1", "NO_COLOR": ""}, True),
        ("always", {"NO_COLOR": "1"}, True),
        ("never", {"FORCE_COLOR": "1"}, False),
    ],
)
def test_colour_is_decided_in_this_order(
    manner: report.Manner, monkeypatch: pytest.MonkeyPatch, option: str, environment: dict[str, str], expected: bool
) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    manner.color = option  # type: ignore[assignment]
    assert report.has_color(sys.stderr) is expected


# --- a terminal ------------------------------------------------------------------------------------------------------


def on_terminal(start: Start, *words: str | Path, **streams: object) -> tuple[int, str]:
    """The status of a run and what a terminal was sent, as standard output."""
    outside, inside = pty.openpty()
    running = start(*words, stdout=inside, **streams)
    os.close(inside)
    sent = b""
    try:
        while chunk := os.read(outside, 65536):
            sent += chunk
    except OSError:  # Linux ends a terminal so
        pass
    os.close(outside)
    return running.finish().status, sent.decode().replace("\r\n", "\n")


def test_a_text_cannot_steer_the_terminal_it_is_shown_on(start: Start, run: Run, tmp_path: Path) -> None:
    """The same bytes go into a pipe as they are."""
    words = tmp_path / "words.tsv"
    assert run("vocab", "-o", words, stdin="a \x1b[2Jb\n").status == 0
    assert on_terminal(start, "encode", "-V", words, stdin="a \x1b[2Jb\n") == (0, "a \\x1b[2Jb\n")
    assert run("encode", "-V", words, stdin="a \x1b[2Jb\n").out == "a \x1b[2Jb\n"


def test_reading_from_a_terminal_is_announced(start: Start, run: Run, tmp_path: Path) -> None:
    outside, inside = pty.openpty()
    running = start("vocab", stdin=inside)
    os.write(outside, b"a rose\n\x04")
    done = running.finish()
    os.close(inside)
    os.close(outside)
    assert (done.status, done.err) == (0, "reading from the terminal; end with Ctrl-D\n")
    assert "rose\t1\n" in done.out


def test_the_manual_is_shown_by_man_on_a_terminal(start: Start, tmp_path: Path) -> None:
    """Whatever `man` is on the path; one that fails leaves the page to the next, and at last to plain text."""
    for name in ("man", "mandoc"):
        viewer = tmp_path / name
        viewer.write_text(f'#!/bin/sh\necho "{name}: $*"\nexit {int(name == "man")}\n')
        viewer.chmod(0o755)
    status, sent = on_terminal(start, "man", "man", env={"PATH": str(tmp_path)})
    assert status == 0
    first, second = sent.splitlines()
    assert first.startswith("man: ") and first.endswith("/man/man1/rnntool-man.1")
    assert second.startswith("mandoc: -a ") and second.endswith("/man/man1/rnntool-man.1")
    status, sent = on_terminal(start, "man", "man", env={"PATH": str(tmp_path / "nowhere")})
    assert status == 0
    assert "rnntool-man – show a manual page of rnntool" in sent


def test_training_on_a_terminal_moves_and_ends_with_plain_lines(start: Start, toys: Path, tmp_path: Path) -> None:
    """The display goes to the standard error; a file gets neither escapes nor carriage returns."""
    outside, inside = pty.openpty()
    words = ["train", "-V", toys / "words.tsv", "--valid", toys / "valid.txt", "--arch", "elman:4", "--max-epochs", "1"]
    running = start(*words, "-o", "run", toys / "train.txt", stderr=inside, env={"TERM": "xterm", "NO_COLOR": "1"})
    os.close(inside)
    sent = b""
    try:
        while chunk := os.read(outside, 65536):
            sent += chunk
    except OSError:
        pass
    os.close(outside)
    done = running.finish()
    assert (done.status, done.out) == (0, "")
    assert b"\x1b[" in sent
    assert b"valid_ppl" in sent


def test_a_warning_is_printed_above_a_moving_display(capsys: pytest.CaptureFixture[str]) -> None:
    assert report.console() is report.console()
    report.warning("a.txt", "[bold]odd[/bold] " + "long " * 40)
    assert capsys.readouterr().err == "rnntool: a.txt: [bold]odd[/bold] " + "long " * 40 + "\n"
