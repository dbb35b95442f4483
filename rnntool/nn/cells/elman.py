"""The simple recurrent network.

    h' = f(A x + R h + b)        f = σ, tanh or max(0, ·)

Source: Elman 1990, "Finding Structure in Time"; Mikolov et al. 2010; the lecture, "Simple recurrent network" (σ, no bias).
Differs: the lecture's network has no bias; here there is one, which costs nothing and can be held at zero.  Where x is a
word, A x is a row of A: in a first layer without embeddings of their own, A is the embedding (`Layer.is_direct`).
"""

from __future__ import annotations

import torch
from torch import Tensor

from rnntool.nn.cells.cell import Cell, State, Weights

ACTIVATIONS = {"sigmoid": torch.sigmoid, "tanh": torch.tanh, "relu": torch.relu}
SLOPES = {"sigmoid": 0.25, "tanh": 1.0, "relu": 1.0}


class Elman(Cell):
    """A simple recurrent network with a sigmoid, tanh or relu.

    Args:
        input_size: E.
        hidden_size: H.
        activation: a key of `ACTIVATIONS`.
    """

    def __init__(self, input_size: int, hidden_size: int, activation: str = "sigmoid") -> None:
        super().__init__(input_size, hidden_size)
        self.activation = activation
        self.slope = SLOPES[activation]

    @property
    def state_sizes(self) -> tuple[int, ...]:
        """h."""
        return (self.hidden_size,)

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """A, R and b."""
        E, H = self.input_size, self.hidden_size
        return {"weight_ih": (H, E), "weight_hh": (H, H), "bias": (H,)}

    def step(self, w: Weights, x: Tensor, state: State) -> tuple[Tensor, State]:
        """h' = f(A x + R h + b)."""
        (h,) = state
        h = ACTIVATIONS[self.activation](x @ w["weight_ih"].T + h @ w["weight_hh"].T + w["bias"])
        return h, (h,)
