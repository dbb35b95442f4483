"""Which lines of a corpus an epoch holds, in which order.

An epoch takes every source's sampling fraction of lines, each epoch others, and either keeps them in order or shuffles
all of them.  Where nothing is left out and nothing shuffled, it is the corpus itself and costs nothing.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rnntool.data.order import Index, mix, permute
from rnntool.text.corpus import Corpus


class Epoch:
    """The lines of one pass over a corpus.

    Args:
        corpus: ids and line ends on disk.
        shuffle: whether the lines are put in a new order.
        seed: of the run.
        number: which pass this is, from 0.
    """

    def __init__(self, corpus: Corpus, *, shuffle: bool, seed: int, number: int) -> None:
        self.corpus = corpus
        self.number = number
        self._seed = mix(seed, number)
        self._shuffle = shuffle
        self._first_line = corpus.sources[0].first_line
        self._first_token = corpus.sources[0].first_token
        self._picked: Index | None = None
        if any(source.fraction != 1 for source in corpus.sources) or not _adjoin(corpus):
            self._picked = np.concatenate([self._pick(index) for index in range(len(corpus.sources))])
        self.num_lines = corpus.num_lines if self._picked is None else len(self._picked)
        self._starts: Index | None = None
        if shuffle or self._picked is not None:
            first, end = self.spans(np.arange(self.num_lines))
            self._starts = np.concatenate([[0], np.cumsum(end - first)])

    @property
    def num_tokens(self) -> int:
        """Tokens in this pass, line ends included."""
        return self.corpus.num_tokens if self._starts is None else int(self._starts[-1])

    def lines(self, places: Index) -> Index:
        """The corpus's line numbers at `places` of this pass."""
        if self._shuffle:
            places = permute(places, self.num_lines, self._seed)
        return places + self._first_line if self._picked is None else self._picked[places]

    def spans(self, places: Index) -> tuple[Index, Index]:
        """Where the lines at `places` begin and end in the corpus's ids."""
        lines = self.lines(places)
        ends = np.asarray(self.corpus.ends)
        first = np.where(lines > 0, ends[lines - 1], 0)
        return first, ends[lines]

    def tokens(self, places: Index) -> Index:
        """Where in the corpus's ids the tokens at `places` of this pass stand, the pass read as one stream."""
        if self._starts is None:
            return places + self._first_token
        line = np.searchsorted(self._starts, places, side="right") - 1
        first, _ = self.spans(line)
        return first + places - self._starts[line]

    def _pick(self, index: int) -> Index:
        """The line numbers taken from one source, rising."""
        source = self.corpus.sources[index]
        count = min(source.num_lines, max(1, round(source.num_lines * source.fraction)))
        places = permute(np.arange(count), source.num_lines, mix(self._seed, index)) if count else np.arange(0)
        return source.first_line + np.sort(places)


def _adjoin(corpus: Corpus) -> bool:
    """Whether each source begins where the one before it ends."""
    pairs = zip(corpus.sources, corpus.sources[1:], strict=False)
    return all(one.first_line + one.num_lines == other.first_line for one, other in pairs)


def token_weights(corpus: Corpus, tokens: Index) -> NDArray[np.float32] | None:
    """The weight of each token's source in the loss; None if all are one."""
    if all(source.weight == 1 for source in corpus.sources):
        return None
    starts = np.array([source.first_token for source in corpus.sources])
    weights = np.array([source.weight for source in corpus.sources], dtype=np.float32)
    return np.asarray(weights[np.searchsorted(starts, tokens, side="right") - 1])
