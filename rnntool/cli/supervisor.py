"""`rnntool train --procs N`: starts N processes on this machine, passes signals on, and starts all anew if one dies.

A rank that ends with an error of its own ends the command, with that error and status.  One that is killed, by a person,
by the system for want of memory, or by a bug in native code, costs the updates since the last state: all others are
ended, which loses nothing more, and all begin again from there.  The ranks meet in a file of a directory made for each
start, so that no port can be taken.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from types import FrameType

from rnntool.cli import report
from rnntool.cli.stopping import STATUSES, hearing
from rnntool.errors import TrainingError

LOST = 76
"""Status of a rank that noticed the end of another: the reason is to be found there, and nothing to be said here."""

POLL_SECONDS = 0.05
"""How often the ranks are looked at."""

PARTING_SECONDS = 10.0
"""How long the other ranks may take to end once one has ended in peace."""

PROGRESS_SECONDS = 3600.0
"""A start that lasted so long does not count against --max-restarts any more."""


def supervise(command: Sequence[str], where: str, *, procs: int, max_restarts: int) -> int:
    """Run a command on so many ranks and return the status.

    Args:
        command: its words, the program first.
        where: the run directory, for messages.
        procs: how many.
        max_restarts: how often all may be started anew.

    Raises:
        TrainingError: ranks went on dying.
    """
    restarts = 0
    with _forwarding() as forwarded:
        while True:
            began = time.monotonic()
            with _started(command, procs, restarts, forwarded) as ranks:
                ended = _wait(ranks, forwarded)
            if ended >= 0 and ended != LOST:
                return ended
            if forwarded:
                return STATUSES[forwarded[0]]
            died = "lost the others" if ended == LOST else f"died of {signal.Signals(-ended).name}"
            restarts = 1 if time.monotonic() - began > PROGRESS_SECONDS else restarts + 1
            if restarts > max_restarts:
                what = f"a rank {died}, after {max_restarts} restarts; everything up to the last state is saved"
                raise TrainingError(where, what, "the same command again, to go on")
            report.warning(where, f"a rank {died}; all begin again from the last state ({restarts} of {max_restarts})")


@contextlib.contextmanager
def _forwarding() -> Iterator[list[signal.Signals]]:
    """Note the signals that end a run, instead of ending; the list is what has come so far."""
    heard: list[signal.Signals] = []

    def hear(number: int, frame: FrameType | None) -> None:
        del frame
        heard.append(signal.Signals(number))

    with hearing(hear):
        yield heard


@contextlib.contextmanager
def _started(
    command: Sequence[str], procs: int, restarts: int, forwarded: list[signal.Signals]
) -> Iterator[list[subprocess.Popen[bytes]]]:
    """The ranks, each in a process group of its own; whatever is left of them at the end is killed.

    They hold the reading end of a pipe whose writing end is here: when this process is gone, they stop (`follow_leash`).
    """
    reading, writing = os.pipe()
    ranks: list[subprocess.Popen[bytes]] = []
    with tempfile.TemporaryDirectory(prefix="rnntool-") as place:
        try:
            for rank in range(procs):
                if forwarded:
                    break
                own = {
                    "RANK": rank,
                    "LOCAL_RANK": rank,
                    "WORLD_SIZE": procs,
                    "LOCAL_WORLD_SIZE": procs,
                    "RNNTOOL_MEETING": f"file://{place}/meeting",
                    "RNNTOOL_LEASH": reading,
                    "RNNTOOL_RESTART": restarts,
                }
                ranks.append(
                    subprocess.Popen(
                        command,
                        env={**os.environ, **{name: str(value) for name, value in own.items()}},
                        stdin=None if rank == 0 else subprocess.DEVNULL,
                        pass_fds=(reading,),
                        process_group=0,  # the terminal's Ctrl-C comes through this process alone
                    )
                )
            yield ranks
        finally:
            for each in ranks:
                if each.poll() is None:
                    each.kill()
            for each in ranks:
                each.wait()
            os.close(reading)
            os.close(writing)


def _wait(ranks: list[subprocess.Popen[bytes]], forwarded: list[signal.Signals]) -> int:
    """Wait until the ranks have ended, or one has in a way that ends all.

    Returns:
        A status of theirs; −n if one died of signal n.
    """
    passed_on = 0
    parting: float | None = None
    while True:
        for number in forwarded[passed_on:]:
            passed_on += 1
            for each in ranks:
                each.send_signal(number)
        codes = [_code(each) for each in ranks]
        ended = [code for code in codes if code is not None]
        killed = [code for code in ended if code < 0]
        told = [code for code in ended if code > 0 and code not in (*STATUSES.values(), LOST)]
        if told or killed:
            return (told or killed)[0]
        if len(ended) == len(ranks) or (parting is not None and time.monotonic() > parting):
            return max(ended, key=lambda code: code != LOST, default=0)
        if ended and parting is None:
            parting = time.monotonic() + (PARTING_SECONDS if LOST not in ended else 1.0)
        time.sleep(POLL_SECONDS)


def _code(rank: subprocess.Popen[bytes]) -> int | None:
    """The status of a rank that has ended; one that was interrupted has saved, and then dies of that signal for a shell."""
    code = rank.poll()
    return STATUSES[signal.SIGINT] if code == -signal.SIGINT else code


def follow_leash() -> None:
    """Ask this process to stop when the one that started it is gone."""
    leash = os.environ.get("RNNTOOL_LEASH")
    if leash is None:
        return
    import threading

    def watch() -> None:
        select.select([int(leash)], [], [])
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()
