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
from dataclasses import dataclass
from itertools import islice

from rnntool.search.continuation import Continuation
from rnntool.search.drawing import allow
from rnntool.search.predictor import Predictor, Prefixes, rows_of


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
    limits = [max_tokens] * len(prefixes) if isinstance(max_tokens, int) else max_tokens
    searches = [
        _Search(row, beam_size, num_best, predictor.eos_id, limit, length_penalty) for row, limit in enumerate(limits)
    ]
    undone = searches
    for _ in range(max(limits)):
        log_probs, state = predictor.step(prefixes)
        # From one row come at most K unfinished hypotheses, and its `</s>`.
        best = allow(log_probs, banned).topk(min(beam_size + 1, predictor.vocab_size))
        gains, words = best.values.tolist(), best.indices.tolist()
        extensions: list[tuple[int, int]] = []
        for search in undone:
            extensions += search.extend(gains, words, len(extensions))
        undone = [search for search in undone if search.live]
        if not undone:
            break
        rows, last = zip(*extensions, strict=True)
        prefixes = Prefixes(prefixes.last.new_tensor(last), rows_of(state, rows))
    return [search.best() for search in searches]


@dataclass(frozen=True)
class _Path:
    """An unfinished hypothesis."""

    ids: tuple[int, ...]
    logprob: float


class _Search:
    """The search for one prompt.

    Args:
        row: where the prompt is in the batch.
        beam_size: K.
        num_best: N.
        eos_id: what ends a line.
        limit: most tokens.
        length_penalty: a.
    """

    def __init__(self, row: int, beam_size: int, num_best: int, eos_id: int, limit: int, length_penalty: float) -> None:
        self.beam_size = beam_size
        self.num_best = num_best
        self.eos_id = eos_id
        self.limit = limit
        self.length_penalty = length_penalty
        self.num_finished = 0
        self.live = [_Path((), 0.0)]  # the best first, in the rows of the batch from first_row on
        self.first_row = row
        self.finished: list[Continuation] = []  # the best first, N at most

    def extend(self, gains: list[list[float]], words: list[list[int]], first_row: int) -> list[tuple[int, int]]:
        """Take one step.

        Args:
            gains: log-probabilities of the likeliest next words of every row of the batch, falling.
            words: those words.
            first_row: where the hypotheses that go on will be in the next batch.

        Returns:
            For each of them, the row it comes from and its last word.
        """
        candidates = [
            (path.logprob + gain, row, word, place)
            for row, path in enumerate(self.live, self.first_row)
            for place, (gain, word) in enumerate(zip(gains[row], words[row], strict=True))
            if gain > -math.inf  # not forbidden
        ]
        candidates.sort(key=lambda each: (-each[0], each[1:3]))
        before = self.live
        for rank, (logprob, row, word, place) in enumerate(candidates):
            if word == self.eos_id and (rank if self.length_penalty else place) < self.beam_size:
                self.finished.append(Continuation(before[row - self.first_row].ids, logprob, has_ended=True))
                self.num_finished += 1
        self.finished = self._sorted(self.finished)
        bar = -math.inf
        if self.length_penalty:
            bar = math.inf if self.num_finished >= self.beam_size else bar
        elif len(self.finished) == self.num_best:
            bar = self.finished[-1].logprob
        longer = ((logprob, row, word) for logprob, row, word, _ in candidates if word != self.eos_id and logprob > bar)
        kept = list(islice(longer, self.beam_size))
        self.live = [_Path((*before[row - self.first_row].ids, word), logprob) for logprob, row, word in kept]
        if self.live and len(self.live[0].ids) == self.limit:
            self.finished = self.best()
            self.live, kept = [], []
        self.first_row = first_row
        return [(row, word) for _, row, word in kept]

    def best(self) -> list[Continuation]:
        """The best there are; those unfinished were cut."""
        cut = [Continuation(path.ids, path.logprob, has_ended=False) for path in self.live]
        return self._sorted([*self.finished, *cut])

    def _sorted(self, continuations: list[Continuation]) -> list[Continuation]:
        return sorted(continuations, key=lambda each: -each.score(self.length_penalty))[: self.num_best]
