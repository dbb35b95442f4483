"""Which precision products are computed in, in one place.

An evaluation is float32 throughout.  Training takes the fastest products the device has, and keeps weights, sums and
statistics in float32.
"""

from __future__ import annotations

import platform
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import torch

from rnntool.errors import OptionError

PRECISIONS = ("auto", "fp32", "bf16")
"""What `--precision` takes."""

TILE = 8
"""Of products on a GPU all sides are filled up to a multiple of this, without which numbers are loaded one by one."""

X86 = ("x86_64", "AMD64")
"""What systems call processors of this kind."""

IN_FOURS, IN_TWOS = 127, 90
"""`largest_int8` where one instruction sums four products in 32 bits (VNNI), and where it sums two in 16 (AVX2), the one
factor being from 0 to 180: 2 · 180 · 90 < 2¹⁵."""


def product_dtype(precision: str, device: torch.device) -> torch.dtype:
    """The dtype of products in training: bfloat16 where the device computes it natively.

    Raises:
        OptionError: bfloat16 is asked for and the device does not compute it natively.
    """
    if precision == "bf16" and not has_bf16(device):
        raise OptionError("--precision", f"{device} does not compute in bfloat16 by itself", "--precision fp32")
    return torch.float32 if precision == "fp32" or not has_bf16(device) else torch.bfloat16


@contextmanager
def exact_products() -> Iterator[None]:
    """Compute float32 products inside in float32 throughout, whatever was chosen outside."""
    switches = _switches()
    before = [switch.fp32_precision for switch in switches]
    try:
        for switch in switches:
            switch.fp32_precision = "ieee"
        yield
    finally:
        for switch, value in zip(switches, before, strict=True):
            switch.fp32_precision = value


def _switches() -> list[Any]:
    """torch's settings of how float32 products are computed."""
    backends: Any = torch.backends  # its members are made at run time
    return [backends.mkldnn.matmul, backends.mkldnn.rnn, backends.cuda.matmul, backends.cudnn.rnn]


def has_bf16(device: torch.device) -> bool:
    """Whether the device computes products of bfloat16 in hardware."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return device.type == "cpu" and _processor_has_bf16()


def largest_int8() -> int:
    """How large whole numbers may be whose products the processor sums by itself without overflow; 0 if it does not."""
    if platform.machine() not in X86:
        return 0
    if torch.cpu._is_vnni_supported():
        return IN_FOURS
    has_kernels = "x86" in torch.backends.quantized.supported_engines and hasattr(
        torch.ops.quantized, "linear_with_input_q_dq_qweight_dq_output_fp32"
    )
    return IN_TWOS if has_kernels and torch.cpu._is_avx2_supported() else 0


@cache
def _processor_has_bf16() -> bool:
    """oneDNN says yes on every x86 with AVX-512, where it may only emulate it, and still has no LSTM on some."""
    if not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        return False
    if platform.machine() in X86 and not (torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()):
        return False
    one = torch.ones(1, 1, 1, dtype=torch.bfloat16)
    weights = [torch.ones(4, 1, dtype=torch.bfloat16)] * 2
    try:
        torch.lstm(one, (one, one), weights, False, 1, 0.0, False, False, False)
    except RuntimeError:
        return False
    return True
