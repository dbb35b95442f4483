"""The n-grams of a model as sorted whole numbers: where is the n-gram that goes on from this history with this word?

    key = (place of the history) · (V + 1) + word

where the history of an n-gram is the (n−1)-gram without its last word.  Words are the ids of a vocabulary of V tokens, and
V itself, which stands for `<s>`, the beginning of a line.  Every word is a 1-gram, at the place of its id.  Since keys are
sorted, the n-grams that go on from one history lie side by side, in the order of their last words.

Nothing here counts, and nothing here knows a probability.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Places = NDArray[np.int64]
"""Places of n-grams among those of their order; `NOWHERE` for one that is not there."""

NOWHERE = -1


class Grams:
    """All n-grams of a model, by order.

    Args:
        vocab_size: V.
        keys: sorted and distinct, of the orders 2, 3, ...
    """

    def __init__(self, vocab_size: int, keys: Sequence[NDArray[np.int64]] = ()) -> None:
        self.vocab_size = vocab_size
        self.keys = tuple(keys)

    @property
    def order(self) -> int:
        """The length of the longest."""
        return len(self.keys) + 1

    @property
    def bos_id(self) -> int:
        """The word `<s>`."""
        return self.vocab_size

    @property
    def stride(self) -> int:
        """V + 1, the number of words."""
        return self.vocab_size + 1

    def size(self, order: int) -> int:
        """How many there are of an order."""
        return self.stride if order == 1 else len(self.keys[order - 2])

    def histories(self, order: int) -> Places:
        """Where the history of each n-gram is among those of the order below; in order 1 all have the same, 0."""
        return np.zeros(self.stride, np.int64) if order == 1 else self.keys[order - 2] // self.stride

    def last_words(self, order: int) -> NDArray[np.int64]:
        """The last word of each n-gram."""
        return np.arange(self.stride) if order == 1 else self.keys[order - 2] % self.stride

    def find(self, order: int, histories: Places, words: NDArray[np.int64]) -> Places:
        """Where n-grams are.

        Args:
            order: of the n-grams.
            histories: where their histories are; what goes on from `NOWHERE` is nowhere.
            words: their last words, in the shape of the histories.
        """
        if order == 1:
            return words
        keys = self.keys[order - 2]
        if not len(keys):
            return np.full_like(histories, NOWHERE)
        wanted = histories * self.stride + words
        places = np.searchsorted(keys, wanted)
        places[places == len(keys)] = 0
        is_there = (keys[places] == wanted) & (histories != NOWHERE)
        return np.where(is_there, places, NOWHERE)

    def suffixes(self, order: int, below: Places) -> Places:
        """Where the n-grams of an order without their first words are among those of the order below.

        Args:
            order: at least 2.
            below: the same of the order below; for order 2 it is not looked at.
        """
        if order == 2:
            return self.last_words(2)
        return self.find(order - 1, below[self.histories(order)], self.last_words(order))

    def spans(self, order: int, histories: Places) -> tuple[Places, Places]:
        """From where and to where the n-grams lie that go on from each history."""
        keys = self.keys[order - 2]
        starts = np.searchsorted(keys, histories * self.stride)
        return starts, np.searchsorted(keys, (histories + 1) * self.stride)

    def words(self, order: int, places: Places) -> list[NDArray[np.int64]]:
        """The words of n-grams: an array for the first ones, one for the second ones, and so on."""
        columns = []
        for n in range(order, 1, -1):
            places, last = np.divmod(self.keys[n - 2][places], self.stride)
            columns.append(last)
        return [places, *reversed(columns)]

    def pruned(self, kept: Sequence[NDArray[np.bool_]]) -> Grams:
        """What is left of the n-grams.

        Args:
            kept: of each order from 1 on, which stay; all of order 1, and no n-gram without its history.
        """
        keys = []
        place = np.arange(self.stride)  # of each n-gram among those that are left of the order below
        for order, stays in enumerate(kept[1:], 2):
            histories, last = np.divmod(self.keys[order - 2][stays], self.stride)
            keys.append(place[histories] * self.stride + last)
            place = np.cumsum(stays) - 1
        return Grams(self.vocab_size, keys)
