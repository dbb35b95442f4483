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

FEW = 0.5
"""Numbers, as a share of the table, up to which its gradient is a list of them."""


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


class TableGradient:
    """The gradient of a table, collected run by run.

    It stays a list of places and numbers, and becomes a sparse tensor, while it has few of them for the table's size.

    Args:
        table: (S,).
    """

    def __init__(self, table: Tensor) -> None:
        self._like = table
        self._places: list[Tensor] = []
        self._values: list[Tensor] = []
        self._dense: Tensor | None = None

    def add(self, places: Tensor, values: Tensor) -> None:
        """Add numbers (W,) at places (W,), which may be alike."""
        if self._is_dense_with(len(places)):
            assert self._dense is not None
            self._dense.scatter_add_(0, places, values)
        else:
            self._places.append(places)
            self._values.append(values)

    def add_runs(self, starts: Tensor, dz: Tensor) -> None:
        """Add the gradient of n rows of logits, (n, width), to the runs that begin at `starts`, (n, N − 1)."""
        width = dz.shape[1]
        if width >= WIDE and dz.device.type == "cpu" and self._is_dense_with(starts.numel() * width):
            assert self._dense is not None
            for row, each in zip(dz.unbind(), starts.tolist(), strict=True):
                for start in each:
                    self._dense[start : start + width] += row
            return
        for each in starts.unbind(dim=1):
            self.add(_places(each, width).flatten(), dz.flatten())

    def result(self) -> Tensor:
        """What was collected, (S,), dense or sparse."""
        if self._dense is not None:
            return self._dense
        places = torch.cat([self._like.new_empty(0, dtype=torch.long), *self._places])
        values = torch.cat([self._like.new_empty(0), *self._values])
        return torch.sparse_coo_tensor(places[None], values, self._like.shape, check_invariants=False)

    def _is_dense_with(self, more: int) -> bool:
        """Whether it is dense, and it becomes so if `more` numbers are too many for a list."""
        if self._dense is None and sum(map(len, self._places)) + more > FEW * len(self._like):
            self._dense = torch.zeros_like(self._like)
            for places, values in zip(self._places, self._values, strict=True):
                self._dense.scatter_add_(0, places, values)
        return self._dense is not None


@dataclass(frozen=True)
class Runs:
    """Runs of a table's numbers, added to logits that follow each other.

    Args:
        table: (S,).
        starts: where the runs of each of n rows begin, (n, N − 1).
        gradient: of the table, where it is wanted.
    """

    table: Tensor
    starts: Tensor
    gradient: TableGradient | None = None

    def at(self, rows: Tensor | slice, first: int | Tensor = 0) -> Runs:
        """Those of some rows, from logit `first` on, which may be one for each row, (n, 1)."""
        return replace(self, starts=self.starts[rows] + first)

    def sums(self, width: int) -> Tensor:
        """What is added to `width` logits of each row, (n, width); differentiable."""
        if torch.is_grad_enabled():
            return self.table[_places(self.starts, width)].sum(dim=1)
        runs = self.table.unfold(0, width, 1)
        first, *others = self.starts.unbind(dim=1)
        sums = runs.index_select(0, first)
        for starts in others:
            sums += runs.index_select(0, starts)
        return sums


def _places(starts: Tensor, width: int) -> Tensor:
    """All places of runs, (…, width)."""
    return starts[..., None] + torch.arange(width, device=starts.device)
