"""The run directory: one writer, nothing foreign touched, nothing acknowledged lost."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from rnntool.checkpoint.run import STATES_KEPT, Metrics, RunDirectory, find_model, hash_of
from rnntool.errors import ModelError, OutputError, RnntoolWarning, TrainingError

TENSORS = {"x": torch.ones(3)}


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    run = RunDirectory(str(tmp_path / "run"))
    run.create()
    return run


def begun(run: RunDirectory) -> RunDirectory:
    Path(run.config).write_text("arch = 'lstm:3'\n")
    return run


def test_a_second_writer_is_refused_and_told_of_the_first(run: RunDirectory) -> None:
    with pytest.raises(TrainingError) as refused:
        RunDirectory(run.path).create()
    assert str(refused.value) == f"{run.path}: another process trains here: pid {os.getpid()} on {os.uname().nodename}"


def test_a_process_that_died_holds_no_lock(tmp_path: Path) -> None:
    """The kernel gives the lock back, however the process ended; the file that is left says nothing."""
    path = str(tmp_path / "run")
    code = (
        "import os, sys; from rnntool.checkpoint.run import RunDirectory\n"
        "RunDirectory(sys.argv[1]).create(); print('locked', flush=True); os.read(0, 1); os.kill(os.getpid(), 9)"
    )
    child = subprocess.Popen([sys.executable, "-c", code, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert child.stdin is not None
    assert child.stdout is not None
    with child:
        assert child.stdout.readline() == b"locked\n"
        with pytest.raises(TrainingError, match=f"another process trains here: pid {child.pid} on "):
            RunDirectory(path).create()
        child.stdin.write(b"\n")
        child.stdin.flush()
        assert child.wait() == -9
    RunDirectory(path).create()


def test_a_lock_that_is_given_back_can_be_taken(run: RunDirectory) -> None:
    run.release()
    RunDirectory(run.path).create()


def test_what_a_killed_process_left_half_written_is_swept(tmp_path: Path) -> None:
    corpus = tmp_path / "run" / "corpus" / "train"
    corpus.mkdir(parents=True)
    (tmp_path / "run" / "config.toml").write_text("")
    for folder in (tmp_path / "run", corpus):
        (folder / ".rnntool-00ff.tmp").write_text("half")
    (corpus / "ids.bin").write_text("ids")
    RunDirectory(str(tmp_path / "run")).create()
    assert sorted(os.listdir(tmp_path / "run")) == ["config.toml", "corpus", "lock"]
    assert os.listdir(corpus) == ["ids.bin"]


def test_a_directory_of_something_else_is_refused_and_left_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(TrainingError) as refused:
        RunDirectory(str(tmp_path)).create()
    assert str(refused.value) == f"{tmp_path}: holds 'thesis.tex' and no run"
    assert os.listdir(tmp_path) == ["thesis.tex"]


@pytest.mark.parametrize("name", ["best.rnn", "last.rnn", "state-7.rnn", "metrics.jsonl"])
def test_files_of_ours_without_a_configuration_are_no_run_either(name: str, tmp_path: Path) -> None:
    """Whose states these are is not known: they must not be resumed, nor a model that someone copied here replaced."""
    (tmp_path / name).write_text("")
    with pytest.raises(TrainingError, match=f"holds '{name}' and no run"):
        RunDirectory(str(tmp_path)).create()
    assert os.listdir(tmp_path) == [name]


def test_a_run_that_stopped_before_it_began_is_taken_up(tmp_path: Path) -> None:
    """Killed while the text was read: ids, a lock, half a file, no configuration."""
    (tmp_path / "corpus").mkdir()
    (tmp_path / "lock").write_text("pid 1 on x\n")
    (tmp_path / ".rnntool-00ff.tmp").write_text("half")
    RunDirectory(str(tmp_path)).create()


def test_notes_beside_a_run_are_left_alone(run: RunDirectory) -> None:
    Path(run.path, "notes.txt").write_text("mine")
    begun(run).release()
    run.create()
    run.clear()
    assert sorted(os.listdir(run.path)) == ["lock", "notes.txt"]


def test_a_file_in_the_way_is_named(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("")
    with pytest.raises(OutputError) as refused:
        RunDirectory(str(tmp_path / "run")).create()
    assert str(refused.value) == f"{tmp_path}/run: a run needs a directory; this is a file"


def test_clearing_removes_the_configuration_last(run: RunDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed in between, a directory without its configuration but with states would be another run's to resume."""
    begun(run)
    for step in (1, 2):
        run.save_state(step, {}, TENSORS)
    Path(run.best).touch()
    Path(run.metrics).touch()
    os.makedirs(os.path.join(run.corpus, "train"))
    removed = []
    unlink = os.unlink
    monkeypatch.setattr(os, "unlink", lambda path: (removed.append(os.path.basename(path)), unlink(path)))
    run.clear()
    assert removed[-1] == "config.toml"
    assert sorted(removed[:-1]) == ["best.rnn", "metrics.jsonl", "state-1.rnn", "state-2.rnn"]
    assert os.listdir(run.path) == ["lock"]


def test_ids_go_after_what_vouches_for_them(run: RunDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed in between, the rest of a corpus would pass for a damaged one."""
    folder = Path(run.corpus, "train")
    folder.mkdir(parents=True)
    for name in ("ids.bin", "corpus.json", "ends.bin"):
        (folder / name).touch()
    removed = []
    unlink = os.unlink
    monkeypatch.setattr(os, "unlink", lambda path: (removed.append(os.path.basename(path)), unlink(path)))
    run.drop_corpus()
    assert removed[0] == "corpus.json"
    assert not Path(run.corpus).exists()


def test_metrics_that_cannot_be_made_durable_are_named(run: RunDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    Path(run.metrics).touch()

    def fail(_: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OutputError) as refused:
        run.save_state(1, {}, TENSORS)
    assert str(refused.value) == f"{run.metrics}: Input/output error"
    assert run.states() == []


@pytest.mark.parametrize("existed", [False, True])
def test_a_run_that_did_not_begin_leaves_nothing_behind(existed: bool, tmp_path: Path) -> None:
    """A directory that was made by hand stays."""
    if existed:
        (tmp_path / "run").mkdir()
    run = RunDirectory(str(tmp_path / "run"))
    run.create()
    os.makedirs(os.path.join(run.corpus, "train"))
    run.abandon()
    run.release()
    assert os.listdir(tmp_path) == (["run"] if existed else [])
    assert not existed or os.listdir(tmp_path / "run") == []


def test_a_run_says_why_it_is_over(run: RunDirectory) -> None:
    assert run.finished == ""
    run.save_state(1, {"place": {"finished": ""}}, TENSORS)
    assert run.finished == ""
    run.save_state(2, {"place": {"finished": "12 epochs are done"}}, TENSORS)
    assert run.finished == "12 epochs are done"
    Path(run.states()[0][1]).write_bytes(b"damaged")
    assert run.finished == ""


def test_the_newest_few_states_are_kept(run: RunDirectory) -> None:
    for step in (5, 90, 100, 1000):
        run.save_state(step, {"at": step}, TENSORS)
    assert [step for step, _ in run.states()] == [1000, 100, 90][:STATES_KEPT]
    found = run.load_state()
    assert found is not None
    assert found[0]["at"] == 1000


def test_without_a_state_there_is_none(run: RunDirectory) -> None:
    assert run.load_state() is None


def test_damaged_states_are_named_and_the_one_before_is_taken(run: RunDirectory) -> None:
    for step in (1, 2, 3):
        run.save_state(step, {"at": step}, TENSORS)
    newest, middle, _ = (Path(path) for _, path in run.states())
    data = newest.read_bytes()
    newest.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    middle.write_bytes(b"")
    with pytest.warns(RnntoolWarning) as warned:
        found = run.load_state()
    assert found is not None
    assert found[0]["at"] == 1
    assert [str(warning.message) for warning in warned] == [
        f"{newest}: damaged: its content does not have the hash that it names; going back to the one before",
        f"{middle}: not an rnntool model; going back to the one before",
    ]


def test_a_run_of_damaged_states_alone_does_not_begin_anew(run: RunDirectory) -> None:
    run.save_state(1, {}, TENSORS)
    Path(run.states()[0][1]).write_bytes(b"")
    with pytest.warns(RnntoolWarning), pytest.raises(ModelError) as refused:
        run.load_state()
    assert str(refused.value) == f"{run.path}: no state is left that can be resumed"


@pytest.mark.parametrize("name", ["best.rnn", "last.rnn", "metrics.jsonl"])
def test_a_run_whose_states_are_gone_does_not_begin_anew(run: RunDirectory, name: str) -> None:
    """An empty metrics.jsonl is there before the first state."""
    Path(run.metrics).touch()
    assert run.load_state() is None
    Path(run.path, name).write_text("something")
    with pytest.raises(ModelError) as refused:
        run.load_state()
    assert str(refused.value) == f"{run.path}: no state is left that can be resumed"


def test_a_state_under_the_name_of_another_is_passed_over(run: RunDirectory) -> None:
    for step in (1, 2):
        run.save_state(step, {"place": {"step": step}}, TENSORS)
    newest, before = (Path(path) for _, path in run.states())
    newest.write_bytes(before.read_bytes())
    with pytest.warns(RnntoolWarning) as warned:
        found = run.load_state()
    assert found is not None
    assert found[0]["place"] == {"step": 1}
    what = "this is the state after update 1, not 2; going back to the one before"
    assert [str(warning.message) for warning in warned] == [f"{newest}: {what}"]


def test_metrics_that_are_not_what_a_state_counts_on_are_named(run: RunDirectory) -> None:
    Path(run.metrics).write_bytes(b"abc")
    run.cut_metrics(2, hash_of(run.metrics, 2))
    Path(run.metrics).write_bytes(b"ax")
    with pytest.warns(RnntoolWarning) as warned:
        run.cut_metrics(2, hash_of("/dev/null", 2))
    what = "damaged: its content is not what the state counts on; the run goes on with what is there"
    assert [str(warning.message) for warning in warned] == [f"{run.metrics}: {what}"]


def test_metrics_are_cut_to_what_a_state_vouches_for_and_go_on_from_there(run: RunDirectory) -> None:
    metrics = Metrics(run.metrics)
    metrics.write(step=1, lr=0.5, valid_ppl=None)
    length = metrics.length
    metrics.write(step=2)
    metrics.close()
    run.cut_metrics(length)
    metrics = Metrics(run.metrics)
    metrics.write(step=2, again=True)
    metrics.close()
    assert Path(run.metrics).read_text() == '{"step": 1, "lr": 0.5}\n{"step": 2, "again": true}\n'


def test_metrics_are_on_their_way_at_once(run: RunDirectory) -> None:
    """A killed process has written what it has reported."""
    metrics = Metrics(run.metrics)
    metrics.write(step=1)
    assert Path(run.metrics).read_text() == '{"step": 1}\n'
    metrics.close()


def test_metrics_on_a_full_disk_say_so() -> None:
    metrics = Metrics("/dev/full")
    with pytest.raises(OutputError) as refused:
        metrics.write(step=1)
    assert str(refused.value) == "/dev/full: No space left on device"
    metrics.close()


def test_a_model_is_found_in_its_directory(run: RunDirectory, tmp_path: Path) -> None:
    assert find_model("m.rnn") == "m.rnn"
    Path(run.last).touch()
    with pytest.raises(ModelError, match=r"best\.rnn: missing") as refused:
        find_model(run.path)
    assert refused.value.hint == f"{run.last}, the model of the last validation"
    Path(run.best).touch()
    assert find_model(run.path) == run.best
    os.unlink(run.best)
    os.mkfifo(run.best)
    with pytest.raises(ModelError, match=r"best\.rnn: not an ordinary file"):
        find_model(run.path)


def test_a_directory_without_a_model_says_why(run: RunDirectory, tmp_path: Path) -> None:
    with pytest.raises(ModelError) as refused:
        find_model(str(tmp_path))
    assert str(refused.value) == f"{tmp_path}: not a run directory: no config.toml"
    begun(run)
    with pytest.raises(ModelError) as refused:
        find_model(run.path)
    assert str(refused.value) == f"{run.path}: no model yet: no validation has been done"


@pytest.mark.parametrize("is_replaced", [False, True])
def test_a_lock_that_was_taken_away_stops_the_run_before_it_writes(tmp_path: Path, is_replaced: bool) -> None:
    run = RunDirectory(str(tmp_path))
    run.create()
    run.save_state(1, {}, {})
    (tmp_path / "lock").unlink()
    if is_replaced:  # by another process that trains here now
        other = RunDirectory(str(tmp_path))
        Path(run.config).touch()
        other.create()
    with pytest.raises(TrainingError, match="its lock was taken away"):
        run.save_state(2, {}, {})
    assert [step for step, _ in run.states()] == [1]
