"""How a run ends: by its clock, by its patience, at its aim, or with a full disk."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rnntool.errors import OutputError, RnntoolWarning, Stopped
from rnntool.train.loop import FAILED_SAVES
from tests.train.conftest import Sit


def test_a_run_whose_time_is_up_stops_after_an_update_with_75(sit: Sit) -> None:
    trainer = sit(max_time=0.0)
    with pytest.raises(Stopped) as stopped:
        trainer.train()
    assert (stopped.value.status, trainer.place.step) == (75, 1)
    assert (
        str(stopped.value) == f"{trainer.run.path}: stopped after update 1: --max-time 0 s is up; everything is saved"
    )
    assert trainer.run.states()[0][0] == 1


def test_a_run_without_better_validations_runs_out_of_patience(sit: Sit) -> None:
    """A rate too small to move a float32: the first validation is never bettered."""
    trainer = sit(optimizer="sgd", lr=1e-30, patience=2, validations=3, max_epochs=9, schedule="constant")
    assert trainer.train() == "no better validation for 2 epochs"
    assert trainer.place.progress == pytest.approx(1 / 3 + 2, abs=0.15)


def test_a_run_stops_at_its_aim(sit: Sit) -> None:
    assert "reaches --target-ppl 1000" in sit(target_ppl=1000.0).train()


def test_a_run_validates_so_often_an_epoch_and_at_its_end(sit: Sit) -> None:
    trainer = sit(validations=3)
    trainer.train()
    epochs = [r["epoch"] for r in trainer.observer.records if "valid_ppl" in r]  # type: ignore[attr-defined]
    assert len(epochs) == 6
    assert epochs[2] == 1
    assert epochs[5] == 2


def test_every_report_is_of_the_updates_since_the_one_before(sit: Sit) -> None:
    trainer = sit(batch_size=1, bptt=2, clip=1e-3, max_epochs=1)
    trainer.train()
    records = [json.loads(line) for line in Path(trainer.run.metrics).read_text().splitlines()]
    assert [r["step"] for r in records] == sorted({r["step"] for r in records})
    assert 15 < len(records) < 25
    assert records[-1]["tokens"] == trainer.batches.corpus.num_tokens  # type: ignore[attr-defined]
    assert all(r["clipped"] == 1 and r["grad_norm"] > 1e-3 for r in records)
    assert records[0]["train_nll"] == pytest.approx(2.5, abs=0.3)  # guessing among 13 words: ln 13 = 2.56


def test_saves_that_fail_in_a_row_end_a_run_but_one_does_not(sit: Sit, monkeypatch: pytest.MonkeyPatch) -> None:
    trainer = sit(save_every=0, batch_size=1)
    save, calls = trainer._save, []

    def fail() -> None:
        calls.append(trainer.place.step)
        if len(calls) in (2, *range(5, 99)):
            raise OutputError("run/state", "No space left on device")
        save()

    monkeypatch.setattr(trainer, "_save", fail)
    warned = pytest.warns(RnntoolWarning, match="No space left on device; the run goes on")
    with warned as warnings, pytest.raises(OutputError):
        trainer.train()
    assert len(warnings) == 1 + FAILED_SAVES - 1
    assert calls == [0, 1, 2, 3, 4, 5, 6]
