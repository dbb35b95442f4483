"""The feed-forward network over the last n − 1 words, written as a recurrence whose state is those words.

    s' = [x; s without its oldest part]        the window: n − 1 embeddings, the newest first
    h' = f(A g(s') + b)                        f = tanh and g(s) = s, or f = g = σ

Source: Bengio et al. 2003, "A Neural Probabilistic Language Model" (tanh, no function on the embeddings); the lecture,
"Neural network bigrams and n-grams", whose code has σ on the embeddings and σ on the units.
Differs: where a text begins, words that are not there are zeros.  `direct` hands the window on beside the units,
y = [h'; g(s')]: what Bengio et al. call direct connections, since U h' + W g(s') is one product of the output layer.

The state is forgotten after n − 1 steps whatever the weights are, so nothing is carried back through time, and a whole
window is one product (`rnntool.nn.kernels.unfold`).
"""

from __future__ import annotations

import torch
from torch import Tensor

from rnntool.nn.cells.cell import Cell, State, Weights
from rnntool.nn.cells.elman import ACTIVATIONS


class NGram(Cell):
    """Feed-forward n-gram network.

    Args:
        input_size: E.
        hidden_size: H.
        order: n, at least 2; n − 1 words are seen.
        activation: `tanh`, or `sigmoid`, which then acts on the embeddings, too.
        direct: whether the window is handed on beside the units.
    """

    recurrent = ()

    def __init__(
        self, input_size: int, hidden_size: int, order: int, *, activation: str = "tanh", direct: bool = False
    ) -> None:
        super().__init__(input_size, hidden_size)
        self.order = order
        self.activation = activation
        self.direct = direct

    @property
    def window_size(self) -> int:
        """Width of the window, (n − 1) E."""
        return (self.order - 1) * self.input_size

    @property
    def output_size(self) -> int:
        """H, or H + (n − 1) E if direct."""
        return self.hidden_size + (self.window_size if self.direct else 0)

    @property
    def state_sizes(self) -> tuple[int, ...]:
        """s."""
        return (self.window_size,)

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """A, its columns in the order of the window, and b."""
        return {"weight_ih": (self.hidden_size, self.window_size), "bias": (self.hidden_size,)}

    def step(self, w: Weights, x: Tensor, state: State) -> tuple[Tensor, State]:
        """s' = [x; s without its oldest part]; h' = f(A g(s') + b)."""
        state = (torch.cat([x, state[0][:, : -self.input_size]], dim=1),)
        return self.output(w, state), state

    def output(self, w: Weights, state: State) -> Tensor:
        """f(A g(s) + b), and g(s) beside it if direct."""
        seen = self.seen(state[0])
        return self.units(seen @ w["weight_ih"].T + w["bias"], seen)

    def seen(self, window: Tensor) -> Tensor:
        """g(s), (…, (n − 1) E)."""
        return torch.sigmoid(window) if self.activation == "sigmoid" else window

    def units(self, a: Tensor, seen: Tensor) -> Tensor:
        """f(a), and g(s) beside it if direct, (…, `output_size`)."""
        h = ACTIVATIONS[self.activation](a)
        return torch.cat([h, seen], dim=-1) if self.direct else h
