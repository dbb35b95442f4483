"""Beam search: the continuations of highest total log-probability that a search of fixed width finds.

At every step each prompt keeps its K best unfinished hypotheses; one that `</s>` ends is finished if it is among the K
best of all.  A prompt is done when no unfinished hypothesis is above its N-th best finished one, since a longer one can
only be less likely.  No length is preferred: the total is what counts.  K = 1 takes the likeliest word each time.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from rnntool.search.continuation import Continuation
from rnntool.search.drawing import allow
from rnntool.search.predictor import Predictor, Prefixes, rows_of


@dataclass(frozen=True)
class _Path:
    """An unfinished hypothesis."""

    ids: tuple[int, ...] = ()
    logprob: float = 0.0


@dataclass
class _Search:
    """The search for one prompt.

    Args:
        first_row: where the rows of its live hypotheses begin.
        live: unfinished hypotheses, the best first.
        finished: finished ones, the best first.
    """

    first_row: int
    live: list[_Path] = field(default_factory=lambda: [_Path()])
    finished: list[Continuation] = field(default_factory=list)


def beam_search(
    predictor: Predictor,
    prefixes: Prefixes,
    *,
    beam_size: int,
    num_best: int,
    max_tokens: int,
    banned: Sequence[int] = (),
) -> list[list[Continuation]]:
    """The best continuations of each prefix, the best first.

    Args:
        predictor: the model.
        prefixes: one row for each prompt; the answer to one does not depend on the others.
        beam_size: K, hypotheses kept of each prompt.
        num_best: N, how many are wanted of each, at most K.
        max_tokens: limit of each continuation's length, `</s>` not counted; those cut there compete as they are.
        banned: words that are never taken.
    """
    searches = [_Search(row) for row in range(len(prefixes))]
    undone = searches
    for _ in range(max_tokens):
        log_probs, state = predictor.step(prefixes)
        # From one row come at most K unfinished hypotheses, and its `</s>`.
        best = allow(log_probs, banned).topk(min(beam_size + 1, predictor.vocab_size))
        gains, words = best.values.tolist(), best.indices.tolist()
        chosen: list[tuple[int, int]] = []  # the row of each hypothesis that goes on, and its next word
        for search in undone:
            going_on = _extend(search, gains, words, predictor.eos_id, beam_size)
            if not _is_done(search, num_best):
                search.first_row = len(chosen)
                chosen += going_on
        undone = [search for search in undone if not _is_done(search, num_best)]
        if not undone:
            break
        rows, last = zip(*chosen, strict=True)
        prefixes = Prefixes(prefixes.last.new_tensor(last), rows_of(state, rows))
    for search in undone:
        search.finished += [Continuation(path.ids, path.logprob, has_ended=False) for path in search.live]
    return [sorted(search.finished, key=_likelihood)[:num_best] for search in searches]


def _extend(
    search: _Search, gains: list[list[float]], words: list[list[int]], eos_id: int, beam_size: int
) -> list[tuple[int, int]]:
    """Take one step; the row of each new live hypothesis, and its last word."""
    candidates = [
        (path.logprob + gain, row, word)
        for row, path in enumerate(search.live, search.first_row)
        for gain, word in zip(gains[row], words[row], strict=True)
        if gain > -math.inf
    ]
    candidates.sort(key=lambda each: (-each[0], each[1:]))
    paths, search.live = search.live, []
    going_on = []
    for rank, (logprob, row, word) in enumerate(candidates):
        ids = paths[row - search.first_row].ids
        if word != eos_id:
            search.live.append(_Path((*ids, word), logprob))
            going_on.append((row, word))
        elif rank < beam_size:
            search.finished.append(Continuation(ids, logprob, has_ended=True))
        if len(search.live) == beam_size:
            break
    search.finished.sort(key=_likelihood)
    return going_on


def _is_done(search: _Search, num_best: int) -> bool:
    if not search.live:
        return True
    return len(search.finished) >= num_best and search.finished[num_best - 1].logprob >= search.live[0].logprob


def _likelihood(continuation: Continuation) -> float:
    """Sorts the likeliest first, and equals as they are."""
    return -continuation.logprob
