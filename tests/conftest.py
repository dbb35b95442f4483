"""What all tests share: the program as a stranger runs it, and small files to run it on."""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
"""The root of the checkout."""


@dataclass(frozen=True)
class Finished:
    """What a run of the program left behind."""

    status: int
    out: str
    err: str


Run = Callable[..., Finished]
"""run(*words, stdin=…, cwd=…, env=…) -> Finished."""


def _child(words: list[str], files: tuple[str, str, str], cwd: str, env: Mapping[str, str]) -> None:
    """Become `rnntool WORDS` with its standard streams in three files."""
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    for number, (file, flags) in enumerate(zip(files, (os.O_RDONLY, os.O_WRONLY, os.O_WRONLY), strict=True)):
        os.dup2(os.open(file, flags), number)
    sys.stdin, sys.stdout, sys.stderr = os.fdopen(0), os.fdopen(1, "w"), os.fdopen(2, "w")
    from rnntool.cli.main import main

    status = main(words)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


@pytest.fixture(scope="session")
def _server() -> multiprocessing.context.ForkServerContext:
    """Processes forked from one that has imported torch and done nothing with it: real streams and statuses, fast."""
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["torch", "numpy", "rnntool.cli.main"])
    return context


@pytest.fixture
def run(_server: multiprocessing.context.ForkServerContext, tmp_path: Path) -> Run:
    """Run the program in a process of its own, as a stranger would: run("ppl", "-m", "m.rnn", stdin="a b\\n")."""
    count = 0

    def run_once(
        *words: str | Path,
        stdin: str | bytes = b"",
        cwd: Path = tmp_path,
        env: Mapping[str, str] | None = None,
        timeout: float = 120,
    ) -> Finished:
        nonlocal count
        count += 1
        streams = tmp_path / f".streams-{count}"
        streams.mkdir()
        files = tuple(str(streams / name) for name in ("in", "out", "err"))
        Path(files[0]).write_bytes(stdin.encode() if isinstance(stdin, str) else stdin)
        for file in files[1:]:
            Path(file).touch()
        process = _server.Process(
            target=_child, args=([str(word) for word in words], files, str(cwd), {**os.environ, **(env or {})})
        )
        process.start()
        process.join(timeout)
        if process.is_alive():
            process.kill()
            process.join()
            raise TimeoutError(f"rnntool {' '.join(map(str, words))} still ran after {timeout} s")
        status = process.exitcode
        assert status is not None
        out, err = (Path(file).read_bytes().decode() for file in files[1:])
        return Finished(status if status >= 0 else 128 - status, out, err)

    return run_once


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs a GPU where there is none."""
    if not any(item.get_closest_marker("gpu") for item in items):
        return
    import torch

    if not torch.cuda.is_available():
        for item in items:
            if item.get_closest_marker("gpu"):
                item.add_marker(pytest.mark.skip(reason="no CUDA device"))
