"""Several models as one: P(w | h) = Σ_i λ_i P_i(w | h)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from rnntool.errors import ModelError
from rnntool.score.interpolation import linear
from rnntool.score.scorer import LogProbs, Scorer
from rnntool.text.formats import CONTROLS, quoted
from rnntool.text.vocabulary import Vocabulary


class Mixture:
    """A linear mixture of scorers over the same tokens, whose ids may differ; those of the first are the mixture's.

    Args:
        scorers: at least one.
        weights: λ, positive, summing to one.
        names: of the models, for messages.

    Raises:
        ModelError: two models have different tokens or contexts.
    """

    def __init__(self, scorers: Sequence[Scorer], weights: Sequence[float], names: Sequence[str]) -> None:
        first = scorers[0]
        self._translations: list[list[int] | None] = []
        for scorer, name in zip(scorers, names, strict=True):
            difference = difference_of(scorer.vocabulary, first.vocabulary, names[0])
            if difference:
                raise ModelError(name, f"{difference}; probabilities of different tokens cannot be mixed")
            self._translations.append(translation(first.vocabulary, scorer.vocabulary))
            if scorer.context != first.context:
                raise ModelError(
                    name,
                    f"its context is {scorer.context}, that of {names[0]} is {first.context}",
                    "--context, to choose one",
                )
        self.scorers = tuple(scorers)
        self.weights = np.asarray(weights)
        self.names = tuple(names)

    @property
    def vocabulary(self) -> Vocabulary:
        """That of the first."""
        return self.scorers[0].vocabulary

    @property
    def context(self) -> str:
        """The common one."""
        return self.scorers[0].context

    def state0(self) -> tuple[Any, ...]:
        """One state for each model."""
        return tuple(scorer.state0() for scorer in self.scorers)

    def score(self, lines: Sequence[Sequence[int]], state: tuple[Any, ...]) -> tuple[list[LogProbs], tuple[Any, ...]]:
        """As `Scorer.score`."""
        answers = [
            scorer.score(lines if ids is None else [[ids[id_] for id_ in line] for line in lines], each)
            for scorer, ids, each in zip(self.scorers, self._translations, state, strict=True)
        ]
        mixed = [
            linear(np.stack(parts), self.weights) for parts in zip(*(scores for scores, _ in answers), strict=True)
        ]
        return mixed, tuple(after for _, after in answers)


def difference_of(vocabulary: Vocabulary, other: Vocabulary, name: str) -> str:
    """In what a vocabulary differs from another, whose model has a name; empty if text is the same tokens to both.

    Marks that are never found in text, such as `<s>`, make no difference.
    """
    if vocabulary.unit != other.unit:
        return f"its tokens are of unit {vocabulary.unit}, those of {name} of unit {other.unit}"
    own, others = set(vocabulary.tokens), set(other.tokens)
    for token in other.tokens:
        if token not in own and token not in CONTROLS:
            return f"its vocabulary has no {quoted(token)}, which {name} has"
    for token in vocabulary.tokens:
        if token not in others and token not in CONTROLS:
            return f"its vocabulary has {quoted(token)}, which {name} has not"
    return ""


def translation(vocabulary: Vocabulary, other: Vocabulary) -> list[int] | None:
    """For each id of a vocabulary that of the same token in another; None if all are the same.

    A mark that the other does not have gets the id of `<unk>`; it is never found in text.
    """
    if vocabulary.tokens == other.tokens:
        return None
    id_of = {token: id_ for id_, token in enumerate(other.tokens)}
    return [id_of.get(token, other.unk_id) for token in vocabulary.tokens]
