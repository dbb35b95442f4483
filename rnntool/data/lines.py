"""Batches of whole lines, the state begun anew at each.

Lines of like length are put side by side, so that little is filled up: an epoch's lines are taken in pools of a hundred
batches, each pool sorted by length and its batches shuffled.  A group of lines longer than the window goes on in further
windows, its state carried.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from rnntool.data.batch import Batch, Position
from rnntool.data.epoch import Epoch, token_weights
from rnntool.data.order import Index, mix, permute
from rnntool.text.corpus import Corpus

POOL = 100
"""Groups of lines that are sorted together."""


class LineBatches:
    """A corpus as groups of B lines.

    Args:
        corpus: ids and line ends on disk.
        begin_id: the id that stands before every line, `</s>`.
        batch_size: B.
        bptt: longest window; longer lines are cut there.
        shuffle: whether every epoch takes the lines in a new order; else the pools alone are sorted.
        seed: of the order.
        device: where the batches go.
    """

    def __init__(
        self,
        corpus: Corpus,
        *,
        begin_id: int,
        batch_size: int,
        bptt: int,
        shuffle: bool = True,
        seed: int = 1,
        device: torch.device | None = None,
    ) -> None:
        self.corpus = corpus
        self.begin_id = begin_id
        self.batch_size = batch_size
        self.bptt = bptt
        self.shuffle = shuffle
        self.seed = seed
        self.device = device
        self.memory = np.empty(0, np.int64)

    @property
    def num_batches(self) -> int:
        """Windows in an epoch, about."""
        lines = sum(source.num_lines * source.fraction for source in self.corpus.sources)
        length = self.corpus.num_tokens / max(1, self.corpus.num_lines)
        return max(1, round(lines / self.batch_size * max(1.0, length / self.bptt)))

    def batches(self, start: Position) -> Iterator[Batch]:
        """The windows of `start`'s epoch from there on."""
        epoch = Epoch(self.corpus, shuffle=self.shuffle, seed=self.seed, number=start.epoch)
        groups = -(-epoch.num_lines // self.batch_size)
        offset = start.offset
        for index in range(start.index, groups):
            yield from self._windows(epoch, index, groups, offset)
            offset = 0

    def _windows(self, epoch: Epoch, index: int, groups: int, offset: int) -> Iterator[Batch]:
        """The windows of one group of lines from token `offset` on."""
        first, end = epoch.spans(self._group(epoch, index))
        lengths = end - first
        longest = int(lengths.max())
        for start in range(offset, longest, self.bptt):
            stop = min(start + self.bptt, longest)
            steps = np.arange(start - 1, stop)[:, None]  # (T + 1, 1): the token before, the window
            tokens = np.clip(first + steps, first, end - 1)  # (T + 1, B)
            ids = torch.from_numpy(np.asarray(self.corpus.ids)[tokens].astype(np.int64))
            if start == 0:
                ids[0] = self.begin_id
            counts = steps[1:] < lengths
            weights = token_weights(self.corpus, tokens[1:])
            done = stop >= longest
            then = Position(epoch.number, index, stop)
            if done:
                then = Position(epoch.number, index + 1) if index + 1 < groups else Position(epoch.number + 1)
            yield Batch(
                inputs=ids[:-1].to(self.device),
                targets=ids[1:].to(self.device),
                fresh=start == 0,
                keep=None,
                mask=None if counts.all() else torch.from_numpy(counts).to(self.device),
                weights=None if weights is None else torch.from_numpy(weights).to(self.device),
                num_tokens=int(counts.sum()),
                then=then,
                progress=(index + stop / longest) / groups,
            )

    def _group(self, epoch: Epoch, index: int) -> Index:
        """The places in the epoch of the lines of one group."""
        size = POOL * self.batch_size
        pool, number = divmod(index, POOL)
        places = np.arange(pool * size, min((pool + 1) * size, epoch.num_lines))
        first, end = epoch.spans(places)
        places = places[np.argsort(end - first, kind="stable")]
        groups = -(-len(places) // self.batch_size)
        if self.shuffle:
            seed = mix(self.seed, epoch.number, pool)
            number = int(permute(np.array([number]), groups, seed)[0])
        return places[number * self.batch_size : (number + 1) * self.batch_size]
