"""The README: its commands run, and what it says about the tree is so."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_tour_runs(program: Path, toys: Path, tmp_path: Path) -> None:
    """All blocks marked `sh`, in order, on the toys; `head` may end what it reads from."""
    work = tmp_path / "work"
    shutil.copytree(toys, work)
    blocks = re.findall(r"^```sh\n(.*?)^```$", README, re.M | re.S)
    assert len(blocks) >= 5
    done = subprocess.run(
        ["bash", "-e", "-c", "\n".join(blocks)],
        cwd=work,
        env={**os.environ, "PATH": f"{program}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    # Sentences of a toy grammar have no single occurrences to estimate discounts from.
    said = [line for line in done.stderr.splitlines() if not line.endswith("instead of estimated ones")]
    assert not any("rnntool" in line for line in said), done.stderr


def test_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert (ROOT / target).exists(), target


def test_the_rooms_drawn_are_the_rooms_there_are() -> None:
    drawn = set(re.findall(r"^├── (\w+)/ +\d", README, re.M))
    assert drawn == {path.parent.name for path in (ROOT / "rnntool").glob("*/__init__.py")}
