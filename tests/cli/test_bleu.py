"""`rnntool bleu` is sacreBLEU: the same numbers and lines as its program, and messages of our own."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest

from tests.conftest import GRAMMAR, Finished, Run, Start

NUM_LINES = 40
METRICS = ["bleu", "chrf", "ter"]
OPTIONS = [  # ours and sacreBLEU's
    ([], []),
    (["--metric", "chrf"], ["-m", "chrf"]),
    (["--metric", "ter"], ["-m", "ter"]),
    (["--lowercase"], ["-lc"]),
    *((["--tokenize", name], ["-tok", name]) for name in ("none", "intl", "char", "zh")),
    (["--smooth", "floor", "--smooth-value", "0.2"], ["-s", "floor", "-sv", "0.2"]),
    (["--smooth", "add-k"], ["-s", "add-k"]),
    (["--smooth", "none"], ["-s", "none"]),
    (
        ["--metric", "chrf", "--lowercase", "--chrf-word-order", "2", "--chrf-char-order", "5", "--chrf-beta", "3"],
        ["-m", "chrf", "--chrf-lowercase", "-cw", "2", "-cc", "5", "--chrf-beta", "3"],
    ),
    (
        ["--metric", "chrf", "--chrf-whitespace", "--chrf-eps-smoothing"],
        ["-m", "chrf", "--chrf-whitespace", "--chrf-eps-smoothing"],
    ),
    (
        ["--metric", "ter", "--ter-normalized", "--ter-no-punct", "--ter-asian-support", "--ter-case-sensitive"],
        ["-m", "ter", "--ter-normalized", "--ter-no-punct", "--ter-asian-support", "--ter-case-sensitive"],
    ),
    (["--confidence", "--resamples", "50"], ["--confidence", "-cin", "50"]),
    (["--metric", "chrf", "--confidence", "--resamples", "50"], ["-m", "chrf", "--confidence", "-cin", "50"]),
    (["--score-only", "--width", "5"], ["-b", "-w", "5"]),
]


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """ref, ref2, and the systems a and b: sentences with words replaced, blank lines, punctuation and odd spaces."""
    folder = tmp_path_factory.mktemp("bleu")
    random = Random(3)
    references = [[random.choice(words[1]) for words in GRAMMAR] for _ in range(NUM_LINES)]

    def write(name: str, errors: int) -> None:
        lines = []
        for reference in references:
            parts = list(reference)
            for place in random.sample(range(len(parts)), errors):
                parts[place] = random.choice(GRAMMAR[place][1])
            lines.append(" ".join(parts) + random.choice([".", "!", " ?", ", sagt er. ", "\u00a0", ""]))
        lines[7] = ""
        (folder / name).write_text("".join(f"{line}\n" for line in lines))

    for name, errors in (("ref", 0), ("ref2", 2), ("a", 1), ("b", 3)):
        write(name, errors)
    return folder


def sacrebleu(*words: str, cwd: Path, stdin: Path | None = None) -> str:
    """What its program prints."""
    with open(stdin or os.devnull) as file:
        done = subprocess.run(
            [sys.executable, "-m", "sacrebleu", *words, "--no-color"],
            cwd=cwd,
            stdin=file,
            capture_output=True,
            text=True,
            check=True,
        )
    return done.stdout


# --- the same as sacreBLEU -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("ours", "theirs"), OPTIONS, ids=lambda words: " ".join(words) or "default")
def test_a_text_scores_as_with_sacrebleu(run: Run, texts: Path, ours: list[str], theirs: list[str]) -> None:
    for references in (["ref"], ["ref", "ref2"]):
        done = run("bleu", *references, *ours, cwd=texts, stdin=(texts / "a").read_bytes())
        expected = sacrebleu(*references, *theirs, "-f", "text", cwd=texts, stdin=texts / "a")
        assert done == Finished(0, expected, "")


def test_several_metrics_are_several_lines_in_their_order(run: Run, texts: Path) -> None:
    done = run("bleu", "ref", "--metric", "ter", "--metric", "bleu", "--metric", "chrf", "--hyp", "a", cwd=texts)
    expected = sacrebleu("ref", "-i", "a", "-m", "bleu", "chrf", "ter", "-f", "text", cwd=texts)
    assert done == Finished(0, "".join(f"{line.lstrip()}\n" for line in expected.splitlines()), "")


@pytest.mark.parametrize("metric", METRICS)
def test_single_lines_score_as_with_sacrebleu(run: Run, texts: Path, metric: str) -> None:
    words = ["--sentence-level", "--metric", metric, "--width", "6"]
    done = run("bleu", "ref", "ref2", *words, cwd=texts, stdin=(texts / "b").read_bytes())
    expected = sacrebleu("ref", "ref2", "-sl", "-m", metric, "-w", "6", cwd=texts, stdin=texts / "b")
    assert done == Finished(0, expected, "")
    assert done.out.count("\n") == NUM_LINES


@pytest.mark.parametrize(
    ("test", "option", "names"), [("bootstrap", "bs", ["bleu"]), ("randomization", "ar", ["bleu", "chrf", "ter"])]
)
def test_paired_tests_find_what_sacrebleu_finds(
    run: Run, texts: Path, test: str, option: str, names: list[str]
) -> None:
    """For the others see tests/score: sacreBLEU's program cannot print them as JSON with --paired-bs."""
    metrics = [word for name in names for word in ("--metric", name)]
    words = ["--hyp", "a", "--hyp", "b", "--paired", test, "--resamples", "100"]
    done = run("bleu", "ref", *words, "--json", *metrics, cwd=texts)
    assert (done.status, done.err) == (0, "")
    theirs = ["-i", "a", "b", f"--paired-{option}", f"--paired-{option}-n", "100", "-m", *names]
    expected = {
        each["system"].removeprefix("Baseline: "): each for each in json.loads(sacrebleu("ref", *theirs, cwd=texts))
    }
    records = [json.loads(line) for line in done.out.splitlines()]
    assert len(records) == 2 * len(names)
    for record in records:
        found = expected[record["system"]][record["metric"]]
        assert {"score": record["score"], "p_value": record["p_value"]} == {
            key: found[key] for key in ("score", "p_value")
        }
        assert (record["mean"], record["interval"]) == (found["mean"], found["ci"])
        assert f"{option}:100|seed:12345" in record["signature"]


def test_json_has_their_keys_and_values(run: Run, texts: Path) -> None:
    for metric in METRICS:
        done = run("bleu", "ref", "--json", "--metric", metric, "--confidence", "--hyp", "a", cwd=texts)
        assert done.out.count("\n") == 1
        expected = sacrebleu("ref", "-i", "a", "-m", metric, "--confidence", "-f", "json", cwd=texts)
        assert json.loads(done.out) == json.loads(expected)


# --- our own forms ---------------------------------------------------------------------------------------------------


def test_several_texts_have_a_line_each_with_its_name(run: Run, texts: Path) -> None:
    done = run("bleu", "ref", "--hyp", "a", "--hyp", "b", cwd=texts)
    single = [run("bleu", "ref", "--hyp", name, cwd=texts).out.removesuffix("\n") for name in "ab"]
    assert done == Finished(0, f"{single[0]}\ta\n{single[1]}\tb\n", "")
    records = run("bleu", "ref", "--hyp", "a", "--hyp", "b", "--json", cwd=texts).out.splitlines()
    assert [json.loads(record)["system"] for record in records] == ["a", "b"]


def test_a_paired_test_is_a_table(run: Run, texts: Path) -> None:
    done = run("bleu", "ref", "--hyp", "a", "--hyp", "b", "--paired", "bootstrap", "--resamples", "99", cwd=texts)
    names, first, second = (line.split("\t") for line in done.out.splitlines())
    assert names == ["score", "mean", "interval", "p_value", "metric", "system"]
    assert first[3] == "" and 0 < float(second[3]) <= 1
    assert first[4].startswith("BLEU|nrefs:1|bs:99|seed:12345|")
    assert (first[5], second[5]) == ("a", "b")
    done = run("bleu", "ref", "--hyp", "a", "--hyp", "b", "--paired", "randomization", "--resamples", "99", cwd=texts)
    assert [line.split("\t")[1:3] for line in done.out.splitlines()[1:]] == [["", ""], ["", ""]]


def test_what_is_drawn_follows_the_seed(run: Run, texts: Path) -> None:
    words = ["bleu", "ref", "--hyp", "a", "--confidence", "--resamples", "30", "--width", "6"]
    first, again, other = (run(*words, "--seed", seed, cwd=texts).out for seed in "778")
    assert first == again != other
    assert "|seed:7|" in first
    assert run(*words, cwd=texts, env={"SACREBLEU_SEED": "7"}).out == first
    assert run(*words, "--seed", "8", cwd=texts, env={"SACREBLEU_SEED": "7"}).out == other


def test_single_lines_as_json(run: Run, texts: Path) -> None:
    done = run("bleu", "ref", "--sentence-level", "--json", "--hyp", "a", cwd=texts)
    records = [json.loads(line) for line in done.out.splitlines()]
    assert [record["sentence"] for record in records] == list(range(1, NUM_LINES + 1))
    assert {record["eff"] for record in records} == {"yes"}


def test_compressed_texts_and_pipes_are_read(run: Run, texts: Path, tmp_path: Path) -> None:
    for name in ("ref", "a"):
        (tmp_path / name).write_bytes(gzip.compress((texts / name).read_bytes()))
    expected = run("bleu", "ref", "--hyp", "a", cwd=texts)
    assert run("bleu", "ref", "--hyp", "a") == expected
    assert run("bleu", "-", "--hyp", "a", stdin=(tmp_path / "ref").read_bytes()) == expected
    assert run("bleu", "ref", stdin=(tmp_path / "a").read_bytes().rstrip(b"\n")) == expected


def test_a_line_ends_at_a_line_feed_alone(run: Run, tmp_path: Path) -> None:
    (tmp_path / "ref").write_text("a\u2028rose \x0b is\x85it\nno \0 river\n")
    done = run("bleu", "ref", "--hyp", "ref", "--score-only")
    assert done == Finished(0, "100.0\n", "")


def test_each_line_is_answered_before_the_next_is_sent(start: Start, texts: Path) -> None:
    (to_read, to_write), (answers, answering) = os.pipe(), os.pipe()
    running = start("bleu", "ref", "--sentence-level", cwd=texts, stdin=to_read, stdout=answering)
    os.close(to_read)
    os.close(answering)
    with open(answers) as reader, open(to_write, "wb", buffering=0) as writer:
        for line in (texts / "a").read_bytes().splitlines(keepends=True):
            writer.write(line)
            assert reader.readline().startswith("BLEU|nrefs:1|")
    assert running.finish() == Finished(0, "", "")


# --- messages --------------------------------------------------------------------------------------------------------


def test_texts_of_different_lengths_are_named_with_both_counts(run: Run, texts: Path, tmp_path: Path) -> None:
    for name, lines in (("one", 1), ("two", 2), ("three", 3)):
        (tmp_path / name).write_text("a rose\n" * lines)
    line = "line n of one answers line n of the other"
    assert run("bleu", "three", "--hyp", "two") == Finished(
        1, "", f"rnntool bleu: two has 2 lines, three has 3 lines; {line}\ntry: paste two three | less\n"
    )
    assert run("bleu", "three", stdin="a\n") == Finished(
        1, "", f"rnntool bleu: standard input has 1 line, three has 3 lines; {line}\n"
    )
    assert run("bleu", "three", "two", "--hyp", "three").err.startswith(
        "rnntool bleu: two has 2 lines, three has 3 lines;"
    )
    done = run("bleu", "three", "--sentence-level", "--hyp", "one")
    assert (done.status, done.out.count("\n")) == (1, 1)
    assert done.err.startswith("rnntool bleu: one has 1 line, three has 3 lines;")
    done = run("bleu", "one", "--sentence-level", stdin="a\nb\nc\n")
    assert done.err == f"rnntool bleu: standard input has 3 lines, one has 1 line; {line}\n"
    done = run("bleu", "one", stdin="")
    assert done.err == f"rnntool bleu: standard input has 0 lines, one has 1 line; {line}\n"


def test_no_lines_have_no_score(run: Run, tmp_path: Path) -> None:
    (tmp_path / "none").write_text("")
    assert run("bleu", "none") == Finished(1, "", "rnntool bleu: standard input: no lines\n")
    assert run("bleu", "none", "--sentence-level") == Finished(0, "", "")


def test_unreadable_texts_are_named(run: Run, texts: Path, tmp_path: Path) -> None:
    (tmp_path / "bad").write_bytes(b"a rose\nr\xf6se\n")
    assert run("bleu", "bad", stdin="a\n\n") == Finished(
        1, "", "rnntool bleu: bad:2: not UTF-8: byte 0xf6 at column 2\ntry: iconv -f latin1 -t utf8\n"
    )
    assert run("bleu", "nowhere", stdin="") == Finished(1, "", "rnntool bleu: nowhere: No such file or directory\n")
    assert run("bleu", texts / "ref", "--hyp", ".") == Finished(1, "", "rnntool bleu: .: Is a directory\n")


def test_tokenised_text_is_warned_of_unless_it_is_taken_as_it_is(run: Run, tmp_path: Path) -> None:
    (tmp_path / "ref").write_text("It is a rose .\n" * 100)
    done = run("bleu", "ref", "--hyp", "ref", "--score-only")
    assert (done.status, done.out) == (0, "100.0\n")
    expected = (
        "rnntool bleu: ref: 100 lines end in ' .': tokenised text scores otherwise than text; see --tokenize none\n"
    )
    assert done.err == expected
    for words in (["--tokenize", "none"], ["--metric", "chrf"], ["--quiet"]):
        assert run("bleu", "ref", "--hyp", "ref", *words).err == ""


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "missing argument 'REF...'"),
        (["-"], "REF: the standard input can be read only once, as REF or --hyp"),
        (["r", "--paired", "bootstrap"], "--paired: tests every other --hyp against the first; give two or more"),
        (["r", "--sentence-level", "--confidence"], "--confidence: is of whole texts; leave out --sentence-level"),
        (
            ["r", "--sentence-level", "--metric", "bleu", "--metric", "ter"],
            "--metric: one only with --sentence-level, whose line n answers line n",
        ),
        (
            ["r", "--sentence-level", "--hyp", "a", "--hyp", "b"],
            "--hyp: one only with --sentence-level, whose line n answers line n",
        ),
        (
            ["r", "--paired", "bootstrap", "--confidence"],
            "--confidence: leave it out: --paired bootstrap has the interval of every text",
        ),
        (["r", "--smooth-value", "0.1"], "--smooth-value: goes with --smooth floor or add-k only"),
        (["r", "--resamples", "9"], "--resamples: goes with --confidence or --paired only"),
        (["r", "--seed", "0"], "-s / --seed: 0 is not in the range x>=1"),
    ],
)
def test_options_that_contradict_each_other_are_refused(run: Run, words: list[str], message: str) -> None:
    done = run("bleu", *words)
    assert (done.status, done.out) == (2, "")
    assert done.err.splitlines()[0] == f"rnntool bleu: {message}"


def test_ends_are_those_of_a_filter(run: Run, texts: Path) -> None:
    for words in (["--hyp", "a"], ["--hyp", "a", "--sentence-level"]):
        reading, writing = os.pipe()
        os.close(reading)
        assert run("bleu", "ref", *words, cwd=texts, stdout=writing) == Finished(141, "", "")
        os.close(writing)
        with open("/dev/full", "wb") as full:
            done = run("bleu", "ref", *words, cwd=texts, stdout=full.fileno())
        assert (done.status, done.err) == (1, "rnntool bleu: standard output: No space left on device\n")
    done = run("bleu", "ref", cwd=texts, stdin=None)
    assert done == Finished(1, "", "rnntool bleu: standard input: Bad file descriptor\n")
