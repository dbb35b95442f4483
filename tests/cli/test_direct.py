"""Direct weights at the command line: trained, taken up again, scored, generated from, described, refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Run, Running

LAYERS = {"full": "full", "adaptive": "adaptive:5,9", "class": "class:4"}

TRAIN = "train -j 1 -V words.tsv --valid valid.txt --arch gru:4 --lr 0.01 --max-epochs 2 --direct 20k:3 --output"


@pytest.fixture(scope="module")
def trained(server: Any, toys: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A run directory for each layer, and `none` for the same network alone."""
    folder = tmp_path_factory.mktemp("direct")
    for name, layer in {**LAYERS, "none": "full --direct none"}.items():
        done = Running(server, [*TRAIN.split(), *layer.split(), "-o", folder / name, "train.txt"], cwd=toys).finish()
        assert done.status == 0, done.err
    return {name: folder / name for name in (*LAYERS, "none")}


def lines(out: str) -> list[str]:
    return out.splitlines()


@pytest.mark.parametrize("name", LAYERS)
def test_it_learns_more_scores_and_generates(name: str, trained: dict[str, Path], run: Run, toys: Path) -> None:
    """Four units alone learn less; scores sum to the perplexity; what is generated and rescored has its score."""
    model = trained[name]
    alone = json.loads(run("ppl", "--json", "-m", trained["none"], toys / "valid.txt").out)
    found = json.loads(run("ppl", "--json", "-m", model, toys / "valid.txt").out)
    assert found["ppl"] < 0.9 * alone["ppl"]
    metrics = [json.loads(line) for line in (model / "metrics.jsonl").read_text().splitlines()]
    assert min(each["valid_ppl"] for each in metrics if "valid_ppl" in each) == pytest.approx(found["ppl"], rel=1e-6)
    scores = run("score", "-m", model, toys / "valid.txt").out.split()
    assert -sum(map(float, scores)) == pytest.approx(found["nll"], rel=1e-6)
    made = run("generate", "-m", model, "--context", "reset", "-n", "3", "--scores", stdin="\n")
    assert made.status == 0, made.err
    numbers, texts = zip(*(line.split("\t") for line in lines(made.out)), strict=True)
    again = run("score", "-m", model, "--context", "reset", stdin="".join(f"{text}\n" for text in texts))
    assert [float(score) for score in again.out.split()] == pytest.approx(list(map(float, numbers)), abs=1e-4)
    listed = "".join(f"0 ||| {text} ||| x= 1 ||| 1\n" for text in texts)
    rescored = run("rescore", "-m", model, stdin=listed)
    assert rescored.status == 0, rescored.err
    given = [float(line.split("|||")[2].split()[-1]) for line in lines(rescored.out)]
    assert given == pytest.approx(list(map(float, numbers)), abs=1e-3)


@pytest.mark.parametrize("name", LAYERS)
def test_an_interrupted_run_ends_as_the_whole_one(
    name: str, trained: dict[str, Path], run: Run, toys: Path, tmp_path: Path
) -> None:
    for pause in (["--max-time", "0.02s"], ["--max-time", "0.02s"], []):
        done = run(*TRAIN.split(), LAYERS[name], "-o", tmp_path / "run", *pause, "train.txt", cwd=toys)
        assert done.status == (75 if pause else 0), done.err
    assert (tmp_path / "run" / "best.rnn").read_bytes() == (trained[name] / "best.rnn").read_bytes()


def test_what_it_is_is_said(trained: dict[str, Path], run: Run, toys: Path, tmp_path: Path) -> None:
    facts = json.loads(run("info", "--json", trained["class"]).out)
    assert facts["network"]["direct"] == "20000:3"
    assert facts["parameters"]["direct"] == 20000
    assert facts["parameters"]["total"] == sum(facts["parameters"].values()) - facts["parameters"]["total"]
    assert "direct" not in json.loads(run("info", "--json", trained["none"]).out)["parameters"]
    said = run(*TRAIN.split(), "full", "-o", tmp_path / "run", "--explain", "--dry-run", "train.txt", cwd=toys).err
    assert "direct: 20000 weights of n-grams up to 3, in plain steps of 0.2 a token\n" in said
    assert run("check", trained["class"]).status == 0


def test_models_with_them_are_adapted_and_averaged(
    trained: dict[str, Path], run: Run, toys: Path, tmp_path: Path
) -> None:
    """Dynamic evaluation leaves them alone, and learns the rest: a text is likelier the second time."""
    model, text = trained["class"], (toys / "valid.txt").read_text()

    def nll(*words: str | Path, times: int = 1) -> float:
        done = run("ppl", "--json", *words, stdin=text * times)
        assert done.status == 0, done.err
        return float(json.loads(done.out)["nll"])

    assert nll("-m", model, "--dynamic", "lr=0.01", times=2) < nll("-m", model, times=2)
    assert 0.9 < nll("-m", model, "--temperature", "1.1") / nll("-m", model) < 1.1
    done = run("average", "-o", tmp_path / "both.rnn", model / "best.rnn", model / "best.rnn")
    assert done.status == 0, done.err
    assert nll("-m", tmp_path / "both.rnn") == pytest.approx(nll("-m", model), rel=1e-6)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--direct", "lots"], "--direct: 'lots' is not of the form SIZE[:ORDER]\ntry: --direct 10M:3"),
        (["--direct", "20"], "--direct: 20 weights cannot hold those of one history, "),
        (["--direct", "9000M"], "--direct: a table of '9000M' is not between 1 and 1073741824 numbers"),
        (["--direct", "2k", "--output", "tree"], "--direct: --output tree takes no weights of n-grams"),
        (["--direct", "none", "--direct-lr", "1"], "--direct-lr: there are no direct weights\ntry: --direct 10M:3"),
    ],
)
def test_what_makes_no_sense_is_refused(words: list[str], message: str, run: Run, toys: Path, tmp_path: Path) -> None:
    done = run(
        "train", "-V", "words.tsv", "--valid", "valid.txt", "-o", tmp_path / "run", *words, "train.txt", cwd=toys
    )
    assert done.status == 2
    assert done.err.startswith(f"rnntool train: {message}")
    assert not (tmp_path / "run").exists()


def test_pairs_have_none(run: Run, toys: Path, tmp_path: Path) -> None:
    words = "train -V words.tsv --src train.txt --tgt train.txt --hold-out 0.1 --direct 2k"
    done = run(*words.split(), "-o", tmp_path / "run", cwd=toys)
    assert done.status == 2
    assert done.err.startswith("rnntool train: --direct: is for language models; leave it out with --src")
