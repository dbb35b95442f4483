"""What every cell answers: its sizes, its weights and one step.

A cell holds no weights; they are passed to `step` by name, so that a caller can drop, average or perturb them and any
path can be handed the very same tensors.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping

import torch
from torch import Tensor

Weights = Mapping[str, Tensor]
State = tuple[Tensor, ...]


class Cell(ABC):
    """A recurrence state' = f(x, state).

    Args:
        input_size: width of x, E.
        hidden_size: units, H.
    """

    recurrent: tuple[str, ...] = ("weight_hh",)
    """Weights that multiply the previous state: DropConnect, recurrent dropout and the spectral radius look at these."""

    inputs: tuple[str, ...] = ("weight_ih",)
    """Weights that multiply the input, in the order in which their rows make up `output_size` where a layer has none."""

    slope: float = 1.0
    """Largest slope of the nonlinearity around the recurrent product; gradients can only grow over time if the largest
    singular value of a recurrent matrix times this exceeds 1."""

    def __init__(self, input_size: int, hidden_size: int) -> None:
        self.input_size = input_size
        self.hidden_size = hidden_size

    @property
    def output_size(self) -> int:
        """Width of the h that `step` returns."""
        return self.hidden_size

    @property
    @abstractmethod
    def state_sizes(self) -> tuple[int, ...]:
        """Width of each tensor of the state."""

    @property
    @abstractmethod
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Name and shape of every weight, in torch's names where torch has the cell."""

    @abstractmethod
    def step(self, w: Weights, x: Tensor, state: State) -> tuple[Tensor, State]:
        """One time step.

        Args:
            w: the weights, by the names of `shapes`.
            x: (B, E), the input.
            state: tensors (B, size) for each of `state_sizes`.

        Returns:
            The output h (B, `output_size`) and the new state.
        """

    def output(self, w: Weights, state: State) -> Tensor:
        """The h that `step` returns together with `state`: a part of it, all of it side by side, or a function of it."""
        del w
        return state[0]

    def state0(self, batch_size: int, like: Tensor) -> State:
        """The state before the first step: zeros, of `like`'s dtype and device."""
        return tuple(like.new_zeros(batch_size, size) for size in self.state_sizes)

    def init(self, name: str, weight: Tensor, generator: torch.Generator) -> None:
        """Set one weight in place to where training starts.

        Matrices are uniform in ±1/√H (as torch's cells), with the width of the output where there are no units; biases
        zero.
        """
        if name.startswith("bias"):
            weight.zero_()
        else:
            bound = 1 / math.sqrt(self.hidden_size or self.output_size)
            weight.uniform_(-bound, bound, generator=generator)
