"""A disk that fails at any system call, is full, or may not be written: nothing acknowledged is lost, one message says so.

Afterwards the same command goes on and comes to the same bytes, as if nothing had been.
"""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import shutil
import signal
import stat
import subprocess
from collections import Counter
from collections.abc import Iterator
from functools import partial
from multiprocessing.context import ForkServerContext
from pathlib import Path
from random import Random

import pytest

from tests.conftest import Run, Running
from tests.reliability.conftest import LM, Train, assert_one_message, assert_same, assert_sound, trials
from tests.reliability.strace import Call, needs_strace, straced, writing_calls

FAULTS = 4
"""Of either sitting that is disturbed by strace."""

LINE = f"{LM} --max-epochs 1".replace("--batch-size 4", "--batch-size 8")
FAILURES = {
    "KILL": "",
    "EIO": "Input/output error",
    "ENOSPC": "No space left on device",
    "EDQUOT": "Disk quota exceeded",
}


@pytest.fixture(scope="module")
def whole(texts: Path, server: ForkServerContext, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run that nothing has disturbed."""
    directory = tmp_path_factory.mktemp("whole") / "run"
    assert Running(server, [*LINE.split(), "-o", directory], cwd=texts).finish().status == 0
    return directory


def chosen(calls: list[Call], number: int) -> list[tuple[Call, str]]:
    """So many calls and what becomes of them, of every name as many as can be."""
    faults = [(call, failure) for call in calls for failure in FAILURES]
    Random(1).shuffle(faults)
    seen: Counter[str] = Counter()
    ranked = []
    for call, failure in faults:
        ranked.append((seen[call.name], (call, failure)))
        seen[call.name] += 1
    return [fault for _, fault in sorted(ranked, key=lambda each: each[0])][:number]


@needs_strace
@pytest.mark.slow
@pytest.mark.parametrize("is_resumed", [False, True], ids=["begun", "resumed"])
def test_a_run_survives_a_fault_of_any_system_call(
    train: Train, run: Run, here: Path, whole: Path, is_resumed: bool
) -> None:
    if is_resumed:
        assert train(f"{LINE} --max-time 0s --save-every 0s", "half").finish().status == 75
        with (here / "half/metrics.jsonl").open("a") as file:  # what a killed process wrote after its last state
            file.write('{"step": 999}\n')
        (here / "half/.rnntool-00ff.tmp").write_text("half")

    def prepared(name: str) -> Path:
        if is_resumed:
            shutil.copytree(here / "half", here / name)
        return here / name

    prepared("traced")
    calls = writing_calls(partial(train, LINE, "traced"), here / "log", "traced")
    assert {"openat", "write", "fsync", "rename", "unlink"} <= {call.name for call in calls}
    for number, (call, failure) in enumerate(chosen(calls, trials(FAULTS))):
        directory = prepared(f"faulty-{number}")
        fault = f"{call.name}:{'signal' if failure == 'KILL' else 'error'}={failure}:when={call.number}"
        done = straced(partial(train, LINE, directory.name), "-o", str(here / "log"), "-e", f"inject={fault}")
        try:
            if failure == "KILL":
                assert done.status == 128 + signal.SIGKILL, done
            else:
                assert_one_message(done, (0, 1))
                if done.status == 1:
                    assert FAILURES[failure] in done.err and "standard output" not in done.err, done.err
            assert_sound(run, directory)
            done = train(LINE, directory.name).finish()
            assert done.status == 0, done
            assert_same(directory, whole)
        except AssertionError as error:
            raise AssertionError(f"{fault} {call.text}") from error


# --- limits ----------------------------------------------------------------------------------------------------------


def limit_files(size: int) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


@pytest.mark.parametrize("size", [300, 4000, -1])
def test_a_file_that_may_not_grow_is_a_message(train: Train, run: Run, here: Path, whole: Path, size: int) -> None:
    """To less than the settings, a model, and the largest state."""
    if size < 0:
        size += max(path.stat().st_size for path in whole.iterdir())
    done = train(LINE, "run", before=partial(limit_files, size)).finish()
    assert_one_message(done)
    assert os.strerror(errno.EFBIG) in done.err
    assert_sound(run, here / "run")
    assert train(LINE, "run").finish().status == 0
    assert_same(here / "run", whole)


@contextlib.contextmanager
def small_disk(path: Path, size: str) -> Iterator[None]:
    """A file system of a size; skips the test where none can be mounted."""
    path.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", path], capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", path], check=True)


@pytest.mark.parametrize("size", ["8k", "40k", "64k"])
@pytest.mark.skipif(shutil.which("mount") is None, reason="no mount")
def test_a_full_disk_is_a_message_and_a_larger_one_is_gone_on_with(
    train: Train, run: Run, here: Path, whole: Path, size: str
) -> None:
    with small_disk(here / "disk", size):
        done = train(LINE, "disk/run").finish()
        assert_one_message(done)
        assert os.strerror(errno.ENOSPC) in done.err
        assert_sound(run, here / "disk/run")
        subprocess.run(["mount", "-o", "remount,size=10m", here / "disk"], check=True)
        assert train(LINE, "disk/run").finish().status == 0
        assert_same(here / "disk/run", whole)


# --- permissions -----------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def read_only(folder: Path) -> Iterator[str]:
    """A folder, with what is in it, that may only be read, for root too; gives the reason that is said."""
    if os.getuid():
        modes = {path: path.stat().st_mode for path in [folder, *folder.rglob("*")]}
        for path, mode in modes.items():
            path.chmod(mode & 0o555)
        yield os.strerror(errno.EACCES)
        for path, mode in modes.items():
            path.chmod(mode)
    else:
        subprocess.run(["mount", "-o", "remount,ro", folder], check=True)
        yield os.strerror(errno.EROFS)


@pytest.mark.skipif(shutil.which("mount") is None, reason="no mount")
@pytest.mark.parametrize("has_run", [False, True])
def test_a_folder_that_may_only_be_read_is_a_message_and_stays_as_it_was(
    train: Train, here: Path, has_run: bool
) -> None:
    with small_disk(here / "disk", "10m") if os.getuid() == 0 else contextlib.nullcontext((here / "disk").mkdir()):
        if has_run:
            assert train(f"{LINE} --max-time 0s", "disk/run").finish().status == 75
        before = contents(here / "disk")
        with read_only(here / "disk") as reason:
            done = train(LINE, "disk/run").finish()
        assert_one_message(done)
        assert done.err.startswith("rnntool train: disk/run") and reason in done.err
        assert contents(here / "disk") == before


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() if path.is_file() else b"" for path in folder.rglob("*")}


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o027, 0o640), (0o077, 0o600)])
def test_files_have_the_modes_that_the_umask_leaves(train: Train, here: Path, umask: int, mode: int) -> None:
    done = train(f"{LINE} --max-time 0s", "run", before=partial(os.umask, umask)).finish()
    assert done.status == 75
    files = [path for path in (here / "run").rglob("*") if path.is_file()]
    assert len(files) > 8
    assert {path.name: stat.S_IMODE(path.stat().st_mode) for path in files} == {path.name: mode for path in files}
    assert stat.S_IMODE((here / "run").stat().st_mode) == mode | (mode & 0o444) >> 2
