"""Signals that ask a run to stop: the first is a wish, the second ends the program.

The part of `rnntool train` that must be ready before torch is.
"""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable, Iterator
from types import FrameType

from rnntool.errors import Stopped
from rnntool.train.progress import REQUEUE, StopRequest

STATUSES = {
    signal.SIGINT: 128 + signal.SIGINT,
    signal.SIGTERM: 128 + signal.SIGTERM,
    signal.SIGHUP: 128 + signal.SIGHUP,
    signal.SIGUSR1: REQUEUE,
    signal.SIGUSR2: REQUEUE,
}
"""Signals that end a run once its update is done and saved, and the status they lead to."""


@contextlib.contextmanager
def hearing(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Let `handler` hear these signals, but for those that are ignored, as under nohup, and stay so."""
    before = {number: signal.getsignal(number) for number in STATUSES}
    for number, earlier in before.items():
        if earlier is not signal.SIG_IGN:
            signal.signal(number, handler)
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)


@contextlib.contextmanager
def stopping(where: str, requeue_status: int) -> Iterator[StopRequest]:
    """Turn the first signal into a wish to stop, and let a second one end the program at once.

    Before anybody looks at the wish there is nothing to save, and the first signal ends the command.

    Args:
        where: the run directory, for the message.
        requeue_status: what a stop by USR1, USR2 or `--max-time` leads to, in place of 75.

    Raises:
        Stopped: a signal came before training began.
    """
    stop = StopRequest(requeue_status=requeue_status)

    def ask(number: int, frame: FrameType | None) -> None:
        del frame
        status, name = STATUSES[signal.Signals(number)], signal.Signals(number).name
        status = requeue_status if status == REQUEUE else status
        for each in STATUSES:
            signal.signal(each, signal.SIG_DFL)
        if not stop.is_heard:
            raise Stopped(where, f"stopped before training began: signal {name}", status=status)
        stop.status, stop.reason = status, f"signal {name}"

    with hearing(ask):
        yield stop
