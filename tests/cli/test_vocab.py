"""`rnntool vocab`: these files and this line give exactly these bytes, this message, this status."""

from __future__ import annotations

import gzip
import json
import os
import re
from pathlib import Path

import pytest

from tests.conftest import Run

TEXT = "the cat sat\n\nthe cat <unk>\nthe end\n"
WORDS = "<unk>\t1\n</s>\t4\nthe\t3\ncat\t2\nend\t1\nsat\t1\n"


def test_vocab_counts_words(run: Run) -> None:
    done = run("vocab", stdin=TEXT)
    assert (done.status, done.out, done.err) == (0, WORDS, "")


def test_vocab_reads_files_compressed_or_not_and_writes_one(run: Run, tmp_path: Path) -> None:
    (tmp_path / "a").write_text("the cat sat\n\n")
    (tmp_path / "b").write_bytes(gzip.compress(b"the cat <unk>\nthe end"))
    done = run("vocab", "a", "b", "-o", "words.tsv")
    assert (done.status, done.out, done.err) == (0, "", "")
    assert (tmp_path / "words.tsv").read_text() == WORDS
    assert run("vocab", "a", "-", stdin=(tmp_path / "b").read_bytes()).out == WORDS


def test_vocab_cuts_by_size_and_count(run: Run) -> None:
    kept = "<unk>\t3\n</s>\t4\nthe\t3\ncat\t2\n"
    assert run("vocab", "--size", "4", stdin=TEXT).out == kept
    assert run("vocab", "--min-count", "2", stdin=TEXT).out == kept


def test_vocab_takes_a_closed_list(run: Run, tmp_path: Path) -> None:
    (tmp_path / "list").write_text("dog\ncat\n")
    assert run("vocab", "--words", "list", stdin=TEXT).out == "<unk>\t6\n</s>\t4\ncat\t2\ndog\t0\n"


def test_vocab_keeps_special_tokens_in_front(run: Run) -> None:
    done = run("vocab", "--special", "<2de>", "--special", "sat", "--size", "5", stdin=TEXT)
    assert done.out == "<unk>\t4\n</s>\t4\n<2de>\t0\nsat\t1\nthe\t3\n"


def test_classes_by_exchange_are_the_third_column_and_verbose_tells_their_course(run: Run, tmp_path: Path) -> None:
    text = tmp_path / "text"
    text.write_text("the cat sat\na dog ran\nthe dog sat\na cat ran\nthe cat ran\na dog sat\n" * 20)
    done = run("vocab", "-v", "--classes", "5", "--class-method", "exchange", text)
    assert {line.split("\t")[2] for line in done.out.splitlines()} == set("01234")
    assert re.fullmatch(r"tokens 8 lines 120 known .*\n(pass \d moved \d class_ppl \d\.\d\d\n)+classes 5\n", done.err)
    courses = [float(ppl) for ppl in re.findall(r"class_ppl (\S+)", done.err)]
    assert courses == sorted(courses, reverse=True)


def test_exchange_needs_a_text_that_can_be_read_twice(run: Run) -> None:
    done = run("vocab", "--classes", "3", "--class-method", "exchange", stdin=TEXT)
    message = "--class-method: exchange reads TEXT twice, and standard input is no file"
    assert (done.status, done.out, done.err.splitlines()[0]) == (2, "", f"rnntool vocab: {message}")


def test_vocab_gives_classes(run: Run) -> None:
    done = run("vocab", "--classes", "3", stdin=TEXT)
    assert done.out == "<unk>\t1\t0\n</s>\t4\t0\nthe\t3\t1\ncat\t2\t1\nend\t1\t2\nsat\t1\t2\n"
    roots = run("vocab", "--classes", "3", "--class-method", "sqrt", stdin=TEXT)
    assert [line.split("\t")[2] for line in roots.out.splitlines()] == ["0", "0", "1", "1", "2", "2"]


def test_vocab_counts_characters_and_bytes(run: Run) -> None:
    assert run("vocab", "-u", "char", stdin="é a\n").out == "#unit\tchar\n<unk>\t0\n</s>\t1\n\\s\t1\na\t1\né\t1\n"
    lines = run("vocab", "--unit", "byte", stdin="é a\n").out.splitlines()
    assert len(lines) == 1 + 258
    assert lines[:5] == ["#unit\tbyte", "<unk>\t0", "</s>\t1", "<0x20>\t1", "<0x61>\t1"]


@pytest.mark.parametrize("kind", ["unigram", "bpe"])
def test_vocab_learns_sentencepiece_models(run: Run, tmp_path: Path, kind: str) -> None:
    text = "the cat sat on the mat\na dog sat there\n" * 9
    for name in ("a.spm", "b.spm"):
        done = run("vocab", "-u", "spm", "--spm-type", kind, "--size", "18", "-o", name, stdin=text)
        assert (done.status, done.out, done.err) == (0, "", "")
    assert (tmp_path / "a.spm").read_bytes() == (tmp_path / "b.spm").read_bytes()


def test_vocab_of_a_small_text_has_fewer_pieces_than_allowed(run: Run, tmp_path: Path) -> None:
    done = run("vocab", "-u", "spm", "-o", "small.spm", stdin="a b\n" * 9)
    assert (done.status, done.out) == (0, "")
    assert done.err == "rnntool vocab: standard input: has text for 6 pieces; 8000 were asked for\n"
    assert (tmp_path / "small.spm").exists()


def test_vocab_prints_coverage(run: Run, tmp_path: Path) -> None:
    (tmp_path / "words.tsv").write_text(WORDS)
    text = "the dog sat\n" * 4
    done = run("vocab", "--coverage", "words.tsv", stdin=text)
    assert done.out == ("tokens\ttypes\toov\toov_types\toov_rate\n10\t3\t3\t1\t0.3\n12\t3\t4\t1\t0.333333\n")
    rows = run("vocab", "--coverage", "words.tsv", "--json", stdin=text).out.splitlines()
    assert json.loads(rows[1]) == {"tokens": 12, "types": 3, "oov": 4, "oov_types": 1, "oov_rate": 4 / 12}


def test_vocab_says_more_when_asked(run: Run) -> None:
    done = run("vocab", "-v", "--size", "4", "--classes", "2", stdin=TEXT)
    assert done.err == "tokens 4 lines 4 known 62.50%\nclasses 2\n"


@pytest.mark.parametrize("unit", ["word", "char", "byte", "spm"])
@pytest.mark.parametrize("stdin", ["", "\n\n"])
def test_vocab_refuses_a_text_without_tokens(run: Run, tmp_path: Path, unit: str, stdin: str) -> None:
    done = run("vocab", "-u", unit, "-o", "out", stdin=stdin)
    assert (done.status, done.out, done.err) == (1, "", "rnntool vocab: standard input: no tokens\n")
    assert not (tmp_path / "out").exists()


def test_vocab_of_a_text_with_mark_and_carriage_returns_is_that_of_the_clean_one(run: Run) -> None:
    done = run("vocab", stdin=b"\xef\xbb\xbf" + TEXT.replace("\n", "\r\n").encode())
    assert (done.status, done.out) == (0, WORDS)
    assert done.err == (
        "rnntool vocab: standard input: starts with a byte order mark; dropped\n"
        "rnntool vocab: standard input:1: lines end in \\r\\n; the \\r are dropped\n"
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--json"], "--json: goes with --coverage only"),
        (["--words", "v", "-u", "char"], "--words: is a list of words; --unit is char"),
        (["--words", "v", "--size", "9"], "--words: keeps every word of the list; --size would not"),
        (["--words", "v", "--min-count", "2"], "--words: keeps every word of the list; --min-count would not"),
        (
            ["-u", "spm", "--classes", "9"],
            "--classes: goes with units word, char and byte; SentencePiece counts no tokens",
        ),
        (["--size", "2"], "--size: 2 leaves no room beside 2 special tokens"),
        (["--classes", "99"], "--classes: 99 classes for 6 tokens"),
        (["--special", "a b"], "--special: 'a b' has white space, or is empty"),
    ],
)
def test_vocab_refuses_options_that_contradict_each_other(run: Run, words: list[str], message: str) -> None:
    done = run("vocab", *words, stdin=TEXT)
    assert (done.status, done.out, done.err) == (2, "", f"rnntool vocab: {message}\n")


def test_nothing_is_covered_by_nothing(run: Run, toys: Path) -> None:
    done = run("vocab", "--coverage", toys / "words.tsv")
    assert (done.status, done.out, done.err) == (1, "", "rnntool vocab: standard input: no tokens\n")


@pytest.mark.parametrize(
    ("words", "stdin", "message"),
    [
        (["missing"], "", "missing: No such file or directory"),
        (["."], "", ".: Is a directory"),
        ([], b"a\nb\xff\n", "standard input:2: not UTF-8: byte 0xff at column 2\ntry: iconv -f latin1 -t utf8"),
        (["--coverage", "missing"], "a\n", "missing: No such file or directory"),
        (["--words", "missing"], "a\n", "missing: No such file or directory"),
        (["-o", "missing/out"], "a\n", "missing/out: No such file or directory"),
        (["-o", "."], "a\n", ".: Is a directory"),
        (
            ["-u", "spm", "--size", "3"],
            "a b\n" * 9,
            "standard input: has 5 characters and special tokens, --size leaves room for 3",
        ),
    ],
)
def test_vocab_names_what_it_cannot_do(run: Run, tmp_path: Path, words: list[str], stdin: str, message: str) -> None:
    before = sorted(os.listdir(tmp_path))
    done = run("vocab", *words, stdin=stdin)
    assert (done.status, done.out, done.err) == (1, "", f"rnntool vocab: {message}\n")
    assert [name for name in sorted(os.listdir(tmp_path)) if not name.startswith(".streams")] == before


def test_vocab_needs_no_torch(run: Run) -> None:
    """The words of a text are counted in a process that has never seen torch, numpy or sentencepiece."""
    import subprocess
    import sys

    program = (
        "import sys; from rnntool.cli.main import main; main(['vocab']);"
        "print([name for name in ('torch', 'numpy', 'sentencepiece', 'rich') if name in sys.modules], file=sys.stderr)"
    )
    root = Path(__file__).parent.parent.parent
    done = subprocess.run([sys.executable, "-c", program], cwd=root, input=b"a b\n", capture_output=True, check=True)
    assert done.stderr == b"[]\n"
