"""Completion as shells ask for it, and the scripts by which they do."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from rnntool.cli.completion import SCRIPTS
from rnntool.cli.main import SUMMARIES
from tests.conftest import Run


@pytest.fixture
def path(tmp_path: Path) -> str:
    """A search path on which `rnntool` is this checkout's."""
    program = tmp_path / "bin" / "rnntool"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m rnntool "$@"\n')
    program.chmod(0o755)
    return f"{program.parent}:{os.environ['PATH']}"


@pytest.mark.parametrize("shell", SCRIPTS)
def test_the_script_is_printed_as_installed(run: Run, shell: str) -> None:
    done = run("completion", shell)
    assert (done.status, done.err) == (0, "")
    assert "_RNNTOOL_COMPLETE" in done.out
    assert done.out.endswith("\n")


@pytest.mark.parametrize("shell", SCRIPTS)
def test_the_script_is_valid_for_its_shell(run: Run, shell: str, tmp_path: Path) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"no {shell}")
    script = tmp_path / "script"
    script.write_text(run("completion", shell).out)
    assert subprocess.run([shell, "-n", str(script)], capture_output=True, check=True).stderr == b""


def completed_by_bash(path: str, *words: str) -> list[str]:
    script = f"""
        eval "$(rnntool completion bash)"
        COMP_WORDS=({" ".join(f"'{word}'" for word in words)})
        COMP_CWORD={len(words) - 1}
        compopt() {{ :; }}
        _rnntool rnntool
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    done = subprocess.run(
        ["bash", "-c", script], capture_output=True, text=True, env={**os.environ, "PATH": path}, check=True
    )
    assert done.stderr == ""
    return done.stdout.split()


def test_bash_completes_commands(path: str) -> None:
    assert completed_by_bash(path, "rnntool", "") == list(SUMMARIES)
    assert completed_by_bash(path, "rnntool", "com") == ["completion"]


def test_bash_completes_options_and_their_values(path: str) -> None:
    assert "--min-count" in completed_by_bash(path, "rnntool", "vocab", "--")
    assert completed_by_bash(path, "rnntool", "vocab", "--unit", "") == ["word", "char", "byte", "spm"]
    assert completed_by_bash(path, "rnntool", "completion", "z") == ["zsh"]
    assert completed_by_bash(path, "rnntool", "man", "comp") == ["completion"]


@pytest.mark.skipif(shutil.which("fish") is None, reason="no fish")
def test_fish_completes(path: str) -> None:
    done = subprocess.run(
        ["fish", "--no-config", "-c", 'rnntool completion fish | source; complete -C "rnntool com"'],
        capture_output=True,
        text=True,
        env={**os.environ, "PATH": path},
        check=True,
    )
    assert done.stdout.split()[0] == "completion"


@pytest.mark.skipif(shutil.which("zsh") is None, reason="no zsh")
def test_zsh_loads_it_from_fpath_and_by_eval(path: str) -> None:
    directory = Path(__file__).parents[2] / "rnntool" / "cli" / "completions"
    for load in (
        f"fpath=({directory} $fpath); autoload -Uz compinit; compinit -u -D",
        ('autoload -Uz compinit; compinit -u -D; eval "$(rnntool completion zsh)"'),
    ):
        done = subprocess.run(
            ["zsh", "-f", "-c", f"{load}; print $_comps[rnntool]"],
            capture_output=True,
            text=True,
            env={**os.environ, "PATH": path},
            check=True,
        )
        assert done.stdout == "_rnntool\n"
