"""Scripts for schedulers, run with small stand-ins for the programs of the cluster."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import ROOT, Run

SRUN = """#!/bin/sh
# two tasks of one step
while [ "${1#-}" != "$1" ]; do shift; done
for rank in 0 1; do
    SLURM_STEP_NUM_TASKS=2 SLURM_PROCID=$rank "$@" &
    eval "task$rank=$!"
done
worst=0
for task in $task0 $task1; do
    wait "$task"
    status=$?
    [ "$status" -le "$worst" ] || worst=$status
done
exit "$worst"
"""


@pytest.fixture
def stand_ins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Programs by name; each writes its words, and what Slurm tells it, into a file beside it."""
    folder = tmp_path / "bin"
    folder.mkdir()
    heard = 'echo "$SLURM_PROCID/$SLURM_STEP_NUM_TASKS $*" >> "${0}.heard"'
    for name, text in {
        "srun": SRUN,
        "scontrol": f"#!/bin/sh\n{heard}\n",
        "rnntool": f'#!/bin/sh\n{heard}\nprintf "answer\\n"\nexit "${{STATUS:-0}}"\n',
    }.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    monkeypatch.setenv("SLURM_JOB_ID", "77")
    monkeypatch.setenv("SLURM_PROCID", "0")
    monkeypatch.delenv("SLURM_ARRAY_JOB_ID", raising=False)
    return folder


def heard(stand_ins: Path, name: str) -> list[str]:
    file = stand_ins / f"{name}.heard"
    return sorted(file.read_text().splitlines()) if file.exists() else []


def script(name: str, *words: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", str(ROOT / "scripts" / name), *words],
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(("status", "queued"), [(0, []), (75, ["0/ requeue 77"]), (1, []), (137, [])])
def test_a_job_is_queued_again_if_it_is_not_done(
    stand_ins: Path, tmp_path: Path, status: int, queued: list[str]
) -> None:
    done = script("slurm/train.sbatch", "-o", "runs/a b", "t", cwd=tmp_path, STATUS=str(status))
    assert done.returncode == (0 if status == 75 else status)
    assert heard(stand_ins, "rnntool") == ["0/2 train -o runs/a b t", "1/2 train -o runs/a b t"]
    assert heard(stand_ins, "scontrol") == queued


def test_a_task_of_an_array_is_queued_again_by_itself(stand_ins: Path, tmp_path: Path) -> None:
    array = {"SLURM_ARRAY_JOB_ID": "70", "SLURM_ARRAY_TASK_ID": "3"}
    script("slurm/train.sbatch", "-o", "runs/%a", "-s", "%a", cwd=tmp_path, STATUS="75", **array)
    assert heard(stand_ins, "rnntool")[0] == "0/2 train -o runs/3 -s 3"
    assert heard(stand_ins, "scontrol") == ["0/ requeue 70_3"]


def test_tasks_of_an_array_share_lines(stand_ins: Path, tmp_path: Path) -> None:
    words = ("slurm/shards.sbatch", "out", "translate", "-m", "m", "t")
    array = {"SLURM_ARRAY_TASK_ID": "2", "SLURM_ARRAY_TASK_COUNT": "8"}
    assert script(*words, cwd=tmp_path, STATUS="1", **array).returncode == 1
    assert not list(tmp_path.glob("out*"))
    for _ in range(2):
        assert script(*words, cwd=tmp_path, **array).returncode == 0
        assert (tmp_path / "out.0002").read_text() == "answer\n"
    assert heard(stand_ins, "rnntool") == ["0/ translate -m m t --shard 2/8"] * 2
    assert script(*words, cwd=tmp_path).returncode == 2


def test_the_commands_of_the_manifest_are_ours(run: Run, toys: Path) -> None:
    text = (ROOT / "scripts" / "kubernetes" / "train.yaml").read_text()
    found = re.search(r"command: \[rnntool, (.*)\]", text)
    assert found is not None
    done = run(*found[1].split(", "), "--dry-run", cwd=toys)
    assert done.status == 0, done.err


@pytest.mark.skipif(shutil.which("make") is None, reason="no make")
def test_the_makefile_makes_its_table(stand_ins: Path, toys: Path, tmp_path: Path) -> None:
    for name in ("train.txt", "valid.txt"):
        shutil.copy(toys / name, tmp_path / name)
    words = ["make", "-f", str(ROOT / "scripts" / "make" / "Makefile"), "ARCHS=lstm:8 gru:8"]
    (tmp_path / "runs").mkdir()
    (tmp_path / "words.tsv").touch()
    (tmp_path / "kn5.arpa.gz").touch()
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in (tmp_path / "runs").iterdir()) == [
        f"{name}.{kind}" for name in ("gru-8", "lstm-8") for kind in ("done", "ppl")
    ]
    assert [line.split(" ", 1)[1] for line in heard(stand_ins, "rnntool")] == [
        "ppl -m kn5.arpa.gz valid.txt",
        "ppl -m runs/gru-8 valid.txt",
        "ppl -m runs/lstm-8 valid.txt",
        "train -q -V words.tsv --valid valid.txt --arch gru:8 -o runs/gru-8 train.txt",
        "train -q -V words.tsv --valid valid.txt --arch lstm:8 -o runs/lstm-8 train.txt",
    ]
    assert "is up to date" in subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False).stdout
