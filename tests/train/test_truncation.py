"""Truncated back-propagation, its windows overlapping or not, against loops that are written out, in float64."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from rnntool.data.batch import Position
from rnntool.models.network import Network
from rnntool.nn.cells.cell import State
from rnntool.train.loop import Trainer
from tests.train.conftest import Sit

ARCHS = ["elman:4", "lstm:2x4", "gru:4", "scrn:4+2", "trace:4"]
PLAIN = {"optimizer": "sgd", "lr": 0.5, "clip": 0.0, "schedule": "constant", "max_epochs": 1, "double": True}

CLOSE = {"rtol": 1e-10, "atol": 1e-12}


def columns(trainer: Trainer) -> tuple[Tensor, Tensor, Tensor]:
    """The whole epoch in one window: inputs, targets and which of them count, (T, B)."""
    batches: Any = trainer.batches
    every, bptt = batches.every, batches.bptt
    batches.every = batches.bptt = 10**6
    (batch,) = batches.batches(Position())
    batches.every, batches.bptt = every, bptt
    mask = torch.ones_like(batch.targets, dtype=torch.bool) if batch.mask is None else batch.mask
    return batch.inputs, batch.targets, mask


def written_out(network: Network, inputs: Tensor, targets: Tensor, counts: Tensor, *, bptt: int, every: int) -> None:
    """Every `every` steps, back through `bptt`: the third kind of truncation, one step at a time.

    The state from which a window starts was computed by the window before, with the weights of then, and is cut off.
    """
    kept: dict[int, State] = {0: network.state0(inputs.shape[1])}
    for first in range(0, len(inputs), every):
        end = min(first + every, len(inputs))
        back = max(0, first - (bptt - every))
        next_back = max(0, end - (bptt - every))
        state = kept[back]
        loss = torch.zeros((), dtype=torch.float64)
        for t in range(back, end):
            if t == next_back:
                kept[t] = tuple(s.detach() for s in state)
            log_probs, state = network.step(inputs[t], state)
            if t >= first:
                nll = -log_probs.gather(1, targets[t][:, None])[:, 0]
                loss = loss + nll[counts[t]].sum()
        if next_back == end:
            kept[end] = tuple(s.detach() for s in state)
        loss = loss / counts[first:end].sum()
        network.zero_grad()
        loss.backward()
        with torch.no_grad():
            for parameter in network.parameters():
                if parameter.grad is not None:
                    parameter -= PLAIN["lr"] * parameter.grad


@pytest.mark.parametrize(("bptt", "every"), [(5, 5), (5, 2), (6, 1), (4, 3), (3, 0)])
@pytest.mark.parametrize("arch", ARCHS)
def test_an_epoch_is_the_loop_that_is_written_out(arch: str, bptt: int, every: int, sit: Sit) -> None:
    """An epoch of updates, each with the weights that the ones before have left."""
    trainer = sit(arch, name="ours", bptt=bptt, bptt_every=every, **PLAIN)
    other = sit(arch, name="theirs", **PLAIN).network
    written_out(other, *columns(trainer), bptt=bptt, every=every or bptt)
    trainer.train()
    for (name, ours), theirs in zip(trainer.network.named_parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, msg=lambda text, name=name: f"{name}: {text}", **CLOSE)


@pytest.mark.parametrize("arch", ARCHS)
def test_windows_that_advance_by_their_length_are_plain_ones(arch: str, sit: Sit) -> None:
    plain, every = sit(arch, name="plain", bptt=5), sit(arch, name="every", bptt=5, bptt_every=5)
    plain.train()
    every.train()
    for ours, theirs in zip(plain.network.parameters(), every.network.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_a_longer_reach_learns_something_else(sit: Sit) -> None:
    """The overlap matters: back through one step is not back through five."""
    short, long = sit(name="short", bptt=1, **PLAIN), sit(name="long", bptt=5, bptt_every=1, **PLAIN)
    short.train()
    long.train()
    assert short.place.step == long.place.step
    assert not all(
        torch.allclose(a, b, rtol=1e-6)
        for a, b in zip(short.network.parameters(), long.network.parameters(), strict=True)
    )
