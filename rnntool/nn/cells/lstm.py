"""Long short-term memory.

    i, f, o = σ(W x + U h + b)        three gates, each with its rows of W, U, b
          g = tanh(W x + U h + b)
         c' = f ⊙ c + i ⊙ g
         h' = o ⊙ tanh(c')            or P (o ⊙ tanh(c')) where the output is projected

Source: Hochreiter and Schmidhuber 1997; Gers et al. 2000 (forget gate); Sak et al. 2014 (projection); the lecture, "LSTM".
Differs: rows stand in torch's order i f g o (the lecture's code has i g f o), and one bias does the work of torch's two.
"""

from __future__ import annotations

import torch
from torch import Tensor

from rnntool.nn.cells.cell import Cell, State, Weights

FORGET_BIAS = 1.0  # Jozefowicz et al. 2015, "An Empirical Exploration of Recurrent Network Architectures", §3


class LSTM(Cell):
    """Long short-term memory, its output projected if `proj_size` is not 0.

    Args:
        input_size: E.
        hidden_size: H.
        proj_size: P, width of the projected output, or 0.
    """

    def __init__(self, input_size: int, hidden_size: int, proj_size: int = 0) -> None:
        super().__init__(input_size, hidden_size)
        self.proj_size = proj_size

    @property
    def output_size(self) -> int:
        """P, or H without a projection."""
        return self.proj_size or self.hidden_size

    @property
    def state_sizes(self) -> tuple[int, ...]:
        """h and c."""
        return (self.output_size, self.hidden_size)

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """W, U and b, rows i f g o; and P."""
        E, H = self.input_size, self.hidden_size
        shapes = {"weight_ih": (4 * H, E), "weight_hh": (4 * H, self.output_size), "bias": (4 * H,)}
        return shapes | ({"weight_hr": (self.proj_size, H)} if self.proj_size else {})

    def step(self, w: Weights, x: Tensor, state: State) -> tuple[Tensor, State]:
        """c' = f c + i g; h' = o tanh(c'), projected if asked for."""
        h, c = state
        i, f, g, o = (x @ w["weight_ih"].T + h @ w["weight_hh"].T + w["bias"]).chunk(4, dim=1)  # (B, H) each
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        h = torch.sigmoid(o) * torch.tanh(c)
        if self.proj_size:
            h = h @ w["weight_hr"].T
        return h, (h, c)

    def init(self, name: str, weight: Tensor, generator: torch.Generator) -> None:
        """As every cell, but the forget gate starts open."""
        super().init(name, weight, generator)
        if name == "bias":
            weight[self.hidden_size : 2 * self.hidden_size] = FORGET_BIAS
