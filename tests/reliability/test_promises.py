"""The manual page of promises names tests that there are."""

from __future__ import annotations

import re

import pytest

from tests.conftest import ROOT

PAGE = (ROOT / "man" / "man7" / "rnntool-reliability.7").read_text(encoding="utf-8")


def test_every_test_that_the_page_names_is_there() -> None:
    named = set(re.findall(r"(?:Pa|pytest) (tests/\S+)", PAGE))
    assert len(named) > 10
    assert [name for name in named if not (ROOT / name).is_file()] == []


@pytest.mark.parametrize("path", sorted((ROOT / "tests" / "reliability").glob("test_*.py")), ids=lambda path: path.name)
def test_every_test_of_reliability_holds_a_promise(path: object) -> None:
    name = str(path).removeprefix(f"{ROOT}/")
    assert f".It Pa {name}\n" in PAGE or name == "tests/reliability/test_promises.py"
