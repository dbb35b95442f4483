"""Weights of a loop over time whose gradients are taken in one product after it.

    y_t = W x_t        dL/dW = Σ_t dL/dy_t x_tᵀ = [dL/dy_1 … dL/dy_T] [x_1 … x_T]ᵀ

Left to itself, autograd takes a product and an addition as large as W for every step.  A `Deferred` stands where a weight
stands in `x @ weight.T`, so that a cell's own `step` uses it unchanged.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class Deferred:
    """A matrix W (R, C) of which no more is known than how to multiply with it.

    Args:
        weight: W.
        dtype: lowest that products may have; they are bfloat16 or as the weight is.
    """

    def __init__(self, weight: Tensor, dtype: torch.dtype) -> None:
        self.low = weight.detach().to(dtype if dtype is torch.bfloat16 else weight.dtype)
        self.inputs: list[Tensor] = []
        self.gradients: list[Tensor] = []
        # what every product depends on, so that autograd comes to it when it has been through all of them
        self._root: Tensor = _Root.apply(weight, self)  # type: ignore[no-untyped-call]

    @property
    def T(self) -> Deferred:
        """As it stands in `x @ weight.T`."""
        return self

    def __rmatmul__(self, x: Tensor) -> Tensor:
        """x Wᵀ, (B, R) for x (B, C)."""
        product: Tensor = _Product.apply(x, self._root, self)  # type: ignore[no-untyped-call]
        return product


class _Root(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, weight: Tensor, deferred: Deferred) -> Tensor:
        ctx.deferred = deferred
        ctx.dtype = weight.dtype
        return weight.new_zeros(())

    @staticmethod
    def backward(ctx: Any, _: Tensor) -> tuple[Tensor, None]:
        deferred = ctx.deferred
        gradient = torch.cat(deferred.gradients).T @ torch.cat(deferred.inputs)
        deferred.gradients, deferred.inputs = [], []
        return gradient.to(ctx.dtype), None


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, root: Tensor, deferred: Deferred) -> Tensor:
        low = x.to(deferred.low.dtype)
        ctx.save_for_backward(low)
        ctx.deferred = deferred
        ctx.dtype = x.dtype
        return (low @ deferred.low.T).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None]:
        (x,) = ctx.saved_tensors
        deferred = ctx.deferred
        low = gradient.to(x.dtype)
        deferred.inputs.append(x)
        deferred.gradients.append(low)
        return (low @ deferred.low).to(ctx.dtype), gradient.new_zeros(()), None
