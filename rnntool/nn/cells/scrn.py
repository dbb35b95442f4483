"""The structurally constrained recurrent network: fast units beside slow ones that nothing but decay touches.

    s' = (1 − α) B x + α s              slow state ("context units"), no nonlinearity
    h' = σ(P s' + A x + R h + b)        fast state
     y = [h'; s']                       both go upwards: U h + V s is one product

Source: Mikolov et al. 2014, "Learning Longer Memory in Recurrent Neural Networks"; the lecture, "Structurally
constrained network", whose formula uses s' in h' while its code, as the authors' repository, uses s: `prev`.
Differs: α = 0.95 as in the paper and its repository (the lecture's code says 0.9); `learn` gives every slow unit an α of
its own, α = σ(a), as the paper's §3.2.  Without fast units this is the exponential trace (`trace`).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from rnntool.nn.cells.cell import Cell, State, Weights


class SCRN(Cell):
    """Structurally constrained network.

    Args:
        input_size: E.
        hidden_size: H, fast units; 0 leaves the slow ones alone.
        context_size: C, slow units.
        decay: α, in [0, 1]: 0 forgets at once, 1 never changes.
        learn: whether each slow unit learns its α from there.
        previous: whether the fast units see s instead of s'.
    """

    inputs = ("weight_ih", "weight_is")
    slope = 0.25

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        context_size: int,
        *,
        decay: float = 0.95,
        learn: bool = False,
        previous: bool = False,
    ) -> None:
        super().__init__(input_size, hidden_size)
        self.context_size = context_size
        self.decay = decay
        self.learn = learn
        self.previous = previous
        self.recurrent = ("weight_hh",) if hidden_size else ()

    @property
    def output_size(self) -> int:
        """H + C."""
        return self.hidden_size + self.context_size

    @property
    def state_sizes(self) -> tuple[int, ...]:
        """h and s; s alone without fast units."""
        return (self.hidden_size, self.context_size) if self.hidden_size else (self.context_size,)

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """B, then A, R, P and b of the fast units, then a where α is learned."""
        E, H, C = self.input_size, self.hidden_size, self.context_size
        shapes: dict[str, tuple[int, ...]] = {"weight_is": (C, E)}
        if H:
            shapes |= {"weight_ih": (H, E), "weight_hh": (H, H), "weight_sh": (H, C), "bias": (H,)}
        return shapes | ({"decay": (C,)} if self.learn else {})

    def alpha(self, w: Weights) -> Tensor | float:
        """α: one number, or (C,) where it is learned."""
        return torch.sigmoid(w["decay"]) if self.learn else self.decay

    def step(self, w: Weights, x: Tensor, state: State) -> tuple[Tensor, State]:
        """s' = (1 − α) B x + α s; h' = σ(P s' + A x + R h + b)."""
        alpha = self.alpha(w)
        before = state[-1]
        s = (1 - alpha) * (x @ w["weight_is"].T) + alpha * before
        if not self.hidden_size:
            return s, (s,)
        seen = before if self.previous else s
        h = torch.sigmoid(seen @ w["weight_sh"].T + x @ w["weight_ih"].T + state[0] @ w["weight_hh"].T + w["bias"])
        return torch.cat([h, s], dim=1), (h, s)

    def output(self, w: Weights, state: State) -> Tensor:
        """[h; s]."""
        del w
        return torch.cat(state, dim=1)

    def init(self, name: str, weight: Tensor, generator: torch.Generator) -> None:
        """As every cell; a learned α starts at the given one."""
        if name == "decay":
            alpha = min(max(self.decay, 1e-4), 1 - 1e-4)
            weight.fill_(math.log(alpha / (1 - alpha)))
        else:
            super().init(name, weight, generator)
