"""Which lines of a corpus an epoch holds, in which order.

An epoch takes every source's sampling fraction of lines, each epoch others, and either keeps them in order or shuffles
all of them.  Where nothing is left out and nothing shuffled, it is the corpus itself and costs nothing.  Else, if it
is read as one stream, the lengths of all its lines are added up once; what is kept of them, a sum for every `BLOCK` lines,
finds any token again at once, also when a run is taken up in the middle of a long text.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rnntool.data.order import Index, mix, permute
from rnntool.errors import ModelError
from rnntool.text.corpus import Corpus

BLOCK = 1 << 14
"""Lines whose places are worked out together."""


class Epoch:
    """The lines of one pass over a corpus.

    Args:
        corpus: ids and line ends on disk.
        shuffle: whether the lines are put in a new order.
        seed: of the run.
        number: which pass this is, from 0.
        landmarks: those of the same pass, if they are known; taken only if they can be.
    """

    def __init__(
        self, corpus: Corpus, *, shuffle: bool, seed: int, number: int, landmarks: Index | None = None
    ) -> None:
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
        self._num_blocks = -(-self.num_lines // BLOCK)
        self._landmarks: Index | None = None
        if landmarks is not None and len(landmarks) == self._num_blocks + 1 and landmarks[0] == 0:
            self._landmarks = landmarks if (np.diff(landmarks) >= 0).all() else None
        self._blocks: dict[int, tuple[Index, Index]] = {}

    @property
    def is_in_order(self) -> bool:
        """Whether this is the corpus as it is."""
        return not self._shuffle and self._picked is None

    @property
    def landmarks(self) -> Index:
        """Tokens before the first line of every block of `BLOCK` lines, and at last all of them."""
        if self._landmarks is None:
            sizes = [self._read_block(number)[1][-1] for number in range(self._num_blocks)]
            self._landmarks = np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)])
        return self._landmarks

    @property
    def num_tokens(self) -> int:
        """Tokens in this pass, line ends included."""
        return self.corpus.num_tokens if self.is_in_order else int(self.landmarks[-1])

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
        """Where in the corpus's ids the tokens at `places` of this pass stand, the pass read as one stream.

        Raises:
            ModelError: the landmarks that were given are of another order.
        """
        if self.is_in_order:
            return places + self._first_token
        blocks = np.searchsorted(self.landmarks, places, side="right") - 1
        numbers = np.unique(blocks).tolist()
        self._blocks = {number: self._blocks.get(number) or self._read_block(number) for number in numbers}
        found = np.empty_like(places)
        for number, (first, starts) in self._blocks.items():
            if starts[-1] != self.landmarks[number + 1] - self.landmarks[number]:
                what = "the lines are not as long as the run's state says"
                raise ModelError(self.corpus.directory, what, "--force, to begin again")
            here = blocks == number
            inside = places[here] - self.landmarks[number]
            line = np.searchsorted(starts, inside, side="right") - 1
            found[here] = first[line] + inside - starts[line]
        return found

    def _read_block(self, number: int) -> tuple[Index, Index]:
        """Of each line of a block: where it begins in the corpus's ids, and in the block; and how long that is."""
        places = np.arange(number * BLOCK, min((number + 1) * BLOCK, self.num_lines))
        first, end = self.spans(places)
        return first, np.concatenate([[0], np.cumsum(end - first)])

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
