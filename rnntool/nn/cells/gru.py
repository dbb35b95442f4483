"""The gated recurrent unit as torch and cuDNN compute it: the reset gate acts after the recurrent product.

    r, z = σ(W x + U h + b)
       n = tanh(W x + b + r ⊙ (U h + b'))
      h' = (1 − z) ⊙ n + z ⊙ h

Source: Cho et al. 2014, in the form of torch.nn.GRU; the lecture's code.
Differs: the lecture writes h' = (1 − z) h + z h̃; negate the rows of z (σ(−a) = 1 − σ(a)) to carry weights over.
For the lecture's formula, reset before the product, see `gru_before`.
"""

from __future__ import annotations

import torch
from torch import Tensor

from rnntool.nn.cells.cell import Cell, State, Weights


class GRU(Cell):
    """Gated recurrent unit, reset after the recurrent product; rows r z n as in torch."""

    @property
    def state_sizes(self) -> tuple[int, ...]:
        """h."""
        return (self.hidden_size,)

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """W, U and b, rows r z n; and b', the bias inside the reset."""
        E, H = self.input_size, self.hidden_size
        return {"weight_ih": (3 * H, E), "weight_hh": (3 * H, H), "bias": (3 * H,), "bias_n": (H,)}

    def step(self, w: Weights, x: Tensor, state: State) -> tuple[Tensor, State]:
        """h' = (1 − z) n + z h, with n = tanh(W x + b + r (U h + b'))."""
        (h,) = state
        x_r, x_z, x_n = (x @ w["weight_ih"].T + w["bias"]).chunk(3, dim=1)  # (B, H) each
        h_r, h_z, h_n = (h @ w["weight_hh"].T).chunk(3, dim=1)
        r, z = torch.sigmoid(x_r + h_r), torch.sigmoid(x_z + h_z)
        n = torch.tanh(x_n + r * (h_n + w["bias_n"]))
        h = (1 - z) * n + z * h
        return h, (h,)
