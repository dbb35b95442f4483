"""Weights of features: how they are written on a command line and in a file, and which numbers they multiply.

    total(h) = Σ over features f, Σ over values k of weight[f][k] · h.features[f][k]

Beside the features of a list there are two more, unless it has features of these names: `score`, the list's own last
field, and `words`, the number of words, by which long or short hypotheses are favoured.

A file has one feature on each line, `NAME= weight …`, as in the section [weight] of Moses' settings; a command line has
`NAME:weight,…`, and `NAME:weight:weight` for a feature of several values.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

from rnntool.errors import InputError
from rnntool.text.files import read_lines, shown
from rnntool.text.formats import quoted
from rnntool.text.nbest.lists import Hypothesis, NbestList, number, spelled, words_of

Weights = Mapping[str, tuple[float, ...]]
"""Name → a weight for each value; features that are not named do not count."""

SCORE, WORDS = "score", "words"

_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_ITEM = re.compile(rf"(?s:(.+?))((?::{_NUMBER})+)")


def parse(text: str) -> dict[str, tuple[float, ...]] | None:
    """The weights of `NAME:weight,…`; None if the text is not of this form.

    Raises:
        ValueError: a name stands twice, or a weight is past all floats; says so.
    """
    weights: dict[str, tuple[float, ...]] = {}
    for item in text.split(","):
        parts = _ITEM.fullmatch(item)
        if parts is None:
            return None
        name = parts[1]
        values = tuple(map(float, parts[2][1:].split(":")))
        if name in weights:
            raise ValueError(f"{quoted(name)} has two weights")
        if not all(map(math.isfinite, values)):
            raise ValueError(f"the weight of {quoted(name)} is not a finite number")
        weights[name] = values
    return weights


def one_line(weights: Weights) -> str:
    """The form of a command line."""
    return ",".join(":".join((name, *map(spelled, values))) for name, values in weights.items())


def read(path: str) -> dict[str, tuple[float, ...]]:
    """The weights of a file; blank lines do not count.

    Raises:
        InputError: a line is not `NAME= weight …`, or there is none.
    """
    weights: dict[str, tuple[float, ...]] = {}
    for line_number, line in enumerate(read_lines(path), 1):
        where = f"{shown(path)}:{line_number}"
        words = words_of(line)
        if not words:
            continue
        name = words[0].removesuffix("=")
        if len(words) < 2 or name == words[0] or not name:
            raise InputError(where, f"{quoted(line)} is not NAME= weight")
        if name in weights:
            raise InputError(where, f"{quoted(name)} has weights already")
        weights[name] = tuple(number(word, where, "weight of", name) for word in words[1:])
    if not weights:
        raise InputError(shown(path), "no weights; a file of weights has NAME= weight on each line")
    return weights


def to_text(weights: Weights) -> str:
    """The form of a file."""
    return "".join(f"{name}= {' '.join(map(spelled, values))}\n" for name, values in weights.items())


def values_of(hypothesis: Hypothesis, name: str) -> tuple[float, ...] | None:
    """The numbers that the weights of a name multiply; None if the hypothesis has none."""
    if name in hypothesis.features:
        return hypothesis.features[name]
    if name == WORDS:
        return (float(len(words_of(hypothesis.text))),)
    if name == SCORE and hypothesis.score is not None:
        return (hypothesis.score,)
    return None


def known_names(hypothesis: Hypothesis) -> list[str]:
    """The names that weights may have."""
    names = [*hypothesis.features, *([] if hypothesis.score is None else [SCORE]), WORDS]
    return list(dict.fromkeys(names))


def weighed(nbest: NbestList, hypothesis: Hypothesis, weights: Weights) -> list[float]:
    """The numbers of a hypothesis that weights multiply, in their order.

    Raises:
        InputError: it lacks a feature, or has it with another number of values.
    """
    found: list[float] = []
    for name, factors in weights.items():
        values = values_of(hypothesis, name)
        if values is None:
            what = f"no feature {quoted(name)} to weigh; known are {', '.join(known_names(hypothesis))}"
            raise InputError(nbest.where(hypothesis), what)
        if len(values) != len(factors):
            what = f"{quoted(name)} has {len(values)} here, {len(factors)} in the weights"
            raise InputError(nbest.where(hypothesis), what)
        found.extend(values)
    return found


def total(nbest: NbestList, hypothesis: Hypothesis, weights: Weights | None) -> float:
    """What a hypothesis is worth: the weighted sum, or without weights the list's own score.

    Raises:
        InputError: as `weighed`; or there are neither weights nor scores; or the sum is past all floats.
    """
    if weights is not None:
        factors = (factor for values in weights.values() for factor in values)
        found = sum(map(float.__mul__, weighed(nbest, hypothesis, weights), factors))
        if not math.isfinite(found):
            raise InputError(nbest.where(hypothesis), "its features, times their weights, are past all numbers")
        return found
    if hypothesis.score is None:
        raise InputError(nbest.where(hypothesis), "no score, and no weights for features")
    return hypothesis.score
