"""Matrices prepared for products with few rows, in few bits if that is wanted.

One token of one stream reads every weight once, so it takes as long as memory takes to deliver them: half as many bytes,
half the time.  A `Packed` stands where a weight stands in `x @ weight.T`, so that a cell's own `step` uses it unchanged.

    fp32    all of it, in the order that the processor's product wants, instead of being brought into it every time
    bf16    8 of float32's 24 bits of each number
    int8    w ≈ s_w · n, with one scale s_w for each row of the matrix, and x ≈ s_x · m, one for each row of x, with whole
            numbers |n|, |m| up to 127, or 90 without VNNI (`largest_int8`); the sums of their products are exact, so that
            a row's result does not depend on others
"""

from __future__ import annotations

import platform
import warnings
from abc import ABC, abstractmethod

import torch
from torch import Tensor

from rnntool.errors import OptionError
from rnntool.nn.precision import IN_FOURS, IN_TWOS, X86, has_bf16, largest_int8

PACKINGS = ("fp32", "bf16", "int8")
"""What a matrix can be packed to."""

SIGN = 0x80
"""The bit by which a number from -128 to 127 and the same plus 128 differ."""

SMALLEST = 1e-30
"""Least scale, so that a row of zeros can be divided by its own."""


class Packed(ABC):
    """A matrix W (R, C) of which no more is known than how to multiply with it.

    Args:
        weight: W in float32.
    """

    def __init__(self, weight: Tensor) -> None:
        self._whole = weight
        self._parts: dict[tuple[int, int, int], Packed] = {}

    @property
    def T(self) -> Packed:
        """Itself: `x @ packed.T` is what can be done with it."""
        return self

    def __getitem__(self, rows: slice) -> Packed:
        """Some rows, packed when they are first asked for."""
        key = rows.indices(len(self._whole))
        if key not in self._parts:
            self._parts[key] = type(self)(self._whole[rows])
        return self._parts[key]

    @abstractmethod
    def product(self, x: Tensor) -> Tensor:
        """X Wᵀ, (N, R) in float32, for x (N, C) in float32."""

    def __rmatmul__(self, x: Tensor) -> Tensor:
        """The same as an operator."""
        return self.product(x)


class _Float32(Packed):
    """In the layout that oneDNN multiplies with, which one row alone has nothing of."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__(weight)
        self._weight = torch.ops.mkldnn._reorder_linear_weight(weight.contiguous())

    def product(self, x: Tensor) -> Tensor:
        if len(x) == 1:
            return x @ self._whole.T
        product: Tensor = torch.ops.mkldnn._linear_pointwise(x, self._weight, None, "none", [], "")
        return product


class _BFloat16(Packed):
    def __init__(self, weight: Tensor) -> None:
        super().__init__(weight)
        self._weight = weight.to(torch.bfloat16)
        self._is_reordered = weight.device.type == "cpu"
        if self._is_reordered:  # into the layout oneDNN multiplies with, once instead of at every product
            self._weight = torch.ops.mkldnn._reorder_linear_weight(self._weight)

    def product(self, x: Tensor) -> Tensor:
        low = x.to(torch.bfloat16)
        if not self._is_reordered:
            return (low @ self._weight.T).to(x.dtype)
        product: Tensor = torch.ops.mkldnn._linear_pointwise(low, self._weight, None, "none", [], "")
        return product.to(x.dtype)


class _Int8(Packed):
    """By an instruction that sums products of 8-bit numbers in 32 bits."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__(weight)
        scales, whole = _whole_numbers(weight, IN_FOURS)  # (R, 1), (R, C)
        self._scales = scales[:, 0].contiguous()
        self._zeros = torch.zeros(len(weight), dtype=torch.int32)
        self._weight = torch.ops.onednn.qlinear_prepack(whole.to(torch.int8), None)

    def product(self, x: Tensor) -> Tensor:
        scales, whole = _whole_numbers(x, IN_FOURS)
        # n + 128, the kind of number that the instructions want
        shifted = whole.to(torch.int8).view(torch.uint8) ^ SIGN
        product: Tensor = torch.ops.onednn.qlinear_pointwise(
            shifted, 1.0, 128, self._weight, self._scales, self._zeros, None, 1.0, 0, x.dtype, "none", [], ""
        )
        return product.mul_(scales)


class _Int8InTwos(Packed):
    """By an instruction that sums two products of 8-bit numbers in 16 bits, FBGEMM's way without VNNI."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__(weight)
        scales, whole = _whole_numbers(weight, IN_TWOS)
        zeros = torch.zeros(len(weight), dtype=torch.int64)
        with warnings.catch_warnings():  # torch would rather have no tensors of this kind; there is no other way yet
            warnings.simplefilter("ignore", UserWarning)
            quantized = torch._make_per_channel_quantized_tensor(whole.to(torch.int8), scales[:, 0].double(), zeros, 0)
            self._weight = torch.ops.quantized.linear_prepack(quantized, None)

    def product(self, x: Tensor) -> Tensor:
        scales, whole = _whole_numbers(x, IN_TWOS)
        multiply = torch.ops.quantized.linear_with_input_q_dq_qweight_dq_output_fp32
        product: Tensor = multiply(whole, 1.0, IN_TWOS, self._weight)  # adds it, and takes it off the sums
        return product.mul_(scales)


def _whole_numbers(rows: Tensor, most: int) -> tuple[Tensor, Tensor]:
    """Scales (N, 1) and whole numbers (N, C), at most so large, whose products are about the rows (N, C)."""
    scales = rows.abs().amax(dim=1, keepdim=True).div_(most).clamp_(min=SMALLEST)
    return scales, (rows / scales).round_()


def is_packable(packing: str, device: torch.device) -> bool:
    """Whether the device computes with it by itself; with float32, whether it has an order of its own for that."""
    if packing == "bf16":
        return has_bf16(device)
    if device.type != "cpu":
        return False
    if packing == "int8":
        return largest_int8() > 0
    has_onednn: bool = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    return has_onednn and platform.machine() in X86


def pack(weight: Tensor, packing: str) -> Packed:
    """A float32 matrix (R, C), packed.

    Args:
        weight: on its device.
        packing: one of `PACKINGS`, fp32 only where `is_packable`.

    Raises:
        OptionError: the device does not compute with it natively.
    """
    weight = weight.detach()
    if is_packable(packing, weight.device):
        if packing == "int8":
            return _Int8(weight) if largest_int8() == IN_FOURS else _Int8InTwos(weight)
        return _Float32(weight) if packing == "fp32" else _BFloat16(weight)
    if packing == "bf16":
        raise OptionError("--precision", f"{weight.device} does not compute in bfloat16 by itself")
    assert packing == "int8"
    if weight.device.type != "cpu":
        raise OptionError("--precision", f"int8 is for processors, not for {weight.device}", "--precision bf16")
    raise OptionError("--precision", "this processor has no instructions for int8 (AVX2, VNNI)", "--precision fp32")
