"""Exact maps of cells onto torch's own recurrent networks (oneDNN on a CPU, cuDNN on a GPU).

Each map is an identity, not an approximation: in float64 it agrees with the cell's own steps to rounding.

    sigmoid network    h = (1 + k) / 2 with k a tanh network of weights A/2, R/4, bias b/2 + R·1/4, since
                       σ(a) = (1 + tanh(a/2)) / 2
    SCRN               the slow state does not depend on the fast one: first the trace, then a sigmoid network that
                       reads [x; s]
    LSTM, GRU          torch's own, its second bias held at zero where the cell has one

The weights are handed over as they are at every call, never stored in a torch module, so that dropped or averaged ones
go the same way.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from rnntool.nn.cells.cell import Cell, State, Weights
from rnntool.nn.cells.elman import Elman
from rnntool.nn.cells.gru import GRU
from rnntool.nn.cells.lstm import LSTM
from rnntool.nn.cells.scrn import SCRN
from rnntool.nn.kernels import scan
from rnntool.nn.precision import TILE

TILE_UNITS, TILE_STREAMS = 128, 8
MOST_UNITS, MOST_STREAMS = 1024, 128
"""What cuDNN's persistent kernels take; see `is_persistent`."""

GRADIENT_SCALE = 1 / 16
"""Of gradients inside the LSTM in float16.

The loss is a sum over tokens, each of which has gradients of about one; with this, what is summed up to a million of them
does not overflow, and what is lost is a millionth of one's.
"""


def run(cell: Cell, w: Weights, x: Tensor, state: State, *, dtype: torch.dtype = torch.float32) -> tuple[Tensor, State]:
    """As `reference.run`, for the cells of `RUNS`; the LSTM in `dtype`, if that is bfloat16 and it has no projection.

    On a GPU, sizes permitting, that LSTM is computed in float16 instead, filled up to what cuDNN's persistent kernels
    take: they keep the recurrent matrix on the chip.  Measured on an H200, 24 streams: 23 µs a step forward and back with
    640 units, where plain kernels take 54 with 650.

    Measured on one core with AVX512-BF16, a window of 35 and 20 to 64 streams: an LSTM of 100 to 320 units is then
    trained 1.5 to 1.9 times as fast, one of 400 to 1024 units 1.1 to 1.5 times.
    """
    with _silence() if x.is_cuda or (isinstance(cell, LSTM) and cell.proj_size) else nullcontext():
        if not isinstance(cell, LSTM) or dtype is not torch.bfloat16 or cell.proj_size:
            return RUNS[type(cell)](cell, w, x, state)
        if x.is_cuda:
            return lstm_filled(cell, w, x, state, dtype=torch.float16 if is_persistent(cell, x.shape[1]) else dtype)
        weights = {name: v.to(dtype) for name, v in w.items()}
        out, state = _lstm(cell, weights, x.to(dtype), [s.to(dtype) for s in state])
        return out.to(x.dtype), tuple(s.to(x.dtype) for s in state)


def is_persistent(cell: LSTM, num_streams: int) -> bool:
    """Whether cuDNN has a persistent kernel once units and streams are filled up.

    Source: torch's aten/src/ATen/native/cudnn/RNN.cpp, `use_persist_common_heuristics`: float16, one layer, units and
    inputs multiples of 128, at most 1,024 units; streams a multiple of 8, at most 128.
    """
    return cell.hidden_size <= MOST_UNITS and num_streams <= MOST_STREAMS


def lstm_filled(cell: LSTM, w: Weights, x: Tensor, state: State, *, dtype: torch.dtype) -> tuple[Tensor, State]:
    """The LSTM in `dtype`, units, inputs and streams filled up to whole tiles: in float16 those of persistent kernels.

    A unit more has no weights: its gates are ½, its candidate and so its state are zero, and nobody reads it.
    """
    _, B, E = x.shape
    H = cell.hidden_size
    tile = TILE_UNITS if dtype is torch.float16 else TILE
    scale = GRADIENT_SCALE if dtype is torch.float16 else 1.0
    more_units, more_inputs, more_streams = -H % tile, -E % tile, -B % TILE_STREAMS

    def gates(weight: Tensor, more_columns: int) -> Tensor:
        return F.pad(weight.view(4, H, -1), (0, more_columns, 0, more_units)).flatten(0, 1)

    filled = [
        gates(w["weight_ih"], more_inputs),
        gates(w["weight_hh"], more_units),
        gates(w["bias"], 0)[:, 0],
        F.pad(x, (0, more_inputs, 0, more_streams)),
        *(F.pad(s, (0, more_units, 0, more_streams))[None] for s in state),
    ]
    weight_ih, weight_hh, bias, inputs, h, c = (_cast(t, dtype, 1 / scale) for t in filled)
    weights = [weight_ih, weight_hh, bias, torch.zeros_like(bias)]
    found = torch.lstm(inputs, (h, c), weights, True, 1, 0.0, torch.is_grad_enabled(), False, False)
    out, h, c = (_cast(t, x.dtype, scale) for t in found)
    return out[:, :B, :H], (h[0, :B, :H], c[0, :B, :H])


def _cast(t: Tensor, dtype: torch.dtype, scale: float) -> Tensor:
    cast: Tensor = _Cast.apply(t, dtype, scale)  # type: ignore[no-untyped-call]
    return cast


class _Cast(torch.autograd.Function):
    """Another dtype, and gradients that come back in the old one, times a number; multiplied in the wider of the two."""

    @staticmethod
    def forward(ctx: Any, t: Tensor, dtype: torch.dtype, scale: float) -> Tensor:
        ctx.before, ctx.scale = t.dtype, scale
        return t.to(dtype)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        wide = grad.to(torch.promote_types(grad.dtype, ctx.before))
        return (wide * ctx.scale).to(ctx.before), None, None


def _lstm(cell: LSTM, w: Weights, x: Tensor, state: Sequence[Tensor]) -> tuple[Tensor, State]:
    h, c = state
    bias = w["bias"]
    weights = [w["weight_ih"], w["weight_hh"], bias, torch.zeros_like(bias)]
    if cell.proj_size:
        weights.append(w["weight_hr"])
    out, h, c = torch.lstm(x, (h[None], c[None]), weights, True, 1, 0.0, torch.is_grad_enabled(), False, False)
    return out, (h[0], c[0])


@contextmanager
def _silence() -> Iterator[None]:
    """Without torch's remarks on what is meant.

    oneDNN has no projections, and torch takes a path of its own.  cuDNN wants all weights in one piece, and torch copies
    them there at every call, which takes microseconds.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="LSTM with projections is not supported with oneDNN")
        warnings.filterwarnings("ignore", message="RNN module weights are not part of single contiguous chunk")
        yield


def _gru(cell: GRU, w: Weights, x: Tensor, state: State) -> tuple[Tensor, State]:
    bias_hh = torch.cat([w["bias"].new_zeros(2 * cell.hidden_size), w["bias_n"]])
    weights = [w["weight_ih"], w["weight_hh"], w["bias"], bias_hh]
    out, h = torch.gru(x, state[0][None], weights, True, 1, 0.0, torch.is_grad_enabled(), False, False)
    return out, (h[0],)


def _elman(cell: Elman, w: Weights, x: Tensor, state: State) -> tuple[Tensor, State]:
    if cell.activation == "sigmoid":
        h = _sigmoid(w["weight_ih"], w["weight_hh"], w["bias"], x, state[0])
        return h, (h[-1],)
    network = torch.rnn_tanh if cell.activation == "tanh" else torch.rnn_relu
    weights = [w["weight_ih"], w["weight_hh"], w["bias"], torch.zeros_like(w["bias"])]
    out, h = network(x, state[0][None], weights, True, 1, 0.0, torch.is_grad_enabled(), False, False)
    return out, (h[0],)


def _scrn(cell: SCRN, w: Weights, x: Tensor, state: State) -> tuple[Tensor, State]:
    alpha = cell.alpha(w)
    before = state[-1]
    s = scan.fade((1 - alpha) * (x @ w["weight_is"].T), before, alpha)
    if not cell.hidden_size:
        return s, (s[-1],)
    seen = torch.cat([before[None], s[:-1]]) if cell.previous else s
    weight = torch.cat([w["weight_ih"], w["weight_sh"]], dim=1)
    h = _sigmoid(weight, w["weight_hh"], w["bias"], torch.cat([x, seen], dim=2), state[0])
    return torch.cat([h, s], dim=2), (h[-1], s[-1])


def _sigmoid(weight_ih: Tensor, weight_hh: Tensor, bias: Tensor, x: Tensor, h: Tensor) -> Tensor:
    """h_t = σ(A x_t + R h_{t−1} + b) for all t, (T, B, H), as a tanh network."""
    bias = bias / 2 + weight_hh.sum(dim=1) / 4
    weights = [weight_ih / 2, weight_hh / 4, bias, torch.zeros_like(bias)]
    k0 = (2 * h - 1)[None]
    k, _ = torch.rnn_tanh(x, k0, weights, True, 1, 0.0, torch.is_grad_enabled(), False, False)
    return (1 + k) / 2


RUNS: dict[type[Cell], Callable[..., tuple[Tensor, State]]] = {
    LSTM: _lstm,
    GRU: _gru,
    Elman: _elman,
    SCRN: _scrn,
}
"""The cells that have an exact map."""
