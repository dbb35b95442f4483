"""The run directory: one training run on disk, of which nothing that was acknowledged can be lost.

    config.toml       every setting; `--config` repeats the run
    best.rnn          the model of the best validation so far
    last.rnn          the model of the last validation
    state-N.rnn       everything that resuming after update N needs; the newest few are kept
    metrics.jsonl     one line per report and per validation
    corpus/           the training text as ids, while it is needed
    lock              held by the process that trains here

A state names the length that metrics.jsonl had, and the hash of it, so that what was written after it is cut off when the
run is taken up again, and no step appears twice.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import re
import warnings
from pathlib import Path
from typing import Any

from torch import Tensor

from rnntool.checkpoint.container import Facts, read_container, read_facts, write_container
from rnntool.checkpoint.settings import Settings
from rnntool.errors import InputError, ModelError, NewerError, OutputError, RnntoolError, RnntoolWarning, TrainingError
from rnntool.text.corpus import FACTS
from rnntool.text.files import is_regular

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
        self._made: list[str] = []
        self._known_newest: tuple[tuple[Any, ...], Facts] = (), {}

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

    @property
    def finished(self) -> str:
        """Why the run here is over, by its newest state; empty if it is not, or that state cannot be read."""
        for _, path in self.states()[:1]:
            with contextlib.suppress(RnntoolError, KeyError, TypeError):
                check_regular(path)
                return str(read_facts(path)["place"]["finished"])
        return ""

    def create(self) -> None:
        """Make the directory, take its lock, and sweep what a killed process left half-written.

        Raises:
            OutputError: it cannot be made.
            TrainingError: another process trains here, or it holds something that is no run; nothing is changed then.
        """
        try:
            self._made = _absent(self.path)
            os.makedirs(self.path, exist_ok=True)
            self._refuse_foreign()
            self._take_lock()
            for folder, _, files in [(self.path, [], os.listdir(self.path)), *os.walk(self.corpus)]:
                for name in filter(_TEMPORARY.fullmatch, files):
                    with contextlib.suppress(OSError):
                        os.unlink(os.path.join(folder, name))
        except FileExistsError:
            raise OutputError(self.path, "a run needs a directory; this is a file") from None
        except OSError as error:
            raise OutputError(self.path, error.strerror or str(error)) from None

    def clear(self, *, keep_corpus: bool = False) -> None:
        """Remove the run that is here; the lock stays.

        The configuration goes last: what is left when this is interrupted is still known for the run that it was.

        Args:
            keep_corpus: whether the ids stay, too: they are those of the run to come.
        """
        kept = ("lock", "corpus") if keep_corpus else ("lock",)
        names = [name for name in os.listdir(self.path) if self._is_ours(name) and name not in kept]
        for name in sorted(names, key=lambda name: name == "config.toml"):
            if name == "corpus":
                self.drop_corpus()
            else:
                os.unlink(self._at(name))

    def abandon(self) -> None:
        """Remove what is left of a run that did not begin: ids, lock, and the directories that were made for it."""
        self.drop_corpus()
        with contextlib.suppress(OSError):
            os.unlink(self._at("lock"))
            for folder in self._made:
                os.rmdir(folder)

    def release(self) -> None:
        """Give the lock back."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def drop_corpus(self) -> None:
        """Remove the ids of the training text; first what vouches for them, so that no part passes for the whole."""
        for folder, _, files in os.walk(self.corpus, topdown=False):
            for name in sorted(files, key=lambda name: name != FACTS):
                os.unlink(os.path.join(folder, name))
            with contextlib.suppress(OSError):
                os.rmdir(folder)

    def trouble_with(self, path: str) -> str:
        """What is wrong with best.rnn or last.rnn, by its own hash and by what the newest state knows; empty if nothing.

        A state knows the models that were written before it.  One that a validation has written since, whose state a
        kill prevented, is of the same network and text.
        """
        state, known = self.newest()
        models = known.get("models")
        wanted = models.get(os.path.basename(path)) if isinstance(models, dict) else None
        if not os.path.lexists(path):
            return f"missing; {state} counts on it" if wanted else ""
        try:
            check_regular(path)
            found, _ = read_container(path, "model")
        except RnntoolError as error:
            return error.what
        if wanted in (None, found["sha256"]) or _follows(found, known, step_of(state) or 0):
            return ""
        return f"not the model that {state} counts on"

    @property
    def settings(self) -> tuple[str, Settings]:
        """The newest state's name and the settings that it was written with; none if it does not say."""
        state, known = self.newest()
        settings = known.get("settings")
        return state, dict(settings) if isinstance(settings, dict) else {}

    def newest(self) -> tuple[str, Facts]:
        """Name and facts of the newest state that is whole; none if there is no such state."""
        for step, path in self.states():
            with contextlib.suppress(RnntoolError, OSError):
                now = os.stat(path)
                found = (path, now.st_size, now.st_mtime_ns, now.st_ino)
                if found != self._known_newest[0]:
                    self._known_newest = found, read_state(path, step)[0]
                return os.path.basename(path), self._known_newest[1]
        return "", {}

    def states(self) -> list[tuple[int, str]]:
        """Updates done and path of every state, the newest first."""
        names = os.listdir(self.path) if os.path.isdir(self.path) else []
        return sorted(((step, self._at(name)) for name in names if (step := step_of(name)) is not None), reverse=True)

    def save_state(self, step: int, facts: Facts, tensors: dict[str, Tensor]) -> str:
        """Write the state after update `step`, durable; then drop all but the newest few.

        Returns:
            Its path.

        Raises:
            OutputError: the disk does not take it.
            TrainingError: the lock was taken away.
        """
        path = self._at(f"state-{step}.rnn")
        self._check_lock()
        self._sync_metrics()
        write_container(path, "state", facts, tensors)
        for _, old in self.states()[STATES_KEPT:]:
            with contextlib.suppress(OSError):
                os.unlink(old)
        return path

    def _sync_metrics(self) -> None:
        """Make durable what the state that follows counts on."""
        try:
            with open(self.metrics, "rb") as file:
                os.fsync(file.fileno())
        except FileNotFoundError:
            pass
        except OSError as error:
            raise OutputError(self.metrics, error.strerror or str(error)) from None

    def load_state(self) -> tuple[Facts, dict[str, Tensor]] | None:
        """The newest undamaged state; None where none was written.

        A damaged one is named in a warning and passed over.

        Raises:
            NewerError: the newest is a newer version's.
            ModelError: all states are damaged, or they are gone and what the run has come to is not.
        """
        trouble: RnntoolError | None = None
        for step, path in self.states():
            try:
                facts, tensors = read_state(path, step)
            except NewerError:
                raise
            except (ModelError, InputError) as error:
                trouble = error
                warnings.warn(RnntoolWarning(path, f"{error.what}; going back to the one before"), stacklevel=2)
            else:
                return facts, tensors
        if trouble is not None or self._has_results:
            raise ModelError(self.path, "no state is left that can be resumed", "--force, to begin again")
        return None

    @property
    def _has_results(self) -> bool:
        """Whether a run has come to something here; a state is older than anything else."""
        return any(os.path.exists(p) and os.path.getsize(p) for p in (self.best, self.last, self.metrics))

    def cut_metrics(self, length: int, sha256: str | None = None) -> None:
        """Cut metrics.jsonl to the length that a state names; warn if what is left is not what was there."""
        with contextlib.suppress(FileNotFoundError):
            if os.path.getsize(self.metrics) > length:
                os.truncate(self.metrics, length)
        if sha256 is not None and hash_of(self.metrics, length) != sha256:
            what = "damaged: its content is not what the state counts on; the run goes on with what is there"
            warnings.warn(RnntoolWarning(self.metrics, what), stacklevel=2)

    def warn_of_damaged_models(self) -> None:
        """Say which of best.rnn and last.rnn are damaged or gone: the run that goes on may never write a better one."""
        for path in (self.best, self.last):
            if wrong := self.trouble_with(path):
                what = f"{wrong}; it is written anew by the next validation{' that is the best' * (path == self.best)}"
                warnings.warn(RnntoolWarning(path, what), stacklevel=2)

    def check_models(self) -> None:
        """Raise ModelError if what a finished run has come to is damaged or gone."""
        for path, other in ((self.best, self.last), (self.last, self.best)):
            if wrong := self.trouble_with(path):
                hint = "" if self.trouble_with(other) else f"{other}, which is whole; "
                raise ModelError(path, wrong, f"{hint}--force, to begin again")

    def _refuse_foreign(self) -> None:
        """Raise TrainingError if there are files that no run left which had got as far as its configuration."""
        if self.has_run:
            return
        for name in sorted(os.listdir(self.path)):
            if name not in ("lock", "corpus") and not _TEMPORARY.fullmatch(name):
                raise TrainingError(self.path, f"holds '{name}' and no run", "a new directory")

    def _is_ours(self, name: str) -> bool:
        names = ("config.toml", "best.rnn", "last.rnn", "metrics.jsonl", "corpus", "lock")
        return name in names or bool(_STATE.fullmatch(name) or _TEMPORARY.fullmatch(name))

    def _check_lock(self) -> None:
        """Raise TrainingError if another process may hold a lock here, since the file of ours is gone."""
        if self._lock is None:
            return
        own = os.fstat(self._lock)
        try:
            found: os.stat_result | None = os.stat(self._at("lock"))
        except OSError:
            found = None
        if found is None or (own.st_dev, own.st_ino) != (found.st_dev, found.st_ino):
            what = "its lock was taken away, and another process may train here; this one stops"
            raise TrainingError(self.path, what, "the same command again, to go on")

    def _take_lock(self) -> None:
        lock = os.open(self._at("lock"), os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            owner = os.read(lock, 4096).decode(errors="replace").strip()
            os.close(lock)
            if not isinstance(error, BlockingIOError):
                raise
            raise TrainingError(self.path, f"another process trains here: {owner}") from None
        self._lock = lock
        os.ftruncate(lock, 0)
        os.write(lock, f"pid {os.getpid()} on {os.uname().nodename}\n".encode())


def step_of(path: str) -> int | None:
    """Updates after which a state was written, by its name; None if it is not called as a state is."""
    match = _STATE.fullmatch(os.path.basename(path))
    return int(match[1]) if match else None


def read_state(path: str, step: int) -> tuple[Facts, dict[str, Tensor]]:
    """The facts and tensors of a state.

    Args:
        path: where it is.
        step: updates after which it was written, by its name.

    Raises:
        InputError: the file cannot be read.
        NewerError: it is a newer version's.
        ModelError: it is no state, damaged, or that after another update.
    """
    check_regular(path)
    facts, tensors = read_container(path, "state")
    place = facts.get("place")
    if isinstance(place, dict) and place.get("step") != step:
        raise ModelError(path, f"this is the state after update {place.get('step')}, not {step}")
    return facts, tensors


def check_regular(path: str) -> None:
    """Raise ModelError if a path in a run is that of a pipe or a device, which might be read for ever."""
    if os.path.exists(path) and not os.path.isdir(path) and not is_regular(path):
        raise ModelError(path, "not an ordinary file")


def _follows(model: Facts, state: Facts, step: int) -> bool:
    """Whether the run that wrote a state after update `step` may have written a model since."""
    metrics, provenance = model.get("metrics"), model.get("provenance")
    if not isinstance(metrics, dict) or not isinstance(provenance, dict):
        return False
    later = metrics.get("step")
    own = (model.get("config"), model.get("vocabulary"), provenance.get("data"))
    return (
        isinstance(later, int)
        and later > step
        and own == tuple(state.get(n) for n in ("network", "vocabulary", "data"))
    )


def hash_of(path: str, length: int) -> str:
    """SHA-256 of the first bytes of a file; of none if there is no file."""
    with contextlib.suppress(FileNotFoundError), open(path, "rb") as file:
        return hashlib.sha256(file.read(min(length, os.path.getsize(path)))).hexdigest()
    return hashlib.sha256().hexdigest()


class Metrics:
    """metrics.jsonl, open for appending: valid at any instant, each line one write.

    Args:
        path: of the file.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._file = Path(path).open("ab", buffering=0)  # noqa: SIM115  # closed by `close`

    def write(self, **values: Any) -> None:
        """Append one JSON object; None is left out.

        Raises:
            OutputError: the disk does not take it.
        """
        known = {name: value for name, value in values.items() if value is not None}
        line = json.dumps(known).encode() + b"\n"
        try:
            if self._file.write(line) != len(line):  # what a disk that is almost full answers
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            raise OutputError(self.path, error.strerror or str(error)) from None

    @property
    def length(self) -> int:
        """Bytes written so far."""
        return os.fstat(self._file.fileno()).st_size

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def find_model(path: str) -> str:
    """The model file that `-m PATH` means: the file itself, a run directory's best.rnn, or `-`.

    Raises:
        ModelError: a directory holds none.
        InputError: it may not be entered.
    """
    if path == "-":
        return "/dev/stdin"
    if not os.path.isdir(path):
        return path
    if not os.access(path, os.X_OK):
        raise InputError(path, os.strerror(errno.EACCES))
    run = RunDirectory(path)
    if os.path.lexists(run.best):
        check_regular(run.best)
        return run.best
    if os.path.exists(run.last):
        raise ModelError(run.best, "missing", f"{run.last}, the model of the last validation")
    what = "no model yet: no validation has been done" if run.has_run else "not a run directory: no config.toml"
    raise ModelError(path, what)


def _absent(path: str) -> list[str]:
    """The directories that would have to be made for `path` to be there, itself first."""
    absent = []
    while path and not os.path.isdir(path):
        absent.append(path)
        path = os.path.dirname(path.rstrip("/"))
    return absent
