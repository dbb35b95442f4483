"""What an n-best list is, whatever its format."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from rnntool.errors import InputError
from rnntool.text.formats import quoted


class Spelled(float):
    """A number that is written as it was read, where that is not how we would spell it.

    Args:
        spelling: what spells it.

    Raises:
        ValueError: it spells none.
    """

    __slots__ = ("spelling",)
    spelling: str

    def __new__(cls, spelling: str) -> Spelled:
        """The number of a spelling."""
        value = super().__new__(cls, spelling)
        value.spelling = spelling
        return value


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """One of the answers to one line of an input.

    Args:
        text: its words; blank if the answer is an empty line.
        features: name → one or more numbers, each the better the higher, in the order of the file.
        score: what the program that wrote the list made of them; None if the format has none.
        between: other fields that stand before the features, as they are (Marian's alignments and scores of words); in
            SRILM's lists the mark before the words, if there is one.
        after: other fields that stand after the score, as they are (Moses' alignments); in SRILM's lists the mark after
            the words.
        rank: its number in the list, where the format has one, else 0.
        line: where it was read, from 1; 0 if it was not.
    """

    text: str
    features: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    score: float | None = None
    between: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    rank: int = 0
    line: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class NbestList:
    """All hypotheses for one line of an input, in the order of the file; none if the file has none for it.

    Args:
        id: what the format calls the line: a number from 0 in Moses lists, any name elsewhere.
        hypotheses: at least one, unless the id is missing from the file.
        source: the file it was read from, as messages name it.
    """

    id: str
    hypotheses: tuple[Hypothesis, ...] = ()
    source: str = field(default="", compare=False)

    def where(self, hypothesis: Hypothesis) -> str:
        """The place of one of its hypotheses, for a message."""
        return f"{self.source}:{hypothesis.line}"


def with_feature(nbest: NbestList, name: str, values: Sequence[float]) -> NbestList:
    """A list with one feature more, that has a value for each hypothesis.

    Raises:
        InputError: it has a feature of this name already.
    """
    hypotheses = []
    for hypothesis, value in zip(nbest.hypotheses, values, strict=True):
        if name in hypothesis.features:
            raise InputError(nbest.where(hypothesis), f"the list has a feature {quoted(name)} already")
        hypotheses.append(replace(hypothesis, features={**hypothesis.features, name: (value,)}))
    return replace(nbest, hypotheses=tuple(hypotheses))


def number(spelling: str, where: str, what: str, name: str = "") -> float:
    """The finite number that `spelling` spells.

    Args:
        spelling: as it was read.
        where: its place, for a message.
        what: the kind of number that should stand there.
        name: of the one among its kind.

    Raises:
        InputError: it spells none, or one that cannot be multiplied by a weight.
    """
    try:
        value = float(spelling)
    except ValueError:
        value = math.nan
    if math.isfinite(value):
        return value if spelled(value) == spelling else Spelled(spelling)
    subject = f"{what} {quoted(name)}" if name else what
    hint = "sed 's/-inf/-1e9/g'" if value == -math.inf else ""
    raise InputError(where, f"the {subject} is {quoted(spelling)}, not a finite number", hint)


def is_number(spelling: str) -> bool:
    """Whether a field spells a number, be it infinite."""
    try:
        float(spelling)
    except ValueError:
        return False
    return True


def words_of(text: str) -> list[str]:
    """The words of a text, which ASCII's white space separates."""
    return [word.decode() for word in text.encode().split()]


def spelled(value: float) -> str:
    """The number as it was read, else the shortest decimal that is read as the same; whole numbers without a point."""
    return value.spelling if isinstance(value, Spelled) else repr(value).removesuffix(".0")
