"""Which precision products are computed in, in one place.

An evaluation is float32 throughout.  Training takes the fastest products the device has, and keeps weights, sums and
statistics in float32.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

PRECISIONS = ("auto", "fp32", "bf16")
"""What `--precision` takes."""


def product_dtype(precision: str, device: torch.device) -> torch.dtype:
    """The dtype of an output layer's products in training: bfloat16 where the device computes it natively."""
    if precision == "fp32":
        return torch.float32
    if precision == "bf16" or _has_bf16(device):
        return torch.bfloat16
    return torch.float32


@contextmanager
def exact_products() -> Iterator[None]:
    """Compute float32 products inside in float32 throughout, whatever was chosen outside."""
    with _precision("ieee", _switches(cuda=True)):
        yield


@contextmanager
def fast_products() -> Iterator[None]:
    """Let float32 products inside take oneDNN, which may round their factors to bfloat16 where that is in hardware.

    On processors without such units nothing is rounded; oneDNN is then merely twice as fast as the other library.
    """
    with _precision("bf16", _switches(cuda=False)):
        yield


def _switches(*, cuda: bool) -> list[Any]:
    """torch's settings of how float32 products are computed."""
    backends: Any = torch.backends  # its members are made at run time
    switches = [backends.mkldnn.matmul, backends.mkldnn.rnn]
    return [*switches, backends.cuda.matmul, backends.cudnn.rnn] if cuda else switches[:1]


@contextmanager
def _precision(name: str, switches: list[Any]) -> Iterator[None]:
    before = [switch.fp32_precision for switch in switches]
    try:
        for switch in switches:
            switch.fp32_precision = name
        yield
    finally:
        for switch, value in zip(switches, before, strict=True):
            switch.fp32_precision = value


def _has_bf16(device: torch.device) -> bool:
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return device.type == "cpu" and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
