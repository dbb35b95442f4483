"""What is computed: a network of some shape, and windows of random text, or pairs."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from rnntool.config.network import NetworkConfig
from rnntool.config.output import Words, settle_output
from rnntool.config.training import TrainingConfig
from rnntool.data.batch import Batch, Position, SourceBatch
from rnntool.models.network import Network, build_network

NUM_WINDOWS = 20


@dataclass(frozen=True)
class Workload:
    """A shape.

    Args:
        network: what the network is; an output layer's cuts may be open.  One that reads sources gets as long ones as
            its targets, of the same words.
        training: how it is trained: batch size, window, optimiser.
        counts: how often each word occurs, relative to the others, (V,).
        seed: of weights and text.
    """

    network: NetworkConfig
    training: TrainingConfig
    counts: tuple[float, ...]
    seed: int = 1

    @property
    def vocab_size(self) -> int:
        """V."""
        return len(self.counts)

    @property
    def has_sources(self) -> bool:
        """Whether the network reads sources, so that its windows are pairs."""
        return self.network.encoder != "none"

    @property
    def settled(self) -> NetworkConfig:
        """The network with cuts that suit the counts."""
        output = settle_output(self.network.parsed_output, Words(self.counts))
        return replace(self.network, output=str(output))

    @property
    def num_tokens(self) -> int:
        """Targets of a window, T B."""
        return self.training.bptt * self.training.batch_size

    def build(self, device: torch.device, dtype: torch.dtype = torch.float32) -> Network:
        """The network, its output layer at random, too: one of zeros has no gradient to hand down."""
        network = build_network(self.settled, Words(self.counts), self.vocab_size)
        generator = torch.Generator().manual_seed(self.seed)
        network.init(generator)
        with torch.no_grad():
            for parameter in network.output.parameters():
                parameter.uniform_(-0.1, 0.1, generator=generator)
        for parameter in network.parameters():  # what is drawn by stays as exact as it is
            parameter.data = parameter.data.to(dtype)
        return network.to(device)

    def windows(self, device: torch.device) -> list[Tensor]:
        """Ids (T + 1, B), drawn by the counts; the last row is the first of the next window."""
        generator = torch.Generator().manual_seed(self.seed)
        T, B = self.training.bptt, self.training.batch_size
        stream = torch.multinomial(
            torch.tensor(self.counts, dtype=torch.float64),
            NUM_WINDOWS * T * B + B,
            replacement=True,
            generator=generator,
        )
        rows = stream.view(NUM_WINDOWS * T + 1, B).to(device)
        return [rows[first : first + T + 1] for first in range(0, NUM_WINDOWS * T, T)]

    def batches(self, device: torch.device) -> list[Batch]:
        """The windows as the training loop gets them; each as a source of its targets, if the network reads some."""
        return [batch_of(window, has_source=self.has_sources) for window in self.windows(device)]


def batch_of(window: Tensor, *, has_source: bool = False) -> Batch:
    """A window as the training loop gets it."""
    lengths = torch.full((window.shape[1],), len(window) - 1, device=window.device)
    return Batch(
        inputs=window[:-1],
        targets=window[1:],
        fresh=has_source,
        keep=None,
        mask=None,
        weights=None,
        num_tokens=window[1:].numel(),
        then=Position(),
        progress=0.5,
        source=SourceBatch(window[1:], lengths) if has_source else None,
    )
