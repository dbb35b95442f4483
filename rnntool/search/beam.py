"""Beam search: the continuations of highest total log-probability that a search of fixed width finds.

At every step each prompt keeps its K best unfinished hypotheses.  A hypothesis may end where `</s>` is among its K
likeliest next words, and goes on besides.  An unfinished hypothesis that is not above the N-th best finished one is given
up, since a longer one can only be less likely; a prompt is done when none is left.  No length is preferred: the total is
what counts.  K = 1 takes the likeliest word each time.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from rnntool.search.continuation import Continuation
from rnntool.search.drawing import allow
from rnntool.search.predictor import Predictor, Prefixes, rows_of


def beam_search(
    predictor: Predictor,
    prefixes: Prefixes,
    *,
    beam_size: int,
    num_best: int,
    max_tokens: int,
    banned: tuple[int, ...] = (),
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
    searches = [_Search(row, beam_size, num_best, predictor.eos_id) for row in range(len(prefixes))]
    undone = searches
    for _ in range(max_tokens):
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
    """

    def __init__(self, row: int, beam_size: int, num_best: int, eos_id: int) -> None:
        self.beam_size = beam_size
        self.num_best = num_best
        self.eos_id = eos_id
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
        candidates = []
        for row, path in enumerate(self.live, self.first_row):
            for place, (gain, word) in enumerate(zip(gains[row], words[row], strict=True)):
                logprob = path.logprob + gain
                if word != self.eos_id:
                    candidates.append((logprob, row, word))
                elif place < self.beam_size:
                    self.finished.append(Continuation(path.ids, logprob, has_ended=True))
        self.finished = self._sorted(self.finished)
        bar = self.finished[-1].logprob if len(self.finished) == self.num_best else -math.inf
        candidates = sorted((each for each in candidates if each[0] > bar), key=lambda each: (-each[0], each[1:]))
        before, kept = self.live, candidates[: self.beam_size]
        self.live = [_Path((*before[row - self.first_row].ids, word), logprob) for logprob, row, word in kept]
        self.first_row = first_row
        return [(row, word) for _, row, word in kept]

    def best(self) -> list[Continuation]:
        """The best there are; those unfinished were cut."""
        cut = [Continuation(path.ids, path.logprob, has_ended=False) for path in self.live]
        return self._sorted([*self.finished, *cut])

    def _sorted(self, continuations: list[Continuation]) -> list[Continuation]:
        return sorted(continuations, key=lambda each: -each.logprob)[: self.num_best]
