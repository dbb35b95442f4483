"""`rnntool check`: whether what lies on the disk is whole."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Run


@pytest.fixture
def copied(toys: Path, tmp_path: Path) -> Path:
    """A run directory that may be damaged."""
    shutil.copytree(toys / "run", tmp_path / "run")
    return tmp_path / "run"


def findings(out: str) -> dict[str, str]:
    return {Path(name).name: what for name, what in (line.split("\t", 1) for line in out.splitlines())}


def test_a_whole_run_is_ok(run: Run, toys: Path) -> None:
    done = run("check", toys / "run")
    assert (done.status, done.err) == (0, "")
    found = findings(done.out)
    assert {"config.toml", "metrics.jsonl", "best.rnn", "last.rnn"} < set(found)
    assert any(name.startswith("state-") for name in found)
    assert set(found.values()) == {"ok"}


def flip(path: Path) -> None:
    """Change one bit in the middle of a file."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def cut(path: Path) -> None:
    """Lose the last half of a file."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def empty(path: Path) -> None:
    """Lose all of it."""
    path.write_bytes(b"")


@pytest.mark.parametrize("damage", [flip, cut, empty])
@pytest.mark.parametrize("name", ["best.rnn", "last.rnn", "state"])
def test_a_damaged_file_is_named_and_the_others_are_ok(
    run: Run, copied: Path, name: str, damage: Callable[[Path], None]
) -> None:
    path = next(iter(copied.glob("state-*.rnn"))) if name == "state" else copied / name
    damage(path)
    done = run("check", copied)
    found = findings(done.out)
    assert done.status == 1
    assert done.err == f"rnntool check: 1 of {len(found)} files is not whole\n"
    assert found.pop(path.name) != "ok"
    assert set(found.values()) == {"ok"}


@pytest.mark.parametrize(
    ("tail", "what"),
    [
        ('{"step": 1}\n', "line {n}: step 1 comes after step "),
        ('{"step": 99', "line {n}: not JSON: "),
        ("[]\n", "line {n}: not a record of a run: it names no step"),
    ],
)
def test_the_lines_of_the_metrics_are_read(run: Run, copied: Path, tail: str, what: str) -> None:
    metrics = copied / "metrics.jsonl"
    number = metrics.read_text().count("\n") + 1
    with metrics.open("a") as file:
        file.write(tail)
    done = run("check", copied)
    assert done.status == 1
    assert findings(done.out)["metrics.jsonl"].startswith(what.format(n=number))


def test_metrics_that_a_state_counts_on_are_missed(run: Run, copied: Path) -> None:
    metrics = copied / "metrics.jsonl"
    size = metrics.stat().st_size
    kept = metrics.read_text().splitlines(keepends=True)[0]
    metrics.write_text(kept)
    what = findings(run("check", copied).out)["metrics.jsonl"]
    assert what.startswith(f"{len(kept)} bytes; state-") and what.endswith(f" counts on {size}")


def test_a_damaged_or_missing_configuration_is_named(run: Run, copied: Path) -> None:
    (copied / "config.toml").write_text("seed =\n")
    assert findings(run("check", copied).out)["config.toml"].startswith("not TOML: ")
    (copied / "config.toml").unlink()
    assert findings(run("check", copied).out)["config.toml"] == "No such file or directory"


def test_probabilities_sum_to_one(run: Run, toys: Path) -> None:
    done = run("check", "--check-sum", toys / "other.rnn")
    assert done.status == 0
    _, ok, measured = done.out.rstrip("\n").split("\t")
    assert ok == "ok"
    assert float(measured.removeprefix("sums to 1 within ")) < 1e-6


def test_json_says_the_same(run: Run, toys: Path) -> None:
    done = run("check", "--json", "--check-sum", toys / "other.rnn", toys / "words.tsv", "nothing")
    assert done.status == 1
    whole, foreign, missing = map(json.loads, done.out.splitlines())
    assert (whole["file"], whole["ok"]) == (f"{toys}/other.rnn", True)
    assert 0 <= whole["deviation"] < 1e-6
    assert foreign == {"file": f"{toys}/words.tsv", "ok": False, "wrong": "not an rnntool model"}
    assert missing == {"file": "nothing", "ok": False, "wrong": "No such file or directory"}


def test_a_directory_of_something_else_is_no_run(run: Run, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    done = run("check", "photos")
    assert (done.status, done.out) == (1, "photos\tnot a run directory: no config.toml\n")


def test_something_is_named(run: Run) -> None:
    assert run("check").status == 2


def test_a_file_of_a_run_must_be_what_its_name_says(run: Run, copied: Path) -> None:
    state = next(iter(copied.glob("state-*.rnn")))
    best = (copied / "best.rnn").read_bytes()
    (copied / "best.rnn").write_bytes(state.read_bytes())
    (copied / "state-1.rnn").write_bytes(state.read_bytes())
    state.write_bytes(best)
    found = findings(run("check", copied).out)
    step = state.name.removeprefix("state-").removesuffix(".rnn")
    assert found["best.rnn"] == "this is a state file, not a model file"
    assert found[state.name] == "this is a model file, not a state file"
    assert found["state-1.rnn"] == f"this is the state after update {step}, not 1"


def test_metrics_that_are_not_those_of_the_state_are_named(run: Run, copied: Path) -> None:
    metrics = copied / "metrics.jsonl"
    metrics.write_text(metrics.read_text().replace('"lr": 0.', '"lr": 9.', 1))
    assert findings(run("check", copied).out)["metrics.jsonl"].startswith("its content is not what state-")


def test_a_model_of_another_run_or_validation_is_not_the_one_that_belongs_there(
    run: Run, copied: Path, toys: Path
) -> None:
    newest = max(copied.glob("state-*.rnn"), key=lambda path: int(path.stem.split("-")[1])).name
    shutil.copy(toys / "ende" / "best.rnn", copied / "best.rnn")
    found = findings(run("check", copied).out)
    assert found.pop("best.rnn") == f"not the model that {newest} counts on"
    assert set(found.values()) == {"ok"}
    (copied / "best.rnn").unlink()
    done = run("check", copied)
    assert done.status == 1
    assert findings(done.out)["best.rnn"] == f"missing; {newest} counts on it"


def test_settings_that_are_not_those_of_the_states_are_named(run: Run, copied: Path) -> None:
    config = copied / "config.toml"
    text = config.read_text()
    newest = max(copied.glob("state-*.rnn"), key=lambda path: int(path.stem.split("-")[1])).name
    config.write_text(f"# mine\n\n{text}")
    assert findings(run("check", copied).out)["config.toml"] == "ok"
    config.write_text(text.replace("max-epochs = 2", "max-epochs = 3").replace('arch = "elman:8"\n', ""))
    assert findings(run("check", copied).out)["config.toml"] == (
        f"not the settings that {newest} was written with: arch, max-epochs"
    )
    config.write_text("")
    done = run("check", copied)
    assert done.status == 1
    assert findings(done.out)["config.toml"].startswith(
        f"not the settings that {newest} was written with: accumulate, "
    )


def test_a_pipe_in_a_run_is_not_waited_for(run: Run, copied: Path) -> None:
    os.mkfifo(copied / "state-9999.rnn")
    (copied / "best.rnn").unlink()
    os.mkfifo(copied / "best.rnn")
    done = run("check", copied, timeout=20)
    found = findings(done.out)
    assert done.status == 1
    assert found["state-9999.rnn"] == found["best.rnn"] == "not an ordinary file"
