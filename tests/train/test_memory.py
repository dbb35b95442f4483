"""Where memory does not suffice for a batch, its columns are computed one part after the other, to the same sums."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from rnntool.data.batch import Batch
from rnntool.errors import RnntoolWarning, TrainingError
from rnntool.nn.cells.cell import State
from rnntool.train import windows
from rnntool.train.loop import Trainer
from tests.train.conftest import Sit

FULL = "[alloc_cpu.cpp:116] DefaultCPUAllocator: can't allocate memory: 9 bytes\nmore"
NOISE = {"dropout": 0.3, "dropout_embed": 0.1, "dropout_recurrent": 0.2, "dropout_weight": 0.1}

RUNS: list[tuple[str, dict[str, Any]]] = [
    ("lstm:4", {"optimizer": "sgd", "lr": 1.0, **NOISE}),
    ("gru:4", {"output": "adaptive:3,6", "context": "reset", "bptt": 3, "locked": True, **NOISE}),
    ("elman:4", {"ar": 0.5, "tar": 0.5, "label_smoothing": 0.1, "accumulate": 2, "text": "two"}),
    ("gru:4", {"encoder": "bi-gru:3", "link": "attention", "context": "reset", "batch_size": 5, **NOISE}),
    ("lstm:4", {"output": "sampled:3", "optimizer": "sgd", "lr": 0.5}),
]


def short(monkeypatch: pytest.MonkeyPatch, *, columns: int, at_window: int = 3) -> None:
    """Let no more columns fit into memory, from a window on."""
    compute, calls = windows.backward, 0

    def within(network: Any, batch: Batch, *rest: Any, **options: Any) -> tuple[Tensor, State]:
        nonlocal calls
        calls += 1
        if calls >= at_window and batch.inputs.shape[1] > columns:
            raise RuntimeError(FULL)
        return compute(network, batch, *rest, **options)

    monkeypatch.setattr(windows, "backward", within)


@pytest.mark.parametrize(("arch", "options"), RUNS, ids=[f"{arch}-{n}" for n, (arch, _) in enumerate(RUNS)])
def test_a_batch_that_does_not_fit_is_computed_in_parts(
    sit: Sit, monkeypatch: pytest.MonkeyPatch, arch: str, options: dict[str, Any]
) -> None:
    whole = sit(arch, name="whole", double=True, **options)
    whole.train()
    parts: Trainer = sit(arch, name="parts", double=True, **options)
    short(monkeypatch, columns=1)
    with pytest.warns(RnntoolWarning, match="out of memory at update") as told:
        parts.train()
    assert "from here on it is computed in 2 parts, to the same result in more time" in str(told[0].message)
    assert len(told) == (3 if options.get("batch_size") == 5 else 2)  # in two, in four, in eight
    for ours, theirs in zip(parts.network.parameters(), whole.network.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-11)


def test_a_column_that_does_not_fit_ends_the_run(sit: Sit, monkeypatch: pytest.MonkeyPatch) -> None:
    trainer = sit()
    short(monkeypatch, columns=0, at_window=1)
    with pytest.warns(RnntoolWarning), pytest.raises(TrainingError) as stopped:
        trainer.train()
    assert stopped.value.what.startswith("out of memory at update 1: batch 4 × 5 tokens, column by column: [alloc_cpu")
    assert "\n" not in stopped.value.what
