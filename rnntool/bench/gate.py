"""Is it right, before it is fast: a training step against float64 and the readable path."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from rnntool.bench.workload import Workload
from rnntool.data.batch import Batch
from rnntool.models.network import Network
from rnntool.train.step import backward, noise_of

LIMITS = {torch.float32: 2e-5, torch.bfloat16: 3e-2}
"""Largest ‖g − g*‖ / ‖g*‖ over all weights together, by the products' dtype.  bfloat16 has a relative error of 2⁻⁹ = 0.2 %
in each factor, which adds up over the steps of a window."""


def gradient_error(workload: Workload, device: torch.device, dtype: torch.dtype) -> float:
    """‖g − g*‖ / ‖g*‖ of one window of at most four streams, g* by the readable path in float64 on the processor."""
    few = replace(workload, training=replace(workload.training, batch_size=min(4, workload.training.batch_size)))
    network, exact = few.build(device), few.build(torch.device("cpu"), torch.float64)
    exact.plan("reference")
    ours = _gradients(network, few.batches(device)[0], few, dtype)
    theirs = _gradients(exact, few.batches(torch.device("cpu"))[0], few, torch.float64)
    error = sum(float((a.cpu().double() - b).square().sum()) for a, b in zip(ours, theirs, strict=True))
    total = sum(float(b.square().sum()) for b in theirs)
    return float((error / total) ** 0.5)


def _gradients(network: Network, batch: Batch, workload: Workload, dtype: torch.dtype) -> list[Tensor]:
    noise = noise_of(replace(workload.training, dropout=0.0), torch.Generator(batch.inputs.device))
    state = network.state0(batch.inputs.shape[1])
    backward(network, batch, state, workload.training, noise=noise, dtype=dtype, sparse=False)
    return [p.grad for p in network.parameters() if p.grad is not None]
