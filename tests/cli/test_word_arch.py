"""Whole words beside characters at the command line: trained, taken up again, scored, generated from, refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Run, Running

TRAIN = "train -j 1 --valid valid.txt --arch gru:6 --lr 0.01 --max-epochs 2 -b 16 --bptt 40"


@pytest.fixture(scope="module")
def chars(toys: Path, tmp_path_factory: pytest.TempPathFactory, server: Any) -> dict[str, Path]:
    """A vocabulary of characters, and a run with a network over words."""
    folder = tmp_path_factory.mktemp("word-arch")
    for words in (
        ["vocab", "-u", "char", "-o", folder / "chars.tsv", "train.txt"],
        [*TRAIN.split(), "-V", folder / "chars.tsv", "--word-arch", "gru:5", "-o", folder / "run", "train.txt"],
    ):
        done = Running(server, words, cwd=toys).finish()
        assert done.status == 0, done.err
    return {"vocabulary": folder / "chars.tsv", "run": folder / "run"}


def test_it_scores_as_it_was_validated_and_generates_what_it_scores(
    chars: dict[str, Path], run: Run, toys: Path
) -> None:
    found = json.loads(run("ppl", "--json", "-m", chars["run"], toys / "valid.txt").out)
    metrics = [json.loads(line) for line in (chars["run"] / "metrics.jsonl").read_text().splitlines()]
    assert min(each["valid_ppl"] for each in metrics if "valid_ppl" in each) == pytest.approx(found["ppl"], rel=1e-6)
    options = ["-m", chars["run"], "--context", "reset"]
    made = run("generate", *options, "-n", "3", "--max-tokens", "40", "--scores", stdin="\n")
    assert made.status == 0, made.err
    numbers, texts = zip(*(line.split("\t") for line in made.out.splitlines()), strict=True)
    again = run("score", "--tokens", *options, stdin="".join(f"{text}\n" for text in texts))
    assert again.status == 0, again.err
    for number, (score, text) in enumerate(zip(numbers, texts, strict=True), 1):
        tokens = [line.split("\t") for line in again.out.splitlines() if line.split("\t")[0] == str(number)]
        logprobs = [float(token[3]) for token in tokens]
        whole = sum(logprobs) if len(text) < 40 else sum(logprobs[:-1])
        assert float(score) == pytest.approx(whole, abs=1e-3)


def test_an_interrupted_run_ends_as_the_whole_one(chars: dict[str, Path], run: Run, toys: Path, tmp_path: Path) -> None:
    words = [*TRAIN.split(), "-V", chars["vocabulary"], "--word-arch", "gru:5", "-o", tmp_path / "run"]
    for pause in (["--max-time", "0.02s"], ["--max-time", "0.02s"], []):
        done = run(*words, *pause, "train.txt", cwd=toys)
        assert done.status == (75 if pause else 0), done.err
    assert (tmp_path / "run" / "best.rnn").read_bytes() == (chars["run"] / "best.rnn").read_bytes()


def test_what_it_is_is_said(chars: dict[str, Path], run: Run) -> None:
    facts = json.loads(run("info", "--json", chars["run"]).out)
    assert facts["network"]["word_arch"] == "gru:5"
    assert facts["parameters"]["words"] == 16384 * 5
    assert facts["parameters"]["total"] == sum(facts["parameters"].values()) - facts["parameters"]["total"]
    assert facts["plan"]["words 1"]["backend"] == "bptt"


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ("--word-arch lstm:5", "--word-arch: lstm:5 is not one layer of gru or gru-before or elman"),
        ("--word-arch gru:2x5", "--word-arch: gru:2x5 is not one layer of"),
        ("--word-arch nothing:5", "unknown"),
        ("-V words.tsv --word-arch gru:5", "--word-arch: reads words beside characters or bytes"),
    ],
)
def test_what_cannot_be_is_refused(
    options: str, what: str, chars: dict[str, Path], run: Run, toys: Path, tmp_path: Path
) -> None:
    done = run(*TRAIN.split(), "-V", chars["vocabulary"], *options.split(), "-o", tmp_path / "r", "train.txt", cwd=toys)
    assert done.status == 2, done.err
    assert what in done.err
    assert not (tmp_path / "r").exists()
