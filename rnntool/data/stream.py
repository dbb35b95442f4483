"""Windows for truncated back-propagation through time, the state carried from one to the next.

The corpus is read as one stream and cut into B columns of equal length; a window is the next few tokens of every
column.  Nothing is dropped: the last column is filled up with targets that do not count.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from rnntool.data.batch import Batch, Position
from rnntool.data.epoch import Epoch, token_weights
from rnntool.data.order import Index, mix
from rnntool.text.corpus import Corpus

SHORT = 0.05  # Merity et al. 2018, §5: with probability 0.05 the window's mean length is halved
SPREAD = 5  # ibid.: standard deviation of a window's length

DRAWN = 1 << 14
"""Lengths of windows that are drawn together."""


class StreamBatches:
    """A corpus as B parallel streams.

    Args:
        corpus: ids and line ends on disk.
        begin_id: the id that stands before the first token, `</s>`.
        batch_size: B.
        bptt: tokens of each column in a window.
        random: whether window lengths are drawn around `bptt`.
        every: tokens by which a window advances, its loss on these alone; 0 for all of `bptt`.
        shuffle: whether every epoch takes the lines in a new order.
        seed: of order and lengths.
        device: where the batches go.
    """

    def __init__(
        self,
        corpus: Corpus,
        *,
        begin_id: int,
        batch_size: int,
        bptt: int,
        random: bool = False,
        every: int = 0,
        shuffle: bool = False,
        seed: int = 1,
        device: torch.device | None = None,
    ) -> None:
        self.corpus = corpus
        self.begin_id = begin_id
        self.batch_size = batch_size
        self.bptt = bptt
        self.random = random
        self.every = every or bptt
        self.shuffle = shuffle
        self.seed = seed
        self.device = device
        self.memory = np.empty(0, np.int64)

    @property
    def num_batches(self) -> int:
        """Windows in an epoch, about."""
        tokens = sum(source.num_tokens * source.fraction for source in self.corpus.sources)
        return max(1, round(tokens / self.batch_size / self.every))

    def batches(self, start: Position) -> Iterator[Batch]:
        """The windows of `start`'s epoch from its index on."""
        known = self.memory[1:] if len(self.memory) and self.memory[0] == start.epoch else None
        epoch = Epoch(self.corpus, shuffle=self.shuffle, seed=self.seed, number=start.epoch, landmarks=known)
        if not epoch.is_in_order:
            self.memory = np.concatenate([[start.epoch], epoch.landmarks])
        length = -(-epoch.num_tokens // self.batch_size)
        edges = self._edges(length, start.epoch)
        for index in range(start.index, len(edges) - 1):
            yield self._window(epoch, length, edges, index)

    def _edges(self, length: int, epoch: int) -> Index:
        """Where in a column the windows of an epoch begin, and where the last one ends."""
        if not self.random:
            return np.append(np.arange(0, length, self.every), length)
        random = np.random.default_rng(mix(self.seed, epoch))
        runs = [np.zeros(1, np.int64)]
        while runs[-1][-1] < length:
            means = np.where(random.random(DRAWN) >= SHORT, self.bptt, self.bptt / 2)
            sizes = np.maximum(SPREAD, np.rint(random.normal(means, SPREAD)).astype(np.int64))
            runs.append(runs[-1][-1] + sizes.cumsum())
        edges = np.concatenate(runs)
        return np.append(edges[edges < length], length)

    def _window(self, epoch: Epoch, length: int, edges: Index, index: int) -> Batch:
        first, end = int(edges[index]), int(edges[index + 1])  # the targets, in each column
        back = self._back(first)  # the first input
        last = end >= length
        columns = np.arange(self.batch_size) * length
        places = np.arange(back - 1, end)[:, None] + columns[None, :]  # (T + 1, B): the token before, the window
        tokens = epoch.tokens(np.clip(places, 0, epoch.num_tokens - 1))
        ids = torch.from_numpy(np.asarray(self.corpus.ids)[tokens].astype(np.int64))
        if back == 0:
            ids[0, 0] = self.begin_id
        counts = places[1 + first - back :] < np.minimum(columns + length, epoch.num_tokens)
        weights = token_weights(self.corpus, tokens[1 + first - back :])
        keep = end - back if last else self._back(end) - back
        return Batch(
            inputs=ids[:-1].to(self.device),
            targets=ids[1 + first - back :].to(self.device),
            fresh=index == 0,
            keep=keep if keep < end - back else None,
            mask=None if counts.all() else torch.from_numpy(counts).to(self.device),
            weights=None if weights is None else torch.from_numpy(weights).to(self.device),
            num_tokens=int(counts.sum()),
            then=Position(epoch.number + 1) if last else Position(epoch.number, index + 1),
            progress=end / length,
        )

    def _back(self, first: int) -> int:
        """Where the inputs begin of a window whose targets begin at `first`."""
        return first - min(first, self.bptt - self.every)
