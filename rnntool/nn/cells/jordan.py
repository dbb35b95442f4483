"""Jordan's network: a decaying memory of its own outputs.

    s' = μ s + y
    y' = f(A x + S s' + b)        f = σ or tanh

Source: Jordan 1986, "Serial Order: A Parallel Distributed Processing Approach"; the lecture, "Exponential trace memory".
Differs: Jordan feeds back the network's visible outputs; here y is the layer's output, since a language model's visible
output is as wide as the vocabulary.
"""

from __future__ import annotations

from torch import Tensor

from rnntool.nn.cells.cell import Cell, State, Weights
from rnntool.nn.cells.elman import ACTIVATIONS, SLOPES


class Jordan(Cell):
    """Network with a trace of its outputs.

    Args:
        input_size: E.
        hidden_size: H.
        decay: μ, in [0, 1].
        activation: `sigmoid` or `tanh`.
    """

    def __init__(self, input_size: int, hidden_size: int, *, decay: float = 0.5, activation: str = "sigmoid") -> None:
        super().__init__(input_size, hidden_size)
        self.decay = decay
        self.activation = activation
        self.slope = SLOPES[activation]

    @property
    def state_sizes(self) -> tuple[int, ...]:
        """y and s."""
        return (self.hidden_size, self.hidden_size)

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """A, S and b."""
        E, H = self.input_size, self.hidden_size
        return {"weight_ih": (H, E), "weight_hh": (H, H), "bias": (H,)}

    def step(self, w: Weights, x: Tensor, state: State) -> tuple[Tensor, State]:
        """s' = μ s + y; y' = f(A x + S s' + b)."""
        y, s = state
        s = self.decay * s + y
        y = ACTIVATIONS[self.activation](x @ w["weight_ih"].T + s @ w["weight_hh"].T + w["bias"])
        return y, (y, s)
