"""System calls of a run of the program: listed, and made to fail or to be the last one.

The process stops itself before it becomes the program, strace attaches, and it goes on; so the calls are counted from the
same place every time, and importing torch is not paid for.  Only the main thread is traced: it alone writes files.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import Finished, Running

WRITING = "openat,write,fsync,rename,renameat,renameat2,ftruncate,truncate,unlink,unlinkat,mkdir"
"""Calls by which something comes onto a disk, or leaves it."""

needs_strace = pytest.mark.skipif(shutil.which("strace") is None, reason="no strace")


@dataclass(frozen=True)
class Call:
    """A system call of a run: the how-manieth of its name, and all that strace says of it."""

    name: str
    number: int
    text: str


def stop_oneself() -> None:
    """What a process does before it becomes the program: wait for strace."""
    os.kill(os.getpid(), signal.SIGSTOP)


def straced(start: Callable[..., Running], *options: str) -> Finished:
    """Run the program under strace.

    Args:
        start: starts it; takes `before`.
        options: of strace.
    """
    running = start(before=stop_oneself)
    while _state(running.pid) != "T":
        time.sleep(0.002)
    with subprocess.Popen(
        ["strace", "-p", str(running.pid), *options], stderr=subprocess.PIPE, text=True, stdout=subprocess.DEVNULL
    ) as strace:
        assert strace.stderr is not None
        said = strace.stderr.readline()
        if "attached" not in said:
            running.send(signal.SIGKILL)
            pytest.skip(f"strace cannot be used here: {said.strip()}")
        running.send(signal.SIGCONT)
        done = running.finish()
        strace.communicate()
    return done


def writing_calls(start: Callable[..., Running], log: Path, folder: str) -> list[Call]:
    """The calls of a run that write under a folder of this name, in their order."""
    done = straced(start, "-y", "-s", "0", "-o", str(log), "-e", f"trace={WRITING}")
    assert done.status == 0, done
    counts: Counter[str] = Counter()
    found = []
    for line in log.read_text(errors="replace").splitlines():
        match = re.match(r"(\w+)\((.*)", line)
        if match is None:
            continue
        counts[match[1]] += 1
        is_opened_to_read = match[1] == "openat" and "O_CREAT" not in line
        if folder in line and not is_opened_to_read:
            found.append(Call(match[1], counts[match[1]], match[2]))
    return found


def _state(pid: int) -> str:
    """What a process does: R for running, S for sleeping, T for stopped."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
