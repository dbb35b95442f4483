"""A run that was stopped anywhere and taken up again ends with the bytes of one that was not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rnntool.checkpoint import run as run_module
from rnntool.errors import ModelError, RnntoolWarning, Stopped
from rnntool.train.loop import Trainer
from tests.conftest import course
from tests.train.conftest import Sit

NOISE = {
    "dropout": 0.2,
    "dropout_embed": 0.1,
    "dropout_recurrent": 0.2,
    "dropout_weight": 0.2,
}

RUNS: list[tuple[str, dict[str, Any]]] = [
    ("lstm:4", {}),
    ("lstm:4", {"context": "reset", "bptt": 3}),
    ("lstm:4", {"context": "reset", "bptt": 3, "accumulate": 3, "dropout": 0.2}),
    ("lstm:2x4/3", {"residual": True, "layer_norm": True, **NOISE, "locked": True}),
    ("lstm:4", {"tied": True, "clip_step": 0.1, "clip_value": 0.01}),
    (
        "elman:4",
        {
            "optimizer": "sgd",
            "lr": 0.5,
            "momentum": 0.9,
            "nesterov": True,
            "schedule": "newbob",
            "min_improvement": 0.9,
        },
    ),
    ("elman:4", {"optimizer": "sgd", "lr": 8.0, "schedule": "newbob", "validations": 2, "min_improvement": 0.5}),
    ("elman:4,relu", {"bptt_random": True, "shuffle": True, "bptt": 10}),
    ("gru:4", {"optimizer": "adagrad", "schedule": "cosine", "warmup": 7, "accumulate": 2}),
    ("gru:4", {"text": "two", "label_smoothing": 0.1, "ar": 0.5, "tar": 0.5, "dropout_output": 0.3}),
    ("gru-before:4", {"optimizer": "adamw", "weight_decay": 0.1, "average": "ema", "average_decay": 0.8}),
    ("scrn:4+2,learn", {"optimizer": "rmsprop", "momentum": 0.5, "schedule": "plateau", "lr": 0.005}),
    ("scrn:4+2,prev", {"bptt_every": 2}),
    ("trace:4", {"bptt_every": 1, "bptt": 3, **NOISE}),
    ("jordan:4", {"optimizer": "sgd", "lr": 20.0, "average": "asgd", "average_patience": 1, "validations": 4}),
    ("elman:4,tanh", {"text": "two", "context": "reset", "shuffle": False, "schedule": "constant"}),
    ("ngram:4x4", {"dropout": 0.2, "bptt": 2}),
    ("ngram:3x4,sigmoid,direct", {"context": "reset", "optimizer": "sgd", "lr": 1.0}),
    ("mrnn:4/3", {**NOISE}),
    ("lstm:4", {"output": "adaptive:3,6", "beta1": 0.9, **NOISE}),
    ("elman:4", {"output": "class:3", "direct": "300:3", "bptt_every": 2, "average": "ema", "label_smoothing": 0.1}),
    ("gru:4", {"direct": "300:4", "context": "reset", "bptt": 3, "text": "two", "scheduled_sampling": 0.3}),
    ("gru:4", {"encoder": "bi-gru:3", "link": "attention", "context": "reset", **NOISE}),
    ("lstm:4", {"encoder": "lstm:2x4", "link": "init", "context": "reset", "tied_source": True, "batch_tokens": 20}),
    ("gru:4", {"scheduled_sampling": 0.5, "dropout": 0.2}),
    ("gru:4", {"encoder": "bi-gru:3", "link": "attention", "context": "reset", "scheduled_sampling": 0.3}),
    ("gru:4", {"encoder": "bag", "link": "each", "context": "reset", "accumulate": 2}),
    ("gru:4", {"output": "adaptive:5", "tied": True, "optimizer": "adamw", "label_smoothing": 0.1}),
]


def files(trainer: Trainer) -> dict[str, bytes]:
    run = trainer.run
    return {name: Path(path).read_bytes() for name, path in (("best", run.best), ("last", run.last))}


def updates_of_an_epoch(trainer: Trainer) -> int:
    """Those of the first: where the second begins."""
    return next(record["step"] for record in course(trainer.run.path) if record["epoch"] == 1)


@pytest.mark.parametrize(("arch", "options"), RUNS, ids=[f"{arch} {list(o)}" for arch, o in RUNS])
def test_a_run_stopped_in_its_first_and_its_second_epoch_ends_as_if_it_had_not_been(
    arch: str, options: dict[str, Any], sit: Sit
) -> None:
    """Three sittings against one; the network of a later sitting begins with other weights, which must not matter."""
    whole = sit(arch, name="whole", **options)
    reason = whole.train()
    first = updates_of_an_epoch(whole)
    for number, stop_after in enumerate((2, first)):
        sitting = sit(arch, name="parts", init_seed=7 + number if number else 1, stop_after=stop_after, **options)
        with pytest.raises(Stopped) as stopped:
            sitting.train()
        assert stopped.value.status == 143
        assert sitting.place.step == (2, 2 + first)[number]
    sitting = sit(arch, name="parts", init_seed=99, **options)
    assert sitting.train() == reason
    assert sitting.observer.resumed_at == 2 + first  # type: ignore[attr-defined]
    assert files(sitting) == files(whole)
    assert course(sitting.run.path) == course(whole.run.path)


@pytest.mark.parametrize("options", [{}, {"schedule": "newbob", "optimizer": "sgd", "validations": 2}], ids=str)
@pytest.mark.parametrize("moment", ["reported", "best", "last", "state"])
def test_a_run_killed_at_any_moment_of_a_validation_ends_as_if_it_had_not_been(
    moment: str, options: dict[str, Any], sit: Sit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The metrics are written, or best.rnn too, or last.rnn too, or the state: then the process is gone."""

    class Killed(BaseException):
        pass

    whole = sit(name="whole", **options)
    whole.train()
    killed = sit(name="parts", **options)
    with monkeypatch.context() as patched:
        if moment == "reported":
            patched.setattr(killed.observer, "reported", raising(Killed, lambda record: "valid_nll" in record))
        elif moment == "state":
            patched.setattr(killed, "_save", raising(Killed, lambda: killed.place.step > 0, killed._save))
        else:
            from rnntool.train import loop

            path = getattr(killed.run, moment)
            patched.setattr(loop, "save_model", raising(Killed, lambda to, model: to == path, loop.save_model))
        with pytest.raises(Killed):
            killed.train()
    sitting = sit(name="parts", **options)
    sitting.train()
    assert files(sitting) == files(whole)
    assert course(sitting.run.path) == course(whole.run.path)


def raising(error: type[BaseException], when: Any, first: Any = None) -> Any:
    """A function that does what `first` does and then raises, when `when` says so."""

    def call(*args: Any) -> Any:
        result = first(*args) if first else None
        if when(*args):
            raise error
        return result

    return call


def test_saving_between_validations_changes_nothing(sit: Sit) -> None:
    whole, often = sit(name="whole"), sit(name="often", save_every=0)
    whole.train()
    often.train()
    assert files(often) == files(whole)
    assert course(often.run.path) == course(whole.run.path)
    assert len(often.run.states()) == run_module.STATES_KEPT


def test_a_run_whose_newest_state_is_damaged_goes_back_to_the_one_before(sit: Sit) -> None:
    whole = sit(name="whole")
    whole.train()
    broken = sit(name="parts", stop_after=7, save_every=0)
    with pytest.raises(Stopped):
        broken.train()
    (_, newest), (before, _), *_ = broken.run.states()
    Path(newest).write_bytes(Path(newest).read_bytes()[:-1])
    sitting = sit(name="parts")
    with pytest.warns(RnntoolWarning, match="damaged: .*; going back to the one before"):
        sitting.train()
    assert sitting.observer.resumed_at == before  # type: ignore[attr-defined]
    assert files(sitting) == files(whole)
    assert course(sitting.run.path) == course(whole.run.path)


def test_a_run_that_is_finished_says_so_and_writes_nothing(sit: Sit) -> None:
    trainer = sit()
    assert trainer.train() == "2 epochs are done"
    before = {path.name: path.stat().st_mtime_ns for path in Path(trainer.run.path).iterdir() if path.name != "lock"}
    again = sit()
    assert again.train() == "2 epochs are done"
    after = {path.name: path.stat().st_mtime_ns for path in Path(trainer.run.path).iterdir() if path.name != "lock"}
    assert after == before


def test_a_text_that_has_changed_is_not_gone_on_with(sit: Sit) -> None:
    with pytest.raises(Stopped):
        sit(stop_after=1).train()
    with pytest.raises(ModelError) as refused:
        sit(text="two").train()
    assert refused.value.what == "the text has changed since this run began"


def test_models_of_the_same_run_are_the_same_bytes_wherever_it_runs(sit: Sit) -> None:
    """Neither the directory nor the time nor the process is in them."""
    one, other = sit(name="one"), sit(name="another place")
    one.train()
    other.train()
    assert files(one) == files(other)


def test_another_seed_is_another_run(sit: Sit) -> None:
    one, other = sit(name="one", dropout=0.2), sit(name="other", dropout=0.2, seed=2)
    one.train()
    other.train()
    assert files(one) != files(other)
