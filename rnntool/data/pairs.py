"""Batches of pairs: targets and the sources on which they are conditioned.

Pairs of like length are put side by side: an epoch's pairs are taken in pools of a hundred batches, each pool sorted by the
lengths of target and source and its batches shuffled.  A batch holds so many pairs, or as many as its longest side lets it
within so many tokens.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rnntool.data.batch import Batch, Position, SourceBatch
from rnntool.data.epoch import Epoch, token_weights
from rnntool.data.order import Index, mix, permute
from rnntool.text.corpus import Corpus
from rnntool.text.cutting import Cutter

POOL = 100
"""Batches of pairs that are sorted together."""

CHUNK = 1 << 20
"""Pairs whose lengths are looked at together."""


class PairBatches:
    """Two corpora, line by line, as batches of pairs.

    Args:
        target: ids and line ends of the targets.
        source: of the sources, as many lines, in the same order.
        begin_id: the id that stands before every target, `</s>`.
        batch_size: B, pairs of a batch, if `batch_tokens` is 0.
        batch_tokens: most tokens of a batch on its longer side, filled up; 0 for no limit.
        max_length: pairs with a longer side, `</s>` not counted, are left out.
        shuffle: whether every epoch takes the pairs in a new order; else the pools alone are sorted.
        seed: of the order, and of what is cut anew.
        device: where the batches go.
        cutters: what cuts each line of the sources, and of the targets, anew in every epoch; None for nothing.
    """

    def __init__(
        self,
        target: Corpus,
        source: Corpus,
        *,
        begin_id: int,
        batch_size: int,
        batch_tokens: int = 0,
        max_length: int = 0,
        shuffle: bool = True,
        seed: int = 1,
        device: torch.device | None = None,
        cutters: tuple[Cutter | None, Cutter | None] = (None, None),
    ) -> None:
        assert target.num_lines == source.num_lines
        self.target = target
        self.source = source
        self.begin_id = begin_id
        self.batch_size = batch_size
        self.batch_tokens = batch_tokens
        self.max_length = max_length
        self.shuffle = shuffle
        self.seed = seed
        self.device = device
        self.memory = np.empty(0, np.int64)
        self._source_cutter, self._target_cutter = cutters
        mean = (target.num_tokens + source.num_tokens) / (2 * max(1, target.num_lines))
        self._about = max(1, round(batch_tokens / mean)) if batch_tokens else batch_size

    @property
    def num_batches(self) -> int:
        """Batches in an epoch, about."""
        lines = sum(each.num_lines * each.fraction for each in self.target.sources)
        return max(1, round(lines / self._about))

    @property
    def num_left_out(self) -> int:
        """Pairs that are too long, among all that there are."""
        if not self.max_length:
            return 0
        found = 0
        for source in self.target.sources:
            end = source.first_line + source.num_lines
            for first in range(source.first_line, end, CHUNK):
                lines = np.arange(first, min(first + CHUNK, end))
                longer = np.maximum(_lengths(self.target, lines), _lengths(self.source, lines))
                found += int(np.count_nonzero(longer > self.max_length + 1))
        return found

    def batches(self, start: Position) -> Iterator[Batch]:
        """The batches of `start`'s epoch from there on; a position is a pool, and a batch in it."""
        epoch = Epoch(self.target, shuffle=self.shuffle, seed=self.seed, number=start.epoch)
        size = POOL * self._about
        pools = -(-epoch.num_lines // size)
        for pool in range(start.index, pools):
            lines = epoch.lines(np.arange(pool * size, min((pool + 1) * size, epoch.num_lines)))
            groups = self._groups(lines)
            order = np.arange(len(groups))
            if self.shuffle:
                order = permute(order, len(groups), mix(self.seed, start.epoch, pool))
            first = start.offset if pool == start.index else 0
            for number in range(first, len(groups)):
                then = Position(start.epoch, pool, number + 1)
                if number + 1 == len(groups):
                    then = Position(start.epoch, pool + 1) if pool + 1 < pools else Position(start.epoch + 1)
                yield self._batch(groups[order[number]], start.epoch, then, (pool + (number + 1) / len(groups)) / pools)

    def _groups(self, lines: Index) -> list[Index]:
        """The lines of a pool in batches of like length; at least one batch, so that the last pool ends its epoch."""
        tgt, src = _lengths(self.target, lines), _lengths(self.source, lines)
        longer = np.maximum(tgt, src)
        kept = np.flatnonzero(longer <= self.max_length + 1) if self.max_length else np.arange(len(lines))
        kept = kept if len(kept) else np.array([int(longer.argmin())])
        kept = kept[np.lexsort((src[kept], tgt[kept]))]
        groups, first, longest = [], 0, 0
        for place, index in enumerate(kept):
            longest = max(longest, int(longer[index]))
            count = place + 1 - first
            is_over = longest * count > self.batch_tokens if self.batch_tokens else count > self.batch_size
            if is_over and count > 1:
                groups.append(lines[kept[first:place]])
                first, longest = place, int(longer[index])
        groups.append(lines[kept[first:]])
        return groups

    def _batch(self, lines: Index, epoch: int, then: Position, progress: float) -> Batch:
        ids, counts, tokens = gathered(self.target, lines)
        sources, is_source, _ = gathered(self.source, lines)
        weights = token_weights(self.target, tokens[:1])  # of whole lines
        if self._target_cutter is not None:
            ids, counts = self._cut(self._target_cutter, ids, counts, lines, epoch)
        if self._source_cutter is not None:
            sources, is_source = self._cut(self._source_cutter, sources, is_source, lines, epoch)
        inputs = np.roll(ids, 1, axis=0)
        inputs[0] = self.begin_id
        return Batch(
            inputs=self._tensor(inputs),
            targets=self._tensor(ids),
            fresh=True,
            keep=None,
            mask=None if counts.all() else self._tensor(counts),
            weights=None if weights is None else self._tensor(np.tile(weights, (len(ids), 1))),
            num_tokens=int(counts.sum()),
            then=then,
            progress=progress,
            source=SourceBatch(self._tensor(sources), self._tensor(is_source.sum(axis=0))),
        )

    def _cut(
        self, cutter: Cutter, ids: Index, counts: NDArray[np.bool_], lines: Index, epoch: int
    ) -> tuple[Index, NDArray[np.bool_]]:
        """Some lines side by side, as `gathered` gives them, cut anew for an epoch."""
        cut_lines = []
        for column, length, number in zip(ids.T, counts.sum(axis=0), lines, strict=True):
            *line, end = column[:length].tolist()
            cut_lines.append([*cutter.cut(line, mix(self.seed, epoch, int(number))), end])
        lengths = np.array(list(map(len, cut_lines)))
        cut = np.empty((int(lengths.max()), len(lines)), dtype=np.int64)
        for index, line in enumerate(cut_lines):
            cut[:, index] = line[-1]  # </s>
            cut[: len(line), index] = line
        return cut, np.arange(len(cut))[:, None] < lengths

    def _tensor(self, values: NDArray[Any]) -> Tensor:
        return torch.from_numpy(values).to(self.device)


def gathered(corpus: Corpus, lines: Index) -> tuple[Index, NDArray[np.bool_], Index]:
    """Some lines side by side, each with its `</s>`.

    Args:
        corpus: theirs.
        lines: their numbers, (B,).

    Returns:
        Ids (T, B), filled up with each line's `</s>`; which of them count; and where they stand in the corpus.
    """
    ends = np.asarray(corpus.ends)
    lengths = _lengths(corpus, lines)
    steps = np.arange(int(lengths.max()))[:, None]
    tokens = np.minimum(ends[lines] - lengths + steps, ends[lines] - 1)
    return np.asarray(corpus.ids)[tokens].astype(np.int64), steps < lengths, tokens


def _lengths(corpus: Corpus, lines: Index) -> Index:
    """Tokens of lines, `</s>` counted."""
    ends = np.asarray(corpus.ends)
    return ends[lines] - np.where(lines > 0, ends[lines - 1], 0)
