"""The course of a run for TensorBoard, beside metrics.jsonl: the same numbers under the same names.

A run that is taken up again names the update that it goes on from, and TensorBoard hides what an earlier sitting had
written after it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from rnntool.errors import OutputError
from rnntool.train.progress import Observer


class Board:
    """Someone who watches a run, and writes event files while another one watches it, too.

    Args:
        directory: where the files go; made if need be.
        beside: the other one.

    Raises:
        OutputError: tensorboard is not installed, or the directory cannot be made.
    """

    def __init__(self, directory: str, beside: Observer) -> None:
        try:
            from tensorboard.compat.proto.event_pb2 import Event, SessionLog
            from tensorboard.compat.proto.summary_pb2 import Summary
            from tensorboard.summary.writer.event_file_writer import EventFileWriter
        except ImportError:
            hint = "pip install 'rnntool[tensorboard]'"
            raise OutputError("--tensorboard", "needs tensorboard, which is not installed", hint) from None
        self._beside = beside
        self._event, self._session, self._summary = Event, SessionLog, Summary
        try:
            self._writer = EventFileWriter(directory)
        except OSError as error:
            raise OutputError(directory, error.strerror or str(error)) from None

    def began(self, *, resumed_at: int | None) -> None:
        """Hide what comes after the update from which the run goes on."""
        if resumed_at is not None:
            start = self._session(status=self._session.START)
            self._writer.add_event(self._event(wall_time=time.time(), step=resumed_at + 1, session_log=start))
        self._beside.began(resumed_at=resumed_at)

    def stepped(self, *, progress: float, loss: float, tokens_per_second: float, lr: float) -> None:
        """Nothing, but for the other one."""
        self._beside.stepped(progress=progress, loss=loss, tokens_per_second=tokens_per_second, lr=lr)

    def reported(self, record: Mapping[str, Any]) -> None:
        """Write every number of a line of metrics.jsonl at its update."""
        values = [
            self._summary.Value(tag=name, simple_value=value)
            for name, value in record.items()
            if isinstance(value, int | float) and not isinstance(value, bool) and name != "step"
        ]
        summary = self._summary(value=values)
        self._writer.add_event(self._event(wall_time=time.time(), step=record["step"], summary=summary))
        self._writer.flush()
        self._beside.reported(record)

    def validating(self, share: float) -> None:
        """Nothing, but for the other one."""
        self._beside.validating(share)

    def close(self) -> None:
        """Write what is left."""
        self._writer.close()
