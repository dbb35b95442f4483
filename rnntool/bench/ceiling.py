"""How fast the machine multiplies matrices: what all else is measured against."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch

SIZE = 1024


def products(device: torch.device, dtypes: tuple[torch.dtype, ...]) -> dict[str, Callable[[], object]]:
    """A product of two square matrices in each dtype, as tasks."""
    return {
        name_of(dtype): partial(
            torch.mm,
            torch.randn(SIZE, SIZE, device=device).to(dtype),
            torch.randn(SIZE, SIZE, device=device).to(dtype),
        )
        for dtype in dtypes
    }


def gflops(seconds: float) -> float:
    """GFLOP/s of one of these products."""
    return 2 * SIZE**3 / seconds / 1e9


def name_of(dtype: torch.dtype) -> str:
    """The short name of a dtype: `fp32`, `bf16`."""
    return {torch.float64: "fp64", torch.float32: "fp32", torch.bfloat16: "bf16", torch.float16: "fp16"}[dtype]
