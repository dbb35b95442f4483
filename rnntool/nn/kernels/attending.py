"""A decoder that attends and reads its last output, word by word, with the way back by hand.

For the link `cur` with input feeding, whose words cannot be computed at once, and a decoder of one gated layer:

    forward     h_t = f(a_t + W_o o_{t−1}, h_{t−1})                 a_t = W_x x_t + b, for all words at once
                α_t = softmax_s v · tanh(W_q h_t + k_s)             c_t = Σ_s α_ts m_s
                o_t = tanh(W [h_t; c_t] + b')
    back        δ_t = (1 − o_t²) ⊙ (∂L/∂o_t + W_oᵀ ∂L/∂a_{t+1})     then Wᵀ δ_t to h_t and c_t, c_t's to α_t and h_t
    after       ∂L/∂W = Σ_t δ_t [h_t; c_t]ᵀ, and so for all matrices; ∂L/∂m_s = Σ_t α_ts ∂L/∂c_t

Left to autograd, a word takes some two hundred operations, which on a GPU take longer to start than to do.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from rnntool.nn.cells.cell import Cell, State, Weights
from rnntool.nn.cells.gru import GRU
from rnntool.nn.cells.lstm import LSTM
from rnntool.nn.kernels.energy import add_slopes, energies_but_constant
from rnntool.nn.kernels.gated import GRUSteps, LSTMSteps, Steps, linear, product_adder, sum_of_products
from rnntool.nn.source import Source


class AttendingWeights(NamedTuple):
    """What the link adds to the cell's weights; A units of attention, outputs of width H, memory of width D."""

    query: Tensor
    """W_q, (A, H)."""
    energy: Tensor
    """v, (A,)."""
    out: Tensor
    """W, (H, H + D)."""
    bias_out: Tensor
    """b', (H,)."""


def can_drive(cell: Cell) -> bool:
    """Whether the cell is one of those whose steps are written by hand."""
    return isinstance(cell, GRU) or (isinstance(cell, LSTM) and not cell.proj_size)


def run(
    cell: Cell,
    w: Weights,
    link: AttendingWeights,
    x: Tensor,
    state: State,
    source: Source,
    *,
    dtype: torch.dtype = torch.float32,
) -> tuple[Tensor, State]:
    """All words of a window.

    Args:
        cell: one that `can_drive`.
        w: its weights; it reads [x_t; o_{t−1}].
        link: the link's.
        x: (T, B, E).
        state: the cell's, and o before the first word.
        source: of every row.
        dtype: lowest that products may have.

    Returns:
        o (T, B, H), and the state after the last word.
    """
    E = x.shape[2]
    a = linear(x, w["weight_ih"][:, :E], dtype) + w["bias"]
    steps, recurrent = (LSTMSteps, ("weight_hh",)) if isinstance(cell, LSTM) else (GRUSteps, ("weight_hh", "bias_n"))
    own = [w[name] for name in recurrent]
    off = torch.zeros_like(source.mask, dtype=x.dtype).masked_fill_(~source.mask, -torch.inf)
    out, *after = _Attending.apply(  # type: ignore[no-untyped-call]
        steps,
        len(own),
        dtype,
        off,
        a,
        w["weight_ih"][:, E:],
        source.keys,
        source.memory,
        state[-1],
        *link,
        *own,
        *state[:-1],
    )
    return out, (*after, out[-1])


class _Attending(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        build: Callable[..., Steps],
        num_own: int,
        dtype: torch.dtype,
        off: Tensor,
        a: Tensor,
        W_o: Tensor,
        keys: Tensor,
        memory: Tensor,
        o0: Tensor,
        W_q: Tensor,
        v: Tensor,
        W: Tensor,
        bias: Tensor,
        *own: Tensor,
    ) -> tuple[Tensor, ...]:
        T, B, _ = a.shape
        S, D, H = memory.shape[1], memory.shape[2], len(bias)
        steps = build(T, dtype, *own)
        o, alpha = a.new_empty(T + 1, B, H), a.new_empty(T, B, S)
        seen, query2 = a.new_empty(T, B, H + D), a.new_empty(T, B, len(v))  # [h; c], 2 W_q h
        o[0] = o0
        feed, ask, put = (product_adder(m.T, B, dtype) for m in (W_o, 2 * W_q, W))
        zero, given = a.new_zeros(len(v)), torch.empty_like(a[0])
        for t in range(T):
            feed(a[t], o[t], given)
            seen[t, :, :H] = h = steps.forward(t, given)
            ask(zero, h, query2[t])
            energy = energies_but_constant(query2[t][:, None], keys, v)[:, 0].add_(off)
            torch.softmax(energy, dim=1, out=alpha[t])
            seen[t, :, H:] = (alpha[t][:, None] @ memory)[:, 0]
            put(bias, seen[t], o[t + 1])
            o[t + 1].tanh_()
        ctx.steps, ctx.num_own, ctx.dtype = steps, num_own, dtype
        ctx.save_for_backward(o, alpha, seen, query2, W_o, keys, memory, W_q, v, W)
        return (o[1:], steps.h[-1].clone(), *steps.after)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_out: Tensor, *d_after: Tensor) -> tuple[Tensor | None, ...]:
        o, alpha, seen, query2, W_o, keys, memory, W_q, v, W = ctx.saved_tensors
        steps, dtype = ctx.steps, ctx.dtype
        T, B, H = d_out.shape
        delta, d_context = torch.empty_like(d_out), alpha.new_empty(T, B, memory.shape[2])
        da, d_query = alpha.new_empty(T, B, len(W_o)), torch.empty_like(query2)  # that of q by 4 v
        d_keys, d_v = torch.zeros_like(keys), torch.zeros_like(v)
        put, ask, feed = (product_adder(m, B, dtype) for m in (W, 4 * v[:, None] * W_q, W_o))
        zero, none, d_seen = alpha.new_zeros(len(W[0])), torch.zeros_like(o[0]), torch.empty_like(seen[0])
        slope = 1 - o[1:] * o[1:]
        steps.turn(d_after[1:])
        reached, d_o = d_after[0], d_out[-1]
        for t in reversed(range(T)):
            put(zero, torch.mul(d_o, slope[t], out=delta[t]), d_seen)
            d_context[t] = d_seen[:, H:]
            d_alpha = (d_seen[:, None, H:] @ memory.transpose(1, 2))[:, 0]  # memory @ column takes nine times as long
            d_energy = torch.ops.aten._softmax_backward_data(d_alpha, alpha[t], 1, alpha.dtype)
            d_query[t] = add_slopes(d_energy[:, None], query2[t][:, None], keys, d_keys, d_v)[:, 0]
            reached = reached + d_seen[:, :H]
            ask(reached, d_query[t], reached)
            da[t], reached = steps.back(t, reached, none)
            d_o = torch.empty_like(none)
            feed(d_out[t - 1] if t else none, da[t], d_o)
        d_query.mul_(4 * v)
        d_memory = alpha.permute(1, 2, 0) @ d_context.transpose(0, 1)  # (B, S, T) (B, T, D)
        own = steps.gradients()
        return (
            *(None,) * 4,
            da,
            sum_of_products(da, o[:-1], dtype),
            d_keys.mul_(4 * v),
            d_memory,
            d_o,
            sum_of_products(d_query, seen[:, :, :H], dtype),
            d_v,
            sum_of_products(delta, seen, dtype),
            delta.sum(dim=(0, 1)),
            *own[: ctx.num_own],
            reached,
            *own[ctx.num_own :],
        )
