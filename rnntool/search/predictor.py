"""What comes next: one or more models over one vocabulary as one distribution.

    P(w | h) = Σ_i λ_i P_i(w | h)

Computed in float64 unless asked otherwise.  The last bits of a float32 product depend on how many rows are computed
together, and of the V boundaries between words some always lie so near the number drawn that these bits decide: with
V = 10,000, one draw in 2,500 came out otherwise in another batch size, and the rest of its line with it.  In float64 that
is half a billion times rarer, so that a seed gives the same text for every batch size, number of threads and device.
Lower precisions are several times faster, and promise none of this.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rnntool.models.network import Network
from rnntool.models.packed import PackedNetwork
from rnntool.nn.cells.cell import State
from rnntool.nn.packed import PACKINGS, is_packable
from rnntool.search.drawing import allow, largest
from rnntool.search.ngram import NgramPart


@dataclass(frozen=True)
class Prefixes:
    """B beginnings of lines, read up to but not including their last token.

    Args:
        last: the last token of each, (B,).
        state: what came before it: tensors (B, ·).
    """

    last: Tensor
    state: State

    def __len__(self) -> int:
        """B."""
        return len(self.last)

    def at(self, rows: Sequence[int]) -> Prefixes:
        """Some of them, in any order, as often as named."""
        last, *state = rows_of((self.last, *self.state), rows)
        return Prefixes(last, tuple(state))


def rows_of(state: State, rows: Sequence[int] | NDArray[np.int64]) -> State:
    """Some rows of a state, in any order, as often as named."""
    index = torch.as_tensor(rows, dtype=torch.long, device=state[0].device)
    return tuple(s[index] for s in state)


def together(parts: Sequence[Prefixes]) -> Prefixes:
    """All rows of all parts, in order."""
    states = zip(*(part.state for part in parts), strict=True)
    return Prefixes(torch.cat([part.last for part in parts]), tuple(torch.cat(tensors) for tensors in states))


PRECISIONS = ("fp64", *PACKINGS)
"""What products are computed in."""


class Predictor:
    """Models that predict as one, over V = `vocab_size` words.

    Args:
        models: over the same vocabulary; networks on one device, where they are copied; without float64 there, to the CPU.
        weights: λ, positive, summing to one.
        eos_id: the token that ends a line, after which the next begins.
        precision: one of `PRECISIONS`.

    Raises:
        OptionError: the device does not compute in this precision.
    """

    def __init__(
        self, models: Sequence[Network | NgramPart], weights: Sequence[float], *, eos_id: int, precision: str = "fp64"
    ) -> None:
        given = next((each.embedding.device for each in models if isinstance(each, Network)), torch.device("cpu"))
        no_double = given.type == "mps" and precision == "fp64"  # Metal has no float64
        self.device = torch.device("cpu") if no_double else given
        dtype = torch.float64 if precision == "fp64" else torch.float32
        self.vocab_size = models[0].vocab_size
        self.models: list[Network | PackedNetwork | NgramPart] = []
        for each in models:
            if isinstance(each, NgramPart):
                self.models.append(each)
                continue
            network = copy.deepcopy(each).requires_grad_(False).to(self.device, dtype)
            is_packed = dtype is torch.float32 and (precision != "fp32" or is_packable("fp32", self.device))
            self.models.append(PackedNetwork(network, precision) if is_packed else network)
        self.log_weights = torch.tensor(weights, dtype=dtype, device=self.device).log()
        self.eos_id = eos_id
        self._widths = [len(model.state0(1)) for model in self.models]

    @property
    def is_recordable(self) -> bool:
        """Whether a step is computed on the device alone, so that its kernels can be recorded and replayed."""
        return not any(isinstance(model, NgramPart) for model in self.models)

    @torch.no_grad()
    def begin(self, ids: Sequence[int]) -> Prefixes:
        """One prefix: the start of a line and these tokens."""
        tokens = torch.tensor([self.eos_id, *ids], device=self.device)
        state: list[Tensor] = []
        for model in self.models:
            own = model.state0(1)
            if ids:
                _, own = model.run(tokens[:-1, None], own)
            state += (each.to(self.device) for each in own)
        return Prefixes(tokens[-1:], tuple(state))

    @torch.no_grad()
    def step(self, prefixes: Prefixes) -> tuple[Tensor, State]:
        """Log-probabilities (B, V) of what comes after each prefix, and the state with its last token read."""
        answers: list[Tensor] = []
        state: list[Tensor] = []
        for model, width in zip(self.models, self._widths, strict=True):
            own = prefixes.state[len(state) : len(state) + width]
            log_probs, after = model.step(prefixes.last, own)
            answers.append(log_probs.to(self.device, self.log_weights.dtype))
            state += after
        if len(answers) == 1:
            return answers[0], tuple(state)
        return torch.logsumexp(torch.stack(answers) + self.log_weights[:, None, None], dim=0), tuple(state)

    @torch.no_grad()
    def best(self, prefixes: Prefixes, number: int, banned: tuple[int, ...] = ()) -> tuple[Tensor, Tensor, State]:
        """The likeliest of what comes after each prefix, without banned words.

        Returns:
            Their log-probabilities, falling, and the words, (B, `number`), fewer if there are not so many; and the state.
        """
        log_probs, state = self.step(prefixes)
        return *largest(allow(log_probs, banned), min(number, self.vocab_size)), state
