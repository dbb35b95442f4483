"""Which n-grams are not worth their place: those that occur no more often than a threshold of their order.

Thresholds do not fall from order to order.  As an n-gram occurs no more often than any part of it, whatever stays then has
its history, and itself without its first word, in the model.  Words are never pruned; which there are is the vocabulary's.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rnntool.errors import OptionError
from rnntool.ngram.counts import Counts


def thresholds(given: Sequence[int], order: int) -> tuple[int, ...]:
    """A threshold for every order from 1 on; the last that is given holds for the rest.

    Args:
        given: not negative; none prunes nothing.
        order: the highest.

    Raises:
        OptionError: they fall, are too many, or would prune words.
    """
    if len(given) > order:
        raise OptionError("--prune", f"{len(given)} thresholds; --order is {order}")
    if given and given[0]:
        hint = f"rnntool vocab --min-count {given[0] + 1} TEXT | rnntool ngram -V - TEXT"
        raise OptionError("--prune", f"the first threshold is {given[0]}; words are not pruned, so it must be 0", hint)
    for before, after in itertools.pairwise(given):
        if after < before:
            raise OptionError("--prune", f"{after} after {before}; thresholds must not fall from order to order")
    last = given[-1] if given else 0
    return (*given, *[last] * (order - len(given)))


def staying(counts: Counts, limits: Sequence[int]) -> list[NDArray[np.bool_]]:
    """Which n-grams of each order stay."""
    stays = [occurrences > limit for occurrences, limit in zip(counts.occurrences, limits, strict=True)]
    stays[0][:] = True
    return stays
