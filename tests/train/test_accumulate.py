"""What one update is the gradient of."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from rnntool.data.batch import Batch, Position
from rnntool.train.loop import Trainer
from tests.train.conftest import Sit

CLOSE = {"rtol": 1e-11, "atol": 1e-13}


def assert_same_weights(one: Trainer, other: Trainer) -> None:
    for ours, theirs in zip(one.network.parameters(), other.network.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, **CLOSE)


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_two_groups_of_two_lines_are_one_group_of_four(optimizer: str, sit: Sit) -> None:
    """Lines begin anew, so nothing but the sum ties them; in float64 the sums differ by roundings only.

    Lines are taken in order, so that the same four stand in one update: sorted by length within the one pool there is.
    """
    kind: dict[str, Any] = {
        "context": "reset",
        "shuffle": False,
        "bptt": 100,
        "double": True,
        "optimizer": optimizer,
        "schedule": "constant",  # the others see how much of the epoch is done, which a smaller last group shifts
        "clip": 0.5,
    }
    whole, halves = sit(name="whole", batch_size=4, **kind), sit(name="halves", batch_size=2, accumulate=2, **kind)
    whole.train()
    halves.train()
    assert whole.place.step == halves.place.step
    assert (whole.place.windows, halves.place.windows) == (2 * 5, 2 * 9)  # eighteen lines, two epochs
    assert_same_weights(whole, halves)


def test_an_epoch_whose_windows_do_not_come_out_even_ends_with_a_smaller_update(sit: Sit) -> None:
    trainer = sit(accumulate=3, max_epochs=1)
    windows = list(trainer.batches.batches(Position()))
    trainer.train()
    assert len(windows) % 3
    assert trainer.place.windows == len(windows)
    assert trainer.place.step == -(-len(windows) // 3)
    assert trainer.place.tokens == sum(window.num_tokens for window in windows)


def gradient(trainer: Trainer, batch: Batch) -> list[torch.Tensor]:
    trainer.network.zero_grad()
    trainer.windows.backward(batch, 0)
    return [p.grad.to_dense().clone() for p in trainer.network.parameters() if p.grad is not None]


def test_a_weight_counts_a_token_so_many_times(sit: Sit) -> None:
    """The gradient of a text of weight ½ and one of weight 2 is half of the one and twice the other."""
    trainer = sit(text="two", double=True, context="reset", bptt=100)
    for batch in trainer.batches.batches(Position()):
        assert batch.weights is not None
        mask = torch.ones_like(batch.targets, dtype=torch.bool) if batch.mask is None else batch.mask
        parts = []
        for weight in (0.5, 2.0):
            chosen = mask & (batch.weights == weight)
            part = Batch(**{**vars(batch), "mask": chosen, "weights": None})
            parts.append([weight * g for g in gradient(trainer, part)])
        for whole, *halves in zip(gradient(trainer, batch), *parts, strict=True):
            torch.testing.assert_close(whole, sum(halves), **CLOSE)


def test_ar_and_tar_are_means_over_the_window(sit: Sit) -> None:
    """Merity et al. 2018, §4.3: α L2(m ⊙ h_t) + β L2(h_t − h_{t+1}), means over all elements.

    The loss of a window is a sum over its tokens, so they are times their number.
    """
    plain, regular = sit(name="plain", double=True), sit(name="regular", double=True, ar=2.0, tar=3.0)
    batch = next(iter(plain.batches.batches(Position())))
    base = gradient(plain, batch)
    h, _ = regular.network.run(batch.inputs, regular.network.state0(4))
    extra = 2 * (h**2).mean() + 3 * ((h[1:] - h[:-1]) ** 2).mean()
    parameters = [p for p in regular.network.parameters()]
    added = torch.autograd.grad(batch.num_tokens * extra, parameters, allow_unused=True)
    for ours, theirs, more in zip(gradient(regular, batch), base, added, strict=True):
        torch.testing.assert_close(ours, theirs if more is None else theirs + more, **CLOSE)


def test_tokens_that_do_not_count_teach_nothing(sit: Sit) -> None:
    """What a group is filled up with has no gradient: other ids there give the same."""
    trainer = sit(context="reset", double=True, bptt=100, shuffle=False)
    checked = 0
    for batch in trainer.batches.batches(Position()):
        if batch.mask is None:
            continue
        other = Batch(**{**vars(batch), "targets": torch.where(batch.mask, batch.targets, 3)})
        changed = batch.inputs.clone()
        changed[1:][~batch.mask[1:] & ~batch.mask[:-1]] = 4
        other = Batch(**{**vars(other), "inputs": changed})
        for one, two in zip(gradient(trainer, batch), gradient(trainer, other), strict=True):
            assert torch.equal(one, two)
        checked += 1
    assert checked


def test_random_windows_take_a_step_as_long_as_they_are(sit: Sit) -> None:
    """Merity et al. 2018, §5: the rate times the window's length over the usual one."""
    trainer = sit(bptt_random=True, bptt=10, schedule="constant", lr=0.01, max_epochs=1)
    windows = list(trainer.batches.batches(Position()))
    rates = []
    stepped = trainer.observer.stepped

    def remember(**told: Any) -> None:
        rates.append(told["lr"])
        stepped(**told)

    trainer.observer.stepped = remember  # type: ignore[method-assign]
    trainer.train()
    assert rates == pytest.approx([0.01 * len(window.targets) / 10 for window in windows])
