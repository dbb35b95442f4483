"""Encoders: from a source's embeddings to a vector for every position, and one for the whole.

    bag of words    m_s = x_s
    one direction   m_s = h_s
    both            m_s = [→h_s; ←h_s], each layer reading both directions of the one below

Sources of different lengths stand side by side, filled up at the end.  What is filled in changes nothing: a forward state
does not see what follows, and the other direction reads each source from its own end.  Layout (S, B, ·), as in `recurrent`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from rnntool.nn.cells.cell import Cell
from rnntool.nn.noise import Noise
from rnntool.nn.recurrent import Recurrent
from rnntool.nn.source import mask_of


class Encoder(nn.Module, ABC):
    """What reads a source.

    Attributes:
        output_size: D, width of a position's vector.
    """

    output_size: int

    @abstractmethod
    def run(
        self, x: Tensor, lengths: Tensor, *, noise: Noise | None = None, dtype: torch.dtype = torch.float32
    ) -> tuple[Tensor, Tensor]:
        """Read sources.

        Args:
            x: embeddings, (S, B, E).
            lengths: positions of each source, (B,), at least 1.
            noise: dropout, or None for none.
            dtype: lowest that products may have.

        Returns:
            A vector for every position, (S, B, D), of any value past the end; and one for each source, (B, D).
        """

    @abstractmethod
    def init(self, generator: torch.Generator) -> None:
        """Set all weights to where training starts."""


class Bag(Encoder):
    """A bag of words: the embeddings themselves, and their mean.

    Args:
        embed_size: E, which is D.
    """

    def __init__(self, embed_size: int) -> None:
        super().__init__()
        self.output_size = embed_size

    def run(
        self, x: Tensor, lengths: Tensor, *, noise: Noise | None = None, dtype: torch.dtype = torch.float32
    ) -> tuple[Tensor, Tensor]:
        """As `Encoder.run`."""
        if noise is not None:
            x = noise.drop(x, noise.input)
        is_there = mask_of(lengths, len(x)).T  # (S, B)
        return x, (x * is_there[:, :, None]).sum(dim=0) / lengths[:, None]

    def init(self, generator: torch.Generator) -> None:
        """As `Encoder.init`: it has none."""


class RecurrentEncoder(Encoder):
    """Recurrent layers in one direction or in both.

    Args:
        cells: for each layer those of its directions, one or two, reading what the layer below puts out.
        residual: see `Recurrent`.
        layer_norm: see `Recurrent`.
    """

    def __init__(self, cells: Sequence[Sequence[Cell]], *, residual: bool = False, layer_norm: bool = False) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            nn.ModuleList(Recurrent([cell], layer_norm=layer_norm) for cell in directions) for directions in cells
        )
        self.residual = residual
        self.output_size = sum(cell.output_size for cell in cells[-1])

    def run(
        self, x: Tensor, lengths: Tensor, *, noise: Noise | None = None, dtype: torch.dtype = torch.float32
    ) -> tuple[Tensor, Tensor]:
        """As `Encoder.run`."""
        order = reversal(lengths, len(x))
        upper = None if noise is None else replace(noise, input=noise.layer)
        for index, directions in enumerate(self.layers):
            h = self._layer(directions, x, order, upper if index else noise, dtype)
            x = h + x if self.residual and index and h.shape == x.shape else h
        return x, self._summary(x, lengths)

    def _layer(
        self, directions: nn.Module, x: Tensor, order: Tensor, noise: Noise | None, dtype: torch.dtype
    ) -> Tensor:
        """One layer, its directions side by side."""
        assert isinstance(directions, nn.ModuleList)
        found = []
        for number, stack in enumerate(directions):
            assert isinstance(stack, Recurrent)
            given = reorder(x, order) if number else x
            h, _ = stack.run(given, stack.state0(x.shape[1]), noise=noise, dtype=dtype)
            found.append(reorder(h, order) if number else h)
        return torch.cat(found, dim=2) if len(found) > 1 else found[0]

    def _summary(self, h: Tensor, lengths: Tensor) -> Tensor:
        """The last state of each direction, (B, D)."""
        rows = torch.arange(h.shape[1], device=h.device)
        last = h[lengths - 1, rows]
        directions = self.layers[-1]
        assert isinstance(directions, nn.ModuleList)
        if len(directions) == 1:
            return last
        width = self.output_size // 2
        return torch.cat([last[:, :width], h[0, :, width:]], dim=1)

    @property
    def directions(self) -> list[list[Recurrent]]:
        """For each layer its recurrences, the one that reads backwards second."""
        found = []
        for layer in self.layers:
            assert isinstance(layer, nn.ModuleList)
            found.append([stack for stack in layer if isinstance(stack, Recurrent)])
        return found

    def init(self, generator: torch.Generator) -> None:
        """As `Encoder.init`."""
        for stack in self.stacks:
            for layer in stack.stack:
                layer.init(generator)

    @property
    def stacks(self) -> list[Recurrent]:
        """The recurrent layers, one direction after the other."""
        return [stack for directions in self.directions for stack in directions]


def reversal(lengths: Tensor, longest: int) -> Tensor:
    """Where each position of a reversed source is found, (S, B): the source from its end, what is filled in as it is."""
    places = torch.arange(longest, device=lengths.device)[:, None]  # (S, 1)
    return torch.where(places < lengths, lengths - 1 - places, places)


def reorder(x: Tensor, order: Tensor) -> Tensor:
    """x (S, B, ·) with the positions of each column in the given order (S, B)."""
    return x.gather(0, order[:, :, None].expand_as(x))
