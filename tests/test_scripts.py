"""The scripts of the checkout, and what a wheel of it installs."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from typing import Any

import pytest

from rnntool import __version__
from tests.conftest import ROOT

SHELL_SCRIPTS = sorted(
    path
    for folder in ("scripts", ".ci")
    for path in (ROOT / folder).rglob("*")
    if path.is_file() and re.match(rb"#!.*\b(sh|bash)\n", path.read_bytes())
)


@pytest.mark.parametrize("script", SHELL_SCRIPTS, ids=lambda path: path.name)
def test_shell_scripts_are_clean(script: Path) -> None:
    assert os.access(script, os.X_OK)
    if shutil.which("shellcheck") is None:
        pytest.skip("no shellcheck")
    done = subprocess.run(["shellcheck", str(script)], capture_output=True, text=True, check=False)
    assert done.stdout == ""


def test_every_package_we_name_has_a_tested_version() -> None:
    with open(ROOT / "pyproject.toml", "rb") as file:
        project = tomllib.load(file)
    named = [
        *project["project"]["dependencies"],
        *project["project"]["optional-dependencies"]["plot"],
        *project["dependency-groups"]["dev"],
    ]
    lines = (ROOT / "scripts" / "constraints.txt").read_text().splitlines()
    pinned = [line.split("==")[0] for line in lines if not line.startswith("#")]
    assert sorted(re.split(r"[<>=;]", name)[0] for name in named) == pinned


def reference(*words: str) -> list[str]:
    script = ROOT / "scripts" / "python-reference"
    done = subprocess.run([sys.executable, str(script), *words], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def test_the_reference_is_split_without_overlap() -> None:
    everything, train, valid = reference(), reference("train"), reference("valid")
    assert sorted(train + valid) == sorted(everything)
    assert not set(train) & set(valid)
    assert 0.08 < len(valid) / len(everything) < 0.12
    assert sum(len(line.split()) for line in everything) > 30_000


def test_the_reference_is_english() -> None:
    assert "assignments to __debug__ are illegal ." in reference()


def test_numbers_are_spelled_in_two_languages_and_held_out() -> None:
    def pairs(part: str) -> list[str]:
        command = [sys.executable, str(ROOT / "scripts" / "spelled-numbers"), part]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()

    train, valid = pairs("train"), pairs("valid")
    assert (len(train), len(valid)) == (12_000, 500)
    assert len({*train, *valid}) == 12_500
    assert valid[1] == "eighteen thousand and twenty-eight\tachtzehntausendachtundzwanzig"
    known = dict(line.split("\t") for line in train + valid)
    assert known["four hundred and forty-one thousand and one"] == "vierhunderteinundvierzigtausendeins"
    wrong = subprocess.run([ROOT / "scripts" / "spelled-numbers"], capture_output=True, text=True, check=False)
    assert (wrong.returncode, wrong.stderr) == (2, "usage: scripts/spelled-numbers train|valid\n")


def test_setup_says_which_python_it_needs(tmp_path: Path) -> None:
    """A checkout of its own, so that nothing here changes."""
    for name in ("pyproject.toml", "scripts"):
        (tmp_path / name).symlink_to(ROOT / name)
    old = tmp_path / "old"
    old.write_text('#!/bin/sh\ncase "$1" in --version) echo Python 3.8.20;; *) exit 1;; esac\n')
    old.chmod(0o755)
    (tmp_path / "scripts").unlink()
    shutil.copytree(ROOT / "scripts", tmp_path / "scripts")
    for script in ("setup", "test", "quickstart"):
        done = subprocess.run(
            [tmp_path / "scripts" / script],
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHON": str(old)},
            check=False,
        )
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr == (
            f"scripts/{script}: needs Python 3.11 to 3.14, found Python 3.8.20; PYTHON=/path/to/python names another\n"
        )
    assert not (tmp_path / ".venv").exists()


def test_the_table_of_the_penn_treebank_takes_up_what_is_there(program: Path, toys: Path, tmp_path: Path) -> None:
    """On toy text under the names of the real one: the perplexity printed is that of rnntool ppl, the second time, too."""
    for part in ("train", "valid"):
        shutil.copy(toys / f"{part}.txt", tmp_path / f"ptb.{part}.txt")
    environment = {**os.environ, "PATH": f"{program}:{os.environ['PATH']}", "THREADS": "1"}

    def table(*names: str) -> subprocess.CompletedProcess[str]:
        command = [ROOT / "scripts" / "ptb", ".", *names]
        return subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path, check=False)

    first, second = table("gru"), table("gru")
    assert first.returncode == second.returncode == 0, first.stderr
    assert first.stdout == second.stdout
    heading, row = first.stdout.splitlines()
    assert heading.split() == ["network", "parameters", "published", "valid", "minutes", "options"]
    name, _, published, valid, minutes, options = row.split(maxsplit=5)
    assert (name, published, minutes, options) == (
        "gru",
        "120",
        "0",
        "--arch gru:100 --tied --dropout 0.1 --max-epochs 8",
    )
    assert 1 < float(valid) < 100
    assert table("gro").stderr.startswith("usage: scripts/ptb DATA [NAME...]; no network gro; there are elman lstm ")
    assert table("chars").stderr.endswith("there is no ./ptb.char.train.txt\n")


def test_the_table_of_translation_says_what_translate_and_bleu_say(program: Path, toys: Path, tmp_path: Path) -> None:
    """One epoch on few toy pairs under the names of the real ones."""
    for part, name in (("train", "train"), ("valid", "val"), ("test", "test_2016_flickr")):
        for language in ("en", "de"):
            lines = (toys / f"{part}.{language}").read_text().splitlines(keepends=True)[:64]
            (tmp_path / f"{name}.lc.norm.tok.{language}").write_text("".join(lines))
    environment = {**os.environ, "PATH": f"{program}:{os.environ['PATH']}"}
    environment |= {"THREADS": "1", "EPOCHS": "1", "PIECES": "60"}

    def table(*names: str) -> subprocess.CompletedProcess[str]:
        command = [ROOT / "scripts" / "multi30k", ".", *names]
        return subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path, check=False)

    done = table("bag")
    assert done.returncode == 0, done.stderr
    _, bag = done.stdout.splitlines()
    name, parameters, published, *scores, minutes = bag.split()
    assert (name, published, minutes, len(scores)) == ("bag", "-", "0", 4)
    (run,) = (tmp_path / "multi30k-runs").glob("en-de-*")
    program = [
        "rnntool",
        "translate",
        "-m",
        run,
        "--precision",
        "fp32",
        "--beam",
        "12",
        "test_2016_flickr.lc.norm.tok.en",
    ]
    found = subprocess.run(program, capture_output=True, env=environment, cwd=tmp_path, check=True).stdout
    judge = ["rnntool", "bleu", "-q", "--tokenize", "none", "--score-only", "test_2016_flickr.lc.norm.tok.de"]
    judged = subprocess.run(judge, input=found, capture_output=True, env=environment, cwd=tmp_path, check=True).stdout
    assert scores[-1] == judged.decode().strip()
    assert int(parameters) > 500_000
    assert table("en-nl").stderr.startswith(
        "usage: scripts/multi30k DATA [ROW...]; no row en-nl; there are en-de en-fr "
    )
    assert table("en-fr").stderr.endswith("there is no ./train.lc.norm.tok.fr\n")


def test_the_benchmark_prints_its_table(program: Path, tmp_path: Path) -> None:
    """In one round, with a hundred words."""
    environment = {**os.environ, "ROUNDS": "1", "WORDS": "100", "RECORDS": "records.jsonl"}
    environment["PATH"] = f"{program}:{os.environ['PATH']}"
    done = subprocess.run(
        [ROOT / "scripts" / "bench"], capture_output=True, text=True, env=environment, cwd=tmp_path, check=True
    )
    heading, *rows = done.stdout.splitlines()
    assert heading.split() == ["measured", "on", "one", "thread", "wanted", "found"]
    assert len(rows) == 11
    assert all(float(row.split()[-1]) > 0 for row in rows)
    assert len((tmp_path / "records.jsonl").read_text().splitlines()) >= 2 * len(rows)


@pytest.fixture(scope="module")
def lecture() -> Any:
    """scripts/lecture-tables, to be asked for smaller tables than its own."""
    path = str(ROOT / "scripts" / "lecture-tables")
    loader = SourceFileLoader("lecture_tables", path)
    spec = spec_from_loader("lecture_tables", loader)
    assert spec is not None
    module = module_from_spec(spec)
    sys.modules["lecture_tables"] = module  # where its dataclasses look themselves up
    loader.exec_module(module)
    return module


def test_the_tables_of_the_lecture_take_up_what_is_there(
    lecture: Any,
    program: Path,
    toys: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Three models of toy text; figures are those of rnntool ppl, and nothing is trained again."""
    monkeypatch.setenv("PATH", f"{program}:{os.environ['PATH']}")
    for part in ("train", "valid"):
        shutil.copy(toys / f"{part}.txt", tmp_path / f"ptb.{part}.txt")
    models = [
        lecture.Model("n-grams", "", 141, is_ngram=True),
        lecture.Model("cached", "", 125, of="n-grams", judging="--cache time=100,weight=0.1"),
        lecture.Model("network", "--arch elman:8 --max-epochs 2"),
    ]
    make = lecture.lm_table("ptb", models, mixes=True)
    rows = make(tmp_path, tmp_path / "runs")
    before = sorted((path, path.stat().st_mtime_ns) for path in (tmp_path / "runs").rglob("best.rnn"))
    assert [vars(row) for row in make(tmp_path, tmp_path / "runs")] == [vars(row) for row in rows]
    assert sorted((path, path.stat().st_mtime_ns) for path in (tmp_path / "runs").rglob("best.rnn")) == before
    (model,) = (tmp_path / "runs").glob("*.arpa.gz")
    judged = lecture.rnntool("ppl", "--json", "-m", model, tmp_path / "ptb.valid.txt")
    assert rows[0].ours == json.loads(judged)["ppl"]
    assert (rows[0].carried, rows[0].parameters) == (round(1.045 * 141, 1), None)
    assert rows[2].parameters > 0
    assert rows[3].ours < 1.01 * min(row.ours for row in rows[:3])
    lecture.print_rows(rows)
    heading, *lines = capsys.readouterr().out.splitlines()
    assert heading.split() == ["ptb", "parameters", "lecture", "x", "1.045", "ours", "minutes"]
    assert [line[:24].strip() for line in lines] == ["n-grams", "cached", "network", "all of them mixed", ""]


def test_the_example_of_rnnlm_is_judged_on_its_test_text(
    lecture: Any, program: Path, toys: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", f"{program}:{os.environ['PATH']}")
    monkeypatch.setattr(lecture, "RNNLM", "--arch elman:8,sigmoid --output class --max-epochs 1 --unk skip")
    for part in ("train", "valid", "test"):
        shutil.copy(toys / f"{part}.txt", tmp_path / part)
    (tmp_path / "runs").mkdir()  # with fewer classes than the script would make
    lecture.rnntool("vocab", "--classes", "3", "-o", tmp_path / "runs" / "rnnlm.tsv", tmp_path / "train")
    network, ngrams, both = lecture.rnnlm_table(tmp_path, tmp_path / "runs")
    assert [row.lecture for row in (network, ngrams, both)] == [72.98, 74.36, 64.63]
    judge = ("ppl", "--json", "--unk", "skip", "-m", tmp_path / "runs" / "rnnlm")
    assert network.ours == json.loads(lecture.rnntool(*judge, tmp_path / "test"))["ppl"]
    assert min(ngrams.ours, both.ours) < network.ours
    assert both.ours < max(ngrams.ours, network.ours)
    assert network.parameters > 0


def test_tables_and_texts_that_are_not_there_are_named(tmp_path: Path) -> None:
    def said(*words: str) -> str:
        command = [sys.executable, ROOT / "scripts" / "lecture-tables", *words]
        return subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False).stderr

    assert said(".", "tpb").endswith("no table tpb; there are ptb, scrn, text8, layers, rnnlm\n")
    assert said("elsewhere", "scrn") == (
        "scripts/lecture-tables: there is no ptb.train.txt in elsewhere or elsewhere/ptb\n"
    )


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel of this checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    return next(folder.glob("*.whl"))


def test_the_wheel_holds_what_it_should(wheel: Path) -> None:
    assert wheel.name == f"rnntool-{__version__}-py3-none-any.whl"
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        metadata = archive.read(f"rnntool-{__version__}.dist-info/METADATA").decode()
    modules = {path.relative_to(ROOT).as_posix() for path in (ROOT / "rnntool").rglob("*.py")}
    assert modules <= names
    assert {"rnntool/py.typed", f"rnntool-{__version__}.dist-info/licenses/LICENSE"} <= names
    assert "License-Expression: Apache-2.0\n" in metadata
    assert not [name for name in names if "test" in name or "__pycache__" in name]


def test_a_wheel_installed_elsewhere_brings_program_pages_and_completion(wheel: Path, tmp_path: Path) -> None:
    """Installed under a prefix of its own, without its dependencies, which are this environment's."""
    prefix = tmp_path / "prefix"
    subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "install",
            "-q",
            "--no-deps",
            "--no-index",
            "--ignore-installed",
            "--prefix",
            str(prefix),
            str(wheel),
        ],
        check=True,
        capture_output=True,
    )
    packages = sysconfig.get_path("purelib", vars={"base": str(prefix)})
    environment = {**os.environ, "PYTHONPATH": packages, "PATH": f"{prefix / 'bin'}:{os.environ['PATH']}"}

    def output_of(*words: str) -> str:
        return subprocess.run(words, capture_output=True, text=True, check=True, cwd=tmp_path, env=environment).stdout

    assert output_of("rnntool", "--version") == f"rnntool {__version__}\n"
    assert output_of("rnntool", "man", "man").startswith("\nNAME\n     rnntool-man ")
    share = prefix / "share"
    pages = sorted(path.relative_to(ROOT / "man") for path in (ROOT / "man").rglob("*.[1-8]"))
    assert sorted(path.relative_to(share / "man") for path in share.glob("man/*/*")) == pages
    script = share / "bash-completion" / "completions" / "rnntool"
    assert script.read_text() == output_of("rnntool", "completion", "bash")
    assert (share / "zsh" / "site-functions" / "_rnntool").exists()
    assert (share / "fish" / "vendor_completions.d" / "rnntool.fish").exists()
    if shutil.which("man"):
        assert "rnntool-man" in output_of("man", "-w", "rnntool-man")
