"""Corpora in memory whose every token has an id of its own, so that a batch shows which tokens it holds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rnntool.text.corpus import Corpus, CorpusSource

BEGIN = 9_999_999
"""The id that stands before the text."""


def corpus_of(*lengths: Sequence[int], weights: Sequence[float] = (), fractions: Sequence[float] = ()) -> Corpus:
    """One source for each list of line lengths, a line's `</s>` counted; ids are places in the corpus.

    Args:
        weights: of the sources; ones if left out.
        fractions: of the sources; ones if left out.
    """
    sources = []
    line = token = 0
    for number, source in enumerate(lengths):
        sources.append(
            CorpusSource(
                path=f"text-{number}",
                weight=weights[number] if weights else 1.0,
                fraction=fractions[number] if fractions else 1.0,
                first_line=line,
                num_lines=len(source),
                first_token=token,
                num_tokens=sum(source),
            )
        )
        line, token = line + len(source), token + sum(source)
    ends = np.cumsum([length for source in lengths for length in source], dtype=np.int64)
    return Corpus("", "000000", token, np.arange(token, dtype=np.uint32), ends, tuple(sources))
