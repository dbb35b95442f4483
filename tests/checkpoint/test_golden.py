"""Files that earlier versions wrote, one folder for each number of the format: they are read, and say what they did."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rnntool.checkpoint.container import FORMAT
from tests.conftest import ROOT, Run

FOLDERS = sorted(path for path in (ROOT / "tests" / "golden" / "models").iterdir() if path.is_dir())
"""Each has a language model (LSTM, adaptive softmax, direct weights), a forest, and a model that translates."""

PERPLEXITIES = {("1", "language-model"): 5.471396, ("1", "forest"): 2.926194}
"""Of `text`, as they were printed when the files were written."""


def test_every_format_that_can_be_read_has_an_example() -> None:
    assert [path.name for path in FOLDERS] == [str(number) for number in range(1, FORMAT + 1)]


@pytest.mark.parametrize(("number", "name"), PERPLEXITIES)
def test_a_model_gives_the_perplexity_that_it_gave(run: Run, number: str, name: str) -> None:
    folder = ROOT / "tests" / "golden" / "models" / number
    done = run("ppl", "--json", "-m", folder / f"{name}.rnn", folder / "text")
    assert json.loads(done.out)["ppl"] == pytest.approx(PERPLEXITIES[number, name], rel=2e-5)


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: path.name)
def test_a_model_translates_as_it_did(run: Run, folder: Path) -> None:
    done = run("translate", "-q", "-m", folder / "translation.rnn", folder / "text")
    assert (done.status, done.out) == (0, (folder / "translated").read_text())


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: path.name)
def test_all_of_them_are_whole(run: Run, folder: Path) -> None:
    done = run("check", *sorted(folder.glob("*.rnn")))
    assert (done.status, done.err) == (0, "")
