"""What an n-gram counts for under Kneser-Ney: below the highest order, the number of different words before it.

N-grams that begin with `<s>`, which nothing can stand before, count for their occurrences, as those of the highest order
do.

Discounts are estimated from these numbers, but for one oddity, without which the discounts would not be KenLM's: below the
highest order, the n-gram that its sort puts last is evidence with its occurrences.  It is the one whose last word came up
latest in the text; among those the one whose word before that came up latest; and so on.
Source: KenLM, lm/builder/adjust_counts.cc, the end of AdjustCounts::Run.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rnntool.ngram.counts import Counts
from rnntool.ngram.grams import Grams, Places

Numbers = NDArray[np.int64]


def suffixes_of(grams: Grams) -> list[Places]:
    """For each order, where its n-grams without their first words are in the order below; of words, themselves."""
    suffixes: list[Places] = [np.arange(grams.stride)]
    for order in range(2, grams.order + 1):
        suffixes.append(grams.suffixes(order, suffixes[-1]))
    return suffixes


def adjusted(counts: Counts, suffixes: Sequence[Places]) -> list[Numbers]:
    """What each n-gram of each order counts for."""
    grams = counts.grams
    numbers = []
    begins_line = suffixes[0] == grams.bos_id
    for order in range(1, grams.order):
        if order > 1:
            begins_line = begins_line[grams.histories(order)]
        different = np.bincount(suffixes[order], minlength=grams.size(order))
        numbers.append(np.where(begins_line, counts.occurrences[order - 1], different))
    return [*numbers, counts.occurrences[-1]]


def last_in_kenlm(grams: Grams, suffixes: Sequence[Places], appearance: Numbers) -> list[int]:
    """For each order from 1 on, but not the highest, the n-gram that KenLM's sort puts last, as far as there is one.

    Args:
        grams: all that occur.
        suffixes: as from `suffixes_of`.
        appearance: for each word a number that rises in the order in which they first came; `<s>` came before them.
    """
    came = np.append(appearance, -1)
    lasts = [int(appearance.argmax())]
    for order in range(2, grams.order):
        (candidates,) = (suffixes[order - 1] == lasts[-1]).nonzero()
        if not len(candidates):
            break
        lasts.append(int(candidates[came[grams.words(order, candidates)[0]].argmax()]))
    return lasts if grams.order > 1 else []
