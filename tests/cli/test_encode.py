"""`rnntool encode`: line n of the output answers line n of the input."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import Run

ROOT = Path(__file__).parent.parent.parent
WORDS = "<unk>\t1\n</s>\t4\nthe\t3\ncat\t2\n"
TEXT = "the cat\n\n  the <unk>\tdog \na\x00b"


@pytest.fixture
def vocabularies(run: Run, tmp_path: Path) -> Path:
    (tmp_path / "word").write_text(WORDS)
    text = "the cat sat on the mat\na dog sat there\n" * 9
    run("vocab", "-u", "char", "-o", "char", stdin=text)
    run("vocab", "-u", "byte", "-o", "byte", stdin=text)
    run("vocab", "-u", "spm", "--spm-type", "bpe", "--size", "30", "-o", "spm", stdin=text)
    return tmp_path


def test_encode_writes_pieces(run: Run, vocabularies: Path) -> None:
    assert run("encode", "-V", "word", stdin=TEXT).out == "the cat\n\nthe <unk> dog\na\x00b\n"
    assert run("encode", "-V", "char", stdin=TEXT).out.startswith(
        "t h e \\s c a t\n\n\\s \\s t h e \\s < u n k > \\t d"
    )
    assert run("encode", "-V", "byte", stdin="é\n").out == "<0xc3> <0xa9>\n"
    assert run("encode", "-V", "spm", stdin="the cat\n").out.replace(" ", "") == "▁the▁cat\n"


def test_encode_writes_ids(run: Run, vocabularies: Path) -> None:
    assert run("encode", "-V", "word", "--ids", stdin=TEXT).out == "2 3\n\n2 0 0\n0\n"


@pytest.mark.parametrize("unit", ["word", "char", "byte", "spm"])
@pytest.mark.parametrize("ids", [[], ["--ids"]])
def test_encode_keeps_every_line(run: Run, vocabularies: Path, unit: str, ids: list[str]) -> None:
    text = "\n\nthe\n" + "x" * 100_000 + "\n\x00\n \nlast"
    done = run("encode", "-V", unit, *ids, stdin=text)
    assert (done.status, done.err) == (0, "")
    assert done.out.count("\n") == 7
    assert run("encode", "-V", unit, *ids, stdin="").out == ""


def test_encode_draws_the_same_for_the_same_seed(run: Run, vocabularies: Path) -> None:
    text = "the cat sat on the mat\n" * 20
    drawn = run("encode", "-V", "spm", "--sample", "0.3", stdin=text)
    assert (drawn.status, drawn.err) == (0, "")
    assert len(set(drawn.out.splitlines())) > 3
    assert run("encode", "-V", "spm", "--sample", "0.3", stdin=text).out == drawn.out
    assert run("encode", "-V", "spm", "--sample", "0.3", "-s", "1", stdin=text).out != drawn.out
    assert run("decode", "-V", "spm", stdin=drawn.out).out == text
    ids = run("encode", "-V", "spm", "--sample", "0.3", "--ids", stdin=text)
    assert run("decode", "-V", "spm", "--ids", stdin=ids.out).out == text


def test_encode_answers_each_line_before_the_next_is_sent(vocabularies: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "rnntool", "encode", "-V", str(vocabularies / "word"), "--ids"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        bufsize=0,
    ) as process:
        assert process.stdin and process.stdout
        for line, answer in ((b"the cat\n", b"2 3\n"), (b"\n", b"\n"), (b"cat\n", b"3\n")):
            process.stdin.write(line)
            assert process.stdout.readline() == answer
        process.stdin.close()
        assert process.wait() == 0


def test_encode_writes_the_lines_before_a_bad_one(run: Run, vocabularies: Path) -> None:
    done = run("encode", "-V", "word", stdin=b"the\ncat\nb\xffd\n")
    assert (done.status, done.out) == (1, "the\ncat\n")
    assert done.err == (
        "rnntool encode: standard input:3: not UTF-8: byte 0xff at column 2\ntry: iconv -f latin1 -t utf8\n"
    )


def test_encode_warns_once_of_control_tokens_in_the_text(run: Run, vocabularies: Path) -> None:
    done = run("encode", "-V", "word", "--ids", stdin="the </s>\n</s>\n")
    assert (done.status, done.out) == (0, "2 0\n0\n")
    assert done.err == "rnntool encode: the text holds </s> as a word; read as <unk>\n"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["-V", "word", "--nbest", "4"], "--nbest: goes with --sample only"),
        (["-V", "word", "--sample", "0.1"], "--sample: is for SentencePiece vocabularies; this one has unit word"),
        (["-V", "-"], "--vocab: the standard input is the text; it cannot be the vocabulary too"),
    ],
)
def test_encode_refuses_options_that_contradict_each_other(
    run: Run, vocabularies: Path, words: list[str], message: str
) -> None:
    done = run("encode", *words, stdin=TEXT)
    assert (done.status, done.out, done.err) == (2, "", f"rnntool encode: {message}\n")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "bad: empty; a vocabulary has one token on each line"),
        (WORDS.encode() + b"cat\t1\n", "bad:5: 'cat' again, which line 4 has"),
        (WORDS.encode() + b"\t1\n", "bad:5: an empty token"),
        (b"the\t1\n", "bad:1: no <unk> here or below\ntry: add a line <unk>⇥0"),
        (WORDS.encode() + b"x" * 10_000_000, "bad:5: a line of more than 262208 bytes"),
        (WORDS.encode() + b"\xff\t1\n", "bad:5: not UTF-8: byte 0xff at column 1\ntry: iconv -f latin1 -t utf8"),
        (b"\n\x0e\n\x05<unk>" + b"\xff" * 99, "bad: damaged, or not a SentencePiece model"),
        (
            b"a text with words\n",
            "bad:1: 4 columns; a vocabulary has token⇥count[⇥class]\n"
            "try: rnntool vocab < TEXT > words.tsv, to make one from text",
        ),
    ],
)
def test_encode_refuses_a_broken_vocabulary(run: Run, tmp_path: Path, data: bytes, message: str) -> None:
    (tmp_path / "bad").write_bytes(data)
    done = run("encode", "-V", "bad", stdin=TEXT)
    assert (done.status, done.out, done.err) == (1, "", f"rnntool encode: {message}\n")


def test_encode_of_words_needs_no_numpy(vocabularies: Path) -> None:
    program = (
        "import sys; from rnntool.cli.main import main; main(['encode', '--ids', '-V', sys.argv[1]]);"
        "print([name for name in ('torch', 'numpy', 'sentencepiece', 'rich') if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, vocabularies / "word"],
        cwd=ROOT,
        input=b"cat\n",
        capture_output=True,
        check=True,
    )
    assert (done.stdout, done.stderr) == (b"3\n", b"[]\n")


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="no /proc")
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="no /proc here")
def test_encode_takes_no_more_memory_for_more_text(vocabularies: Path) -> None:
    """A text of 40 MB takes no more than 10 MB above one of 4 MB.

    Read from VmHWM, since ru_maxrss counts what the process that started this one held at that moment.
    """
    program = (
        "import re, sys; from rnntool.cli.main import main; main(['encode', '--ids', '-V', sys.argv[1]]);"
        "print(re.search(r'VmHWM:\\s*(\\d+)', open('/proc/self/status').read())[1], file=sys.stderr)"
    )
    sizes = []
    for times in (1, 10):
        done = subprocess.run(
            [sys.executable, "-c", program, vocabularies / "word"],
            cwd=ROOT,
            input=b"the cat sat on the mat\n" * (180_000 * times),
            capture_output=True,
            check=True,
        )
        sizes.append(int(done.stderr))
    assert sizes[1] < sizes[0] + 10_000
