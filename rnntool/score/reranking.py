"""From an n-best list to its best line: by weighted features, or by what it has in common with the others.

Tuned weights are those with which the best lines, together, are most like the references.  A line without hypotheses has
a blank line for its answer, and counts as one in tuning.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rnntool.config.metrics import MetricConfig
from rnntool.errors import InputError
from rnntool.score import bleu, consensus, mert
from rnntool.score.overlap import OF_TEXTS
from rnntool.text.nbest.lists import Hypothesis, NbestList
from rnntool.text.nbest.weights import WORDS, Weights, total, weighed


@dataclass(frozen=True)
class Choice:
    """The answer to one line.

    Args:
        text: of the hypothesis; blank if there is none.
        rank: its place in the list, from 1; None if there is none.
        score: by which it is the best: the weighted sum, or the expected score of the metric.
    """

    text: str
    rank: int | None = None
    score: float | None = None


LARGEST = 1e100
"""Of features to tune, whose squares are summed."""

Chooser = Callable[[NbestList], Choice]
"""From a list to its best line; raises InputError where a hypothesis lacks what is weighed."""


def by_score(weights: Weights | None) -> Chooser:
    """The hypothesis of the highest weighted sum, the first of equal ones; without weights, of the highest score."""

    def choose(nbest: NbestList) -> Choice:
        return _choice(nbest, [total(nbest, hypothesis, weights) for hypothesis in nbest.hypotheses])

    return choose


def by_consensus(name: str, config: MetricConfig, weights: Weights | None, scale: float) -> Chooser:
    """The hypothesis of the highest expected score.

    Args:
        name: of the metric: `bleu` or `chrf`.
        config: how it compares; `tokenize` and `lowercase` count.
        weights: of features, for the probabilities of the hypotheses; None for the scores of the list.
        scale: see `consensus.posterior`.
    """
    metric = bleu.build(name, config, sentences=True)

    def choose(nbest: NbestList) -> Choice:
        if not nbest.hypotheses:
            return Choice("")
        scores = [total(nbest, hypothesis, weights) if scale else 0.0 for hypothesis in nbest.hypotheses]
        segments = bleu.segments(metric, (hypothesis.text for hypothesis in nbest.hypotheses))
        return _choice(nbest, consensus.expected(name, segments, consensus.posterior(scores, scale)).tolist())

    return choose


def _choice(nbest: NbestList, scores: Sequence[float]) -> Choice:
    if not scores:
        return Choice("")
    best = max(range(len(scores)), key=scores.__getitem__)
    return Choice(nbest.hypotheses[best].text, best + 1, scores[best])


@dataclass(frozen=True)
class Tuned:
    """What tuning found.

    Args:
        weights: whose absolute values sum to one.
        score: the metric of the lines that they choose.
        before: that of the lines that the lists' own scores choose, or where they have none, the starting weights.
    """

    weights: dict[str, tuple[float, ...]]
    score: float
    before: float


def tune(
    lists: Sequence[NbestList],
    references: Sequence[Sequence[str]],
    name: str,
    config: MetricConfig,
    *,
    start: Weights | None,
    restarts: int,
    seed: int,
) -> Tuned:
    """The weights with which the best lines score highest.

    Args:
        lists: one for each line of the references, one of them with a hypothesis.
        references: one or more texts.
        name: of the metric: `bleu` or `chrf`.
        config: how it compares; `tokenize` and `lowercase` count.
        start: the weights of the features to tune; None for all features that the first hypothesis has, and `words`.
        restarts: see `mert.maximize`.
        seed: see `mert.maximize`.

    Raises:
        InputError: a hypothesis lacks a feature, or has one past `LARGEST`.
    """
    start = start or _first_weights(lists)
    width = sum(map(len, start.values()))
    metric = bleu.build(name, config, references)
    statistics_of = bleu.statistics(metric)
    features, statistics = [], []
    for place, nbest in enumerate(lists):
        texts = [hypothesis.text for hypothesis in nbest.hypotheses] or [""]
        features.append([_tunable(nbest, each, start) for each in nbest.hypotheses] or [[0.0] * width])
        statistics.append([statistics_of(place, text.rstrip()) for text in texts])
    problem = mert.problem(features, statistics, OF_TEXTS[name])
    first = [weight for values in start.values() for weight in values]
    found, score = mert.maximize(problem, first, restarts=restarts, seed=seed)
    values = iter(found)
    weights = {feature: tuple(next(values) for _ in factors) for feature, factors in start.items()}
    has_scores = all(hypothesis.score is not None for nbest in lists for hypothesis in nbest.hypotheses)
    chosen = map(by_score(None if has_scores else start), lists)
    before = bleu.score(metric, bleu.read_text(choice.text for choice in chosen)).value
    return Tuned(weights, score, before)


def _tunable(nbest: NbestList, hypothesis: Hypothesis, weights: Weights) -> list[float]:
    values = weighed(nbest, hypothesis, weights)
    if not all(-LARGEST < value < LARGEST for value in values):
        raise InputError(nbest.where(hypothesis), f"a feature past {LARGEST:g}, which cannot be tuned")
    return values


def _first_weights(lists: Sequence[NbestList]) -> dict[str, tuple[float, ...]]:
    """One for every feature that the first hypothesis has, and nothing for the number of words."""
    nbest = next(nbest for nbest in lists if nbest.hypotheses)
    hypothesis = nbest.hypotheses[0]
    if not hypothesis.features:
        raise InputError(nbest.where(hypothesis), "no features to tune the weights of")
    weights = {feature: (1.0,) * len(values) for feature, values in hypothesis.features.items()}
    weights.setdefault(WORDS, (0.0,))
    return weights
