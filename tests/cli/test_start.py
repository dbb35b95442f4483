"""How the program starts, refuses and ends: help, version, usage errors, statuses, and what it does not import."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from rnntool import __version__
from rnntool.cli.main import COMMANDS, SUMMARIES
from tests.conftest import Run

PROGRAM = [sys.executable, "-m", "rnntool"]
NAMES = list(SUMMARIES)
HEAVY = ("torch", "numpy", "rich", "sentencepiece", "sacrebleu", "safetensors", "matplotlib")

LISTED = """\
import sys
from rnntool.cli.main import main
status = main(sys.argv[1:])
print(*sorted(set(sys.modules) & set(sys.argv[0].split())), file=sys.stderr)
"""


def heavy_imports(*words: str) -> str:
    """What a command line has imported of the packages that take long."""
    script = LISTED.replace("sys.argv[0]", repr(" ".join(HEAVY)))
    done = subprocess.run([sys.executable, "-c", script, *words], capture_output=True, text=True, check=False)
    return done.stderr.splitlines()[-1]


def test_version_is_one_line(run: Run) -> None:
    done = run("--version")
    assert (done.status, done.out, done.err) == (0, f"rnntool {__version__}\n", "")


def test_help_lists_every_command_under_its_heading(run: Run) -> None:
    done = run("--help")
    assert (done.status, done.err) == (0, "")
    for heading, names in COMMANDS.items():
        section = done.out.split(f"\n{heading}:\n")[1].split("\n\n")[0]
        assert [line.split()[0] for line in section.splitlines()] == list(names)


def test_without_a_command_the_help_is_a_message(run: Run) -> None:
    done = run()
    assert (done.status, done.out) == (2, "")
    assert done.err == run("--help").out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["vocap"], "rnntool: no such command 'vocap'; did you mean 'vocab'?\ntry: rnntool --help\n"),
        (["--vers"], "rnntool: no such option '--vers'; did you mean '--version'?\ntry: rnntool --help\n"),
        (
            ["completion", "csh"],
            "rnntool completion: SHELL: 'csh' is not one of 'bash', 'zsh', 'fish'\ntry: rnntool completion --help\n",
        ),
        (
            ["completion"],
            "rnntool completion: missing argument 'SHELL'; choose from: bash, zsh, fish\n"
            "try: rnntool completion --help\n",
        ),
        (
            ["vocab", "--min-count", "0"],
            "rnntool vocab: --min-count: 0 is not in the range x>=1\ntry: rnntool vocab --help\n",
        ),
        (
            ["vocab", "-", "-"],
            "rnntool vocab: TEXT: the standard input can be read only once\ntry: rnntool vocab --help\n",
        ),
    ],
)
def test_usage_errors_name_the_option_and_the_help(run: Run, words: list[str], message: str) -> None:
    done = run(*words)
    assert (done.status, done.out, done.err) == (2, "", message)


@pytest.mark.parametrize(
    "words",
    [
        ["--help"],
        ["--version"],
        ["--hlp"],
        ["completion", "bash"],
        ["man", "man"],
        *([name, "--help"] for name in NAMES),
    ],
    ids=" ".join,
)
def test_help_imports_nothing_heavy(words: list[str]) -> None:
    assert heavy_imports(*words) == ""


def test_completing_imports_nothing_heavy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_RNNTOOL_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", "rnntool train --")
    monkeypatch.setenv("COMP_CWORD", "2")
    assert heavy_imports() == ""


def test_text_commands_import_no_torch(tmp_path: Path) -> None:
    text, words = tmp_path / "text", tmp_path / "words.tsv"
    text.write_text("a rose is a rose\n")
    assert "torch" not in heavy_imports("vocab", "-o", str(words), str(text)).split()
    assert "torch" not in heavy_imports("encode", "-V", str(words), "-o", str(tmp_path / "ids"), str(text)).split()
    model = str(tmp_path / "model.arpa")
    assert "torch" not in heavy_imports("ngram", "--smoothing", "wb", "-o", model, str(text)).split()
    for command in (["ppl", "-m", model, str(text)], ["score", "-m", model, "-m", model, str(text)], ["info", model]):
        assert "torch" not in heavy_imports(*command).split()
    assert "torch" not in heavy_imports("ppl", "-m", model, "--cache", "fit", "--fit", str(text), str(text)).split()
    (tmp_path / "stream").write_text("1\t1\t</s>\t-1.0\teos\n")
    assert "torch" not in heavy_imports("mix", str(tmp_path / "stream")).split()
    assert heavy_imports("bleu", str(text), "--hyp", str(text)) == "sacrebleu"
    nbest = tmp_path / "nbest"
    nbest.write_text("0 ||| a rose is a rose ||| F0= 1 ||| 1\n")
    assert heavy_imports("rerank", "--tune", str(text), str(nbest)) == "numpy sacrebleu"


def test_help_takes_little_processor_time() -> None:
    """At most twice what importing click takes, about 0.06 s; the best of several starts each, in turns."""

    def seconds(*command: str) -> float:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        used = os.wait4(process.pid, 0)[2]
        process.returncode = 0
        return used.ru_utime + used.ru_stime

    pairs = [(seconds(*PROGRAM, "--help"), seconds(sys.executable, "-c", "import click")) for _ in range(8)]
    ours, click = (min(times) for times in zip(*pairs, strict=True))
    assert ours <= 2 * click


def test_a_bug_is_one_line_that_says_so() -> None:
    """An exception of no kind of ours cannot come from a user; RNNTOOL_DEBUG shows where it came from."""
    script = """if True:
        import sys, rnntool.cli.completion, rnntool.cli.main
        rnntool.cli.completion.SCRIPTS = None
        sys.exit(rnntool.cli.main.main())
    """

    def run_broken(**environment: str) -> subprocess.CompletedProcess[str]:
        words = [sys.executable, "-c", script, "completion", "bash"]
        return subprocess.run(words, capture_output=True, text=True, env=os.environ | environment, check=False)

    done = run_broken()
    assert (done.returncode, done.stdout) == (1, "")
    first, second = done.stderr.splitlines()
    assert first.startswith(f"rnntool completion: a bug in rnntool {__version__}: TypeError: ")
    assert second == "try: RNNTOOL_DEBUG=1 to see the traceback, and report it"
    assert run_broken(RNNTOOL_DEBUG="1").stderr.startswith("Traceback (most recent call last):")


def test_a_program_that_has_loaded_torch_does_not_take_it_apart_at_its_end(toys: Path) -> None:
    """Whatever was printed, and the status, arrive all the same."""
    script = """if True:
        import atexit, sys
        from rnntool.cli.main import main
        atexit.register(print, "taken apart")
        if sys.argv.pop(1) == "with":
            import torch
        sys.exit(main())
    """

    def ended(how: str, *words: str, **environment: str) -> tuple[int, str]:
        command = [sys.executable, "-c", script, how, *words]
        done = subprocess.run(command, capture_output=True, text=True, env=os.environ | environment, check=False)
        return done.returncode, done.stdout

    model = str(toys / "trigram.arpa.gz")
    status, out = ended("with", "score", "-m", model, str(toys / "text.txt"))
    assert (status, out.count("\n"), "taken apart" in out) == (0, 40, False)
    assert ended("with", "score", "-m", "none", str(toys / "text.txt")) == (1, "")
    assert ended("without", "--version")[1].endswith("taken apart\n")
    assert ended("with", "--version", RNNTOOL_DEBUG="1")[1].endswith("taken apart\n")


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, -signal.SIGINT), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_signals_end_a_filter_silently(tmp_path: Path, number: signal.Signals, status: int) -> None:
    """An interrupt is passed on, so that a shell's loop ends as well; the shell calls that 130."""
    out = tmp_path / "words.tsv"
    with subprocess.Popen(
        [*PROGRAM, "vocab", "-o", str(out)], stdin=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    ) as process:
        assert process.stdin is not None and process.stderr is not None
        process.stdin.write(b"a rose\n" * 100_000)
        process.stdin.flush()
        process.send_signal(number)
        assert process.stderr.read() == b""
    assert process.returncode == status
    assert list(tmp_path.iterdir()) == []
