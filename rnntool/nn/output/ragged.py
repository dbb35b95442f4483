"""Rows of unequal widths, laid out one after the other, so that what is done to all their numbers is one call."""

from __future__ import annotations

import torch
from torch import Tensor


class Ragged:
    """Where the numbers of n rows lie, W in all.

    Attributes:
        widths: of each row, (n,).
        first: where each row begins, (n,).
        row: of each number, (W,).
        column: of each number in its row, (W,).
    """

    def __init__(self, widths: Tensor) -> None:
        self.widths = widths
        self.first = widths.cumsum(0) - widths
        self.row = torch.repeat_interleave(widths)
        self.column = torch.arange(len(self.row), device=widths.device) - self.first[self.row]

    def sums(self, x: Tensor) -> Tensor:
        """Of each row of x (W,) or (W, …)."""
        return x.new_zeros(len(self.widths), *x.shape[1:]).index_add_(0, self.row, x)

    def softmax_(self, z: Tensor) -> Tensor:
        """Overwrite z (W,) by the softmax over each row, none of which is empty; returns log Σ exp z, (n,)."""
        top = z.new_full((len(self.widths),), -torch.inf).scatter_reduce_(0, self.row, z, "amax")
        z.sub_(top[self.row]).exp_()
        sums = self.sums(z)
        z.div_(sums[self.row])
        return top.add_(sums.log_())
