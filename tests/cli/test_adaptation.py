"""`ppl` and `score` with models that adapt: what they say of it, and what does not go together."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.conftest import Finished, Run


def ppl_of(done: Finished) -> float:
    assert done.status == 0, done.err
    match = re.match(r"ppl = (\S+) ", done.out)
    assert match
    return float(match[1])


EVERYTHING = ("--cache", "time=20,weight=0.2", "--cache", "order=2", "--pointer", "theta=0.5", "--temperature", "1.1")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--cache", "time=50"], "adapts:yes | cache:time=50,weight=0.1"),
        (["--cache", "window=9", "--cache", "time=9"], "adapts:yes | cache:window=9,weight=0.1+time=9,weight=0.1"),
        (["--pointer", "window=30"], "adapts:yes | pointer:window=30,theta=0.3,weight=0.1"),
        (["--dynamic", "rule=sgd"], "adapts:yes | dynamic:rule=sgd,lr=0.4,decay=0.003,bptt=20"),
        (["--temperature", "1.1"], "temperature:1.1"),
    ],
)  # fmt: skip
def test_the_line_and_the_object_say_how_it_adapts(run: Run, toys: Path, options: list[str], said: str) -> None:
    plain = run("ppl", "-m", toys / "run", toys / "text.txt")
    done = run("ppl", "-m", toys / "run", *options, toys / "text.txt")
    assert (done.status, done.err) == (0, "")
    assert done.out.endswith(f" | {said}\n")
    assert ppl_of(done) != ppl_of(plain)
    signature = json.loads(run("ppl", "--json", "-m", toys / "run", *options, toys / "text.txt").out)["signature"]
    added = {key: value for key, value in signature.items() if key in ("adapts", *said.replace(":", " ").split())}
    assert " | ".join(f"{key}:{value}" for key, value in added.items()) == said


def test_what_is_said_can_be_typed_again(run: Run, toys: Path) -> None:
    fitted = run(
        "ppl", "-m", toys / "run", "--cache", "fit", "--pointer", "theta=0.3/1", "--temperature", "0.9/1/1.1",
        "--fit", toys / "valid.txt", toys / "text.txt",
    )  # fmt: skip
    match = re.fullmatch(rf"fitted on {toys}/valid.txt, whose perplexity is then (\S+): (.*)\n", fitted.err)
    assert match
    assert fitted.out.endswith(f" | fit:{toys}/valid.txt\n")
    again = run("ppl", "-m", toys / "run", *match[2].split(), toys / "text.txt")
    assert fitted.out.removesuffix(f" | fit:{toys}/valid.txt\n") == again.out.removesuffix("\n")
    there = run("ppl", "-m", toys / "run", *match[2].split(), toys / "valid.txt")
    assert f"{ppl_of(there):.2f}" == match[1]


def test_every_candidate_is_told_if_asked(run: Run, toys: Path) -> None:
    done = run(
        "ppl", "-v", "-m", toys / "run", "--temperature", "0.5/1", "--fit", toys / "valid.txt", toys / "text.txt"
    )
    assert re.search(r"^ppl = \S+ with --temperature 0.5\nppl = \S+ with --temperature 1\nfitted on ", done.err, re.M)


def test_each_text_begins_anew_and_so_does_what_was_learned(run: Run, toys: Path) -> None:
    options = ("-m", toys / "run", "--dynamic", "rule=sgd", *EVERYTHING)
    alone = run("ppl", *options, toys / "valid.txt").out.removesuffix("\n")
    both = run("ppl", *options, toys / "text.txt", toys / "valid.txt").out.splitlines()
    assert both[1] == f"{alone} | text:{toys}/valid.txt"


@pytest.mark.parametrize("context", ["carry", "reset"])
def test_scores_sum_to_what_ppl_says_whatever_the_groups(run: Run, toys: Path, context: str) -> None:
    options = (
        "--context",
        context,
        "-m",
        f"{toys}/run:0.6",
        "-m",
        toys / "other.rnn",
        "--dynamic",
        "rule=sgd",
        *EVERYTHING,
    )
    nll = json.loads(run("ppl", "--json", *options, toys / "text.txt").out)["nll"]
    for size in ("1", "7"):
        done = run("score", "-b", size, *options, toys / "text.txt")
        assert -sum(map(float, done.out.splitlines())) == pytest.approx(nll, rel=1e-5)
    tokens = run("score", "--tokens", *options, toys / "text.txt").out.splitlines()
    assert -sum(float(line.split("\t")[3]) for line in tokens) == pytest.approx(nll, rel=1e-5)


def test_an_adapting_filter_answers_line_by_line(run: Run, toys: Path) -> None:
    text = "a rose\n\nthe king\n" * 3
    done = run("score", "-m", toys / "run", "--dynamic", "bptt=3", *EVERYTHING, stdin=text)
    assert (done.status, done.out.count("\n")) == (0, 9)
    assert run("score", "-m", toys / "run", *EVERYTHING, stdin="") == Finished(0, "", "")


def test_a_repeated_text_becomes_likelier(run: Run, toys: Path) -> None:
    text = "the very old poet is not a rose\n" * 20
    plain = ppl_of(run("ppl", "-m", toys / "run", stdin=text))
    for options in (["--cache", "order=2,weight=0.5"], ["--pointer", "weight=0.5"], ["--dynamic", "rule=sgd"]):
        assert ppl_of(run("ppl", "-m", toys / "run", *options, stdin=text)) < 0.9 * plain


def test_models_of_n_grams_have_caches_and_nothing_that_needs_a_network(run: Run, toys: Path) -> None:
    trigram = toys / "trigram.arpa.gz"
    plain, cached = (run("ppl", "-m", trigram, *more, toys / "text.txt") for more in ([], ["--cache", "time=50"]))
    assert cached.out.endswith(" | adapts:yes | cache:time=50,weight=0.1\n")
    assert ppl_of(plain) != ppl_of(cached)
    for option, value in (("--dynamic", "bptt=5"), ("--pointer", "theta=1"), ("--temperature", "1.1")):
        done = run("ppl", "-m", trigram, option, value, toys / "text.txt")
        assert done == Finished(2, "", f"rnntool ppl: {option}: it is done to networks, and no model is one\n")
    mixed = run("ppl", "-m", trigram, "-m", toys / "run", "--dynamic", "bptt=5", *EVERYTHING, toys / "text.txt")
    assert (mixed.status, mixed.err) == (0, "")
    assert "| adapts:yes | dynamic:" in mixed.out


TO_CHOOSE = "and there is no text to choose one on\ntry: --fit FILE"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--fit", "x"], "--fit: nothing is left open that could be fitted\ntry: --cache fit"),
        (["--fit", "x", "--temperature", "1.1"], "--fit: nothing is left open that could be fitted\ntry: --cache fit"),
        (["--cache", "fit"], "--cache: there is no text to fit it on\ntry: --fit FILE"),
        (["--pointer", "theta=1/2"], f"--pointer: theta has 2 values, {TO_CHOOSE}"),
        (["--dynamic", "rule=adam"], "--dynamic: rule is 'adam', not rms or sgd"),
        (["--cache", "fit", "--fit", "-"], "the standard input can be read only once, as TEXT or --model or --fit"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("command", ["ppl", "score"])
def test_a_wrong_command_line(run: Run, toys: Path, command: str, options: list[str], message: str) -> None:
    done = run(command, "-m", toys / "run", *options, stdin="a rose\n")
    assert done == Finished(2, "", f"rnntool {command}: {message}\n")


def test_a_text_to_fit_on_must_be_there_and_hold_something(run: Run, toys: Path, tmp_path: Path) -> None:
    done = run("ppl", "-m", toys / "run", "--cache", "fit", "--fit", "nowhere", stdin="a rose\n")
    assert done == Finished(1, "", "rnntool ppl: nowhere: No such file or directory\n")
    (tmp_path / "empty").touch()
    done = run("ppl", "-m", toys / "run", "--cache", "fit", "--fit", "empty", stdin="a rose\n")
    assert done == Finished(1, "", "rnntool ppl: empty: no tokens\n")
