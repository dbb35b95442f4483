"""A run that diverges stops on the update that would spoil it, with everything good kept."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

import pytest
import torch

from rnntool.checkpoint.container import read_container
from rnntool.checkpoint.model import load_model
from rnntool.errors import Stopped, TrainingError
from rnntool.train.loop import Trainer
from tests.train.conftest import Sit


def spoilt(trainer: Trainer, *, at: int, how: str) -> None:
    """Let the loss, or a gradient, of one update be no number."""
    output = trainer.network.output
    loss = output.loss

    def spoil(*args: Any, **options: Any) -> Any:
        total, nll = loss(*args, **options)
        if trainer.place.step + 1 == at:
            if how == "loss":
                return total, nll * math.inf
            total = total * (math.nan if how == "gradient" else math.inf)
        return total, nll

    output.loss = spoil  # type: ignore[method-assign]


@pytest.mark.parametrize("how", ["loss", "gradient", "infinite gradient"])
@pytest.mark.parametrize("options", [{}, {"clip": 0}, {"clip_value": 0.1}], ids=str)
def test_what_is_no_number_is_never_applied(how: str, options: dict[str, Any], sit: Sit) -> None:
    trainer = sit(**options)
    spoilt(trainer, at=4, how=how)
    before: list[torch.Tensor] = []
    stepped = trainer.observer.stepped

    def remember(**told: Any) -> None:
        before[:] = [p.detach().clone() for p in trainer.network.parameters()]
        stepped(**told)

    trainer.observer.stepped = remember  # type: ignore[method-assign]
    with pytest.raises(TrainingError) as stopped:
        trainer.train()
    assert trainer.place.step == 3
    assert all(torch.equal(p, b) for p, b in zip(trainer.network.parameters(), before, strict=True))
    assert stopped.value.what.startswith("loss is ")
    assert " at update 4 (lr " in stopped.value.what
    assert stopped.value.what.endswith(f"last good state: {trainer.run.path}/state-0.rnn")
    assert "a smaller --lr" in stopped.value.hint


@pytest.mark.parametrize("options", [{}, {"average": "ema"}, {"optimizer": "sgd", "momentum": 0.9}], ids=str)
def test_what_the_optimiser_and_the_average_remember_is_not_touched_either(options: dict[str, Any], sit: Sit) -> None:
    """The state after an update that failed is that before it."""

    def remembered(trainer: Trainer) -> dict[str, torch.Tensor]:
        memory = {f"{n} {k}": t for n, own in trainer.optimizer.memory.items() for k, t in own.items()}
        return {name: t.clone() for name, t in (memory | trainer.average.weights).items()}

    good, bad = sit(name="good", stop_after=3, **options), sit(name="bad", **options)
    spoilt(bad, at=4, how="gradient")
    with pytest.raises(Stopped):
        good.train()
    with pytest.raises(TrainingError):
        bad.train()
    before, after = remembered(good), remembered(bad)
    assert before and before.keys() == after.keys()
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_a_state_with_a_value_that_is_no_finite_number_is_never_saved(optimizer: str, sit: Sit) -> None:
    """An update carries the weights over the largest float32, and a save comes before the loss that shows it."""
    trainer = sit(optimizer=optimizer, lr=1e39, clip=0, schedule="constant", save_every=0)
    with pytest.raises(TrainingError) as stopped:
        trainer.train()
    assert re.fullmatch(
        r"after update 1 nothing is saved: '\S+' holds a value that is not a finite number; "
        rf"last good state: {trainer.run.path}/state-0\.rnn",
        stopped.value.what,
    ), stopped.value.what
    assert "a smaller --lr" in stopped.value.hint
    ((step, path),) = trainer.run.states()
    assert step == 0
    assert all(torch.isfinite(tensor).all() for tensor in read_container(path, "state")[1].values())


def test_a_run_that_stopped_so_goes_on_from_its_last_good_state(sit: Sit) -> None:
    """The cause gone, it ends like any other."""
    whole = sit(name="whole")
    whole.train()
    trainer = sit(name="parts", save_every=0)
    spoilt(trainer, at=4, how="gradient")
    with pytest.raises(TrainingError, match=r"state-3\.rnn"):
        trainer.train()
    again = sit(name="parts")
    again.train()
    assert Path(again.run.best).read_bytes() == Path(whole.run.best).read_bytes()


def diverge(trainer: Trainer) -> str:
    with pytest.raises(TrainingError) as stopped:
        trainer.train()
    for path in (trainer.run.best, trainer.run.last):
        if Path(path).exists():
            model = load_model(path)
            assert math.isfinite(model.metrics["valid_ppl"])
    for line in Path(trainer.run.metrics).read_text().splitlines():
        json.loads(line, parse_constant=lambda name: pytest.fail(f"{name} in the metrics"))
    return stopped.value.what


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "rmsprop", "adagrad"])
@pytest.mark.parametrize("arch", ["lstm:4", "elman:4,relu"])
def test_a_rate_of_a_million_ends_in_one_message_and_without_a_bad_model(arch: str, optimizer: str, sit: Sit) -> None:
    what = diverge(sit(arch, optimizer=optimizer, lr=1e6, clip=0, schedule="constant"))
    assert "loss is " in what
    assert "lr 1e+06" in what


def test_divergence_in_the_last_update_before_a_validation_is_noticed_by_it(sit: Sit) -> None:
    """One update an epoch: the loss before it was fine, the weights after it are not."""
    trainer = sit(optimizer="sgd", lr=1e6, clip=0, schedule="constant", bptt=1000)
    diverge(trainer)
    assert not Path(trainer.run.best).exists()


def test_a_bug_stays_a_bug(sit: Sit, monkeypatch: pytest.MonkeyPatch) -> None:
    trainer = sit()

    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    monkeypatch.setattr(trainer.network.output, "loss", broken)
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        trainer.train()
