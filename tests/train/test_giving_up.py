"""Who asks for an end does not wait for a validation: it is given up, and done again when the run is taken up."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rnntool.errors import Stopped
from rnntool.text.vocabulary import Vocabulary
from rnntool.train.judge import Judge
from rnntool.train.loop import Trainer
from tests.conftest import course
from tests.train.conftest import TRAIN, VALID, Sit, Texts

PAIRS = {"encoder": "gru:4", "link": "attention", "context": "reset"}
RUNS: dict[str, dict[str, Any]] = {
    "carried": {"average": "ema", "average_decay": 0.8},
    "reset": {"context": "reset", "schedule": "newbob", "optimizer": "sgd", "bptt_random": True},
    "pairs": PAIRS,
    "judged": {**PAIRS, "metric": "bleu"},
}


def judged(trainer: Trainer, vocabulary: Vocabulary) -> Trainer:
    """The trainer, with a judge if its metric wants one."""
    if trainer.config.metric != "ppl":
        trainer.validation.judge = Judge(
            trainer.config.metric,
            VALID.splitlines(),
            TRAIN.splitlines()[: VALID.count("\n")],
            source_vocabulary=vocabulary,
            vocabulary=vocabulary,
        )
    return trainer


def stopped_when_heeded(trainer: Trainer, times: int) -> int:
    """Ask for an end when a validation looks whether somebody does for the so-manieth time; then train."""
    heed, count = trainer.stop.heed, 0

    def asked() -> None:
        nonlocal count
        count += 1
        if count == times:
            trainer.stop.status, trainer.stop.reason = 143, "signal SIGTERM"
        heed()

    trainer.stop.heed = asked  # type: ignore[method-assign]
    with pytest.raises(Stopped) as stopped:
        trainer.train()
    assert stopped.value.status == 143
    return count


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("options", RUNS.values(), ids=RUNS)
def test_a_validation_that_was_given_up_is_done_again_and_the_run_ends_as_if_it_had_not_been(
    options: dict[str, Any], times: int, sit: Sit, texts: Texts
) -> None:
    whole = judged(sit(name="whole", **options), texts.vocabulary)
    reason = whole.train()
    given_up = judged(sit(name="parts", **options), texts.vocabulary)
    assert stopped_when_heeded(given_up, times) == times  # and no more was done
    assert given_up.place.is_due
    assert not any(
        "valid_ppl" in record and record["step"] == given_up.place.step for record in course(given_up.run.path)
    )
    again = judged(sit(name="parts", init_seed=9, **options), texts.vocabulary)
    assert again.train() == reason
    assert again.observer.resumed_at == given_up.place.step  # type: ignore[attr-defined]
    for name in ("best", "last"):
        assert Path(getattr(again.run, name)).read_bytes() == Path(getattr(whole.run, name)).read_bytes()
    assert course(again.run.path) == course(whole.run.path)


def test_one_who_asks_again_and_again_is_heard_every_time(sit: Sit) -> None:
    """A run whose only time is that of a validation goes on where it was, and loses nothing."""
    whole = sit(name="whole", max_epochs=1)
    whole.train()
    steps = []
    for _ in range(3):
        trainer = sit(name="parts", max_epochs=1)
        stopped_when_heeded(trainer, 1)
        steps.append(trainer.place.step)
    assert len(set(steps)) == 1
    last = sit(name="parts", max_epochs=1)
    last.train()
    assert course(last.run.path) == course(whole.run.path)
