"""The run directory: one training run on disk, of which nothing that was acknowledged can be lost.

    config.toml       every setting; `--config` repeats the run
    best.rnn          the model of the best validation so far
    last.rnn          the model of the last validation
    state-N.rnn       everything that resuming after update N needs; the newest few are kept
    metrics.jsonl     one line per report and per validation
    corpus/           the training text as ids, while it is needed
    lock              held by the process that trains here

A state names the length that metrics.jsonl had, so that what was written after it is cut off when the run is taken up
again, and no step appears twice.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import warnings
from pathlib import Path
from typing import Any

from torch import Tensor

from rnntool.checkpoint.container import Facts, read_container, write_container
from rnntool.errors import InputError, ModelError, OutputError, RnntoolError, RnntoolWarning, TrainingError

STATES_KEPT = 3
_STATE = re.compile(r"state-(\d+)\.rnn")
_TEMPORARY = re.compile(r"\.rnntool-.*\.tmp")


class RunDirectory:
    """The files of one run.

    Args:
        path: the directory; it need not exist before `create`.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._lock: int | None = None

    def _at(self, name: str) -> str:
        return os.path.join(self.path, name)

    @property
    def config(self) -> str:
        """Path of config.toml."""
        return self._at("config.toml")

    @property
    def best(self) -> str:
        """Path of best.rnn."""
        return self._at("best.rnn")

    @property
    def last(self) -> str:
        """Path of last.rnn."""
        return self._at("last.rnn")

    @property
    def metrics(self) -> str:
        """Path of metrics.jsonl."""
        return self._at("metrics.jsonl")

    @property
    def corpus(self) -> str:
        """Path of the directory of ids."""
        return self._at("corpus")

    @property
    def has_run(self) -> bool:
        """Whether a run has begun here."""
        return os.path.exists(self.config)

    def create(self) -> None:
        """Make the directory, take its lock, and sweep what a killed process left half-written.

        Raises:
            OutputError: it cannot be made.
            TrainingError: another process trains here, or it holds something that is no run.
        """
        try:
            os.makedirs(self.path, exist_ok=True)
            self._take_lock()
            names = set(os.listdir(self.path))
        except OSError as error:
            raise OutputError(self.path, error.strerror or str(error)) from None
        foreign = sorted(name for name in names if not self._is_ours(name))
        if foreign and not self.has_run:
            raise TrainingError(self.path, f"holds '{foreign[0]}' and no run", "a new directory")
        for name in names:
            if _TEMPORARY.fullmatch(name):
                with contextlib.suppress(OSError):
                    os.unlink(self._at(name))

    def clear(self) -> None:
        """Remove the run that is here; the lock stays."""
        for name in os.listdir(self.path):
            if name != "lock" and self._is_ours(name):
                if name == "corpus":
                    self.drop_corpus()
                else:
                    os.unlink(self._at(name))

    def release(self) -> None:
        """Give the lock back."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def drop_corpus(self) -> None:
        """Remove the ids of the training text."""
        for folder, _, files in os.walk(self.corpus, topdown=False):
            for name in files:
                os.unlink(os.path.join(folder, name))
            with contextlib.suppress(OSError):
                os.rmdir(folder)

    def states(self) -> list[tuple[int, str]]:
        """Updates done and path of every state, the newest first."""
        names = os.listdir(self.path) if os.path.isdir(self.path) else []
        found = [(int(match[1]), self._at(name)) for name in names if (match := _STATE.fullmatch(name))]
        return sorted(found, reverse=True)

    def save_state(self, step: int, facts: Facts, tensors: dict[str, Tensor]) -> str:
        """Write the state after update `step`, durable; then drop all but the newest few.

        Returns:
            Its path.
        """
        path = self._at(f"state-{step}.rnn")
        with contextlib.suppress(FileNotFoundError), open(self.metrics, "rb") as file:
            os.fsync(file.fileno())
        write_container(path, "state", facts, tensors)
        for _, old in self.states()[STATES_KEPT:]:
            with contextlib.suppress(OSError):
                os.unlink(old)
        return path

    def load_state(self) -> tuple[Facts, dict[str, Tensor]] | None:
        """The newest undamaged state; None where none was written.

        A damaged one is named in a warning and passed over.

        Raises:
            ModelError: there are states, and all are damaged.
        """
        trouble: RnntoolError | None = None
        for _, path in self.states():
            try:
                facts, tensors = read_container(path, "state")
            except (ModelError, InputError) as error:
                trouble = error
                warnings.warn(RnntoolWarning(path, f"{error.what}; going back to the one before"), stacklevel=2)
            else:
                return facts, tensors
        if trouble is not None:
            raise ModelError(self.path, "no state is left that can be resumed", "--force, to begin again")
        return None

    def cut_metrics(self, length: int) -> None:
        """Cut metrics.jsonl to the length that a state names."""
        with contextlib.suppress(FileNotFoundError):
            if os.path.getsize(self.metrics) > length:
                os.truncate(self.metrics, length)

    def _is_ours(self, name: str) -> bool:
        names = ("config.toml", "best.rnn", "last.rnn", "metrics.jsonl", "corpus", "lock")
        return name in names or bool(_STATE.fullmatch(name) or _TEMPORARY.fullmatch(name))

    def _take_lock(self) -> None:
        self._lock = os.open(self._at("lock"), os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.read(self._lock, 4096).decode(errors="replace").strip()
            raise TrainingError(self.path, f"another process trains here: {owner}") from None
        os.ftruncate(self._lock, 0)
        os.write(self._lock, f"pid {os.getpid()} on {os.uname().nodename}\n".encode())


class Metrics:
    """metrics.jsonl, open for appending: valid at any instant, each line one write.

    Args:
        path: of the file.
    """

    def __init__(self, path: str) -> None:
        self._file = Path(path).open("ab", buffering=0)  # noqa: SIM115  # closed by `close`

    def write(self, **values: Any) -> None:
        """Append one JSON object; None is left out."""
        known = {name: value for name, value in values.items() if value is not None}
        self._file.write(json.dumps(known).encode() + b"\n")

    @property
    def length(self) -> int:
        """Bytes written so far."""
        return os.fstat(self._file.fileno()).st_size

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def find_model(path: str) -> str:
    """The model file that `-m PATH` means: the file itself, or a run directory's best.rnn (last.rnn without one).

    Raises:
        ModelError: a directory holds neither.
    """
    if not os.path.isdir(path):
        return path
    run = RunDirectory(path)
    for model in (run.best, run.last):
        if os.path.exists(model):
            return model
    what = "no model yet: no validation has been done" if run.has_run else "not a run directory: no config.toml"
    raise ModelError(path, what)
