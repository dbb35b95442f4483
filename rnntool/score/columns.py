"""Lines of ids put side by side to be computed together, those of like length in one batch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

Ids = Sequence[int]


def batches_by(keys: Sequence[Any], batch_size: int) -> Iterator[list[int]]:
    """The numbers of all lines, `batch_size` at a time, in the order of their keys: their lengths, as a rule."""
    order = sorted(range(len(keys)), key=keys.__getitem__)
    for first in range(0, len(order), batch_size):
        yield order[first : first + batch_size]


def columns(lines: Sequence[Ids], end: int) -> tuple[Tensor, Tensor]:
    """Lines side by side, (T, B), each with its `</s>` and filled up with it; and their lengths with it, (B,)."""
    lengths = torch.tensor([len(line) + 1 for line in lines])
    ids = torch.full((int(lengths.max()), len(lines)), end)
    for column, line in enumerate(lines):
        ids[: len(line), column] = torch.tensor(line, dtype=torch.long)
    return ids, lengths
