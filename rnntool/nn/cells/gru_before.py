"""The gated recurrent unit in the lecture's formula: the reset gate acts before the recurrent product.

    r, z = σ(W x + U h + b)
       h̃ = tanh(W x + U (r ⊙ h) + b)
      h' = (1 − z) ⊙ h + z ⊙ h̃

Source: Cho et al. 2014; Chung et al. 2014; the lecture, "GRU" (its formula; its code is `gru`).
Differs: nothing but a bias.  No library computes this form fast: it takes two products, one after the other.
"""

from __future__ import annotations

import torch
from torch import Tensor

from rnntool.nn.cells.cell import Cell, State, Weights


class GRUBefore(Cell):
    """Gated recurrent unit, reset before the recurrent product; rows r z h̃."""

    @property
    def state_sizes(self) -> tuple[int, ...]:
        """h."""
        return (self.hidden_size,)

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """W, U and b, rows r z h̃."""
        E, H = self.input_size, self.hidden_size
        return {"weight_ih": (3 * H, E), "weight_hh": (3 * H, H), "bias": (3 * H,)}

    def step(self, w: Weights, x: Tensor, state: State) -> tuple[Tensor, State]:
        """h' = (1 − z) h + z tanh(W x + U (r h) + b)."""
        (h,) = state
        H = self.hidden_size
        x_rz, x_n = torch.split(x @ w["weight_ih"].T + w["bias"], [2 * H, H], dim=1)
        r, z = torch.sigmoid(x_rz + h @ w["weight_hh"][: 2 * H].T).chunk(2, dim=1)  # (B, H) each
        candidate = torch.tanh(x_n + (r * h) @ w["weight_hh"][2 * H :].T)
        h = (1 - z) * h + z * candidate
        return h, (h,)
