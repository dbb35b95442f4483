"""`rnntool train`: the same command begins a run, goes on with it after any end, or says that it is done."""

from __future__ import annotations

import gzip
import json
import os
import pty
import re
import resource
import select
import shutil
import signal
import termios
import time
import tomllib
from collections.abc import Callable
from dataclasses import fields
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any

import pytest

from rnntool.cli.train import DEFAULTS, PAIR_DEFAULTS
from rnntool.config.arch import FORMS, usage
from rnntool.config.network import NetworkConfig
from rnntool.config.presets import PRESETS
from rnntool.config.training import DEFAULT_BETA2, DEFAULT_LR, TrainingConfig
from tests.conftest import ROOT, Finished, Run, Running, Start, course

BASE = "-V words.tsv --valid valid.txt --arch lstm:8 --batch-size 20 --bptt 35 --lr 0.003"
"""An epoch of five updates, whatever the defaults are."""

SMALL = f"{BASE} --max-epochs 2"
"""A run of ten updates."""

LONG = f"{BASE} --batch-size 2 --bptt 4 --max-epochs 40 --save-every 0.2s"
"""A run of 16,000 updates, which nobody waits for."""

FILES = {"best.rnn", "config.toml", "last.rnn", "lock", "metrics.jsonl"}

Train = Callable[..., Finished]


@pytest.fixture
def here(tmp_path: Path, toys: Path) -> Path:
    """The folder where the program runs, with texts and vocabulary."""
    for name in ("train.txt", "valid.txt", "words.tsv", "news.txt.gz", "other.rnn"):
        shutil.copy(toys / name, tmp_path / name)
    return tmp_path


@pytest.fixture
def train(run: Run, here: Path) -> Train:
    """train("--lr 0.1 -o run train.txt", stdin=…) -> Finished."""

    def trained(line: str, **streams: Any) -> Finished:
        return run("train", *line.split(), **streams)

    return trained


@pytest.fixture(scope="module")
def trained(toys: Path, tmp_path_factory: pytest.TempPathFactory, server: ForkServerContext) -> Path:
    """The directory of a whole run of `SMALL`, to be compared with and copied."""
    folder = tmp_path_factory.mktemp("whole")
    for name in ("train.txt", "valid.txt", "words.tsv"):
        shutil.copy(toys / name, folder / name)
    done = Running(server, ["train", *SMALL.split(), "-o", "run", "train.txt"], cwd=folder).finish()
    assert done.status == 0, done.err
    return folder / "run"


def assert_same(one: Path, other: Path) -> None:
    """Two runs came to the same models by the same way."""
    for name in ("best.rnn", "last.rnn"):
        assert (one / name).read_bytes() == (other / name).read_bytes()
    assert course(one) == course(other)


def wait_for(condition: Callable[[], bool], what: str) -> None:
    """Look until it is so."""
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, f"never: {what}"
        time.sleep(0.02)


def has_begun(run: Path) -> Callable[[], bool]:
    """Whether a first state after an update lies there."""
    return lambda: any(path.name != "state-0.rnn" for path in run.glob("state-*.rnn"))


# --- what it leaves and says -----------------------------------------------------------------------------------------


def test_a_run_leaves_models_metrics_settings_and_states(train: Train, here: Path) -> None:
    done = train(f"{SMALL} -o deep/run train.txt")
    assert (done.status, done.out) == (0, "")
    names = {path.name for path in (here / "deep/run").iterdir()}
    assert {name for name in names if not re.fullmatch(r"state-\d+\.rnn", name)} == FILES
    assert "state-10.rnn" in names
    records = course(here / "deep/run")
    assert records[-1]["step"] == 10
    assert [record["epoch"] for record in records if "valid_ppl" in record] == [1.0, 2.0]
    assert {"step", "epoch", "tokens", "lr", "train_nll", "grad_norm", "clipped"} <= set(records[0])
    settings = tomllib.loads((here / "deep/run/config.toml").read_text())
    assert (settings["arch"], settings["text"], settings["max-epochs"]) == ("lstm:8", ["train.txt"], 2)


def test_it_says_what_it_does_in_plain_lines(train: Train, here: Path) -> None:
    """In a log there is no carriage return and no escape, and every step stands once."""
    err = train(f"{SMALL} -o run train.txt").err
    assert "\r" not in err and "\x1b" not in err
    network, data, first, second, end = err.splitlines()
    assert re.fullmatch(r"network lstm:8 parameters \d+ vocabulary \d+ context carry.*", network)
    assert re.fullmatch(r"training \d+ tokens 400 lines 5 windows an epoch; validation \d+ tokens 40 lines", data)
    for line, epoch, step in ((first, "1.00", 5), (second, "2.00", 10)):
        assert re.fullmatch(
            rf"epoch {epoch} step {step} train_ppl [\d.]+ valid_ppl [\d.]+ lr \S+ grad_norm \S+ clipped \d+% "
            r"tokens_per_second \d+ seconds \d+",
            line,
        )
    assert re.fullmatch(r"finished: 2 epochs are done; validation perplexity [\d.]+; run/best\.rnn", end)


def test_quiet_is_quiet(train: Train) -> None:
    assert train(f"{SMALL} -q -o run train.txt") == Finished(0, "", "")


def test_a_scheduler_may_want_another_status_than_75(train: Train, start: Start, here: Path) -> None:
    assert train(f"{SMALL} --max-time 0s --requeue-status 99 -o run train.txt").status == 99
    assert "requeue" not in (here / "run" / "config.toml").read_text()
    assert train(f"{SMALL} --max-time 0s --requeue-status 3 -o run train.txt").status == 3  # the same run
    running = start("train", *f"{LONG} --requeue-status 98 -o long train.txt".split())
    for _ in range(600):
        if (here / "long" / "metrics.jsonl").exists():
            break
        time.sleep(0.05)
    running.send(signal.SIGUSR1)
    assert running.finish().status == 98
    assert train(f"{SMALL} --requeue-status 0 -o other train.txt").status == 2


def test_a_finished_run_says_so_at_once(train: Train, here: Path) -> None:
    train(f"{SMALL} -o run train.txt")
    before = {path.name: path.read_bytes() for path in (here / "run").iterdir() if path.name != "lock"}
    (here / "train.txt").unlink()  # no longer needed
    done = train(f"{SMALL} -o run train.txt")
    assert done == Finished(0, "", "already finished: 2 epochs are done; run/best.rnn\n")
    assert {path.name: path.read_bytes() for path in (here / "run").iterdir() if path.name != "lock"} == before


def damage(here: Path, name: str, how: str) -> None:
    """Empty a model, remove it, or put another's in its place."""
    path = here / "run" / name
    if how == "emptied":
        path.write_bytes(b"")
    elif how == "gone":
        path.unlink()
    else:
        shutil.copy(here / "other.rnn", path)


DAMAGES = [
    ("emptied", "not an rnntool model"),
    ("gone", "missing; state-10.rnn counts on it"),
    ("foreign", "not the model that state-10.rnn counts on"),
]


@pytest.mark.parametrize("name", ["best.rnn", "last.rnn"])
@pytest.mark.parametrize(("how", "what"), DAMAGES)
def test_a_finished_run_does_not_pass_over_what_happened_to_its_models(
    train: Train, here: Path, trained: Path, name: str, how: str, what: str
) -> None:
    shutil.copytree(trained, here / "run")
    damage(here, name, how)
    other = {"best.rnn": "last.rnn", "last.rnn": "best.rnn"}[name]
    assert train(f"{SMALL} -o run train.txt") == Finished(
        1,
        "",
        f"rnntool train: run/{name}: {what}\ntry: run/{other}, which is whole; --force, to begin again\n",
    )


@pytest.mark.parametrize(("how", "what"), DAMAGES)
def test_a_resumed_run_that_has_no_best_model_at_its_end_says_so(train: Train, here: Path, how: str, what: str) -> None:
    """The learning rate is so low that no weight moves, and the first validation stays the best."""
    line = f"{SMALL.replace('--lr 0.003', '--lr 1e-30')} -o run train.txt"
    assert train(line).status == 0
    assert [record["best"] for record in course(here / "run") if "best" in record] == [True, False]
    (here / "run" / "state-10.rnn").unlink()
    what = what.replace("state-10", "state-5")
    damage(here, "best.rnn", how)
    done = train(line)
    assert done.status == 1
    assert f"run/best.rnn: {what}; it is written anew by the next validation that is the best\n" in done.err
    *_, message, hint = done.err.splitlines()
    assert message == f"rnntool train: run/best.rnn: {what.replace('state-5', 'state-10')}"
    assert hint == "try: run/last.rnn, which is whole; --force, to begin again"


def test_settings_that_were_lost_are_written_anew(train: Train, here: Path, trained: Path) -> None:
    shutil.copytree(trained, here / "run")
    (here / "run" / "state-10.rnn").unlink()
    for text in ("", "arch = ["):
        (here / "run" / "config.toml").write_text(text)
        done = train(f"{SMALL} -o run train.txt")
        assert (done.status, done.out) == (0, "")
        what = "run/config.toml: damaged: not the settings that state-5.rnn was written with; written anew\n"
        assert done.err.startswith(f"rnntool train: {what}")
        assert_same(here / "run", trained)
        (here / "run" / "state-10.rnn").unlink()
    (here / "run" / "config.toml").write_text("")
    other = train(f"{SMALL} --lr 0.1 -o run train.txt")
    assert other.status == 1
    assert "holds another run: --" in other.err
    assert "MISSING" not in other.err


def test_a_state_of_a_newer_version_is_not_written_over(train: Train, here: Path, trained: Path) -> None:
    shutil.copytree(trained, here / "run")
    state = here / "run" / "state-10.rnn"
    state.write_bytes(state.read_bytes().replace(rb"\"format\":1", rb"\"format\":9"))
    before = state.read_bytes()
    done = train(f"{SMALL} -o run train.txt")
    assert done.status == 1
    assert re.search(r"\nrnntool train: run/state-10.rnn: format 9; rnntool \S+ reads up to 1\ntry: a newer", done.err)
    assert state.read_bytes() == before


def test_a_pipe_in_a_run_is_not_waited_for(train: Train, here: Path, trained: Path) -> None:
    shutil.copytree(trained, here / "run")
    os.mkfifo(here / "run" / "state-9999.rnn")
    done = train(f"{SMALL} -o run train.txt", timeout=30)
    assert "run/state-9999.rnn: not an ordinary file; going back to the one before\n" in done.err
    assert done.status == 0


def test_the_same_command_leaves_the_same_bytes(train: Train, here: Path, trained: Path) -> None:
    train(f"{SMALL} -o another train.txt")
    assert_same(here / "another", trained)


def test_a_configuration_file_repeats_a_run(train: Train, here: Path, trained: Path) -> None:
    shutil.copy(trained / "config.toml", here / "again.toml")
    done = train("--config again.toml -o run")
    assert done.status == 0, done.err
    assert_same(here / "run", trained)
    assert (here / "run/config.toml").read_text() == (trained / "config.toml").read_text()


def test_the_command_line_is_stronger_than_the_configuration_file(train: Train, here: Path, trained: Path) -> None:
    shutil.copy(trained / "config.toml", here / "again.toml")
    done = train("--config again.toml --arch gru:4 --dry-run -o run")
    assert done.err.startswith("network gru:4 ")


def test_a_rehearsal_writes_nothing(train: Train, here: Path) -> None:
    before = sorted(os.listdir(here))
    done = train(f"{SMALL} --dry-run -o run train.txt")
    assert (done.status, done.out) == (0, "")
    assert re.search(r"^network lstm:8 parameters \d+ ", done.err, re.M)
    assert re.search(r"^weights, gradients and optimiser [\d.]+ MiB; 10 updates at most$", done.err, re.M)
    assert sorted(os.listdir(here)) == before


def test_a_preset_that_is_typed_is_stronger_than_the_configuration_file(
    train: Train, here: Path, trained: Path
) -> None:
    """The file says --arch lstm:8; a preset that the file names itself is weaker than the file's other keys."""
    settings = (trained / "config.toml").read_text()
    (here / "again.toml").write_text(settings)
    done = train("--config again.toml --preset tiny --dry-run -o run")
    assert done.err.startswith("network lstm:64 ")
    done = train("--config again.toml --preset tiny --arch gru:4 --dry-run -o run")
    assert done.err.startswith("network gru:4 ")
    (here / "again.toml").write_text(settings + 'preset = "tiny"\n')
    done = train("--config again.toml --dry-run -o run")
    assert done.err.startswith("network lstm:8 ")


def test_a_rehearsal_of_a_network_too_large_for_this_machine_takes_no_memory(train: Train) -> None:
    """Eight layers of 100,000 units: 640 thousand million weights."""
    done = train(f"{BASE} --arch lstm:8x100000 --explain --dry-run -o run train.txt")
    assert done.status == 0, done.err
    assert "network lstm:8x100000 parameters 6400" in done.err
    assert "layer 8: vendor: LSTM maps exactly onto torch's own network" in done.err


def test_directories_made_for_a_run_that_cannot_begin_are_removed(train: Train, here: Path) -> None:
    (here / "kept").mkdir()
    done = train("-V words.tsv --valid missing.txt -o kept/a/b train.txt")
    assert done.status == 1
    assert list((here / "kept").iterdir()) == []


def test_explaining_says_what_is_expected_and_what_was_spent(train: Train) -> None:
    done = train(f"{SMALL} --output adaptive:3 --explain -o run train.txt")
    assert done.status == 0, done.err
    assert re.search(r"^output: adaptive:3, fused with the loss, in blocks; evaluation in float32$", done.err, re.M)
    shares = re.findall(
        r"^expected an update: [a-z ]+: [\d.e-]+ GFLOP, (\d+)%, [\d.e-]+ ms at full speed$", done.err, re.M
    )
    assert len(shares) == 2
    assert 99 <= sum(map(int, shares)) <= 101
    assert re.search(r"^full speed: \d+ GFLOP/s, products of (bfloat16|float32) measured just now$", done.err, re.M)
    spent = re.findall(r"^spent: ([a-z ]+): [\d.e-]+ s, \d+%$", done.err, re.M)
    assert "validation and saving" in spent
    assert len(spent) == 6


def test_explaining_names_how_each_layer_is_driven(train: Train) -> None:
    done = train(f"{BASE} --explain --dry-run -o run train.txt")
    assert "layer 1: vendor: LSTM maps exactly onto torch's own network\n" in done.err
    done = train(f"{BASE} --arch jordan:2x4 --explain --dry-run -o run train.txt")
    assert done.err.count(": bptt: Jordan has its way back written by hand\n") == 2


def test_watching_shows_the_gradient_by_lag(train: Train, here: Path) -> None:
    assert train(f"{BASE} --arch elman:8 --max-epochs 1 --watch -o run train.txt").status == 0
    (record,) = [record for record in course(here / "run") if "valid_ppl" in record]
    lags = record["grad_by_lag"]
    assert 20 < len(lags) <= 51
    assert lags[0] > 3 * lags[5] > 0  # a sigmoid network forgets


# --- texts -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "stdin", "message"),
    [
        ("", b"", "standard input: no tokens\n"),
        (
            "",
            b"a rose\n\nthe s\xffea\n",
            "standard input:3: not UTF-8: byte 0xff at column 6\ntry: iconv -f latin1 -t utf8\n",
        ),
        ("missing.txt", b"", "missing.txt: No such file or directory\n"),
        ("train.txt missing.txt", b"", "missing.txt: No such file or directory\n"),
        ("--valid missing.txt train.txt", b"", "missing.txt: No such file or directory\n"),
        ("-V missing.tsv train.txt", b"", "missing.tsv: No such file or directory\n"),
        (".", b"", ".: Is a directory\n"),
        ("train.txt@0", b"", "train.txt@0: the weight is 0; it must be above 0\n"),
        ("train.txt@1:2", b"", "train.txt@1:2: the fraction is 2; it must be above 0 and at most 1\n"),
        ("--init words.tsv train.txt", b"", "words.tsv: not an rnntool model\n"),
        ("--valid - -", b"", "the standard input can be read only once, as TEXT, --valid or --vocab\n"),
    ],
)
def test_texts_that_cannot_be_read_leave_no_run(
    train: Train, here: Path, words: str, stdin: bytes, message: str
) -> None:
    before = sorted(os.listdir(here))
    done = train(f"{SMALL} -o run {words}", stdin=stdin)
    assert done == Finished(2 if "@" in words or words.endswith("- -") else 1, "", f"rnntool train: {message}")
    assert sorted(os.listdir(here)) == before


def test_a_directory_that_was_there_is_left_as_it_was(train: Train, here: Path) -> None:
    (here / "run").mkdir()
    assert train(f"{SMALL} -o run missing.txt").status == 1
    assert os.listdir(here / "run") == []
    (here / "run" / "thesis.tex").touch()
    done = train(f"{SMALL} -o run train.txt")
    assert done == Finished(1, "", "rnntool train: run: holds 'thesis.tex' and no run\ntry: a new directory\n")
    assert os.listdir(here / "run") == ["thesis.tex"]


def test_a_text_may_come_from_a_pipe_or_compressed(train: Train, here: Path, trained: Path) -> None:
    weights = (trained / "best.rnn").read_bytes()[-2000:]  # of the tensors; the names of the texts differ
    text = (here / "train.txt").read_bytes()
    for words, stdin in (("-", text), ("", gzip.compress(text)), ("news.txt.gz", b"")):
        assert train(f"{SMALL} --force -o run {words}", stdin=stdin).status == 0
        assert (here / "run/best.rnn").read_bytes()[-2000:] == weights
        assert course(here / "run") == course(trained)


def test_a_text_from_a_pipe_is_needed_once(train: Train, here: Path, trained: Path) -> None:
    assert train(f"{SMALL} --max-time 0s -o run", stdin=(here / "train.txt").read_bytes()).status == 75
    assert train(f"{SMALL} -o run", stdin=b"").status == 0
    assert course(here / "run") == course(trained)


def test_texts_have_weights_and_fractions(train: Train, here: Path, trained: Path) -> None:
    done = train(f"{SMALL} -o run train.txt@2:0.5")
    assert done.status == 0, done.err
    assert course(here / "run")[-1]["tokens"] == pytest.approx(course(trained)[-1]["tokens"] / 2, rel=0.1)
    whole = train(f"{SMALL} -o ones train.txt@1:1")
    assert whole.status == 0
    assert course(here / "ones") == course(trained)


def test_a_part_of_the_text_is_held_out(train: Train, here: Path) -> None:
    words = SMALL.replace("--valid valid.txt", "--hold-out 0.1")
    done = train(f"{words} -o held train.txt")
    assert done.status == 0, done.err
    lines = (here / "train.txt").read_text().splitlines(keepends=True)
    (here / "head.txt").write_text("".join(lines[:360]))
    (here / "tail.txt").write_text("".join(lines[360:]))
    train(f"{SMALL.replace('valid.txt', 'tail.txt')} -o apart head.txt")
    assert course(here / "held") == course(here / "apart")


def test_several_validation_texts_are_judged_as_ppl_does(train: Train, run: Run, here: Path) -> None:
    (here / "more.txt").write_text("a rose\nthe sea sees it\n")
    assert train(f"{SMALL} --valid more.txt -o run train.txt").status == 0
    total = json.loads(run("ppl", "--json", "-m", "run", "valid.txt", "more.txt").out.splitlines()[-1])
    assert course(here / "run")[-1]["valid_ppl"] == pytest.approx(total["ppl"], rel=1e-6)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("-V words.tsv train.txt", "--valid: a validation text is needed\ntry: --hold-out 0.05, to take it from the end "
         "of TEXT\n"),
        ("--valid valid.txt train.txt", "--vocab: a vocabulary is needed\ntry: rnntool vocab -o words.tsv TEXT\n"),
        (f"{SMALL} --arch lstn:8", f"--arch: unknown network 'lstn'; known are {', '.join(FORMS)}\n"),
        (f"{SMALL} --arch lstm:0", "--arch: 'lstm:0' has no units\n"),
        (f"{SMALL} --arch lstm:8+8", "--arch: 'lstm:8+8' is not of the form lstm:[LAYERSx]UNITS[/SIZE]\n"),
        (f"{SMALL} --arch gru:8@0.5", "--arch: 'gru' has no decay, 'gru:8@0.5' names one\n"),
        (f"{SMALL} --arch scrn:8@1.5", "--arch: a decay lies between 0 and 1, 'scrn:8@1.5' says 1.5\n"),
        (f"{SMALL} --arch elman:8,sine", "--arch: 'elman' has no variant 'sine'; known are sigmoid, tanh, relu\n"),
        (f"{SMALL} --dropout 1", "--dropout: a rate of dropout lies in [0, 1), not at 1\n"),
        (f"{SMALL} --lr nan", "--lr: nan is not a finite number\ntry: rnntool train --help\n"),
        (f"{SMALL} --lr inf", "--lr: inf is not a finite number\ntry: rnntool train --help\n"),
        (f"{SMALL} --bptt 5 --bptt-every 6", "--bptt-every: 6 tokens cannot be learnt from in windows of 5\n"),
        (f"{SMALL} --nesterov", "--nesterov: needs --optimizer sgd and a --momentum\n"),
        (f"{SMALL} --tied --embed-size 5", "--tied: the embedding has 5 columns and lstm:8 gives 8; tied, they are one\n"),
        (f"{SMALL} --max-time soon", "--max-time: 'soon' is not a time such as 90s, 40m or 1.5h\n"
         "try: rnntool train --help\n"),
        (f"{SMALL} --preset huge", "--preset: 'huge' is not one of 'tiny', 'small', 'medium', 'large', 'awd', 'pairs'\n"
         "try: rnntool train --help\n"),
        (f"{SMALL} --init model.rnn --init-range 0.1", "--init-range: the first weights are those of model.rnn\n"),
        (f"{SMALL} --backend vendor --arch jordan:8", "--backend: Jordan has no map onto torch's networks\n"
         "try: --backend bptt\n"),
        (f"{SMALL} --backend bptt --arch lstm:8", "--backend: LSTM has no way back written by hand\n"
         "try: --backend vendor\n"),
    ],
)  # fmt: skip
def test_a_wrong_command_line_is_said_before_anything_is_made(
    train: Train, here: Path, words: str, message: str
) -> None:
    assert train(f"{words} -o run") == Finished(2, "", f"rnntool train: {message}")
    assert not (here / "run").exists()


# --- another run, another writer, another beginning ------------------------------------------------------------------


def test_another_configuration_is_refused_with_both_values(train: Train, here: Path, trained: Path) -> None:
    shutil.copytree(trained, here / "run")
    done = train(f"{SMALL} --lr 0.02 --arch gru:8 --dropout-embed 0.1 -o run train.txt")
    assert done == Finished(
        1,
        "",
        "rnntool train: run: holds another run: --arch was lstm:8, is gru:8; --dropout-embed was 0.0, is 0.1; "
        "--lr was 0.003, is 0.02\n"
        "try: --config run/config.toml, to go on with that one; --force, to begin again in its place\n",
    )
    assert_same(here / "run", trained)


def test_a_run_goes_on_by_the_settings_that_it_holds(train: Train, here: Path, trained: Path) -> None:
    """As another version may have to, whose defaults are others."""
    shutil.copytree(trained, here / "run")
    done = train("--config run/config.toml -o run")
    assert (done.status, done.out) == (0, "")
    assert done.err.startswith("already finished: ")
    assert_same(here / "run", trained)


def test_force_takes_a_run_away_only_when_the_next_can_begin(train: Train, here: Path, trained: Path) -> None:
    shutil.copytree(trained, here / "run")
    for words in ("missing.txt", "-V missing.tsv train.txt", "--valid missing.txt train.txt"):
        assert train(f"{SMALL} --force -o run {words}").status == 1
        assert_same(here / "run", trained)
    assert train(f"{SMALL} -o run train.txt").err.startswith("already finished: ")


def test_force_begins_again_and_spares_what_is_not_of_a_run(train: Train, here: Path, trained: Path) -> None:
    shutil.copytree(trained, here / "run")
    (here / "run" / "notes.txt").write_text("mine")
    assert train(f"{BASE} --max-epochs 1 --force -o run train.txt").status == 0
    assert course(here / "run")[-1]["step"] == 5
    assert (here / "run" / "notes.txt").read_text() == "mine"
    assert not (here / "run" / "state-10.rnn").exists()


def test_a_second_writer_is_refused(start: Start, train: Train, here: Path) -> None:
    first = start("train", *LONG.split(), "-o", "run", "train.txt")
    wait_for(has_begun(here / "run"), "a state")
    done = train(f"{LONG} -o run train.txt")
    assert done.status == 1
    assert re.fullmatch(r"rnntool train: run: another process trains here: pid \d+ on \S+\n", done.err)
    first.send(signal.SIGKILL)
    assert first.finish().status == 137
    assert train(f"{LONG} --max-time 0s -o run train.txt").status == 75  # the lock died with its holder


def test_a_model_can_be_trained_further(train: Train, run: Run, here: Path, trained: Path) -> None:
    done = train(f"--init {trained} --valid valid.txt --max-epochs 1 -o further train.txt")
    assert done.status == 0, done.err
    assert course(here / "further")[-1]["valid_ppl"] < course(trained)[-1]["valid_ppl"]
    done = train(f"-V words.tsv --init {trained}/best.rnn --valid valid.txt --max-epochs 1 -o same train.txt")
    assert done.status == 0, done.err
    assert course(here / "same") == course(here / "further")
    (here / "few.tsv").write_text("<unk>\t0\n</s>\t1\nthe\t1\n")
    done = train(f"-V few.tsv --init {trained}/best.rnn --valid valid.txt -o other train.txt")
    assert done.status == 1
    assert re.fullmatch(
        rf"rnntool train: {trained}/best\.rnn: its vocabulary is [0-9a-f]{{6}}, not that of few\.tsv\n", done.err
    )
    assert not (here / "other").exists()


# --- ends ------------------------------------------------------------------------------------------------------------


def test_time_that_is_up_is_status_75_and_the_same_command_goes_on(train: Train, here: Path, trained: Path) -> None:
    done = train(f"{SMALL} --max-time 0s -o run train.txt")
    assert (done.status, done.out) == (75, "")
    assert done.err.endswith(
        "rnntool train: run: stopped after update 1: --max-time 0 s is up; everything is saved\n"
        "try: the same command again, to go on\n"
    )
    done = train(f"{SMALL} --max-time 0s -o run train.txt")
    assert done.status == 75
    assert "resumed after update 1\n" in done.err
    assert train(f"{SMALL} -o run train.txt").status == 0
    assert_same(here / "run", trained)


@pytest.mark.parametrize(
    ("number", "status"),
    [
        (signal.SIGTERM, 143),
        (signal.SIGINT, 130),
        (signal.SIGHUP, 129),
        (signal.SIGUSR1, 75),
        (signal.SIGUSR2, 75),
    ],
)
def test_a_signal_saves_first(start: Start, train: Train, here: Path, number: signal.Signals, status: int) -> None:
    running = start("train", *LONG.replace("0.2s", "9m").split(), "-o", "run", "train.txt")
    wait_for(lambda: (here / "run/metrics.jsonl").exists() and len(course(here / "run")) > 1, "a report")
    running.send(number)
    done = running.finish()
    assert (done.status, done.out) == (status, "")
    message = re.search(
        rf"^rnntool train: run: stopped after update (\d+): signal {number.name}; everything is saved\n"
        r"try: the same command again, to go on\n\Z",
        done.err,
        re.M,
    )
    assert message, done.err
    done = train(f"{LONG} --max-time 0s -o run train.txt")
    assert f"resumed after update {message[1]}\n" in done.err


def test_a_signal_before_training_leaves_nothing(start: Start, here: Path) -> None:
    """While the text is still being read there is nothing to save."""
    reading, writing = os.pipe()
    running = start("train", *SMALL.split(), "-o", "run", stdin=reading)
    os.close(reading)
    os.write(writing, b"a rose\n")
    wait_for((here / "run/corpus/train").exists, "a corpus")
    running.send(signal.SIGTERM)
    done = running.finish()
    os.close(writing)
    assert (done.status, done.out) == (143, "")
    assert done.err.startswith("rnntool train: run: stopped before training began: signal SIGTERM\n")
    assert not (here / "run").exists()


def test_messages_that_cannot_be_written_do_not_stop_it(train: Train, here: Path, trained: Path) -> None:
    with open("/dev/full", "w") as full:
        assert train(f"{SMALL} -o run train.txt", stderr=full.fileno()).status == 0
    assert_same(here / "run", trained)


def test_a_run_that_diverges_keeps_what_was_good(train: Train, run: Run, here: Path) -> None:
    """The rate rises by 5 at every update until it is too much."""
    words = f"{BASE} --optimizer sgd --schedule constant --lr 5e5 --warmup 100000 --clip 0 --precision fp32 "
    words += "-o run train.txt"
    done = train(words)
    assert (done.status, done.out) == (1, "")
    message = re.search(
        r"^rnntool train: run: (?:loss is \S+ at update (\d+) \(lr (\d+), gradient norm \S+\)|"
        r"validation loss is \S+ after update \d+), guessing evenly has 3\.\d\d; "
        r"last good state: run/state-(\d+)\.rnn\ntry: --clip 1, or a smaller --lr\n\Z",
        done.err,
        re.M,
    )
    assert message, done.err
    saved = int(message[3])
    if message[1]:  # not a validation, which comes first where sums are rounded otherwise
        step, lr = int(message[1]), int(message[2])
        assert (lr, saved) == (5 * step, (step - 1) // 5 * 5)
    assert saved >= 5
    assert json.loads(run("ppl", "--json", "-m", "run", "valid.txt").out)["ppl"] < 100
    assert run("ppl", "-m", "run/last.rnn", "valid.txt").status == 0
    again = train(words)  # no other end than before
    assert (again.status, message[0] in again.err) == (1, True)


def test_a_learning_rate_of_a_million_is_too_much_at_once(train: Train, here: Path) -> None:
    done = train(f"{SMALL} --lr 1e6 -o run train.txt")
    assert (done.status, done.out) == (1, "")
    assert re.search(
        r"^rnntool train: run: loss is \S+ at update 2 \(lr \d\S+, gradient norm \S+\), guessing evenly has 3\.\d\d; "
        r"last good state: run/state-0\.rnn\ntry: --clip 0\.25, or a smaller --lr\n\Z",
        done.err,
        re.M,
    )
    assert not list((here / "run").glob("*st.rnn"))


def test_a_damaged_state_falls_back_to_the_one_before(train: Train, here: Path, trained: Path) -> None:
    for _ in range(3):
        assert train(f"{SMALL} --max-time 0s -o run train.txt").status == 75
    state = here / "run/state-3.rnn"
    data = bytearray(state.read_bytes())
    data[-5] ^= 1
    state.write_bytes(data)
    done = train(f"{SMALL} -o run train.txt")
    assert done.status == 0, done.err
    assert (
        "rnntool train: run/state-3.rnn: damaged: its content does not have the hash that it names; "
        "going back to the one before\n" in done.err
    )
    assert "resumed after update 2\n" in done.err
    assert_same(here / "run", trained)


def test_without_a_sound_state_nothing_is_begun_anew(train: Train, here: Path) -> None:
    assert train(f"{SMALL} --max-time 0s -o run train.txt").status == 75
    for state in (here / "run").glob("state-*.rnn"):
        state.write_bytes(state.read_bytes()[:100])
    done = train(f"{SMALL} -o run train.txt")
    assert done.status == 1
    assert done.err.endswith("rnntool train: run: no state is left that can be resumed\ntry: --force, to begin again\n")


def test_a_text_that_has_changed_is_noticed(train: Train, here: Path) -> None:
    assert train(f"{SMALL} --max-time 0s -o run train.txt").status == 75
    with open(here / "train.txt", "a") as file:
        file.write("the sea sees the sea\n")
    done = train(f"{SMALL} -o run train.txt")
    assert done.status == 1
    assert done.err.endswith(
        "rnntool train: run: the text has changed since this run began\ntry: --force, to begin again\n"
    )


def test_a_vocabulary_that_has_changed_is_noticed(train: Train, here: Path) -> None:
    """As many tokens, in another order: the weights would fit, and mean other words."""
    assert train(f"{SMALL} --max-time 0s -o run train.txt").status == 75
    lines = (here / "words.tsv").read_text().splitlines(keepends=True)
    (here / "words.tsv").write_text("".join([*lines[:2], *reversed(lines[2:])]))
    done = train(f"{SMALL} -o run train.txt")
    assert done.status == 1
    assert done.err.endswith(
        "rnntool train: run: the vocabulary has changed since this run began\ntry: --force, to begin again\n"
    )


def test_a_state_of_another_run_is_noticed(train: Train, here: Path, trained: Path) -> None:
    assert train(f"{SMALL} --arch gru:8 --max-time 0s -o run train.txt").status == 75
    shutil.copy(trained / "state-5.rnn", here / "run")
    done = train(f"{SMALL} --arch gru:8 -o run train.txt")
    assert (done.status, "bug" in done.err) == (1, False)


def _limited(limit: int, words: list[str], cwd: str, messages: str) -> None:
    """`ulimit -f` and then the program: no file may grow longer than so many bytes, as on a disk that is full."""
    os.chdir(cwd)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    os.dup2(os.open(messages, os.O_WRONLY | os.O_CREAT | os.O_APPEND), 2)
    from rnntool.cli.main import main

    os._exit(main(words))


def test_a_full_disk_leaves_what_was_saved(server: ForkServerContext, train: Train, here: Path, trained: Path) -> None:
    assert train(f"{SMALL} --max-time 0s -o run train.txt").status == 75
    before = {path.name: path.read_bytes() for path in (here / "run").glob("*.rnn")}
    limited = server.Process(
        target=_limited, args=(3000, ["train", *SMALL.split(), "-o", "run", "train.txt"], here, here / "messages")
    )
    limited.start()
    limited.join(60)
    assert limited.exitcode == 1
    err = (here / "messages").read_text()
    assert re.search(r"^rnntool train: run/\S+: File too large\n", err, re.M)
    assert "bug" not in err
    assert {path.name: path.read_bytes() for path in (here / "run").glob("*.rnn")} == before
    assert not list((here / "run").glob(".rnntool-*"))
    assert train(f"{SMALL} -o run train.txt").status == 0
    assert_same(here / "run", trained)


# --- on a terminal ---------------------------------------------------------------------------------------------------


def test_a_terminal_shows_a_display_that_moves(start: Start, here: Path) -> None:
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 100))
    running = start(
        "train", *BASE.split(), "--max-epochs", "30", "-o", "run", "train.txt", stdout=theirs, stderr=theirs,
        env={"TERM": "xterm-256color", "NO_COLOR": "", "FORCE_COLOR": ""},
    )  # fmt: skip
    os.close(theirs)
    seen = b""
    while select.select([ours], [], [], 60)[0]:
        try:
            part = os.read(ours, 65536)
        except OSError:  # the other end was closed
            break
        if not part:
            break
        seen += part
    assert running.finish().status == 0
    os.close(ours)
    text = seen.decode()
    assert text.startswith("network lstm:8")
    assert "\x1b[?25l" in text and text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l")  # the cursor comes back
    assert re.search(r"epoch \d+\.\d\d/30  train ppl", text)
    assert re.search(r"valid ppl \d+\.\d\d  best \d+\.\d\d  [▁▂▃▄▅▆▇█]+", text)
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)
    assert "\x1b" not in plain
    said = [line for line in re.split(r"[\r\n]+", plain) if line.startswith("epoch")]
    assert [line.split()[1] for line in said] == [f"{number}.00" for number in range(1, 31)]
    assert re.search(r"finished: 30 epochs are done; validation perplexity \d+\.\d\d; run/best\.rnn\r\n\Z", plain)


# --- its manual pages ------------------------------------------------------------------------------------------------


def described(page: str) -> dict[str, str]:
    """What a page says of each long option, as running text."""
    source = (ROOT / "man" / page).read_text(encoding="utf-8")
    parts = re.split(r"^\.It Fl (.*)\n", source.split("\n.Sh ENVIRONMENT")[0], flags=re.M)
    found = {}
    for heading, body in zip(parts[1::2], parts[2::2], strict=True):
        body = re.sub(r"^\.(It )?(Cm|Li|Ar|Fl|Pp|Bl|El)\b ?", "", body.split("\n.Ss ")[0], flags=re.M)
        for name in re.findall(r"(?<=-)[a-z][a-z0-9-]+", heading):
            found[name] = " ".join(body.split())
    return found


def test_the_page_states_the_defaults_there_are() -> None:
    """`The default is X.` where there is one that can be named in a word, and nowhere else."""
    said = described("man1/rnntool-train.1")
    for config in (NetworkConfig, TrainingConfig):
        for field in fields(config):
            name = field.name.replace("_", "-")
            value = (PAIR_DEFAULTS | DEFAULTS | {"context": "carry", "batch_size": 20}).get(field.name, field.default)
            stated = re.search(r"The default is (\S+?) ?\.(?= |$)", said[name])
            if isinstance(value, bool) or value is None or (name in ("embed-size", "bptt-every") and value == 0):
                assert stated is None, f"--{name}: the page states {stated}, the default is {value}"
            elif stated is None:
                assert value in (0, ""), f"--{name}: the page states no default, it is {value}"
            else:
                want = f"{value:g}" if isinstance(value, float) else str(value)
                assert stated[1] == want, f"--{name}: the page says {stated[1]}, the default is {want}"


def test_the_page_states_the_defaults_of_each_optimizer() -> None:
    said = described("man1/rnntool-train.1")
    for option, table in (("lr", DEFAULT_LR), ("beta2", DEFAULT_BETA2)):
        for name, value in table.items():
            assert f" {name} {value:g}" in said[option], f"--{option} {name}"


def test_the_page_spells_out_the_presets() -> None:
    said = described("man1/rnntool-train.1")["preset"]
    for name, settings in PRESETS.items():
        words = [name]
        for key, value in settings.items():
            words.append(f"--{key.replace('_', '-')}")
            if value is not True:
                words.append(f"{value:g}" if isinstance(value, float) else str(value))
        assert " ".join(words) in said, f"the page does not say: {' '.join(words)}"


def test_the_page_of_networks_has_every_cell() -> None:
    source = (ROOT / "man/man5/rnntool-arch.5").read_text(encoding="utf-8")
    for name, form in FORMS.items():
        part = source.split(f"\n.Ss {name}: ")[1].split("\n.Ss ")[0]
        assert f"\n.Cm {usage(name)}\n" in part
        assert re.search(rf"UNITS is {form.hidden_size}\b", part)
        if form.order:
            assert re.search(rf"ORDER is n, {form.order}\b", part)
        if form.decay is not None:
            assert re.search(rf"the decay \S+ {form.decay}\b", part)
        for word in (*form.functions, *form.words):
            assert re.search(rf"^\.Cm {word}\b", part, re.M), f"{name},{word}"
