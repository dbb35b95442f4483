"""Every output layer trains, goes on after an interruption, scores, generates and tells what it is."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from rnntool.config.output import FORMS
from tests.conftest import Run, Running

LAYERS = {
    "full": "full",
    "adaptive": "adaptive:5,9",
    "class": "class:4",
    "tree": "tree",
    "dsoftmax": "dsoftmax:9",
    "sampled": "sampled:6",
    "target": "target:6",
    "nce": "nce:6",
    "selfnorm": "selfnorm:0.1",
}


@pytest.fixture(scope="module")
def trained(server: Any, toys: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A run directory for each layer."""
    folder = tmp_path_factory.mktemp("layers")
    for name, layer in LAYERS.items():
        words = f"train -j 1 -V words.tsv --valid valid.txt --arch gru:8 --lr 0.03 --max-epochs 5 --output {layer}"
        done = Running(server, [*words.split(), "-o", folder / name, "train.txt"], cwd=toys).finish()
        assert done.status == 0, done.err
    return {name: folder / name for name in LAYERS}


def test_all_are_here() -> None:
    assert set(LAYERS) == set(FORMS) - {"auto"}


@pytest.mark.parametrize("name", LAYERS)
def test_it_learns_scores_and_generates(name: str, trained: dict[str, Path], run: Run, toys: Path) -> None:
    """Below 18 of 27 words after five epochs; scores sum to the perplexity; what is generated has its score."""
    model = trained[name]
    found = json.loads(run("ppl", "--json", "-m", model, toys / "valid.txt").out)
    assert found["ppl"] < 18
    scores = run("score", "-m", model, toys / "valid.txt").out.split()
    assert -sum(map(float, scores)) == pytest.approx(found["nll"], rel=1e-6)
    metrics = [json.loads(line) for line in (model / "metrics.jsonl").read_text().splitlines()]
    assert min(each["valid_ppl"] for each in metrics if "valid_ppl" in each) == pytest.approx(found["ppl"], rel=1e-6)
    lines = run("generate", "-m", model, "--context", "reset", "-n", "3", "--scores", stdin="\n")
    assert lines.status == 0, lines.err
    again = run("score", "-m", model, "--context", "reset", stdin="".join(f"{line}\n" for line in texts(lines.out)))
    assert [float(score) for score in again.out.split()] == pytest.approx(
        [float(line.split("\t")[0]) for line in lines.out.splitlines()], abs=1e-4
    )
    assert json.loads(run("info", "--json", model).out)["network"]["output"] == LAYERS[name]


def texts(out: str) -> list[str]:
    return [line.split("\t")[1] for line in out.splitlines()]


@pytest.mark.parametrize("name", ["class", "tree", "dsoftmax", "sampled", "target", "nce"])
def test_an_interrupted_run_ends_as_the_whole_one(
    name: str, trained: dict[str, Path], run: Run, toys: Path, tmp_path: Path
) -> None:
    """Words are drawn by the window's number, so the same ones after a pause."""
    words = f"train -j 1 -V words.tsv --valid valid.txt --arch gru:8 --lr 0.03 --max-epochs 5 --output {LAYERS[name]}"
    for pause in (["--max-time", "0.02s"], ["--max-time", "0.02s"], []):
        done = run(*words.split(), "-o", tmp_path / "run", *pause, "train.txt", cwd=toys)
        assert done.status == (75 if pause else 0), done.err
    assert (tmp_path / "run" / "best.rnn").read_bytes() == (trained[name] / "best.rnn").read_bytes()


@pytest.mark.parametrize("name", ["nce", "selfnorm"])
def test_scores_that_are_not_normalised(name: str, trained: dict[str, Path], run: Run, toys: Path) -> None:
    """log Z is measured, and is what the two kinds of score differ by."""
    model = trained[name]
    exact = json.loads(run("ppl", "--json", "-m", model, toys / "valid.txt").out)
    rough = json.loads(run("ppl", "--json", "--unnormalized", "-m", model, toys / "valid.txt").out)
    assert rough["signature"]["normalized"] == "no"
    assert exact["nll"] - rough["nll"] == pytest.approx(rough["tokens"] * rough["log_z_mean"], rel=1e-4, abs=1e-3)
    assert abs(rough["log_z_mean"]) < 1.5
    assert 0 < rough["log_z_variance"] < 1
    line = run("ppl", "--unnormalized", "-m", model, toys / "valid.txt").out
    assert re.search(r"\| log_z_mean:-?\d\.\d{4} \| log_z_variance:\d\.\d{4} \| .*normalized:no", line)
    scores = run("score", "--unnormalized", "-m", model, toys / "valid.txt").out.split()
    assert -sum(map(float, scores)) == pytest.approx(rough["nll"], rel=1e-6)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["-m", "full"], "--output full did not learn to do without; try: a model trained with nce or selfnorm"),
        (["-m", "nce", "-m", "nce"], "only probabilities are mixed"),
        (["-m", "nce", "--cache", "time=5,weight=0.1"], "only probabilities are adapted"),
    ],
)
def test_what_cannot_be_left_unnormalised_is_refused(
    words: list[str], message: str, trained: dict[str, Path], run: Run, toys: Path
) -> None:
    named = [trained.get(word, word) for word in words]
    for command in ("ppl", "score"):
        done = run(command, "--unnormalized", *named, toys / "valid.txt")
        assert done.status == 2
        assert done.err.replace("\ntry:", "; try:").strip() == f"rnntool {command}: --unnormalized: {message}"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--output tree --tied", "--tied: --output tree has no row as wide as h for every word"),
        ("--output nce --label-smoothing 0.1", "--label-smoothing: --output nce does not meet the other words in"),
        ("--output class:400", "--output: 400 classes for "),
        ("--output dsoftmax:400", "--output: a cut at 400 is not below "),
    ],
)
def test_what_does_not_go_together_is_refused(words: str, message: str, run: Run, toys: Path, tmp_path: Path) -> None:
    train = "train -V words.tsv --valid valid.txt --arch gru:8"
    done = run(*train.split(), *words.split(), "-o", tmp_path / "run", "train.txt", cwd=toys)
    assert done.status == 2
    assert done.err.startswith(f"rnntool train: {message}")


def test_classes_of_the_vocabulary_are_those_of_the_layer(run: Run, toys: Path, tmp_path: Path) -> None:
    words = tmp_path / "classes.tsv"
    made = run("vocab", "--classes", "6", "--class-method", "exchange", "-o", words, toys / "train.txt")
    assert made.status == 0, made.err
    train = ["train", "-V", words, "--valid", "valid.txt", "--arch", "gru:8", "--max-epochs", "1", "--output"]
    done = run(*train, "class", "-o", tmp_path / "run", "train.txt", cwd=toys)
    assert done.status == 0, done.err
    assert json.loads(run("info", "--json", tmp_path / "run").out)["network"]["output"] == "class:6"
    refused = run(*train, "class:5", "-o", tmp_path / "other", "train.txt", cwd=toys)
    assert refused.err.startswith("rnntool train: --output: 5 classes are asked for, the vocabulary has 6")


@pytest.mark.parametrize("name", ["tree", "dsoftmax"])
def test_a_layer_without_word_vectors_exports_none(name: str, trained: dict[str, Path], run: Run) -> None:
    done = run("export", "--to", "output-embeddings", trained[name])
    assert done.status == 2
    assert done.err.startswith(f"rnntool export: --to: --output {LAYERS[name]} has no vector")
