"""A signal at any moment: the run is saved and left with the status of that signal, and goes on as if nothing had been."""

from __future__ import annotations

import contextlib
import re
import signal
import time
from pathlib import Path
from random import Random

import pytest

from tests.conftest import Finished, Run
from tests.reliability.conftest import LM, PAIRS, Train, assert_same, assert_sound, trials, wait_for

SIGNALS = {
    signal.SIGTERM: 143,
    signal.SIGINT: 130,
    signal.SIGHUP: 129,
    signal.SIGUSR1: 75,
    signal.SIGUSR2: 75,
}
MOMENTS = 5
"""At which a signal is sent to a run of each kind: each of the five once."""

RUNS = {
    "language model": f"{LM} --save-every 0.05s --max-epochs 2",
    "judged": f"{PAIRS} --encoder gru:8 --arch gru:8 --link attention --batch-size 8 --metric bleu --max-epochs 1",
}


def assert_stopped(done: Finished, number: signal.Signals) -> None:
    """It ended with the signal's status and one message, unless it had ended before."""
    assert "Traceback" not in done.err and "bug" not in done.err, done.err
    if done.status == 0:
        return
    assert done.status == SIGNALS[number], done
    said = rf"rnntool train: \S+: stopped (before training began|after update \d+): signal {number.name}"
    assert re.search(rf"^{said}(; everything is saved)?\ntry: the same command again, to go on\n\Z", done.err, re.M), (
        done.err
    )


@pytest.mark.slow
@pytest.mark.parametrize("line", RUNS.values(), ids=RUNS)
def test_a_signal_at_any_moment_saves_the_run_and_names_itself(train: Train, run: Run, here: Path, line: str) -> None:
    """During the start, in an update, in a validation, in a save, at the end."""
    began = time.monotonic()
    assert train(line, "whole").finish().status == 0
    length = time.monotonic() - began
    random = Random(line)
    for trial in range(trials(MOMENTS)):
        number = list(SIGNALS)[trial % len(SIGNALS)]
        directory = here / f"stopped-{trial // 3}"
        running = train(line, directory.name)
        time.sleep(random.uniform(0.05, 0.9) * length)
        with contextlib.suppress(ProcessLookupError):
            running.send(number)
        done = running.finish()
        if done.status == 128 + number and not done.err:
            continue  # before the program had begun to listen
        assert_stopped(done, number)
        step = assert_sound(run, directory)
        if found := re.search(r"stopped after update (\d+)", done.err):
            assert step == int(found[1])  # no update is lost
        if done.status == 0 or trial % 3 == 2:
            done = train(line, directory.name).finish()
            assert done.status == 0, done
            assert_same(directory, here / "whole")


@pytest.mark.parametrize("number", SIGNALS)
def test_a_second_signal_ends_it_at_once_and_what_was_saved_stays(
    train: Train, run: Run, here: Path, number: signal.Signals
) -> None:
    line = f"{LM} --max-epochs 999 --save-every 0s"
    running = train(line, "run")
    wait_for(lambda: any((here / "run").glob("state-[1-9]*.rnn")), "a state")
    for _ in range(2):
        with contextlib.suppress(ProcessLookupError):
            running.send(number)
    done = running.finish()
    assert done.status in (SIGNALS[number], 128 + number), done
    assert "Traceback" not in done.err and "bug" not in done.err, done.err
    step = assert_sound(run, here / "run")
    assert step is not None and step > 0
    done = train(f"{line} --max-time 0s", "run").finish()
    assert done.status == 75 and f"resumed after update {step}\n" in done.err
