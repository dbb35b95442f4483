"""What --procs does with the processes that it starts; here they are small programs in place of rnntool."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rnntool.cli import supervisor
from rnntool.cli.supervisor import LOST, supervise
from rnntool.errors import TrainingError

BEGIN = """
import os, signal, sys, time
from pathlib import Path
rank, restart = int(os.environ["RANK"]), int(os.environ["RNNTOOL_RESTART"])
"""


def program(text: str) -> list[str]:
    return [sys.executable, "-c", BEGIN + text]


def test_the_ranks_are_told_who_they_are(tmp_path: Path) -> None:
    text = """
names = "RANK WORLD_SIZE LOCAL_RANK LOCAL_WORLD_SIZE".split()
Path(sys.argv[1], str(rank)).write_text(" ".join(os.environ[name] for name in names))
Path(os.environ["RNNTOOL_MEETING"].removeprefix("file://")).parent.joinpath(str(rank)).touch()
"""
    assert supervise([*program(text), str(tmp_path)], "run", procs=3, max_restarts=0) == 0
    said = [(tmp_path / str(rank)).read_text() for rank in range(3)]
    assert said == ["0 3 0 3", "1 3 1 3", "2 3 2 3"]


@pytest.mark.parametrize("status", [1, 2, 75, 143])
def test_a_status_of_all_is_the_status(status: int) -> None:
    assert supervise(program(f"sys.exit({status})"), "run", procs=2, max_restarts=3) == status


def test_ranks_that_die_of_an_interrupt_have_stopped_on_request() -> None:
    """As a program does that was interrupted, when it has saved: nothing is begun again."""
    text = "signal.signal(signal.SIGINT, signal.SIG_DFL); os.kill(os.getpid(), signal.SIGINT)"
    assert supervise(program(text), "run", procs=2, max_restarts=3) == 130


def test_an_error_of_one_ends_all(tmp_path: Path) -> None:
    text = "sys.exit(1) if rank == 1 else time.sleep(60)"
    began = time.monotonic()
    assert supervise(program(text), "run", procs=2, max_restarts=3) == 1
    assert time.monotonic() - began < 30


@pytest.mark.parametrize("end", ["os.kill(os.getpid(), signal.SIGKILL)", f"sys.exit({LOST})"])
def test_a_rank_that_dies_starts_all_anew(capfd: pytest.CaptureFixture[str], end: str) -> None:
    text = f"""
if rank == 1 and restart < 2:
    {end}
time.sleep(0 if restart == 2 else 60)
"""
    assert supervise(program(text), "run", procs=2, max_restarts=3) == 0
    said = capfd.readouterr().err
    assert said.count("all begin again from the last state") == 2
    assert "(2 of 3)" in said


def test_ranks_that_go_on_dying_are_given_up() -> None:
    with pytest.raises(TrainingError, match="a rank died of SIGKILL, after 2 restarts"):
        supervise(program("os.kill(os.getpid(), signal.SIGKILL)"), "run", procs=2, max_restarts=2)


def test_a_start_that_went_well_for_long_is_not_counted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(supervisor, "PROGRESS_SECONDS", 0.0)
    # each time the first restart again, so that the count never gets anywhere: only a file knows the end
    text = """
starts = Path(sys.argv[1], f"starts-{rank}")
starts.write_text(starts.read_text() + "." if starts.exists() else ".")
if len(starts.read_text()) < 5:
    os.kill(os.getpid(), signal.SIGKILL)
"""
    assert supervise([*program(text), str(tmp_path)], "run", procs=1, max_restarts=1) == 0


WAITING = """
def hear(number, frame):
    Path(sys.argv[1], f"heard-{rank}").write_text(signal.Signals(number).name)
    sys.exit(75 if number == signal.SIGUSR2 else 128 + number)
for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2):
    signal.signal(number, hear)
Path(sys.argv[1], f"ready-{rank}").touch()
time.sleep(60)
"""

SUPERVISOR = """
import sys
from rnntool.cli.supervisor import supervise
sys.exit(supervise(sys.argv[1:], "run", procs=2, max_restarts=3))
"""


def wait_for(*paths: Path) -> None:
    end = time.monotonic() + 30
    while not all(path.exists() for path in paths):
        assert time.monotonic() < end, f"no {paths}"
        time.sleep(0.01)


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGHUP, 129), (signal.SIGUSR2, 75)]
)
def test_signals_are_passed_on(tmp_path: Path, number: signal.Signals, status: int) -> None:
    running = subprocess.Popen(
        [sys.executable, "-c", SUPERVISOR, *program(WAITING), str(tmp_path)],
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # this is one thread
    )
    wait_for(tmp_path / "ready-0", tmp_path / "ready-1")
    running.send_signal(number)
    assert running.wait(30) == status
    for rank in (0, 1):
        assert (tmp_path / f"heard-{rank}").read_text() == number.name


def test_ranks_do_not_outlive_the_one_that_started_them(tmp_path: Path) -> None:
    text = "from rnntool.cli.supervisor import follow_leash\nfollow_leash()\n" + WAITING
    running = subprocess.Popen([sys.executable, "-c", SUPERVISOR, *program(text), str(tmp_path)])
    wait_for(tmp_path / "ready-0", tmp_path / "ready-1")
    running.kill()
    running.wait()
    wait_for(tmp_path / "heard-0", tmp_path / "heard-1")
    assert (tmp_path / "heard-0").read_text() == "SIGTERM"
