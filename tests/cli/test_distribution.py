"""Training with several processes, as it is started: by srun, by what torch calls env://, and by --procs."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import time
from pathlib import Path

import pytest

from tests.conftest import Run, Running, Start, course

WORDS = (
    "train -V words.tsv --valid valid.txt --arch lstm:8 -b 4 --bptt 8 --dropout 0.2 --max-epochs 4 --threads 1 "
    "--precision fp32 --save-every 0.2s train.txt"  # sums in bfloat16 are rounded by how rows are divided
)


@pytest.fixture
def here(toys: Path, tmp_path: Path) -> Path:
    for name in ("train.txt", "valid.txt", "words.tsv"):
        shutil.copy(toys / name, tmp_path / name)
    return tmp_path


def by_srun(rank: int, port: int) -> dict[str, str]:
    """What srun tells a task of two."""
    return {
        "SLURM_STEP_NUM_TASKS": "2",
        "SLURM_PROCID": str(rank),
        "SLURM_LOCALID": str(rank),
        "SLURM_STEP_TASKS_PER_NODE": "2",
        "SLURM_STEP_NODELIST": "localhost",
        "MASTER_PORT": str(port),
    }


def start_two(start: Start, directory: str) -> list[Running]:
    """Both tasks."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    return [start(*WORDS.split(), "-o", directory, env=by_srun(rank, port)) for rank in (0, 1)]


def wait_for_report(run: Path) -> None:
    """Until a run has told something."""
    end = time.monotonic() + 60
    while not (run / "metrics.jsonl").exists() or not (run / "metrics.jsonl").stat().st_size:
        assert time.monotonic() < end, "no update was made"
        time.sleep(0.02)


def ranks_below(running: Running) -> list[int]:
    """The processes that a supervisor has started."""
    pid = running.pid
    return sorted(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))


def test_tasks_of_srun_do_what_one_process_does(start: Start, run: Run, here: Path) -> None:
    first, second = (running.finish() for running in start_two(start, "two"))
    alone = run(*WORDS.split(), "-o", "one")
    assert (first.status, second.status, alone.status) == (0, 0, 0), first.err + second.err
    assert (second.out, second.err) == ("", "")
    assert "processes 2, each with a part of every batch of 4" in first.err
    for a, b in zip(course(here / "one"), course(here / "two"), strict=True):
        assert a == pytest.approx(b, rel=1e-5)
    assert not any("\r" in text or "\x1b" in text for text in (first.err, second.err))
    # whoever goes on alone with a finished run is told so
    assert "already finished" in run(*WORDS.split(), "-o", "two").err


def test_a_task_that_loses_the_others_says_so(start: Start, here: Path) -> None:
    first, second = start_two(start, "two")
    wait_for_report(here / "two")
    first.send(signal.SIGKILL)
    done = second.finish()
    assert done.status == 1
    assert done.err.startswith("rnntool train: rank 1: rank 1 of 2 lost the others in ")
    assert first.finish().status == 137


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="no /proc to find the ranks in")
def test_a_rank_that_is_killed_costs_only_time(start: Start, here: Path) -> None:
    for each in start_two(start, "whole"):
        assert each.finish().status == 0
    hurt = start(*WORDS.split(), "-o", "run", "--procs", "2")
    wait_for_report(here / "run")
    os.kill(ranks_below(hurt)[1], signal.SIGKILL)
    done = hurt.finish()
    assert done.status == 0, done.err
    assert "a rank died of SIGKILL; all begin again from the last state (1 of 3)" in done.err
    for name in ("best.rnn", "last.rnn"):
        assert (here / "run" / name).read_bytes() == (here / "whole" / name).read_bytes()
    assert course(here / "run") == course(here / "whole")
