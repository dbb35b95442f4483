"""What all tests share: the program as a stranger runs it, and small files to run it on."""

from __future__ import annotations

import contextlib
import gzip
import json
import multiprocessing
import os
import shutil
import signal
import socket
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from multiprocessing import reduction
from multiprocessing.context import ForkServerContext
from pathlib import Path
from random import Random
from typing import IO, Any

import pytest

ROOT = Path(__file__).parent.parent
"""The root of the checkout."""

GRAMMAR = (
    (("the", "a", "this", "every", "no"), ("der", "ein", "dieser", "jeder", "kein")),
    (("old", "red", "small", "very old", "silent"), ("alte", "rote", "kleine", "uralte", "stille")),
    (("king", "ship", "dog", "poet", "river"), ("König", "Kahn", "Hund", "Dichter", "Fluss")),
    (("sees", "takes", "follows", "is not"), ("sieht", "nimmt", "verfolgt", "ist nicht")),
    (
        ("the sea", "a rose", "the sun , slowly", "it", "a thing of beauty"),
        ("die See", "es", "den Tag", "ihn", "Rosen"),
    ),
)
"""The sentences of the toy texts: one choice after another, in English and in German."""

TOY_COMMANDS = (
    "vocab -o words.tsv train.txt",
    "vocab -u char -o chars.tsv train.txt",
    "vocab -u spm --size 60 -o joint.spm train.en train.de",
    "ngram --order 3 --smoothing wb -V words.tsv -o trigram.arpa.gz train.txt",
    "train -V words.tsv --valid valid.txt --arch elman:8 --max-epochs 2 -o run train.txt",
    "train -V words.tsv --valid valid.txt --arch gru:8 --max-epochs 2 -o other train.txt",
    "train -V joint.spm --src train.en --tgt train.de --hold-out .1 --encoder bi-gru:8 --arch gru:8 --max-epochs 2 -o ende",
    "train -V words.tsv --src-vocab joint.spm --src train.de --tgt train.en --hold-out .1 --encoder gru:8 --arch gru:8"
    " --max-epochs 2 -o deen",
)

COLLECT = -1
"""Keep what is written to this stream."""


def course(run: str | Path) -> list[dict[str, Any]]:
    """The records of a run's metrics.jsonl, without what differs from one time to the next."""
    lines = [json.loads(line) for line in Path(run, "metrics.jsonl").read_text().splitlines()]
    return [{key: line[key] for key in line if key not in ("seconds", "tokens_per_second")} for line in lines]


@dataclass(frozen=True)
class Finished:
    """What a run of the program left behind."""

    status: int
    out: str
    err: str


class Handed:
    """A file descriptor on its way into a process of the fork server; None is a closed stream."""

    def __init__(self, number: int | None) -> None:
        self.number = number

    def __getstate__(self) -> tuple[object]:
        return (None if self.number is None else reduction.DupFd(self.number),)

    def __setstate__(self, state: tuple[Any]) -> None:
        self.number = None if state[0] is None else state[0].detach()

    def become(self, number: int) -> IO[str] | None:
        """Take the place of a standard stream, and open it as Python does at its start."""
        if self.number is None:
            os.close(number)
            return None
        os.dup2(self.number, number)
        if self.number > 2:
            os.close(self.number)
        return os.fdopen(number, "w" if number else "r", closefd=False)


def _child(
    words: list[str],
    streams: tuple[Handed, Handed, Handed],
    cwd: str,
    env: Mapping[str, str],
    before: Callable[[], object] | None,
) -> None:
    """Become `rnntool WORDS`."""
    if before is not None:
        before()
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    sys.stdin, sys.stdout, sys.stderr = (stream.become(number) for number, stream in enumerate(streams))  # type: ignore
    from rnntool.cli.main import main

    os._exit(main(words))


class Running:
    """A run of the program under way, in a process of its own.

    Args:
        server: what it is forked from.
        words: the command line after `rnntool`.
        stdin: what it reads: bytes, a text, a file descriptor, or None for a closed stream.
        stdout: a file descriptor, None for a closed stream, or absent to collect what is written.
        stderr: as stdout.
        cwd: where it runs.
        env: what is added to the environment.
        before: what the process does before it becomes the program, if anything.
    """

    def __init__(
        self,
        server: ForkServerContext,
        words: Iterable[str | Path],
        *,
        stdin: str | bytes | int | None = b"",
        stdout: int | None = COLLECT,
        stderr: int | None = COLLECT,
        cwd: Path,
        env: Mapping[str, str] | None = None,
        before: Callable[[], object] | None = None,
    ) -> None:
        self._collected = [tempfile.TemporaryFile() for _ in range(3)]  # noqa: SIM115  # closed by finish
        given: list[int | None] = []
        for file, stream in zip(self._collected, (stdin, stdout, stderr), strict=True):
            if isinstance(stream, str | bytes):
                file.write(stream.encode() if isinstance(stream, str) else stream)
                file.seek(0)
            given.append(stream if stream is None or (isinstance(stream, int) and stream >= 0) else file.fileno())
        self.words = [str(word) for word in words]
        streams = tuple(map(Handed, given))
        self._process = server.Process(
            target=_child, args=(self.words, streams, str(cwd), {**os.environ, **(env or {})}, before), daemon=True
        )
        self._process.start()

    @property
    def pid(self) -> int:
        """Of its process."""
        assert self._process.pid is not None
        return self._process.pid

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        os.kill(self.pid, number)

    def finish(self, timeout: float = 120) -> Finished:
        """Wait for its end; a death by signal n has the status 128 + n, as in a shell."""
        self._process.join(timeout)
        if self._process.is_alive():
            self._process.kill()
            raise TimeoutError(f"rnntool {' '.join(self.words)} still ran after {timeout} s")
        status = self._process.exitcode
        assert status is not None
        written = []
        for file in self._collected[1:]:
            file.seek(0)
            written.append(file.read().decode())
        for file in self._collected:
            file.close()
        return Finished(status if status >= 0 else 128 - status, *written)


Start = Callable[..., Running]
"""start(*words, stdin=…, stdout=…, stderr=…, cwd=…, env=…) -> Running."""

Run = Callable[..., Finished]
"""run(*words, …) -> Finished; the same and waits."""


@pytest.fixture(scope="session")
def server() -> ForkServerContext:
    """Processes forked from one that has imported torch and done nothing with it: real streams and statuses, fast."""
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["torch", "torch._dynamo", "numpy", "tests.preloaded", "tests.conftest"])
    return context


@pytest.fixture
def start(server: ForkServerContext, tmp_path: Path) -> Start:
    """Start the program as a stranger would, and go on while it runs."""

    def started(*words: str | Path, **streams: Any) -> Running:
        return Running(server, words, **{"cwd": tmp_path, **streams})

    return started


@pytest.fixture
def run(start: Start) -> Run:
    """Run the program as a stranger would: run("ppl", "-m", "m.rnn", stdin="a b\\n")."""

    def finished(*words: str | Path, timeout: float = 120, **streams: Any) -> Finished:
        return start(*words, **streams).finish(timeout)

    return finished


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs a GPU where there is none."""
    if not any(item.get_closest_marker("gpu") for item in items):
        return
    import torch

    if not torch.cuda.is_available():
        for item in items:
            if item.get_closest_marker("gpu"):
                item.add_marker(pytest.mark.skip(reason="no CUDA device"))


def _answer(server: ForkServerContext, connection: socket.socket) -> None:
    """Run what `stand_in` asks for, with its streams, and send the status."""
    with connection:
        _, streams, _, _ = socket.recv_fds(connection, 1, 3)
        with connection.makefile("rb") as file:
            words, cwd, env = json.load(file)
        running = Running(
            server, words, **dict(zip(("stdin", "stdout", "stderr"), streams, strict=True)), cwd=cwd, env=env
        )
        for number in streams:
            os.close(number)
        connection.sendall(str(running.finish().status).encode())


@pytest.fixture(scope="session")
def program(server: ForkServerContext) -> Iterator[Path]:
    """A folder with an `rnntool` for the PATH of a shell."""
    folder = Path(tempfile.mkdtemp(prefix="rnntool-"))  # short, for the name of a socket is limited
    script = folder / "rnntool"
    address = folder / "socket"
    script.write_text(f'#!/bin/sh\nexec {sys.executable} -SE {ROOT / "tests" / "stand_in.py"} {address} "$@"\n')
    script.chmod(0o755)

    def serve() -> None:
        with contextlib.suppress(OSError):  # the listener was closed
            while True:
                threading.Thread(target=_answer, args=(server, listener.accept()[0]), daemon=True).start()

    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(address))
        listener.listen()
        threading.Thread(target=serve, daemon=True).start()
        yield folder
        listener.shutdown(socket.SHUT_RDWR)
    shutil.rmtree(folder)


def _write_lists(folder: Path, name: str, random: Random) -> None:
    """Six hypotheses for each translation, with up to three wrong words, which cost them score, and their best lines."""
    lists, best, other = [], [], []
    references = [line.split() for line in (folder / f"{name}.de").read_text().splitlines()]
    for number, reference in enumerate(references):
        hypotheses = []
        for _ in range(6):
            errors = random.sample(range(len(reference)), random.randrange(4))
            words = [random.choice(random.choice(references)) if at in errors else w for at, w in enumerate(reference)]
            f0, lm = random.gauss(-5 - len(errors), 2), random.gauss(-20 - 2 * len(errors), 3)
            hypotheses.append((f0, " ".join(words), lm))
        hypotheses.sort(reverse=True)
        lists += [f"{number} ||| {text} ||| F0= {f0:.4f} LM= {lm:.4f} ||| {f0:.4f}" for f0, text, lm in hypotheses]
        best.append(hypotheses[0][1])
        other.append(hypotheses[1][1])
    for file, lines in ((f"{name}.nbest", lists), (f"{name}.hyp", best), ("other.hyp", other)):
        (folder / file).write_text("".join(f"{line}\n" for line in lines))


@pytest.fixture(scope="session")
def toys(tmp_path_factory: pytest.TempPathFactory, server: ForkServerContext) -> Path:
    """A folder with a little of everything; copy it before writing there.

    train.txt valid.txt test.txt    sentences of a small grammar, one per line
    text.txt                        a copy of test.txt
    news.txt.gz                     train.txt, compressed
    train.en train.de test.en test.de   sentence pairs; also valid.en valid.de
    valid.nbest test.nbest          n-best lists for valid.de and test.de with the features F0 and LM
    valid.hyp test.hyp other.hyp    their best lines, and the second best of test.nbest
    words.tsv chars.tsv joint.spm   vocabularies: words of train.txt, its characters, SentencePiece of the pairs
    trigram.arpa.gz                 n-grams of train.txt, over words.tsv
    run/ other.rnn                  a run directory with a tiny model, and another model of the same words
    ende/ deen/                     run directories with tiny models that translate train.en, and train.de into words.tsv
    """
    folder = tmp_path_factory.mktemp("toys")
    random = Random(1)

    def sentence(language: int) -> str:
        return " ".join(random.choice(words[language]) for words in GRAMMAR)

    for name, number in (("train", 400), ("valid", 40), ("test", 40)):
        (folder / f"{name}.txt").write_text("".join(f"{sentence(0)}\n" for _ in range(number)))
    for language, suffix in enumerate(("en", "de")):
        random.seed(2)
        for name, number in (("train", 400), ("test", 40), ("valid", 40)):
            (folder / f"{name}.{suffix}").write_text("".join(f"{sentence(language)}\n" for _ in range(number)))
    for name in ("valid", "test"):
        _write_lists(folder, name, random)
    shutil.copy(folder / "test.txt", folder / "text.txt")
    (folder / "news.txt.gz").write_bytes(gzip.compress((folder / "train.txt").read_bytes(), mtime=0))
    for line in TOY_COMMANDS:
        done = Running(server, line.split(), cwd=folder).finish()
        assert done.status == 0, f"{line}\n{done.err}"
    shutil.copy(folder / "other" / "best.rnn", folder / "other.rnn")
    shutil.rmtree(folder / "other")
    return folder
