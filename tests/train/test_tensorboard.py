"""The course of a run as TensorBoard reads it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from rnntool.errors import OutputError
from rnntool.train.progress import Silent
from rnntool.train.tensorboard import Board

RECORDS: list[dict[str, Any]] = [
    {"step": 5, "lr": 0.25, "train_nll": 4.5},
    {"step": 10, "lr": 0.125, "train_nll": 4.0, "valid_ppl": 60.0, "best": True, "grad_by_lag": [1.0, 0.5]},
]


class Other(Silent):
    """The one beside."""

    def __init__(self) -> None:
        self.heard: list[Any] = []

    def began(self, *, resumed_at: int | None) -> None:
        self.heard.append(resumed_at)

    def reported(self, record: Any) -> None:
        self.heard.append(record["step"])


def test_numbers_are_written_and_what_is_done_again_is_hidden(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="no tensorboard")
    from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

    directory, other = tmp_path / "log" / "run", Other()
    board = Board(str(directory), other)
    board.began(resumed_at=4)
    for record in RECORDS:
        board.reported(record)
    board.stepped(progress=0.1, loss=1.0, tokens_per_second=1.0, lr=1.0)
    board.validating(0.5)
    board.close()
    assert other.heard == [4, 5, 10]
    (file,) = directory.iterdir()
    events = list(EventFileLoader(str(file)).Load())
    assert [event.step for event in events if event.HasField("session_log")] == [5]
    found = {
        (event.step, value.tag): value.tensor.float_val[0] if value.HasField("tensor") else value.simple_value
        for event in events
        for value in event.summary.value
    }
    assert found == {
        (5, "lr"): 0.25,
        (5, "train_nll"): 4.5,
        (10, "lr"): 0.125,
        (10, "train_nll"): 4.0,
        (10, "valid_ppl"): 60.0,
    }


def test_without_the_package_it_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "tensorboard"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with pytest.raises(OutputError, match="needs tensorboard") as error:
        Board(str(tmp_path / "log"), Silent())
    assert error.value.hint == "pip install 'rnntool[tensorboard]'"
    assert not (tmp_path / "log").exists()
