"""`rnntool average`: several models as one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.conftest import Run


def test_the_mean_is_a_model_like_any_other(run: Run, toys: Path, tmp_path: Path) -> None:
    models = [toys / "ende" / "best.rnn", f"{toys}/ende/last.rnn:0.5"]
    assert run("average", "-o", "mean.rnn", *models) == run("average", "-q", "-o", "again.rnn", *models)
    assert (tmp_path / "mean.rnn").read_bytes() == (tmp_path / "again.rnn").read_bytes()
    facts = json.loads(run("info", "--json", "mean.rnn").out)
    assert facts["average"] == {"models": [str(models[0]), models[1]]}
    assert facts["metrics"] == {}
    assert facts["network"]["encoder"] == "bi-gru:8"
    assert run("check", "mean.rnn").status == 0
    assert run("translate", "-m", "mean.rnn", "-j", "1", stdin="the sea\n").out.count("\n") == 1


def test_a_model_with_itself_is_itself(run: Run, toys: Path, tmp_path: Path) -> None:
    """Also where one of them comes by a pipe."""
    own = (toys / "run" / "best.rnn").read_bytes()
    done = run("average", "-o", "mean.rnn", toys / "run", "-", toys / "run" / "best.rnn", stdin=own)
    assert (done.status, done.out, done.err) == (0, "", "")
    for command in ("score", "ppl"):
        means, owns = (run(command, "-m", model, toys / "test.txt") for model in ("mean.rnn", toys / "run"))
        assert means.out == owns.out and means.status == 0


def test_the_mean_can_be_trained_further(run: Run, toys: Path, tmp_path: Path) -> None:
    assert run("average", "-o", "mean.rnn", toys / "run", toys / "run" / "last.rnn").status == 0
    words = ["--valid", toys / "valid.txt", "--max-epochs", "1", "-j", "1", "-o", "new", toys / "train.txt"]
    done = run("train", "--init", "mean.rnn", *words)
    assert done.status == 0, done.err


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (["{toys}/run"], 2, "MODEL: one model is its own average; two or more are needed"),
        (["-", "-"], 2, "the standard input can be read only once, as MODEL"),
        (
            ["{toys}/run", "{toys}/other.rnn"],
            1,
            "{toys}/other.rnn: its --arch is gru:8, that of {toys}/run/best.rnn elman:8",
        ),
        (
            ["{toys}/run", "{toys}/trigram.arpa.gz"],
            1,
            "{toys}/trigram.arpa.gz: an n-gram model, which has no weights to average\ntry: rnntool mix",
        ),
        (["{toys}/run", "missing"], 1, "missing: No such file or directory"),
        (["{toys}/run", "{toys}/train.txt"], 1, "{toys}/train.txt: not an rnntool model"),
    ],
)
def test_what_has_no_mean_is_said(
    run: Run, toys: Path, tmp_path: Path, words: list[str], status: int, message: str
) -> None:
    done = run("average", "-o", "mean.rnn", *(word.format(toys=toys) for word in words))
    assert (done.status, done.out) == (status, "")
    assert done.err.startswith(f"rnntool average: {message.format(toys=toys)}")
    assert not list(tmp_path.iterdir())
