"""Back-propagation through time by hand, for cells that torch drives slowly on a processor.

What a cell does with its inputs is one product over the whole window.  Of the rest, a step forward is a product and a few
element-wise operations in place, a step back likewise, and the gradient of a recurrent matrix is one product after the
loop.  For the simple recurrent network:

    forward     a_t = A x_t + b;   h_t = f(a_t + R h_{t−1})
    back        δ_t = f' ⊙ (∂L/∂h_t + Rᵀ δ_{t+1})
    after       ∂L/∂R = Σ_t δ_t h_{t−1}ᵀ;   ∂L/∂a_t = δ_t

∂L/∂h_t is what comes from above; f' is taken from f: h (1 − h) for σ, 1 − h² for tanh.  The other cells go the same way;
each class below states its recurrence, and keeps of the way forward what its way back needs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from rnntool.nn.cells.cell import Cell, State, Weights
from rnntool.nn.cells.elman import Elman
from rnntool.nn.cells.gru import GRU
from rnntool.nn.cells.gru_before import GRUBefore
from rnntool.nn.cells.jordan import Jordan
from rnntool.nn.cells.mrnn import MRNN
from rnntool.nn.cells.scrn import SCRN
from rnntool.nn.kernels import scan
from rnntool.nn.kernels.gated import GRUSteps, linear, product_adder, sum_of_products

aten = torch.ops.aten


def run(cell: Cell, w: Weights, x: Tensor, state: State, *, dtype: torch.dtype = torch.float32) -> tuple[Tensor, State]:
    """As `reference.run`, for the cells of `RUNS`."""
    return RUNS[type(cell)](cell, w, x, state, dtype)


# --- the cells -----------------------------------------------------------------------------------------------------------


def _elman(cell: Elman, w: Weights, x: Tensor, state: State, dtype: torch.dtype) -> tuple[Tensor, State]:
    a = linear(x, w["weight_ih"], dtype) + w["bias"]
    h = _Elman.apply(a, w["weight_hh"], state[0], cell.activation, dtype)  # type: ignore[no-untyped-call]
    return h, (h[-1],)


def _scrn(cell: SCRN, w: Weights, x: Tensor, state: State, dtype: torch.dtype) -> tuple[Tensor, State]:
    alpha = cell.alpha(w)
    before = state[-1]
    s = scan.fade((1 - alpha) * linear(x, w["weight_is"], dtype), before, alpha)
    if not cell.hidden_size:
        return s, (s[-1],)
    seen = torch.cat([before[None], s[:-1]]) if cell.previous else s
    a = linear(x, w["weight_ih"], dtype) + linear(seen, w["weight_sh"], dtype) + w["bias"]
    h = _Elman.apply(a, w["weight_hh"], state[0], "sigmoid", dtype)  # type: ignore[no-untyped-call]
    return torch.cat([h, s], dim=2), (h[-1], s[-1])


def _jordan(cell: Jordan, w: Weights, x: Tensor, state: State, dtype: torch.dtype) -> tuple[Tensor, State]:
    a = linear(x, w["weight_ih"], dtype) + w["bias"]
    y, s = _Jordan.apply(a, w["weight_hh"], *state, cell.activation, cell.decay, dtype)  # type: ignore[no-untyped-call]
    return y, (y[-1], s[-1])


def _gru(cell: GRU, w: Weights, x: Tensor, state: State, dtype: torch.dtype) -> tuple[Tensor, State]:
    a = linear(x, w["weight_ih"], dtype) + w["bias"]
    h = _GRU.apply(a, w["weight_hh"], w["bias_n"], state[0], dtype)  # type: ignore[no-untyped-call]
    return h, (h[-1],)


def _gru_before(cell: GRUBefore, w: Weights, x: Tensor, state: State, dtype: torch.dtype) -> tuple[Tensor, State]:
    a = linear(x, w["weight_ih"], dtype) + w["bias"]
    h = _GRUBefore.apply(a, w["weight_hh"], state[0], dtype)  # type: ignore[no-untyped-call]
    return h, (h[-1],)


def _mrnn(cell: MRNN, w: Weights, x: Tensor, state: State, dtype: torch.dtype) -> tuple[Tensor, State]:
    a = linear(x, w["weight_ih"], dtype) + w["bias"]
    m = linear(x, w["weight_if"], dtype) + w["bias_f"]
    h = _MRNN.apply(a, m, w["weight_hf"], w["weight_fh"], state[0], dtype)  # type: ignore[no-untyped-call]
    return h, (h[-1],)


RUNS: dict[type[Cell], Callable[..., tuple[Tensor, State]]] = {
    Elman: _elman,
    Jordan: _jordan,
    GRU: _gru,
    GRUBefore: _gru_before,
    SCRN: _scrn,
    MRNN: _mrnn,
}
"""The cells whose way back is written here."""


# --- their recurrences ---------------------------------------------------------------------------------------------------


class _Elman(torch.autograd.Function):
    """h_t = f(a_t + R h_{t−1}), all (T, B, H)."""

    @staticmethod
    def forward(ctx: Any, a: Tensor, R: Tensor, h0: Tensor, activation: str, dtype: torch.dtype) -> Tensor:
        h = torch.empty_like(a)
        add_product, apply = product_adder(R.T, len(h0), dtype), APPLY[activation]
        before = h0
        for a_t, h_t in zip(a, h, strict=True):
            add_product(a_t, before, h_t)
            apply(h_t)
            before = h_t
        ctx.save_for_backward(h, R, h0)
        ctx.activation, ctx.dtype = activation, dtype
        return h

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        h, R, h0 = ctx.saved_tensors
        add_product, slope = product_adder(R, len(h0), ctx.dtype), SLOPE[ctx.activation]
        delta = torch.empty_like(h)
        reached = grad[-1].clone()
        for t in reversed(range(len(h))):
            slope(reached, h[t], delta[t])
            add_product(grad[t - 1] if t else torch.zeros_like(h0), delta[t], reached)
        return delta, sum_of_products(delta, _before(h0, h), ctx.dtype), reached, None, None


class _Jordan(torch.autograd.Function):
    """s_t = μ s_{t−1} + y_{t−1};  y_t = f(a_t + S s_t), all (T, B, H)."""

    @staticmethod
    def forward(
        ctx: Any, a: Tensor, S: Tensor, y0: Tensor, s0: Tensor, activation: str, decay: float, dtype: torch.dtype
    ) -> tuple[Tensor, Tensor]:
        y, s = torch.empty_like(a), torch.empty_like(a)
        add_product, apply = product_adder(S.T, len(y0), dtype), APPLY[activation]
        y_before, s_before = y0, s0
        for a_t, y_t, s_t in zip(a, y, s, strict=True):
            torch.add(y_before, s_before, alpha=decay, out=s_t)
            add_product(a_t, s_t, y_t)
            apply(y_t)
            y_before, s_before = y_t, s_t
        ctx.save_for_backward(y, s, S)
        ctx.activation, ctx.decay, ctx.dtype = activation, decay, dtype
        return y, s

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_y: Tensor, grad_s: Tensor) -> tuple[Tensor | None, ...]:
        y, s, S = ctx.saved_tensors
        add_product, slope = product_adder(S, y.shape[1], ctx.dtype), SLOPE[ctx.activation]
        delta = torch.empty_like(y)
        reached_y, reached_s = torch.zeros_like(y[0]), torch.zeros_like(y[0])
        for t in reversed(range(len(y))):
            slope(reached_y + grad_y[t], y[t], delta[t])
            add_product(reached_s + grad_s[t], delta[t], reached_y)  # ∂L/∂s_t, which is all that y_{t−1} enters
            torch.mul(reached_y, ctx.decay, out=reached_s)
        return delta, sum_of_products(delta, s, ctx.dtype), reached_y, reached_s, None, None, None


class _GRU(torch.autograd.Function):
    """A window of `GRUSteps`, all (T, B, H)."""

    @staticmethod
    def forward(ctx: Any, a: Tensor, U: Tensor, b_n: Tensor, h0: Tensor, dtype: torch.dtype) -> Tensor:
        steps = GRUSteps(len(a), dtype, U, b_n, h0)
        for t, a_t in enumerate(a):
            steps.forward(t, a_t)
        ctx.steps = steps
        return steps.h[1:]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        steps = ctx.steps
        steps.turn(())
        reached, none = grad[-1], torch.zeros_like(grad[0])
        da = grad.new_empty(*grad.shape[:2], 3 * grad.shape[2])
        for t in reversed(range(len(grad))):
            da[t], reached = steps.back(t, reached, grad[t - 1] if t else none)
        return da, *steps.gradients(), reached, None


class _GRUBefore(torch.autograd.Function):
    """r, z = σ(a^r,z + U^r,z h_{t−1});  h̃ = tanh(a^n + U^n (r ⊙ h_{t−1}));  h_t = h_{t−1} + z ⊙ (h̃ − h_{t−1})."""

    @staticmethod
    def forward(ctx: Any, a: Tensor, U: Tensor, h0: Tensor, dtype: torch.dtype) -> Tensor:
        T, B, width = a.shape
        H = width // 3
        gates = torch.empty_like(a)  # r z h̃
        h = a.new_empty(T, B, H)
        add_rz, add_n = product_adder(U[: 2 * H].T, B, dtype), product_adder(U[2 * H :].T, B, dtype)
        before = h0
        for t in range(T):
            rz, n = gates[t, :, : 2 * H], gates[t, :, 2 * H :]
            add_rz(a[t, :, : 2 * H], before, rz)
            torch.sigmoid_(rz)
            add_n(a[t, :, 2 * H :], rz[:, :H] * before, n)
            torch.tanh_(n)
            before = torch.lerp(before, n, rz[:, H:], out=h[t])
        ctx.save_for_backward(h, gates, U, h0)
        ctx.dtype = dtype
        return h

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        h, gates, U, h0 = ctx.saved_tensors
        T, B, H = h.shape
        before = _before(h0, h)
        r, z, n = torch.split(gates, H, dim=2)
        to_n, to_z, to_r = z * (1 - n * n), (n - before) * z * (1 - z), before * r * (1 - r)
        delta = torch.empty_like(gates)
        reached = grad.clone()  # ∂L/∂h_t
        add_rz, add_n = product_adder(U[: 2 * H], B, ctx.dtype), product_adder(U[2 * H :], B, ctx.dtype)
        zeros, last = torch.zeros_like(h0), torch.zeros_like(h0)
        through_r = torch.empty_like(h0)  # ∂L/∂(r ⊙ h_{t−1})
        for t in reversed(range(T)):
            delta_r, delta_z, delta_n = torch.split(delta[t], H, dim=1)
            torch.mul(reached[t], to_n[t], out=delta_n)
            torch.mul(reached[t], to_z[t], out=delta_z)
            add_n(zeros, delta_n, through_r)
            torch.mul(through_r, to_r[t], out=delta_r)
            below = reached[t - 1] if t else last
            below.addcmul_(reached[t], 1 - z[t]).addcmul_(through_r, r[t])
            add_rz(below, delta[t, :, : 2 * H], below)
        dU_rz = sum_of_products(delta[:, :, : 2 * H], before, ctx.dtype)
        dU_n = sum_of_products(delta[:, :, 2 * H :], r * before, ctx.dtype)
        return delta, torch.cat([dU_rz, dU_n]), last, None


class _MRNN(torch.autograd.Function):
    """h_t = tanh(a_t + P (m_t ⊙ (G h_{t−1}))), a (T, B, H), m (T, B, factors)."""

    @staticmethod
    def forward(ctx: Any, a: Tensor, m: Tensor, G: Tensor, P: Tensor, h0: Tensor, dtype: torch.dtype) -> Tensor:
        h, inner, factors = torch.empty_like(a), torch.empty_like(m), torch.empty_like(m)  # inner: G h
        to_factors, to_units = product_adder(G.T, len(h0), dtype), product_adder(P.T, len(h0), dtype)
        zeros = m.new_zeros(m.shape[1:])
        before = h0
        for a_t, m_t, inner_t, factors_t, h_t in zip(a, m, inner, factors, h, strict=True):
            to_factors(zeros, before, inner_t)
            torch.mul(m_t, inner_t, out=factors_t)
            to_units(a_t, factors_t, h_t)
            before = h_t.tanh_()
        ctx.save_for_backward(h, m, inner, factors, G, P, h0)
        ctx.dtype = dtype
        return h

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        h, m, inner, factors, G, P, h0 = ctx.saved_tensors
        from_units, from_factors = product_adder(P, len(h0), ctx.dtype), product_adder(G, len(h0), ctx.dtype)
        delta, delta_f, delta_inner = torch.empty_like(h), torch.empty_like(m), torch.empty_like(m)
        zeros, last = m.new_zeros(m.shape[1:]), torch.zeros_like(h0)
        reached = grad[-1].clone()  # ∂L/∂h_t
        for t in reversed(range(len(h))):
            _tanh_slope(reached, h[t], delta[t])
            from_units(zeros, delta[t], delta_f[t])
            torch.mul(delta_f[t], m[t], out=delta_inner[t])
            from_factors(grad[t - 1] if t else last, delta_inner[t], reached)
        dG = sum_of_products(delta_inner, _before(h0, h), ctx.dtype)
        dP = sum_of_products(delta, factors, ctx.dtype)
        return delta, delta_f * inner, dG, dP, reached, None


# --- their parts ---------------------------------------------------------------------------------------------------------


def _relu_slope(grad: Tensor, value: Tensor, out: Tensor) -> None:
    aten.threshold_backward(grad, value, 0, grad_input=out)


def _sigmoid_slope(grad: Tensor, value: Tensor, out: Tensor) -> None:
    aten.sigmoid_backward(grad, value, grad_input=out)


def _tanh_slope(grad: Tensor, value: Tensor, out: Tensor) -> None:
    aten.tanh_backward(grad, value, grad_input=out)


APPLY: dict[str, Callable[[Tensor], Tensor]] = {"sigmoid": torch.sigmoid_, "tanh": torch.tanh_, "relu": torch.relu_}
"""f in place, by name."""

SLOPE = {"sigmoid": _sigmoid_slope, "tanh": _tanh_slope, "relu": _relu_slope}
"""out = grad ⊙ f', from the value of f."""


def _before(h0: Tensor, h: Tensor) -> Tensor:
    """h_{t−1} for all t, (T, B, H)."""
    return torch.cat([h0[None], h[:-1]])
