"""A network prepared to predict one token after the other, its matrices packed."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from rnntool.models.network import Network
from rnntool.nn.cells.cell import State
from rnntool.nn.link import LinkWeights
from rnntool.nn.packed import pack
from rnntool.nn.source import Source


class PackedNetwork:
    """A network whose every step takes packed products; windows are run by the network as it is.

    Args:
        network: in float32, on its device.
        packing: one of `rnntool.nn.packed.PACKINGS`.
    """

    def __init__(self, network: Network, packing: str) -> None:
        self.network = network
        self._low = torch.bfloat16 if packing == "bf16" else torch.float32  # of products where none is packed
        if network.link is None:
            self._weights = LinkWeights(network.decoder.packed(packing), None, None)
        else:
            self._weights = network.link.packed(network.decoder, packing)
        rows, self._bias = network.output.rows
        self._rows = pack(rows, packing)

    def state0(self, batch_size: int) -> State:
        """As `Network.state0`."""
        return self.network.state0(batch_size)

    def run(self, inputs: Tensor, state: State) -> tuple[Tensor, State]:
        """As `Network.run`."""
        return self.network.run(inputs, state)

    def step(self, tokens: Tensor, state: State) -> tuple[Tensor, State]:
        """As `Network.step`."""
        own, level, words = self.network.split(state)
        starts, words = self.network.follow(tokens[None], words)
        x, level = self.network.beside(F.embedding(tokens[None], self.network.embedding), tokens[None], level)
        h, own = self.network.decoder.step(x[0], own, weights=self._weights.layers)
        return self._log_probs(h, starts[0]), own + level + words

    @property
    def vocab_size(self) -> int:
        """As `Network.vocab_size`."""
        return self.network.vocab_size

    @property
    def num_states(self) -> int:
        """As `Network.num_states`."""
        return self.network.num_states

    def read(self, ids: Tensor, lengths: Tensor) -> tuple[Source, State]:
        """As `Network.read`, in bfloat16 if the others are."""
        return self.network.read(ids, lengths, dtype=self._low)

    def step_with(self, tokens: Tensor, state: State, source: Source) -> tuple[Tensor, State, Tensor | None]:
        """As `Network.step_with`."""
        assert self.network.link is not None
        x = F.embedding(tokens, self.network.embedding)
        h, state, alpha = self.network.link.step(self.network.decoder, x, state, source, weights=self._weights)
        return self._log_probs(h), state, alpha

    def _log_probs(self, h: Tensor, starts: Tensor | None = None) -> Tensor:
        output = self.network.output
        return output.normalize(output.add_direct(self._rows.product(h).add_(self._bias), starts))
