"""The manual pages: their options are the program's, their references exist, they lint, and their examples run.

An example is what follows `$ ` in a `.Dl` line or a literal display under EXAMPLES, with the lines after it that begin
with `> `.  The examples of a page run in order, by bash with pipefail, in one folder that begins with the files of the
fixture `toys`; all must end with status 0, or 141 before a `head`.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from rnntool.cli.main import SUMMARIES, toolkit
from rnntool.cli.mdoc import render
from tests.conftest import ROOT, Run

PAGES = sorted((ROOT / "man").glob("man[157]/*"))
NAMES = list(SUMMARIES)


def label(path: Path) -> str:
    return path.name


@pytest.fixture(params=PAGES, ids=label)
def page(request: pytest.FixtureRequest) -> Path:
    return request.param


def source_of(name: str) -> str:
    return (ROOT / "man" / "man1" / f"rnntool-{name}.1").read_text(encoding="utf-8")


def section(source: str, heading: str) -> str:
    """The lines of one section of a page."""
    after = source.split(f"\n.Sh {heading}\n", 1)
    return after[1].split("\n.Sh ")[0] if len(after) == 2 else ""


def option_names(command: click.Command) -> set[str]:
    names = {"-h", "--help"}
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            names.update(parameter.opts, parameter.secondary_opts)
    return names


def flags(line: str) -> Iterator[str]:
    """The options that one macro line names: `.It Fl m , -model Ar MODEL` gives -m and --model."""
    is_flag = False
    for word in line.lstrip(".").split():
        if word == "Fl":
            is_flag = True
        elif re.fullmatch(r"[A-Z][a-z]", word) or word == "|":
            is_flag = word == "|" and is_flag
        elif is_flag and word != ",":
            yield f"-{word}"


@pytest.mark.parametrize("name", NAMES)
def test_options_described_are_the_options_there_are(name: str) -> None:
    command = toolkit.get_command(click.Context(toolkit), name)
    assert command is not None
    lines = section(source_of(name), "DESCRIPTION").splitlines()
    described = {flag for line in lines if line.startswith(".It Fl") for flag in flags(line)}
    assert described == option_names(command)


@pytest.mark.parametrize("name", NAMES)
def test_the_synopsis_lists_every_option(name: str) -> None:
    """In their short form where there is one, single letters without a value together: `.Op Fl hqv`."""
    command = toolkit.get_command(click.Context(toolkit), name)
    assert command is not None
    listed: set[str] = set()
    for line in section(source_of(name), "SYNOPSIS").splitlines():
        for flag in flags(line):
            listed.update([flag] if flag.startswith("--") else [f"-{letter}" for letter in flag[1:]])
    wanted = {"-h"}
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            wanted.add(min(parameter.opts, key=len))
            wanted.update(parameter.secondary_opts)
    assert listed == wanted


@pytest.mark.parametrize("name", NAMES)
def test_a_command_is_described_in_the_same_words_everywhere(name: str) -> None:
    """By its page, by the overview, and by `rnntool --help`."""
    (described,) = re.findall(r"^\.Nd (.*)", source_of(name), re.M)
    assert described.split(",")[0] == SUMMARIES[name]
    overview = (ROOT / "man" / "man1" / "rnntool.1").read_text(encoding="utf-8")
    assert f".It Xr rnntool-{name} 1\n{SUMMARIES[name]}\n" in overview


def test_a_page_has_the_parts_of_a_page(page: Path) -> None:
    source = page.read_text(encoding="utf-8")
    headings = re.findall(r"^\.Sh (.*)", source, re.M)
    order = [
        "NAME", "SYNOPSIS", "DESCRIPTION", "ENVIRONMENT", "FILES", "EXIT STATUS", "EXAMPLES", "DIAGNOSTICS", "SEE ALSO",
        "STANDARDS", "HISTORY", "AUTHORS", "CAVEATS", "BUGS",
    ]  # fmt: skip
    assert [heading for heading in headings if heading in order] == sorted(
        (heading for heading in headings if heading in order), key=order.index
    )
    assert {"NAME", "DESCRIPTION"} <= set(headings)
    if page.suffix == ".1":
        assert {"SYNOPSIS", "EXIT STATUS", "EXAMPLES"} <= set(headings)
    title, number = re.search(r"^\.Dt (\S+) (\d)", source, re.M).groups()  # type: ignore[union-attr]
    assert f"{title.lower()}.{number}" == page.name
    assert max(map(len, source.splitlines())) <= 124


def test_references_among_pages_lead_somewhere(page: Path) -> None:
    names = {path.name for path in PAGES}
    for name, number in re.findall(r"\bXr (rnntool\S*) (\d)", page.read_text(encoding="utf-8")):
        assert f"{name}.{number}" in names


def test_pages_lint(page: Path) -> None:
    if shutil.which("mandoc") is None:
        pytest.skip("no mandoc")
    done = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", page], capture_output=True, text=True, check=False)
    assert done.stdout == ""


# --- reading them ----------------------------------------------------------------------------------------------------


def test_plain_text_says_what_mandoc_says(page: Path) -> None:
    """Our rendering has the same words in the same order; only the layout differs."""
    if shutil.which("mandoc") is None:
        pytest.skip("no mandoc")
    theirs = subprocess.run(["mandoc", "-T", "utf8", page], capture_output=True, text=True, check=True).stdout
    theirs = re.sub(".\b", "", theirs)
    body = theirs.split("\n", 1)[1].rstrip().rsplit("\n", 1)[0]  # without the lines of the header and the footer
    assert re.sub(r"\s+", "", render(page.read_text(encoding="utf-8"))) == re.sub(r"\s+", "", body)


def test_plain_text_is_narrow_and_has_no_macros(page: Path) -> None:
    plain = render(page.read_text(encoding="utf-8"))
    assert not re.search(r"^\.[A-Z]|\\[-&(\[]", plain, re.M)


def test_a_page_is_found_by_its_short_or_its_full_name(run: Run) -> None:
    short, full = run("man", "completion"), run("man", "rnntool-completion")
    assert (short.status, short.err) == (0, "")
    assert short.out == full.out == render(source_of("completion"))
    assert run("man").out.splitlines()[2].startswith("     rnntool – ")


def test_an_unknown_page_is_answered_with_all_there_are(run: Run) -> None:
    done = run("man", "trian")
    assert (done.status, done.out) == (1, "")
    assert done.err.startswith("rnntool man: trian: no such page; there are ")
    assert " train " in done.err


# --- examples --------------------------------------------------------------------------------------------------------


def examples(source: str) -> list[str]:
    """The commands of the section EXAMPLES, each with its continuation lines."""
    found: list[list[str]] = []
    for line in section(source, "EXAMPLES").splitlines():
        line = re.sub(
            r"\\\(dq", '"', line.removeprefix(".Dl ").replace(r"\e", "\\").replace(r"\&", "").replace(r"\-", "-")
        )
        if line.startswith("$ "):
            found.append([line[2:]])
        elif line.startswith("> "):
            found[-1].append(line[2:])
    return ["\n".join(lines) for lines in found]


@pytest.mark.slow
def test_examples_run(page: Path, program: Path, toys: Path, tmp_path: Path) -> None:
    commands = examples(page.read_text(encoding="utf-8"))
    if not commands:
        pytest.skip("no examples")
    work = tmp_path / "work"
    shutil.copytree(toys, work)
    environment = {**os.environ, "PATH": f"{program}:{os.environ['PATH']}", "HOME": str(work)}
    for command in commands:
        done = subprocess.run(
            ["bash", "-c", f"set -o pipefail\n{command}"],
            cwd=work,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
            timeout=120,
        )
        allowed = {0, 141} if "| head" in command else {0}
        assert done.returncode in allowed, f"{command}\n{done.stdout}{done.stderr}"
