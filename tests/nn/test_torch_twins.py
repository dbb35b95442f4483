"""LSTM, GRU and simple networks against torch's own modules with the same weights, in float64."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from rnntool.config.arch import parse_arch
from rnntool.nn.cells.build import build_cell
from rnntool.nn.cells.cell import Cell
from rnntool.nn.kernels import reference
from tests.nn.conftest import Draw

CLOSE = {"rtol": 1e-12, "atol": 1e-12}  # float64: a few hundred roundings of 1e-16


def copied(module: nn.Module, cell: Cell, weights: dict[str, Tensor]) -> nn.Module:
    """The module with the cell's weights; its second bias is zero but for the GRU's n."""
    own = dict(module.named_parameters())
    H = cell.hidden_size
    with torch.no_grad():
        own["weight_ih_l0"].copy_(weights["weight_ih"])
        own["weight_hh_l0"].copy_(weights["weight_hh"])
        own["bias_ih_l0"].copy_(weights["bias"])
        own["bias_hh_l0"].zero_()
        if "bias_n" in weights:
            own["bias_hh_l0"][2 * H :] = weights["bias_n"]
        if "weight_hr" in weights:
            own["weight_hr_l0"].copy_(weights["weight_hr"])
    return module


@pytest.mark.parametrize(
    ("arch", "module"),
    [
        ("elman:4,tanh", nn.RNN(3, 4, nonlinearity="tanh")),
        ("elman:4,relu", nn.RNN(3, 4, nonlinearity="relu")),
        ("lstm:4", nn.LSTM(3, 4)),
        ("lstm:4/2", nn.LSTM(3, 4, proj_size=2)),
        ("gru:4", nn.GRU(3, 4)),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_cell_is_torchs_with_the_same_weights(arch: str, module: nn.Module, draw: Draw) -> None:
    cell = build_cell(parse_arch(arch), 3)
    weights, x, state = draw(cell, T=5, B=2)
    theirs = copied(module.double(), cell, weights)
    first = tuple(s[None] for s in state)
    h, after = theirs(x, first if len(first) > 1 else first[0])
    ours, state = reference.run(cell, weights, x, state)
    torch.testing.assert_close(ours, h, **CLOSE)
    for mine, other in zip(state, after if isinstance(after, tuple) else (after,), strict=True):
        torch.testing.assert_close(mine, other[0], **CLOSE)


def test_the_lectures_gru_is_ours_with_the_rows_of_z_negated(draw: Draw) -> None:
    """The lecture's code: r, z as here, h̃ = tanh(W x + r ⊙ (U h)), and then h' = h + z ⊙ (h̃ − h)."""
    cell = build_cell(parse_arch("gru:4"), 3)
    weights, x, (h,) = draw(cell, T=1)
    weights["bias_n"] = torch.zeros_like(weights["bias_n"])  # the lecture has no bias inside the reset
    sign = torch.ones(12, 1, dtype=torch.float64)
    sign[4:8] = -1  # rows r z n
    negated = {
        name: w if w.shape[0] == 4 else w * (sign if w.dim() == 2 else sign[:, 0]) for name, w in weights.items()
    }

    W_r, W_z, W_h = weights["weight_ih"].split(4)
    U_r, U_z, U_h = weights["weight_hh"].split(4)
    b_r, b_z, b_h = weights["bias"].split(4)
    r = torch.sigmoid(x[0] @ W_r.T + h @ U_r.T + b_r)
    z = torch.sigmoid(x[0] @ W_z.T + h @ U_z.T + b_z)
    candidate = torch.tanh(x[0] @ W_h.T + b_h + r * (h @ U_h.T))
    torch.testing.assert_close(cell.step(negated, x[0], (h,))[0], h + z * (candidate - h), **CLOSE)


def test_a_bias_of_zero_gives_the_lectures_networks_without_one(draw: Draw) -> None:
    """The lecture's simple network: h' = σ(A x + R h)."""
    cell = build_cell(parse_arch("elman:4"), 3)
    weights, x, (h,) = draw(cell, T=1)
    weights["bias"] = torch.zeros(4, dtype=torch.float64)
    expected = 1 / (1 + torch.exp(-(weights["weight_ih"] @ x[0].T + weights["weight_hh"] @ h.T)))
    torch.testing.assert_close(cell.step(weights, x[0], (h,))[0], expected.T, **CLOSE)
