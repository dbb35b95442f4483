"""What a decoder sees of the source it is conditioned on."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Source:
    """B sources, read.

    Args:
        memory: one vector for every position, (B, S, D); zeros past a source's end.
        mask: where there is a position, (B, S).
        summary: one vector for each source as a whole, (B, D).
        keys: what attention compares with, (B, S, A); of no meaning to a link without attention.
    """

    memory: Tensor
    mask: Tensor
    summary: Tensor
    keys: Tensor

    def __len__(self) -> int:
        """B."""
        return len(self.memory)

    def at(self, rows: Tensor) -> Source:
        """Some of the sources, in any order, as often as named: rows (B',)."""
        return Source(self.memory[rows], self.mask[rows], self.summary[rows], self.keys[rows])


def mask_of(lengths: Tensor, longest: int) -> Tensor:
    """Which positions of B sources there are, (B, S), for their lengths (B,)."""
    return torch.arange(longest, device=lengths.device) < lengths[:, None]
