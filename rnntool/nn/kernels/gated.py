"""Steps of gated cells with their way back by hand: what a loop over time calls, whatever else it does at each step.

Of the way forward a loop keeps what the way back needs, in tensors over all steps; what can be computed for all steps at
once is computed before the loop or after it.  `a_t` is all that a step's units are given beside their own state.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

LOW_FROM = 5_000_000
"""Multiplications from which a recurrent product is computed in bfloat16, where that is allowed: with 20 rows, a matrix of
40,000 elements takes 21 µs in float32 and 25 in bfloat16, 120,000 take 60 and 45 before conversions, 420,000 take 216 and
117 (one core with AVX512-BF16)."""


class Steps(Protocol):
    """A cell over T steps, forward and then back.

    Attributes:
        h: the outputs, the first of which is the one before the window, (T + 1, B, H).
    """

    h: Tensor

    @property
    def after(self) -> tuple[Tensor, ...]:
        """What the state after the window has beside its output."""

    def forward(self, t: int, a: Tensor) -> Tensor:
        """h_t, for a_t (B, G)."""

    def turn(self, after: Sequence[Tensor]) -> None:
        """Begin the way back, with the gradients of `after`."""

    def back(self, t: int, reached: Tensor, addend: Tensor) -> tuple[Tensor, Tensor]:
        """From ∂L/∂h_t to ∂L/∂a_t, (B, G), and to what reaches h_{t−1} by the step, (B, H), with `addend`."""

    def gradients(self) -> tuple[Tensor, ...]:
        """Those of the recurrent weights, in their order; and of what the first state has beside h_0."""


class GRUSteps:
    """r, z = σ(a^r,z + U^r,z h_{t−1});  n = tanh(a^n + r ⊙ (U^n h_{t−1} + b'));  h_t = n + z ⊙ (h_{t−1} − n).

    Args:
        num_steps: T.
        dtype: lowest that products may have.
        U: rows r z n, (3H, H).
        b_n: b', (H,).
        h0: (B, H).
    """

    def __init__(self, num_steps: int, dtype: torch.dtype, U: Tensor, b_n: Tensor, h0: Tensor) -> None:
        self.dtype = dtype
        self.U = U
        B, H = h0.shape
        self.h = h0.new_empty(num_steps + 1, B, H)
        self.h[0] = h0
        self._gates = h0.new_empty(num_steps, B, 3 * H)  # r z n
        self._inner = h0.new_empty(num_steps, B, H)  # U^n h + b'
        self._bias = torch.cat([b_n.new_zeros(2 * H), b_n])
        self._add_product = product_adder(U.T, B, dtype)

    @property
    def after(self) -> tuple[Tensor, ...]:
        """Nothing."""
        return ()

    def forward(self, t: int, a: Tensor) -> Tensor:
        """As `Steps.forward`."""
        H = self.h.shape[2]
        before, h = self.h[t], self.h[t + 1]
        gates, inner = self._gates[t], self._inner[t]
        rz, n = gates[:, : 2 * H], gates[:, 2 * H :]
        self._add_product(self._bias, before, gates)
        inner.copy_(n)
        torch.sigmoid_(rz.add_(a[:, : 2 * H]))
        torch.tanh_(torch.addcmul(a[:, 2 * H :], rz[:, :H], inner, out=n))
        return torch.lerp(n, before, rz[:, H:], out=h)

    def turn(self, after: Sequence[Tensor]) -> None:
        """As `Steps.turn`."""
        _, B, H = self._inner.shape
        r, z, n = torch.split(self._gates, H, dim=2)
        # what ∂L/∂h_t is multiplied with on its way to each product: U^n h, then a^r and U^r h, a^z and U^z h, a^n
        to_n = (1 - z) * (1 - n * n)
        to_r = to_n * self._inner * r * (1 - r)
        self._factors = torch.stack([to_n * r, to_r, (self.h[:-1] - n) * z * (1 - z), to_n], dim=2)
        self._delta = torch.empty_like(self._factors)  # (T, B, 4, H)
        self._z = z
        self._add_product = product_adder(self.U.roll(H, 0), B, self.dtype)  # rows n r z

    def back(self, t: int, reached: Tensor, addend: Tensor) -> tuple[Tensor, Tensor]:
        """As `Steps.back`."""
        _, B, _, H = self._delta.shape
        delta = torch.mul(self._factors[t], reached[:, None], out=self._delta[t]).view(B, 4 * H)
        below = torch.addcmul(addend, reached, self._z[t])
        self._add_product(below, delta[:, : 3 * H], below)
        return delta[:, H:], below

    def gradients(self) -> tuple[Tensor, ...]:
        """As `Steps.gradients`."""
        H = self.h.shape[2]
        dU = sum_of_products(self._delta[:, :, :3].flatten(2), self.h[:-1], self.dtype)
        return dU.roll(-H, 0), self._delta[:, :, 0].sum(dim=(0, 1))


class LSTMSteps:
    """i, f, o = σ(a + U h_{t−1}), g = tanh(…);  c_t = f ⊙ c_{t−1} + i ⊙ g;  h_t = o ⊙ tanh(c_t).

    Args:
        num_steps: T.
        dtype: lowest that products may have.
        U: rows i f g o, (4H, H).
        h0: (B, H).
        c0: (B, H).
    """

    def __init__(self, num_steps: int, dtype: torch.dtype, U: Tensor, h0: Tensor, c0: Tensor) -> None:
        self.dtype = dtype
        self.U = U
        B, H = h0.shape
        self.h, self._c = h0.new_empty(num_steps + 1, B, H), h0.new_empty(num_steps + 1, B, H)
        self.h[0], self._c[0] = h0, c0
        self._gates = h0.new_empty(num_steps, B, 4 * H)  # i f g o
        self._tanh_c = h0.new_empty(num_steps, B, H)
        self._add_product = product_adder(U.T, B, dtype)

    @property
    def after(self) -> tuple[Tensor, ...]:
        """c_T."""
        return (self._c[-1],)

    def forward(self, t: int, a: Tensor) -> Tensor:
        """As `Steps.forward`."""
        H = self.h.shape[2]
        gates, c = self._gates[t], self._c[t + 1]
        self._add_product(a, self.h[t], gates)
        i_f, g, o = gates[:, : 2 * H].sigmoid_(), gates[:, 2 * H : 3 * H].tanh_(), gates[:, 3 * H :].sigmoid_()
        torch.mul(i_f[:, H:], self._c[t], out=c).addcmul_(i_f[:, :H], g)
        return torch.mul(o, torch.tanh(c, out=self._tanh_c[t]), out=self.h[t + 1])

    def turn(self, after: Sequence[Tensor]) -> None:
        """As `Steps.turn`."""
        T, B, H = self._tanh_c.shape
        i, f, g, o = torch.split(self._gates, H, dim=2)
        self._to_c = o * (1 - self._tanh_c * self._tanh_c)
        self._to_o = self._tanh_c * o * (1 - o)
        # what ∂L/∂c_t is multiplied with on its way to each gate's product
        self._factors = torch.stack([g * i * (1 - i), self._c[:-1] * f * (1 - f), i * (1 - g * g)], dim=2)
        self._delta = self._gates.new_empty(T, B, 4, H)
        self._f = f
        self._dc = after[0].clone()
        self._add_product = product_adder(self.U, B, self.dtype)

    def back(self, t: int, reached: Tensor, addend: Tensor) -> tuple[Tensor, Tensor]:
        """As `Steps.back`."""
        _, B, _, H = self._delta.shape
        self._dc.addcmul_(reached, self._to_c[t])
        delta = self._delta[t]
        torch.mul(self._factors[t], self._dc[:, None], out=delta[:, :3])
        torch.mul(reached, self._to_o[t], out=delta[:, 3])
        self._dc *= self._f[t]
        below = torch.empty_like(reached)
        self._add_product(addend, delta.view(B, 4 * H), below)
        return delta.view(B, 4 * H), below

    def gradients(self) -> tuple[Tensor, ...]:
        """As `Steps.gradients`."""
        return sum_of_products(self._delta.flatten(2), self.h[:-1], self.dtype), self._dc


def linear(x: Tensor, weight: Tensor, dtype: torch.dtype) -> Tensor:
    """W x for all steps; the product and those of its gradients are computed in `dtype`."""
    return F.linear(x.to(dtype), weight.to(dtype)).to(x.dtype) if dtype is torch.bfloat16 else F.linear(x, weight)


def product_adder(matrix: Tensor, num_rows: int, dtype: torch.dtype) -> Callable[[Tensor, Tensor, Tensor], object]:
    """The function (addend, h, out) that sets out = addend + h @ matrix, for h (B, ·), at most in `dtype`."""
    if dtype is torch.bfloat16 and (matrix.is_cuda or num_rows * matrix.numel() >= LOW_FROM):
        low = matrix.to(dtype)
        return lambda addend, h, out: torch.add(addend, h.to(dtype) @ low, out=out)
    return lambda addend, h, out: torch.addmm(addend, h, matrix, out=out)


def sum_of_products(delta: Tensor, h: Tensor, dtype: torch.dtype) -> Tensor:
    """Σ_t δ_tᵀ h_t, (G, H), for δ (T, B, G) and h (T, B, H), computed in `dtype`."""
    rows, columns = delta.flatten(0, 1), h.flatten(0, 1)
    return (rows.to(dtype).T @ columns.to(dtype)).to(h.dtype) if dtype is torch.bfloat16 else rows.T @ columns
