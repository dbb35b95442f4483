"""A run that is killed at any moment, any number of times, comes to the very bytes of one that never was.

SIGKILL leaves no time to put anything in order, so that whatever a run needs must be on the disk, whole, at every moment.
The moments are drawn, with a seed, over the whole of a run: start, reading, updates, saves, validations, end.
"""

from __future__ import annotations

import contextlib
import re
import signal
import time
from pathlib import Path
from random import Random

import pytest

from tests.conftest import Run
from tests.reliability.conftest import (
    LANGUAGE,
    LM,
    PAIRS,
    TRANSLATION,
    Train,
    assert_same,
    assert_sound,
    trials,
    wait_for,
)

KILLS = 4
"""Of each run."""

OFTEN = "--save-every 0.05s"

RUNS = {
    "language model": LM,
    "translation": TRANSLATION,
    "scrn reset newbob": f"{LANGUAGE} --arch scrn:8+4,learn --context reset --batch-size 8 --bptt 6 --optimizer sgd "
    "--lr 0.5 --momentum 0.5 --schedule newbob --average ema --dropout-weight 0.2 train.txt@2:0.7",
    "gru accumulated asgd": f"{LANGUAGE} --arch gru:2x8 --residual --batch-size 4 --bptt 8 --accumulate 3 --bptt-random "
    "--optimizer adagrad --average asgd --average-patience 0 --shuffle --patience 9 train.txt",
    "judged": f"{PAIRS} --encoder gru:8 --arch gru:8 --link init --batch-size 8 --metric bleu --scheduled-sampling 0.2",
}
"""Settings that between them exercise everything a state holds."""


@pytest.mark.slow
@pytest.mark.parametrize("line", RUNS.values(), ids=RUNS)
def test_a_run_killed_at_any_moment_loses_nothing_and_ends_as_if_it_had_not_been(
    train: Train, run: Run, here: Path, line: str
) -> None:
    line = f"{line} {OFTEN}"
    began = time.monotonic()
    done = train(line, "whole").finish()
    length = time.monotonic() - began
    assert done.status == 0, done.err

    random = Random(line)
    number, kill, resumed = 1, 0, []
    while kill < trials(KILLS) or not any(resumed):  # a run may be at its end before the signal comes
        assert kill < trials(KILLS) + 20, "nothing was ever left to resume"
        directory = here / f"killed-{number}"
        running = train(line, directory.name)
        is_last = kill % 4 == 3 or kill >= trials(KILLS)
        if is_last:  # at a moment from which there is something to resume
            wait_for(lambda directory=directory: any(directory.glob("state-[1-9]*.rnn")), "a state")
        else:
            time.sleep(random.uniform(0.0, 0.9) * length)
        with contextlib.suppress(ProcessLookupError):
            running.send(signal.SIGKILL)
        done = running.finish()
        assert done.status in (0, 128 + signal.SIGKILL), done.err
        assert "bug" not in done.err, done.err
        assert_sound(run, directory)
        if done.status == 0 or is_last:
            done = train(line, directory.name).finish()
            assert done.status == 0, done.err
            resumed += [int(update) for update in re.findall(r"resumed after update (\d+)", done.err)]
            assert_same(directory, here / "whole")
            number += 1
        kill += 1
