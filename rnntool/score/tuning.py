"""Fitting an adaptation on a text: of all candidates, those under which it is likeliest.

Parts are fitted one after the other in the order in which they are done, each around those before it; of one part all
candidates are tried.  A weight needs no grid: the probability is linear in it, so that two values, 0 and ½, give both what
is mixed, and `interpolation.fit_linear` the best share.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from rnntool.config.adaptation import Adaptation, Cache, Candidate, Choices, Pointer
from rnntool.errors import TrainingError
from rnntool.score.adaptation import adapted
from rnntool.score.cache import CacheScorer
from rnntool.score.interpolation import fit_linear, linear
from rnntool.score.perplexity import grouped
from rnntool.score.scorer import LogProbs, Scorer
from rnntool.text.vocabulary import Vocabulary

LARGEST_WEIGHT = 0.9999
"""Largest share of a cache: some of the model's probability is left to what the cache has not seen."""

Lines = Sequence[Sequence[int]]


class Trial(NamedTuple):
    """A candidate, and how likely the text is under it."""

    candidate: Candidate
    """With its weight, if it has one."""
    log_probs: LogProbs
    """Of all tokens, (N,)."""

    @property
    def merit(self) -> tuple[int, float]:
        """More is better: no impossible tokens first, then the log-probability of the others."""
        possible = self.log_probs > -math.inf
        return int(np.count_nonzero(possible)), float(self.log_probs[possible].sum())

    @property
    def ppl(self) -> float:
        """The perplexity of the text."""
        return math.exp(min(700.0, -float(self.log_probs.mean())))


def fit(
    scorer: Scorer, choices: Choices, lines: Lines, *, on_trial: Callable[[Trial], None] = lambda trial: None
) -> tuple[Adaptation, float]:
    """Choose an adaptation.

    Args:
        scorer: a model, or a mixture of several.
        choices: what to choose from.
        lines: ids of the text, without `</s>`; at least one line.
        on_trial: is told of each candidate that was tried.

    Returns:
        The adaptation, nothing in it yet to be found; and the perplexity of the text under it.

    Raises:
        OptionError: it is for networks, and there is none.
        TrainingError: every learning rate is too high.
    """
    adaptation, known = Adaptation(), None
    best: Trial | None = None
    for stage in choices.stages:
        if known is None and isinstance(stage[0], Cache | Pointer):
            known = _scored(adapted(scorer, adaptation), lines)
        best, failure = None, None
        for candidate in stage:
            try:
                trial = _try(scorer, adaptation, candidate, lines, known)
            except TrainingError as error:
                failure = error
                continue
            on_trial(trial)
            if best is None or trial.merit > best.merit:
                best = trial
        if best is None:
            assert failure is not None
            raise failure
        adaptation, known = adaptation.with_part(best.candidate), best.log_probs
    assert best is not None, "there is something to choose"
    return adaptation, best.ppl


def _try(scorer: Scorer, adaptation: Adaptation, candidate: Candidate, lines: Lines, known: LogProbs | None) -> Trial:
    """A candidate around an adaptation under which the tokens have the log-probabilities `known`."""
    if not isinstance(candidate, Cache | Pointer):
        return Trial(candidate, _scored(adapted(scorer, adaptation.with_part(candidate)), lines))
    assert known is not None
    if candidate.weight is not None:
        return Trial(candidate, _with_cache(scorer, adaptation, candidate, lines, known))
    half = _with_cache(scorer, adaptation, replace(candidate, weight=0.5), lines, known)
    with np.errstate(divide="ignore", invalid="ignore"):  # half = (known + own) / 2
        own = half + np.log(np.maximum(2 - np.exp(known - half), 0))
    both = np.stack([known, np.where(np.isnan(own), -math.inf, own)])
    possible = np.isfinite(both).any(axis=0)
    share = fit_linear(both[:, possible]).weights[1] if possible.any() else 0.0
    weight = float(f"{min(share, LARGEST_WEIGHT):.3g}")  # as many digits as it will be written with
    return Trial(replace(candidate, weight=weight), linear(both, (1 - weight, weight)))


def _with_cache(
    scorer: Scorer, adaptation: Adaptation, candidate: Cache | Pointer, lines: Lines, known: LogProbs
) -> LogProbs:
    """The log-probabilities of all tokens; a cache goes around what is known, without computing it again."""
    if isinstance(candidate, Cache):
        return _scored(CacheScorer(_Recorded(scorer.vocabulary, scorer.context, known), candidate), lines)
    return _scored(adapted(scorer, adaptation.with_part(candidate)), lines)


def _scored(scorer: Scorer, lines: Lines) -> LogProbs:
    """The log-probabilities of all tokens, (N,)."""
    state = scorer.state0()
    parts = []
    for group in grouped(lines):
        answers, state = scorer.score(group, state)
        parts += answers
    return np.concatenate(parts)


@dataclass(frozen=True, eq=False)
class _Recorded:
    """A scorer that has been asked before: what is carried is how many tokens it has answered for."""

    vocabulary: Vocabulary
    context: str
    log_probs: LogProbs

    def state0(self) -> int:
        return 0

    def score(self, lines: Lines, state: int) -> tuple[list[LogProbs], int]:
        ends = state + np.cumsum([len(line) + 1 for line in lines])
        return np.split(self.log_probs[state : ends[-1]], ends[:-1] - state), int(ends[-1])
