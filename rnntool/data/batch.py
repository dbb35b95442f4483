"""What one training step sees."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Protocol

from torch import Tensor

from rnntool.data.order import Index


@dataclass(frozen=True)
class Position:
    """A place in the training data, between two batches.

    Args:
        epoch: passes completed.
        index: batches, or groups of lines, or pools of pairs, of this epoch that are done.
        offset: tokens of the current group, or batches of the current pool, that are done.
    """

    epoch: int = 0
    index: int = 0
    offset: int = 0


@dataclass(frozen=True)
class SourceBatch:
    """What the columns of a batch are conditioned on.

    Args:
        ids: (S, B), filled up with any id.
        lengths: how many of each column's count, (B,), at least 1.
    """

    ids: Tensor
    lengths: Tensor


@dataclass(frozen=True)
class Batch:
    """A window of B streams.

    Args:
        inputs: ids, (T, B).
        targets: what follows the last S inputs, (S, B), S <= T.
        fresh: whether the recurrent state begins anew before the window.
        keep: after how many inputs the state is taken that the next window starts from; None: after the last.
        mask: which targets count, (S, B); None if all do.
        weights: of the targets in the loss, (S, B); None if all are one.
        num_tokens: how many targets count, in all columns, also those of other processes.
        then: the place after this batch.
        progress: share of the epoch that is done after this batch, in (0, 1].
        source: what the streams are conditioned on; None in a language model.
        first_column: where in the whole batch these columns begin.
        num_columns: columns of the whole batch; None: these are all.
    """

    inputs: Tensor
    targets: Tensor
    fresh: bool
    keep: int | None
    mask: Tensor | None
    weights: Tensor | None
    num_tokens: int
    then: Position
    progress: float
    source: SourceBatch | None = None
    first_column: int = 0
    num_columns: int | None = None

    @property
    def share(self) -> float:
        """How much of the whole batch these columns are, 0 to 1."""
        return 1.0 if self.num_columns is None else self.inputs.shape[1] / self.num_columns

    def part(self, first: int, end: int) -> Batch:
        """The columns from `first` to before `end`."""

        def cut(x: Tensor) -> Tensor:
            return x[:, first:end].contiguous()

        return replace(
            self,
            inputs=cut(self.inputs),
            targets=cut(self.targets),
            mask=None if self.mask is None else cut(self.mask),
            weights=None if self.weights is None else cut(self.weights),
            source=self.source and SourceBatch(cut(self.source.ids), self.source.lengths[first:end]),
            first_column=self.first_column + first,
            num_columns=self.inputs.shape[1] if self.num_columns is None else self.num_columns,
        )

    @property
    def ends_epoch(self) -> bool:
        """Whether this is the last batch of its epoch."""
        return self.then.index == 0 and self.then.offset == 0


class Batches(Protocol):
    """A training corpus cut into batches."""

    memory: Index
    """What finds a place of the same epoch again at once, for a state to keep; empty if nothing is needed."""

    def batches(self, start: Position) -> Iterator[Batch]:
        """The batches of `start`'s epoch from there on."""
        ...

    @property
    def num_batches(self) -> int:
        """Batches in an epoch, about."""
        ...
