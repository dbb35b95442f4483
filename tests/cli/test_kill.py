"""A run that is killed at any moment, any number of times, comes to the very bytes of one that never was.

SIGKILL leaves no time to put anything in order, so that whatever a run needs must be on the disk, whole, at every moment.
The moments are drawn, with a seed, over the whole of a run: start, reading, updates, saves, validations, end.
"""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import signal
import time
from multiprocessing.context import ForkServerContext
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tests.conftest import Running

KILLS = 7
"""Of each run; there are three."""

COMMON = "train -V words.tsv --valid valid.txt --threads 1 --save-every 0.1s --max-epochs 3 --validations 3"

RUNS = {
    "lstm carried adam": "--arch lstm:8 --batch-size 4 --bptt 8 --dropout 0.2 --bptt-random train.txt",
    "scrn reset newbob": "--arch scrn:8+4,learn --context reset --batch-size 8 --bptt 6 --optimizer sgd --lr 0.5 "
    "--momentum 0.5 --schedule newbob --average ema --dropout-weight 0.2 train.txt@2:0.7",
    "gru accumulated asgd": "--arch gru:2x8 --residual --batch-size 8 --bptt 8 --bptt-every 5 --accumulate 3 "
    "--optimizer adagrad --average asgd --average-patience 0 --shuffle --patience 9 train.txt",
}
"""Settings that between them exercise everything a state holds."""


def metrics(run: Path) -> list[dict[str, Any]]:
    """The records of a run, without its clock's readings."""
    records = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [{key: record[key] for key in record if key not in ("seconds", "tokens_per_second")} for record in records]


@pytest.mark.slow
@pytest.mark.parametrize("options", RUNS.values(), ids=RUNS)
def test_a_run_killed_at_any_moment_ends_as_if_it_had_not_been(
    server: ForkServerContext, toys: Path, tmp_path: Path, options: str
) -> None:
    for name in ("train.txt", "valid.txt", "words.tsv"):
        shutil.copy(toys / name, tmp_path / name)

    def start(directory: str) -> Running:
        return Running(server, [*COMMON.split(), *options.split(), "-o", directory], cwd=tmp_path)

    began = time.monotonic()
    done = start("whole").finish()
    length = time.monotonic() - began
    assert done.status == 0, done.err

    random = Random(options)
    kills, directories, resumed = 0, 1, []
    while kills < KILLS:
        running = start(f"killed-{directories}")
        time.sleep(random.uniform(0.05, 0.8) * length)
        with contextlib.suppress(ProcessLookupError):
            running.send(signal.SIGKILL)
        done = running.finish()
        assert "bug" not in done.err, done.err
        resumed += re.findall(r"resumed after update (\d+)", done.err)
        if done.status == 0:  # it was done before the signal came
            directories += 1
        else:
            assert done.status == 128 + signal.SIGKILL, done.err
            kills += 1
    assert any(int(update) for update in resumed)  # else nothing was tried

    for directory in sorted(tmp_path.glob("killed-*")):
        done = start(directory.name).finish()
        assert done.status == 0, done.err
        for name in ("best.rnn", "last.rnn", "config.toml"):
            assert (directory / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
        assert metrics(directory) == metrics(tmp_path / "whole")
        names = {path.name for path in directory.iterdir() if not re.fullmatch(r"state-\d+\.rnn", path.name)}
        assert names == {"best.rnn", "config.toml", "last.rnn", "lock", "metrics.jsonl"}
