"""Beam search: the continuations of highest total log-probability that a search of fixed width finds.

At every step each prompt keeps its K best unfinished hypotheses.  K = 1 takes the likeliest word each time.

Where the total is what counts, a hypothesis may end where `</s>` is among its K likeliest next words, and goes on besides.
An unfinished hypothesis that is not above the N-th best finished one is given up, since a longer one can only be less
likely; a prompt is done when none is left.

Where the total is divided by a power of the length, as for translations, of which the likeliest are too short, a longer
hypothesis may overtake a shorter one.  There a hypothesis ends where that is among the K best steps of all hypotheses
together, and a prompt is done when K have ended.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rnntool.search.continuation import Continuation
from rnntool.search.predictor import Predictor, Prefixes, rows_of

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]


def beam_search(
    predictor: Predictor,
    prefixes: Prefixes,
    *,
    beam_size: int,
    num_best: int,
    max_tokens: int | Sequence[int],
    banned: tuple[int, ...] = (),
    length_penalty: float = 0.0,
) -> list[list[Continuation]]:
    """The best continuations of each prefix, the best first.

    Args:
        predictor: the model.
        prefixes: one row for each prompt; the answer to one does not depend on the others.
        beam_size: K, hypotheses kept of each prompt.
        num_best: N, how many are wanted of each, at most K.
        max_tokens: limit of each continuation's length, `</s>` not counted, or one for each prefix; those cut there compete
            as they are.
        banned: words that are never taken.
        length_penalty: a, with which hypotheses compete by log P / length^a.
    """
    limits = np.broadcast_to(np.asarray(max_tokens), len(prefixes))
    beams = _Beams(len(prefixes), beam_size, num_best, predictor.eos_id, length_penalty)
    for length in range(1, int(limits.max()) + 1):
        # From one row come at most K unfinished hypotheses, and its `</s>`.
        gains, words, state = predictor.best(prefixes, beam_size + 1, banned)
        rows, last = beams.extend(gains.double().cpu().numpy(), words.cpu().numpy(), limits == length)
        if not len(rows):
            break
        prefixes = Prefixes(prefixes.last.new_tensor(last), rows_of(state, rows))
    return beams.best()


class _Beams:
    """The hypotheses of P prompts; those unfinished, R of them, are rows, in the order of their prompts, the best first.

    Args:
        num_prompts: P.
        beam_size: K.
        num_best: N.
        eos_id: what ends a line.
        length_penalty: a.
    """

    def __init__(self, num_prompts: int, beam_size: int, num_best: int, eos_id: int, length_penalty: float) -> None:
        self.beam_size = beam_size
        self.num_best = num_best
        self.eos_id = eos_id
        self.length_penalty = length_penalty
        self.prompts: Ints = np.arange(num_prompts)  # of each row
        self.logprobs: Floats = np.zeros(num_prompts)
        self._steps: list[tuple[list[int], list[int]]] = []  # of each row, the row before it, and its word
        self._finished: list[list[Continuation]] = [[] for _ in range(num_prompts)]  # the best first, N at most
        self._num_finished = np.zeros(num_prompts, dtype=int)

    def extend(self, gains: Floats, words: Ints, is_last: Flags) -> tuple[Ints, Ints]:
        """Take one step.

        Args:
            gains: log-probabilities of the likeliest next words of every row, falling, (R, M).
            words: those words, (R, M).
            is_last: which prompts' hypotheses are cut after it, (P,).

        Returns:
            For each hypothesis that goes on, the row it comes from and its last word.
        """
        rows, places = np.nonzero(gains > -math.inf)  # not forbidden
        logprobs = self.logprobs[rows] + gains[rows, places]
        order = np.lexsort((words[rows, places], rows, -logprobs, self.prompts[rows]))
        rows, places, logprobs = rows[order], places[order], logprobs[order]
        last, prompts = words[rows, places], self.prompts[rows]
        first = np.searchsorted(prompts, prompts)  # of each candidate's prompt
        is_end = last == self.eos_id
        rank = np.arange(len(rows)) - first if self.length_penalty else places
        self._finish(rows, logprobs, prompts, is_end & (rank < self.beam_size), has_ended=True)
        goes_on = ~is_end & (logprobs > self._bars()[prompts])
        before = np.cumsum(goes_on) - goes_on
        goes_on &= before - before[first] < self.beam_size
        rows, last = rows[goes_on], last[goes_on]
        self.prompts, self.logprobs = prompts[goes_on], logprobs[goes_on]
        self._steps.append((rows.tolist(), last.tolist()))
        if (is_cut := is_last[self.prompts]).any():
            self._finish(np.arange(len(rows)), self.logprobs, self.prompts, is_cut, has_ended=False)
            rows, last = rows[~is_cut], last[~is_cut]
            self.prompts, self.logprobs = self.prompts[~is_cut], self.logprobs[~is_cut]
            self._steps[-1] = (rows.tolist(), last.tolist())
        return rows, last

    def best(self) -> list[list[Continuation]]:
        """The best there are of each prompt; those unfinished are cut."""
        everything = np.ones(len(self.prompts), dtype=bool)
        self._finish(np.arange(len(self.prompts)), self.logprobs, self.prompts, everything, has_ended=False)
        return self._finished

    def _finish(self, rows: Ints, logprobs: Floats, prompts: Ints, which: Flags, *, has_ended: bool) -> None:
        """Put what some rows have come to among the finished."""
        for place in np.flatnonzero(which).tolist():
            prompt = int(prompts[place])
            self._finished[prompt].append(Continuation(self._ids(int(rows[place])), float(logprobs[place]), has_ended))
            self._num_finished[prompt] += 1
        for prompt in set(prompts[which].tolist()):
            ranked = sorted(self._finished[prompt], key=lambda each: -each.score(self.length_penalty))
            self._finished[prompt] = ranked[: self.num_best]

    def _bars(self) -> Floats:
        """What log-probability a hypothesis must have, to go on, for each prompt, (P,)."""
        if self.length_penalty:
            return np.where(self._num_finished >= self.beam_size, math.inf, -math.inf)
        return np.array([some[-1].logprob if len(some) == self.num_best else -math.inf for some in self._finished])

    def _ids(self, row: int) -> tuple[int, ...]:
        """The words of a row, from the last step back."""
        ids = []
        for rows, words in reversed(self._steps):
            ids.append(words[row])
            row = rows[row]
        return tuple(reversed(ids))
