"""The kernel that normalises a block of logits, for triton; its twin is `rnntool.nn.output.block.normalize_reference`."""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

LEAST = tl.constexpr(-1e30)  # below all logits; exp of minus infinity less this is zero, less itself would be no number

SPAN = 4096
"""Most logits of a row that one program holds at a time."""


@triton.jit  # type: ignore[untyped-decorator,unused-ignore]
def kernel(z, weights, log_z, vocab_size, span: tl.constexpr):  # type: ignore[no-untyped-def]
    """One row: its largest logit and its sum, column by column of a span; then its probabilities.

    Triton reads annotations, and knows none of Python's own.
    """
    row = tl.program_id(0).to(tl.int64)
    z += row * vocab_size
    columns = tl.arange(0, span)
    top = tl.full([span], LEAST, tl.float32)
    mass = tl.zeros([span], tl.float32)  # Σ exp(z − top)
    for start in range(0, vocab_size, span):
        block = tl.load(z + start + columns, mask=start + columns < vocab_size, other=-float("inf")).to(tl.float32)
        higher = tl.maximum(top, block)
        mass = mass * tl.exp(top - higher) + tl.exp(block - higher)
        top = higher
    highest = tl.max(top, axis=0)
    norm = highest + tl.log(tl.sum(mass * tl.exp(top - highest), axis=0))
    tl.store(log_z + row, norm)
    weight = tl.load(weights + row)
    for start in range(0, vocab_size, span):
        inside = start + columns < vocab_size
        block = tl.load(z + start + columns, mask=inside, other=0.0).to(tl.float32)
        tl.store(z + start + columns, (tl.exp(block - norm) * weight).to(z.dtype.element_ty), mask=inside)


def normalize(z: Tensor, weights: Tensor) -> Tensor:
    """As `normalize_reference`."""
    assert z.is_contiguous()
    log_z = torch.empty(len(z), dtype=torch.float32, device=z.device)
    span = min(SPAN, triton.next_power_of_2(z.shape[1]))
    kernel[(len(z),)](z, weights, log_z, z.shape[1], span=span)
    return log_z
