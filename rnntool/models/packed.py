"""A network prepared to predict one token after the other, its matrices in few bits."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from rnntool.models.network import Network
from rnntool.nn.cells.cell import State
from rnntool.nn.packed import pack


class PackedNetwork:
    """A network whose every step takes packed products; windows are run by the network as it is.

    Args:
        network: in float32, on its device.
        packing: one of `rnntool.nn.packed.PACKINGS`.
    """

    def __init__(self, network: Network, packing: str) -> None:
        self.network = network
        self._layers = [
            {name: pack(w, packing) if w.dim() == 2 else w for name, w in layer.weights().items()}
            for layer in network.decoder.stack
        ]
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
        x = F.embedding(tokens, self.network.embedding)
        h, state = self.network.decoder.step(x, state, weights=self._layers)  # type: ignore[arg-type]  # stand-ins
        z = torch.add(self._rows.product(h), self._bias)
        return self.network.output.normalize(z), state
