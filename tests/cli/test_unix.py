"""Every filter as a citizen of a pipeline: readers that go away, full disks, closed streams, odd bytes, signals."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import Finished, Run, Start


@dataclass(frozen=True)
class Filter:
    """A command that reads text and writes text."""

    words: tuple[str, ...]
    """The command line; `{toys}` is the folder of the toys."""

    empty: int = 0
    """The status on empty input: 1 where there is nothing to say about no text."""

    stdin: tuple[str, ...] = ()
    """The operands by which it reads the standard input: none but where that means something else."""

    by_line: bool = True
    """Whether line n of the output answers line n of the input."""

    def __str__(self) -> str:
        return self.words[0]


FILTERS = [
    Filter(("vocab",), empty=1, by_line=False),
    Filter(("encode", "-V", "{toys}/words.tsv")),
    Filter(("decode", "-V", "{toys}/words.tsv")),
    Filter(("ngram", "--order", "3", "--smoothing", "wb"), empty=1, by_line=False),
    Filter(("ppl", "-m", "{toys}/run"), empty=1, by_line=False),
    Filter(("score", "-m", "{toys}/run")),
    Filter(("score", "-m", "{toys}/trigram.arpa.gz")),
    Filter(("generate", "-m", "{toys}/run", "--max-tokens", "5"), stdin=("-",)),
    Filter(("translate", "-m", "{toys}/ende", "--beam", "1", "--max-length", "0.1", "-j", "1")),
]
BY_LINE = [entry for entry in FILTERS if entry.by_line]
LINES = "the old king sees it\na rose\nno river follows the sea\n"

every_filter = pytest.mark.parametrize("tested", FILTERS, ids=str)
every_line_filter = pytest.mark.parametrize("tested", BY_LINE, ids=str)


@pytest.fixture
def apply(run: Run, toys: Path) -> Run:
    """apply(filter, *operands, …) -> Finished."""

    def applied(tested: Filter, *operands: str | Path, **streams: object) -> Finished:
        words = [word.format(toys=toys) for word in tested.words]
        names = [operand for operand in operands if operand != "--quiet"]
        return run(*words, *operands, *(() if names else tested.stdin), **streams)

    return applied


@contextmanager
def opened(path: str | Path, flags: int) -> Iterator[int]:
    number = os.open(path, flags)
    try:
        yield number
    finally:
        os.close(number)


@contextmanager
def broken_pipe() -> Iterator[int]:
    """The writing end of a pipe that nobody reads."""
    reading, writing = os.pipe()
    os.close(reading)
    try:
        yield writing
    finally:
        os.close(writing)


# --- where the result goes -------------------------------------------------------------------------------------------


@every_filter
def test_a_reader_that_went_away_ends_it_silently(apply: Run, tested: Filter) -> None:
    with broken_pipe() as writing:
        assert apply(tested, stdin=LINES, stdout=writing) == Finished(141, "", "")


@every_line_filter
def test_a_reader_of_one_line_ends_it_silently(apply: Run, tested: Filter) -> None:
    """`| head -n 1` before a text that fills the pipe's buffer many times over."""
    reading, writing = os.pipe()

    def read_one_line() -> None:
        with open(reading, "rb", buffering=0) as pipe:
            while b"\n" not in pipe.read(1):
                pass

    reader = threading.Thread(target=read_one_line)
    reader.start()
    try:
        assert apply(tested, stdin=LINES * 20_000, stdout=writing) == Finished(141, "", "")
    finally:
        os.close(writing)
        reader.join()


@every_filter
@pytest.mark.parametrize("times", [1, 5000], ids=["small", "large"])
def test_a_full_disk_is_a_message(apply: Run, tested: Filter, times: int) -> None:
    with opened("/dev/full", os.O_WRONLY) as full:
        done = apply(tested, stdin=LINES * times, stdout=full)
    assert (done.status, done.err) == (1, f"rnntool {tested}: standard output: No space left on device\n")


@every_filter
def test_a_closed_output_is_a_message(apply: Run, tested: Filter) -> None:
    done = apply(tested, stdin=LINES, stdout=None)
    assert (done.status, done.err) == (1, f"rnntool {tested}: standard output: Bad file descriptor\n")


@every_filter
def test_messages_that_cannot_be_written_do_not_harm_the_data(apply: Run, tested: Filter) -> None:
    lines = LINES.replace("\n", "\r\n")  # which is worth a warning
    with opened("/dev/full", os.O_WRONLY) as full:
        done = apply(tested, stdin=lines, stderr=full)
    assert (done.status, done.out) == (0, apply(tested, stdin=LINES).out)
    done = apply(tested, stdin=lines, stderr=None)
    assert (done.status, done.out) == (0, apply(tested, stdin=LINES).out)


@every_filter
def test_nothing_steers_a_terminal(apply: Run, tested: Filter) -> None:
    """Neither colours nor progress reach a file, also if NO_COLOR says so."""
    for environment in ({}, {"NO_COLOR": "1"}):
        done = apply(tested, stdin=LINES, env=environment)
        assert "\x1b" not in done.out + done.err
        assert "\r" not in done.out + done.err


# --- where the text comes from ---------------------------------------------------------------------------------------


@every_filter
def test_operands_are_read_as_one_text(apply: Run, tested: Filter, tmp_path: Path) -> None:
    if tested.words[0] == "ppl":
        pytest.skip("answers for each operand")
    (tmp_path / "a").write_text(LINES)
    (tmp_path / "b").write_text("this rose\n")
    whole = apply(tested, stdin=f"{LINES}this rose\n")
    assert whole.status == 0
    assert apply(tested, "a", "b") == whole
    assert apply(tested, "a", "-", stdin="this rose\n") == whole


@every_filter
def test_a_dash_is_the_standard_input(apply: Run, tested: Filter) -> None:
    assert apply(tested, "-", stdin=LINES) == apply(tested, stdin=LINES)


@every_filter
@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress])
def test_compressed_input_is_known_by_its_first_bytes(apply: Run, tested: Filter, compress: type) -> None:
    assert apply(tested, stdin=compress(LINES.encode())) == apply(tested, stdin=LINES)


@every_filter
def test_truncated_compressed_input_is_an_error(apply: Run, tested: Filter) -> None:
    done = apply(tested, stdin=gzip.compress(LINES.encode())[:-12])
    assert done.status == 1
    assert done.err.startswith(f"rnntool {tested}: standard input: ")
    assert len(done.err.splitlines()) <= 2


@every_filter
def test_a_closed_input_is_a_message(apply: Run, tested: Filter) -> None:
    done = apply(tested, stdin=None)
    assert (done.status, done.out) == (1, "")
    assert done.err == f"rnntool {tested}: standard input: Bad file descriptor\n"


@every_filter
def test_a_file_that_cannot_be_read_is_a_message(apply: Run, tested: Filter, tmp_path: Path) -> None:
    (tmp_path / "dangling").symlink_to("nowhere")
    for name, reason in (
        ("missing", "No such file or directory"),
        ("dangling", "No such file or directory"),
        (".", "Is a directory"),
    ):
        assert apply(tested, name) == Finished(1, "", f"rnntool {tested}: {name}: {reason}\n")


@every_filter
def test_empty_input(apply: Run, tested: Filter) -> None:
    done = apply(tested, stdin=b"")
    assert (done.status, done.out) == (tested.empty, "")
    if tested.empty:
        assert done.err == f"rnntool {tested}: standard input: no tokens\n"
    else:
        assert done.err == ""


@every_filter
def test_a_last_line_without_its_end_counts(apply: Run, tested: Filter) -> None:
    assert apply(tested, stdin=LINES.rstrip("\n")) == apply(tested, stdin=LINES)


@every_filter
def test_carriage_returns_and_a_byte_order_mark_change_nothing(apply: Run, tested: Filter) -> None:
    """One warning each."""
    clean = apply(tested, stdin=LINES)
    for odd in (LINES.replace("\n", "\r\n"), f"\ufeff{LINES}"):
        done = apply(tested, stdin=odd)
        assert (done.status, done.out) == (0, clean.out)
        (warning,) = done.err.splitlines()
        assert warning.startswith(f"rnntool {tested}: standard input")
        assert apply(tested, "--quiet", stdin=odd) == Finished(0, clean.out, "")


@every_filter
def test_bytes_that_are_not_utf8_are_an_error(apply: Run, tested: Filter) -> None:
    done = apply(tested, stdin=b"the king\na rose\na r\xf6se\nthe ship\nthe sea\n")
    assert done.status == 1
    assert done.err == (
        f"rnntool {tested}: standard input:3: not UTF-8: byte 0xf6 at column 4\ntry: iconv -f latin1 -t utf8\n"
    )
    if tested.by_line and tested.words[0] != "generate":
        assert done.out == apply(tested, stdin="the king\na rose\n").out
    elif not tested.by_line:
        assert done.out == ""


@every_line_filter
def test_every_line_is_answered(apply: Run, tested: Filter) -> None:
    """Blank ones, and those with bytes that other programs stop at or cut at."""
    odd = "the king\n\n  \na \0 rose\nthe\x85sea\u2028it\x0bis\x0cnot\n\n"
    done = apply(tested, stdin=odd)
    assert (done.status, done.err) == (0, "")
    assert done.out.count("\n") == odd.count("\n")


@every_filter
@pytest.mark.slow
def test_a_line_of_a_million_bytes(apply: Run, tested: Filter) -> None:
    done = apply(tested, stdin="a rose is " * 100_000 + "\n")
    refusal = "standard input:1: more than 5000 tokens (--max-source); the answer is blank"
    expected = f"rnntool translate: {refusal}\n" if tested.words[0] == "translate" else ""
    assert (done.status, done.err) == (0, expected)
    if tested.by_line:
        assert done.out.count("\n") == 1


@every_line_filter
def test_the_answer_leaves_before_the_input_ends(start: Start, toys: Path, tested: Filter) -> None:
    """A co-process that writes one line can wait for its answer."""
    (input_reading, input_writing), (output_reading, output_writing) = os.pipe(), os.pipe()
    words = (word.format(toys=toys) for word in tested.words)
    running = start(*words, *tested.stdin, stdin=input_reading, stdout=output_writing)
    os.close(input_reading)
    os.close(output_writing)
    with open(output_reading, "rb") as answers, open(input_writing, "wb", buffering=0) as questions:
        for _ in range(3):
            questions.write(b"a rose\n")
            assert answers.readline().endswith(b"\n")
        questions.close()
        assert answers.read() == b""
    assert running.finish() == Finished(0, "", "")


# --- signals ---------------------------------------------------------------------------------------------------------


@every_filter
@pytest.mark.parametrize(
    ("number", "status"),
    [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)],
    ids=["INT", "TERM", "HUP"],
)
def test_a_signal_ends_it_silently(
    start: Start, toys: Path, tested: Filter, number: signal.Signals, status: int
) -> None:
    """While it waits for more input, having read some."""
    reading, writing = os.pipe()
    running = start(*(word.format(toys=toys) for word in tested.words), *tested.stdin, stdin=reading)
    os.close(reading)
    with open(writing, "wb", buffering=0) as questions:
        questions.write(b"a rose\n" * 20_000)  # more than the pipe holds: it is being read when this returns
        running.send(number)
        done = running.finish()
    assert (done.status, done.err) == (status, "")
