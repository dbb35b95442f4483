"""What comes next: one or more networks over one vocabulary as one distribution.

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

import torch
from torch import Tensor

from rnntool.models.network import Network
from rnntool.models.packed import PackedNetwork
from rnntool.nn.cells.cell import State
from rnntool.nn.packed import PACKINGS


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


def rows_of(state: State, rows: Sequence[int]) -> State:
    """Some rows of a state, in any order, as often as named."""
    index = torch.tensor(rows, dtype=torch.long, device=state[0].device)
    return tuple(s[index] for s in state)


def together(parts: Sequence[Prefixes]) -> Prefixes:
    """All rows of all parts, in order."""
    states = zip(*(part.state for part in parts), strict=True)
    return Prefixes(torch.cat([part.last for part in parts]), tuple(torch.cat(tensors) for tensors in states))


PRECISIONS = ("fp64", "fp32", *PACKINGS)
"""What products are computed in."""


class Predictor:
    """Networks that predict as one, over V = `vocab_size` words.

    Args:
        networks: over the same vocabulary, on one device, where they are copied; without float64 there, to the CPU.
        weights: λ, positive, summing to one.
        eos_id: the token that ends a line, after which the next begins.
        precision: one of `PRECISIONS`.

    Raises:
        OptionError: the device does not compute in this precision.
    """

    def __init__(
        self, networks: Sequence[Network], weights: Sequence[float], *, eos_id: int, precision: str = "fp64"
    ) -> None:
        given = networks[0].embedding.device
        no_double = given.type == "mps" and precision == "fp64"  # Metal has no float64
        self.device = torch.device("cpu") if no_double else given
        dtype = torch.float64 if precision == "fp64" else torch.float32
        copies = [copy.deepcopy(each).requires_grad_(False).to(self.device, dtype) for each in networks]
        self.vocab_size = copies[0].vocab_size
        self.networks: list[Network | PackedNetwork] = [
            PackedNetwork(each, precision) if precision in PACKINGS else each for each in copies
        ]
        self.log_weights = torch.tensor(weights, dtype=dtype, device=self.device).log()
        self.eos_id = eos_id
        self._widths = [len(network.state0(1)) for network in self.networks]

    @torch.no_grad()
    def begin(self, ids: Sequence[int]) -> Prefixes:
        """One prefix: the start of a line and these tokens."""
        tokens = torch.tensor([self.eos_id, *ids], device=self.device)
        state: list[Tensor] = []
        for network in self.networks:
            own = network.state0(1)
            if ids:
                _, own = network.run(tokens[:-1, None], own)
            state += own
        return Prefixes(tokens[-1:], tuple(state))

    @torch.no_grad()
    def step(self, prefixes: Prefixes) -> tuple[Tensor, State]:
        """Log-probabilities (B, V) of what comes after each prefix, and the state with its last token read."""
        answers: list[Tensor] = []
        state: list[Tensor] = []
        for network, width in zip(self.networks, self._widths, strict=True):
            own = prefixes.state[len(state) : len(state) + width]
            log_probs, after = network.step(prefixes.last, own)
            answers.append(log_probs)
            state += after
        if len(answers) == 1:
            return answers[0], tuple(state)
        return torch.logsumexp(torch.stack(answers) + self.log_weights[:, None, None], dim=0), tuple(state)
