"""Every kind of damage to every file of a run directory: it is named, or it does no harm.

A run that is resumed goes back to the newest state that is whole, and says so; never does it begin anew without a word.
"""

from __future__ import annotations

import os
import re
import shutil
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

import pytest
import torch

from rnntool.checkpoint.model import load_model
from rnntool.checkpoint.run import find_model
from rnntool.cli import check, report
from rnntool.cli.main import _run
from rnntool.errors import RnntoolError
from tests.reliability.conftest import LM, assert_same, trials
from tests.reliability.hostile import signed

MUTATIONS = 42
PAGE = 4096
MODELS = (Path("best.rnn"), Path("last.rnn"))
LINE = f"{LM} --max-epochs 1 --save-every 0s --quiet".replace("--batch-size 4", "--batch-size 8").split()
STEP = 9
"""Updates that are done when the damage comes: more than half, and a validation."""


@dataclass(frozen=True)
class Sitting:
    """How a sitting of a run ended."""

    error: RnntoolError | None
    said: list[str]


def sit(directory: Path, *options: str) -> Sitting:
    """A sitting in this process."""
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        try:
            _run([*LINE, *options, "-o", str(directory)])
        except RnntoolError as error:
            return Sitting(error, [str(each.message) for each in warned])
    return Sitting(None, [str(each.message) for each in warned])


@pytest.fixture(autouse=True)
def _one_thread_and_no_disk(monkeypatch: pytest.MonkeyPatch, texts: Path) -> Iterator[None]:
    """What reaches the disk when is tested elsewhere."""
    monkeypatch.setattr(os, "fsync", lambda _: None)
    monkeypatch.setattr(report, "manner", report.Manner())
    monkeypatch.chdir(texts)
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    """The run that nothing has damaged, at its end."""
    assert sit(tmp_path / "whole").error is None
    return tmp_path / "whole"


@pytest.fixture
def stopped(tmp_path: Path) -> Path:
    """The run in its middle: every sitting does one update."""
    for _ in range(STEP):
        error = sit(tmp_path / "stopped", "--max-time", "0s").error
        assert error is not None and error.status == 75, error
    assert {path.name for path in (tmp_path / "stopped").glob("*.rnn")} == {
        *("best.rnn", "last.rnn"),
        *(f"state-{STEP - n}.rnn" for n in range(3)),
    }
    return tmp_path / "stopped"


# --- damage ----------------------------------------------------------------------------------------------------------


def flip(data: bytes, random: Random, _: list[bytes]) -> bytes:
    place = random.randrange(len(data))
    return data[:place] + bytes([data[place] ^ 1 << random.randrange(8)]) + data[place + 1 :]


def cut(data: bytes, random: Random, _: list[bytes]) -> bytes:
    return data[: random.randrange(len(data))]


def append(data: bytes, random: Random, others: list[bytes]) -> bytes:
    return data + random.choice([b"\0", b"\n", b" ", random.randbytes(9), random.choice(others)])


def lose_a_byte(data: bytes, random: Random, _: list[bytes]) -> bytes:
    place = random.randrange(len(data))
    return data[:place] + data[place + 1 :]


def zero_a_page(data: bytes, random: Random, _: list[bytes]) -> bytes:
    first = random.randrange(0, len(data), PAGE)
    return data[:first] + bytes(len(data[first : first + PAGE])) + data[first + PAGE :]


def empty(_: bytes, __: Random, ___: list[bytes]) -> bytes:
    return b""


def become_another(_: bytes, random: Random, others: list[bytes]) -> bytes:
    """A file of the run under the name of another: from another update, or of another kind."""
    return random.choice(others)


Damage = Callable[[bytes, Random, list[bytes]], bytes]
DAMAGES: tuple[Damage, ...] = (flip, flip, cut, append, lose_a_byte, zero_a_page, empty, become_another)


def expect(sitting: Sitting, path: Path, directory: Path, whole: Path) -> None:
    """What must hold of a sitting after the damage to one file."""
    name = path.relative_to(directory).as_posix()
    if sitting.error is not None:
        assert sitting.error.status == 1
        assert str(path) in str(sitting.error) or name == "config.toml", sitting
        assert name == "config.toml", f"a run can go on without {name}: {sitting}"
        return
    if re.match("state|corpus|metrics|best|last", name) and name != f"state-{STEP - 2}.rnn":
        named = (
            f"{path.parent}/" if name.startswith("corpus") else f"{path}: "
        )  # a hash that is wrong is another file's
        is_behind = re.fullmatch(r"state-(\d+)\.rnn", name) and name != f"state-{STEP}.rnn"
        assert is_behind or any(said.startswith(named) for said in sitting.said), sitting
    if name == "metrics.jsonl":
        for model in ("best.rnn", "last.rnn"):
            assert (directory / model).read_bytes() == (whole / model).read_bytes()
    else:
        assert_same(directory, whole)


def test_a_damaged_file_is_named_or_does_no_harm(stopped: Path, whole: Path, tmp_path: Path) -> None:
    random = Random(1)
    names = sorted(path.relative_to(stopped) for path in stopped.rglob("*") if path.is_file())
    assert len(names) == 14
    contents = {name: (stopped / name).read_bytes() for name in names}
    directory = tmp_path / "damaged"
    for number in range(trials(MUTATIONS)):
        name, damage = names[number % len(names)], random.choice(DAMAGES)
        data = damage(contents[name], random, [contents[other] for other in names])
        if data == contents[name]:
            continue
        shutil.rmtree(directory, ignore_errors=True)
        shutil.copytree(stopped, directory)
        path = directory / name
        path.write_bytes(data)
        try:
            found = {finding.path: finding.wrong for finding in check._findings(str(directory), 1, with_sum=False)}
            wrong = {named for named, what in found.items() if what}
            is_harmless = name.name == "lock" or (name.name == "config.toml" and not wrong)
            is_harmless |= name.name == "metrics.jsonl" and data.startswith(contents[name])
            is_harmless |= name.name == "corpus.json" and b"".join(data.split()) == b"".join(contents[name].split())
            is_harmless |= name in MODELS and data in [contents[model] for model in MODELS]
            assert is_harmless or any(str(path).startswith(named) for named in wrong), found
            assert all(str(path).startswith(named) for named in wrong), found
            if name.name == "best.rnn" and not is_harmless:
                with pytest.raises(RnntoolError) as refused:
                    load_model(find_model(str(directory)))
                assert refused.value.where == str(path)
            if not is_harmless or name.name == "config.toml":
                expect(sit(directory), path, directory, whole)
        except BaseException as error:
            error.add_note(f"mutation {number}: {damage.__name__} of {name}")
            raise


FORGERIES = 10


def test_a_forged_state_is_refused_or_gone_on_with(stopped: Path, tmp_path: Path) -> None:
    """Its hash is right, and what it says is not."""
    state = stopped / f"state-{STEP}.rnn"
    for older in (STEP - 1, STEP - 2):
        (stopped / f"state-{older}.rnn").unlink()
    data = state.read_bytes()
    directory = tmp_path / "forged"
    for number in range(trials(FORGERIES)):
        shutil.rmtree(directory, ignore_errors=True)
        shutil.copytree(stopped, directory)
        (directory / state.name).write_bytes(signed(data, Random(number)))
        try:
            for _ in check._findings(str(directory), 1, with_sum=False):
                pass
            error = sit(directory, "--max-epochs", "1").error
            assert error is None or error.status in (1, 75)
        except BaseException as error:
            error.add_note(f"forgery {number}")
            raise
