"""The multiplicative network: every input chooses a recurrent matrix of its own.

    f' = (D x + d) ⊙ (G h)            factors
    h' = tanh(A x + P f' + b)         that is, tanh(A x + P Diag(D x + d) G h + b)

Source: Sutskever, Martens and Hinton 2011, "Generating Text with Recurrent Neural Networks", §3.2, where A, D, G and P
are W_hx, W_fx, W_fh and W_hf; the lecture, "Character-level".
Differs: they multiply characters, here x is an embedding, which takes nothing away where it is at least as wide as there
are characters.  d, which for characters is a part of D, begins at one: the network begins as one whose recurrent matrix
P G is the same for all.
"""

from __future__ import annotations

import torch
from torch import Tensor

from rnntool.nn.cells.cell import Cell, State, Weights


class MRNN(Cell):
    """Multiplicative network.

    Args:
        input_size: E.
        hidden_size: H.
        factor_size: factors, F: the largest rank of the matrices that inputs choose.
    """

    inputs = ("weight_ih", "weight_if")
    recurrent = ("weight_hf",)

    def __init__(self, input_size: int, hidden_size: int, factor_size: int) -> None:
        super().__init__(input_size, hidden_size)
        self.factor_size = factor_size

    @property
    def state_sizes(self) -> tuple[int, ...]:
        """h."""
        return (self.hidden_size,)

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """A, D, G and P, from inputs and hidden units to factors and back, with their biases b and d."""
        E, H, F = self.input_size, self.hidden_size, self.factor_size
        matrices: dict[str, tuple[int, ...]] = {
            "weight_ih": (H, E),
            "weight_if": (F, E),
            "weight_hf": (F, H),
            "weight_fh": (H, F),
        }
        return matrices | {"bias": (H,), "bias_f": (F,)}

    def step(self, w: Weights, x: Tensor, state: State) -> tuple[Tensor, State]:
        """h' = tanh(A x + P ((D x + d) ⊙ (G h)) + b)."""
        (h,) = state
        factors = (x @ w["weight_if"].T + w["bias_f"]) * (h @ w["weight_hf"].T)
        h = torch.tanh(x @ w["weight_ih"].T + factors @ w["weight_fh"].T + w["bias"])
        return h, (h,)

    def init(self, name: str, weight: Tensor, generator: torch.Generator) -> None:
        """As every cell, but d is one."""
        super().init(name, weight, generator)
        if name == "bias_f":
            weight.fill_(1)
