"""Direct connections: weights of the words that precede, added to the logits beside what the hidden state says.

    z_r = u_r · h + b_r + Σ_n θ[a_n + r]      n = 1 … N − 1,  a_n = hash(the last n words)

Every n-gram up to order N has a weight: a place in one table, which many n-grams share.  The rows r of an output layer
have a fixed order, so that the weights of one history are a run of numbers in the table: adding them is copying, and the
gradient of a run is that of the logits.  For R rows and S numbers in the table, with P = 2³¹ − 1, the hash is

    c_0 = 0      c_n = x ⊕ ⌊x / 2¹⁵⌋,  x = (c_{n−1} + w_{−n} + 2) · 1 327 217 885 mod P      a_n = c_n mod (S − R + 1)

w_{−n} is the id of the n-th last word, and −1 where there is none.

Source: Mikolov et al. 2011, "Strategies for training large scale neural network language models", §4, where one table is
shared by all n-grams, too; Goodman 2001 for features of classes and of words within a class.
Differs: there a word alone has a weight as well (N = 1), which is the bias here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

MODULUS = 2**31 - 1
FACTOR = 1327217885  # MODULUS times the golden section
SHIFT = 15

WIDE = 1000
"""Logits from which it is faster to add rows to the gradient one by one than to list the places of all their numbers."""


class DirectWeights(nn.Module):
    """The table, and the addresses in it.

    Args:
        size: S, numbers in the table.
        order: N, words of the longest n-gram, the predicted one among them; at least 2.
        num_rows: R, of the output layer.
    """

    def __init__(self, size: int, order: int, num_rows: int) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.empty(size))
        self.order = order
        self.num_starts = size - num_rows + 1

    def state0(self, batch_size: int) -> Tensor:
        """The words before the first, of which there are none: (B, N − 1), the oldest first."""
        return torch.full((batch_size, self.order - 1), -1, device=self.table.device)

    def read(self, words: Tensor, before: Tensor, keep: int | None = None) -> tuple[Tensor, Tensor]:
        """Read a window.

        Args:
            words: ids, (T, B).
            before: the words before the window, (B, N − 1).
            keep: after how many words the state that is returned is taken; None: after the last.

        Returns:
            Where in the table the weights after each word begin, (T, B, N − 1), those of the shortest history first; and
            the last N − 1 words.
        """
        length, longest = len(words), self.order - 1
        stream = torch.cat([before.T, words])  # (N − 1 + T, B)
        code, starts = torch.zeros_like(words), []
        for back in range(longest):
            code = (code + stream[longest - back : longest - back + length] + 2) * FACTOR % MODULUS
            code = code ^ (code >> SHIFT)
            starts.append(code % self.num_starts)
        kept = length if keep is None else keep
        return torch.stack(starts, dim=2), stream[kept : kept + longest].T.contiguous()


@dataclass(frozen=True)
class Ragged:
    """What is added to the logits of n rows of unequal widths, one row after the other.

    Args:
        sums: of the runs' numbers, (W,).
        places: in the table, that each is the sum of, (W, N − 1).
        first: where each row begins, (n,).
    """

    sums: Tensor
    places: Tensor
    first: Tensor


@dataclass(frozen=True)
class Runs:
    """Runs of a table's numbers, added to logits that follow each other.

    Args:
        table: (S,).
        starts: where the runs of each of n rows begin, (n, N − 1).
        gradient: of the table, (S,), where it is wanted.
    """

    table: Tensor
    starts: Tensor
    gradient: Tensor | None = None

    def at(self, rows: Tensor | slice, first: int | Tensor = 0) -> Runs:
        """Those of some rows, from logit `first` on, which may be one for each row, (n, 1)."""
        return replace(self, starts=self.starts[rows] + first)

    def sums(self, width: int) -> Tensor:
        """What is added to `width` logits of each row, (n, width); differentiable."""
        if torch.is_grad_enabled():
            return self.table[self._places(self.starts, width)].sum(dim=1)
        runs = self.table.unfold(0, width, 1)
        first, *others = self.starts.unbind(dim=1)
        sums = runs.index_select(0, first)
        for starts in others:
            sums += runs.index_select(0, starts)
        return sums

    def ragged(self, widths: Tensor) -> Ragged:
        """The same for rows of unequal widths, (n,); not differentiable."""
        first = widths.cumsum(0) - widths
        inside = torch.arange(int(widths.sum()), device=widths.device) - first.repeat_interleave(widths)
        places = self.starts.repeat_interleave(widths, dim=0) + inside[:, None]
        return Ragged(self.table[places].sum(dim=1), places, first)

    def add_gradient(self, dz: Tensor) -> None:
        """Add the gradient of the rows' logits, (n, width), to that of the table."""
        assert self.gradient is not None
        width = dz.shape[1]
        if width >= WIDE and dz.device.type == "cpu":
            for row, starts in zip(dz.unbind(), self.starts.tolist(), strict=True):
                for start in starts:
                    self.gradient[start : start + width] += row
            return
        for starts in self.starts.unbind(dim=1):
            self.gradient.scatter_add_(0, self._places(starts, width).flatten(), dz.flatten())

    def add_ragged_gradient(self, dz: Tensor, ragged: Ragged) -> None:
        """The same for rows of unequal widths, (W,)."""
        assert self.gradient is not None
        for places in ragged.places.unbind(dim=1):
            self.gradient.scatter_add_(0, places, dz)

    def _places(self, starts: Tensor, width: int) -> Tensor:
        return starts[..., None] + torch.arange(width, device=starts.device)
