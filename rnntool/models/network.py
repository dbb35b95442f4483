"""A network over a vocabulary: embedding, recurrent decoder, output layer.

Knows ids, not spellings.  The recurrent state is a value: passed in, handed back, indexed by whoever searches.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rnntool.config.network import NetworkConfig, embed_size, is_direct, layers
from rnntool.config.output import Output
from rnntool.nn.cells.build import build_cell
from rnntool.nn.cells.cell import Cell, State
from rnntool.nn.noise import Noise
from rnntool.nn.output.build import build_output
from rnntool.nn.recurrent import Recurrent

EMBED_BOUND = 0.1  # Zaremba et al. 2014, §4.1: "uniform in [−0.1, 0.1]" for the small network


class Network(nn.Module):
    """Embedding → recurrent layers → output layer.

    Args:
        vocab_size: V.
        embed_size: E.
        cells: the recurrent layers; the first reads E.
        output: the output layer.
        tied: whether the output layer's weight is the embedding.
        residual: see `Recurrent`.
        layer_norm: see `Recurrent`.
        is_direct: whether the embedding is the first layer's input matrix; see `Recurrent`.
    """

    def __init__(
        self,
        *,
        vocab_size: int,
        embed_size: int,
        cells: list[Cell],
        output: Output,
        tied: bool = False,
        residual: bool = False,
        layer_norm: bool = False,
        is_direct: bool = False,
    ) -> None:
        super().__init__()
        self.embedding = nn.Parameter(torch.empty(vocab_size, embed_size))
        self.decoder = Recurrent(cells, residual=residual, layer_norm=layer_norm, is_direct=is_direct)
        self.output = build_output(output, self.decoder.output_size, vocab_size, self.embedding if tied else None)
        self.tied = tied

    @property
    def vocab_size(self) -> int:
        """V."""
        return len(self.embedding)

    @property
    def num_parameters(self) -> int:
        """How many numbers training sets; tied ones count once."""
        return sum(p.numel() for p in self.parameters())

    def state0(self, batch_size: int) -> State:
        """The state before the first token of `batch_size` streams."""
        return self.decoder.state0(batch_size)

    def run(
        self,
        inputs: Tensor,
        state: State,
        *,
        noise: Noise | None = None,
        keep: int | None = None,
        clip_step: float = 0.0,
        dtype: torch.dtype = torch.float32,
        sparse: bool = False,
    ) -> tuple[Tensor, State]:
        """Hidden states over a window.

        Args:
            inputs: ids, (T, B).
            state: the state before the window.
            noise: dropout, or None for none.
            keep: after how many tokens the returned state is taken; None: after the last.
            clip_step: see `Recurrent.run`.
            dtype: see `Recurrent.run`.
            sparse: whether the embedding's gradient is that of the rows read alone; not if it is tied.

        Returns:
            What enters the output layer, (T, B, O), before its dropout; and the state.
        """
        x = F.embedding(inputs, self.embedding, sparse=sparse)
        if noise is not None:
            x = noise.drop_words(x, inputs, self.vocab_size)
        return self.decoder.run(x, state, noise=noise, keep=keep, clip_step=clip_step, dtype=dtype)

    def step(self, tokens: Tensor, state: State) -> tuple[Tensor, State]:
        """Log-probabilities (B, V) of the words after `tokens` (B,), and the new state."""
        h, state = self.decoder.step(F.embedding(tokens, self.embedding), state)
        return self.output.log_probs(h), state

    def nll(self, inputs: Tensor, targets: Tensor, state: State) -> tuple[Tensor, State]:
        """−log P of each target (T, B) in nats, after inputs (T, B) from `state`; and the new state."""
        h, state = self.run(inputs, state)
        return self.output.nll(h.flatten(0, 1), targets.flatten()).view_as(targets), state

    @torch.no_grad()
    def init(self, generator: torch.Generator) -> None:
        """Set all weights to where training starts."""
        self.output.init(generator)
        self.embedding.uniform_(-EMBED_BOUND, EMBED_BOUND, generator=generator)
        for layer in self.decoder.stack:
            layer.init(generator)


def build_network(config: NetworkConfig, vocab_size: int) -> Network:
    """The network that `config` describes, its weights not yet set.

    Build it under `torch.device("meta")` to learn its sizes without allocating them.
    """
    cells: list[Cell] = []
    width = embed_size(config)
    for arch in layers(config):
        cells.append(build_cell(arch, width))
        width = arch.output_size
    return Network(
        vocab_size=vocab_size,
        embed_size=embed_size(config),
        cells=cells,
        output=config.parsed_output,
        tied=config.tied,
        residual=config.residual,
        layer_norm=config.layer_norm,
        is_direct=is_direct(config),
    )
