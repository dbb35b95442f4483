"""A laboratory for crashes: small runs, what a run directory must be like at any moment, and how often it is tried.

RNNTOOL_TRIALS=200 pytest tests/reliability/test_kills.py tries 200 of what the suite tries a few times.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch

from rnntool.checkpoint.container import read_container, read_facts
from tests.conftest import GRAMMAR, TOY_COMMANDS, Finished, Run, Running, Start, course

COMMON = "--threads 1 --max-epochs 3 --validations 2"
LANGUAGE = f"train -V words.tsv --valid valid.txt {COMMON}"
PAIRS = f"train -V joint.spm --src train.en --tgt train.de --valid-src valid.en --valid-tgt valid.de {COMMON}"
LM = f"{LANGUAGE} --arch lstm:8 --batch-size 4 --bptt 8 --dropout 0.2 train.txt"
TRANSLATION = f"{PAIRS} --encoder bi-gru:8 --arch gru:8 --link attention --batch-size 8 --dropout 0.2"


def trials(number: int) -> int:
    """How often something is tried: as often as RNNTOOL_TRIALS says, or `number` times."""
    return int(os.environ.get("RNNTOOL_TRIALS", number))


@pytest.fixture(scope="session")
def texts(tmp_path_factory: pytest.TempPathFactory, server: Any) -> Path:
    """A folder with texts and pairs so small that a run on them takes a second, and their vocabularies."""
    folder = tmp_path_factory.mktemp("small")
    for language, names in enumerate((("txt", "en"), ("de",))):
        random = Random(1)
        for name, number in (("train", 80), ("valid", 12)):
            lines = [" ".join(random.choice(words[language]) for words in GRAMMAR) + "\n" for _ in range(number)]
            for suffix in names:
                (folder / f"{name}.{suffix}").write_text("".join(lines))
    for line in TOY_COMMANDS:
        if line.startswith(("vocab -o", "vocab -u spm")):
            done = Running(server, line.split(), cwd=folder).finish()
            assert done.status == 0, done.err
    return folder


Train = Callable[..., Running]
"""train("--arch lstm:8 train.txt", "run") -> a Running in the folder of texts that may be written to."""


@pytest.fixture
def here(texts: Path, tmp_path: Path) -> Path:
    """The folder of this test, with the texts."""
    for path in texts.iterdir():
        (tmp_path / path.name).symlink_to(path)
    return tmp_path


@pytest.fixture
def train(start: Start, here: Path) -> Train:
    """Begin, or go on with, a run in a directory of this test's folder."""

    def begun(line: str, directory: str, **streams: Any) -> Running:
        return start(*line.split(), "-o", directory, **streams)

    return begun


def wait_for(condition: Callable[[], bool], what: str) -> None:
    """Wait until something is so; a minute at most."""
    for _ in range(30000):
        if condition():
            return
        time.sleep(0.002)
    raise TimeoutError(f"waited a minute for {what}")


# --- what must hold at any moment ------------------------------------------------------------------------------------


def records(directory: Path) -> list[dict[str, Any]]:
    """The metrics of a run; every line of them must be one."""
    path = directory / "metrics.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def states(directory: Path) -> list[int]:
    """Updates done in the states of a run that are whole, the newest first."""
    numbers = [int(match[1]) for path in directory.glob("*") if (match := re.fullmatch(r"state-(\d+)\.rnn", path.name))]
    for number in numbers:
        facts, tensors = read_container(str(directory / f"state-{number}.rnn"), "state")
        assert facts["place"]["step"] == number
        assert all(torch.isfinite(tensor).all() for tensor in tensors.values())
    return sorted(numbers, reverse=True)


def assert_sound(run: Run, directory: Path) -> int | None:
    """Whatever has just happened to it: `check` finds nothing, and what has been acknowledged is there.

    Returns:
        The update after which it would be resumed; None if it has not begun.
    """
    if not (directory / "config.toml").exists():
        assert not directory.exists() or not list(directory.glob("*.rnn")) + list(directory.glob("*.jsonl"))
        return None
    done = run("check", directory)
    assert (done.status, done.err) == (0, ""), done
    found, written = states(directory), records(directory)
    steps = [record["step"] for record in written]
    assert steps == sorted(set(steps))
    # What follows in metrics.jsonl came after the validation had been saved.
    validated = [record for record in written[:-1] if "valid_ppl" in record]
    if validated:
        assert found[0] >= validated[-1]["step"]
        best = [record["step"] for record in validated if record["best"]]
        assert read_facts(str(directory / "best.rnn"))["metrics"]["step"] >= best[-1]
        assert read_facts(str(directory / "last.rnn"))["metrics"]["step"] >= validated[-1]["step"]
    return found[0] if found else None


def assert_one_message(done: Finished, statuses: Sequence[int] = (1,)) -> None:
    """It ended with one clear message, perhaps after warnings and reports, and with no traceback; or well, if it may."""
    assert done.status in statuses, done
    assert "Traceback" not in done.err and "bug" not in done.err, done.err
    if done.status == 0:
        return
    *_, last = [line for line in done.err.splitlines() if not line.startswith("try: ")]
    assert re.fullmatch(r"rnntool train: [^ ].*: .*", last), done.err


def assert_same(one: Path, other: Path) -> None:
    """Two runs came to the same end, and left nothing else behind."""
    for name in ("best.rnn", "last.rnn"):
        assert (one / name).read_bytes() == (other / name).read_bytes()
    assert course(one) == course(other)
    for directory in (one, other):
        names = {path.name for path in directory.iterdir() if not re.fullmatch(r"state-\d+\.rnn", path.name)}
        assert names == {"best.rnn", "config.toml", "last.rnn", "lock", "metrics.jsonl"}
