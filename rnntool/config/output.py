"""Output layers by name: one short word, and its numbers.

    auto                       full or adaptive, by the vocabulary
    full
    adaptive[:CUT,CUT…]        CUT is a number of words, or of thousands of words: 200, 1k, 2.5k
    class[:C]                  C classes
    tree
    dsoftmax[:CUT,CUT…]
    sampled[:K]                K words, also in thousands
    target[:K]
    nce[:K]
    selfnorm[:A]               A is a number above 0

Knows names and numbers; what they compute is in `rnntool.nn.output`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from rnntool.errors import OptionError

FORMS = {
    "auto": "full for a small vocabulary, else adaptive",
    "full": "one product for every word",
    "adaptive": "the most frequent words first, the others in groups",
    "class": "first the class, then the word in it",
    "tree": "one yes or no for each node of a Huffman tree",
    "dsoftmax": "full, with fewer columns for rarer words",
    "sampled": "full, in training over the target and K words drawn by their counts",
    "target": "full, in training over all targets of the window and K words more",
    "nce": "full, in training told from K words of noise",
    "selfnorm": "full, with log Z held near zero",
}
"""The known output layers, and what they are in a few words."""

CUT_KINDS = ("adaptive", "dsoftmax")
"""Those that take cuts."""

SIZE_KINDS = {"class": "C", "sampled": "K", "target": "K", "nce": "K"}
"""Those that take one number of classes or words, and what it is called."""

NOT_SMOOTHED = ("tree", "sampled", "target", "nce")
"""Those whose targets cannot share their probability with other words: training does not meet the others."""

NOT_TIED = ("tree", "dsoftmax")
"""Those that have no weight row of H numbers for every word, which the embedding could be."""

CONNECTED = ("auto", "full", "adaptive", "class")
"""Those that weights of n-grams can be added to."""

LARGE = 5000
"""Words from which `auto` is adaptive.  With 10,000 words and 100 to 200 units a step is then three to four times as fast;
after four epochs on the Penn Treebank, an LSTM of 100 had a validation perplexity of 130.2 with it, 131.0 without."""

SPECIALS = 8
"""Tokens at the front of a vocabulary that need not be sorted: `<unk>`, `</s>` and their like."""

SHARES = (0.8, 0.94)
"""Share of a text that the words before each cut make up.  Fewer words before the first cut are faster, more are better:
whatever lies behind a cut is predicted in two steps."""

DRAWN_SHARE = 0.1
"""Words drawn in training, as a share of the vocabulary, where their number is left open."""

PENALTY = 0.1
"""Weight of (log Z)² where it is left open; Devlin et al. 2014, §4."""

_COUNT = re.compile(r"(?P<number>[0-9]{1,9}(?:\.[0-9]{1,3})?)(?P<thousands>k?)", re.ASCII)


@dataclass(frozen=True)
class Output:
    """An output layer.

    Args:
        kind: a key of `FORMS`.
        cuts: of `adaptive` and `dsoftmax`: after how many words each group ends but the last, rising; empty until chosen.
        size: of `class`, how many classes; of `sampled`, `target` and `nce`, how many words are drawn; 0 until chosen.
        penalty: of `selfnorm`, weight of (log Z)²; 0 until chosen.
    """

    kind: str
    cuts: tuple[int, ...] = ()
    size: int = 0
    penalty: float = 0.0

    @property
    def is_settled(self) -> bool:
        """Whether nothing is left to be chosen."""
        if self.kind in CUT_KINDS:
            return bool(self.cuts)
        if self.kind in SIZE_KINDS:
            return self.size > 0
        return self.kind != "auto" and (self.kind != "selfnorm" or self.penalty > 0)

    def check(self, vocab_size: int) -> None:
        """Raise OptionError if a network of so many words cannot be built with it."""
        if not self.is_settled:
            raise OptionError("--output", f"'{self}' is not settled: it depends on a vocabulary")
        if self.cuts and self.cuts[-1] >= vocab_size:
            raise OptionError(
                "--output", f"a cut at {self.cuts[-1]} is not below {vocab_size}, the size of the vocabulary"
            )
        if self.kind == "class" and self.size > vocab_size:
            raise OptionError("--output", f"{self.size} classes for {vocab_size} words")
        if self.kind == "tree" and vocab_size < 2:
            raise OptionError("--output", "a tree has at least two words")

    def __str__(self) -> str:
        """The canonical string: `parse_output(str(output)) == output`."""
        numbers = [*self.cuts, *([self.size] if self.size else []), *([f"{self.penalty:g}"] if self.penalty else [])]
        return ":".join([self.kind, *([",".join(map(str, numbers))] if numbers else [])])


@dataclass(frozen=True)
class Words:
    """What a network knows of the words.

    Args:
        counts: how often each occurs, by id; all zero where that is not known.
        classes: the class of each, from 0; None where the vocabulary has none.
        ends: ids of the tokens at which a word of the text ends, where a token is less than one.
    """

    counts: Sequence[float]
    classes: Sequence[int] | None = None
    ends: Sequence[int] = ()

    @property
    def num_classes(self) -> int:
        """How many classes there are, 0 without any."""
        return 0 if self.classes is None else max(self.classes) + 1


def parse_output(text: str) -> Output:
    """The output layer that `text` names.

    Raises:
        OptionError: the name is unknown, or its numbers are not of the form above.
    """
    kind, colon, rest = text.partition(":")
    if kind not in FORMS:
        raise OptionError("--output", f"unknown output layer '{kind}'; known are {', '.join(FORMS)}")
    if not colon:
        return Output(kind)
    if kind == "selfnorm":
        return Output(kind, penalty=_penalty(text, rest))
    matches = [_COUNT.fullmatch(word) for word in rest.split(",")]
    numbers = [float(m["number"]) * (1000 if m["thousands"] else 1) for m in matches if m]
    form = f"{kind}:CUT,CUT…" if kind in CUT_KINDS else f"{kind}:{SIZE_KINDS[kind]}" if kind in SIZE_KINDS else kind
    if form == kind or len(numbers) != len(matches) or any(number % 1 for number in numbers):
        raise OptionError("--output", f"'{text}' is not of the form {form}")
    if kind in SIZE_KINDS:
        if len(numbers) > 1 or numbers[0] < 1:
            raise OptionError("--output", f"'{text}' is not of the form {form}, {SIZE_KINDS[kind]} at least 1")
        return Output(kind, size=int(numbers[0]))
    if numbers[0] < 1 or any(one >= other for one, other in pairwise(numbers)):
        raise OptionError("--output", f"the cuts of '{text}' do not rise from at least 1")
    return Output(kind, tuple(int(cut) for cut in numbers))


def settle_output(output: Output, words: Words) -> Output:
    """The output layer, its kind and its numbers chosen by the words where they are left open.

    `auto` is adaptive where that is worth it and words are sorted by count, as far as counts are known.

    Raises:
        OptionError: a number does not fit the words.
    """
    counts = words.counts
    vocab_size = len(counts)
    if output.kind == "auto":
        is_sorted = all(one >= other for one, other in pairwise(counts[SPECIALS:]))
        output = Output("adaptive" if vocab_size >= LARGE and is_sorted else "full")
    if not output.is_settled:
        if output.kind in CUT_KINDS:
            output = replace(output, cuts=choose_cuts(counts))
        elif output.kind == "class":
            output = replace(output, size=words.num_classes or math.isqrt(vocab_size))
        elif output.kind in SIZE_KINDS:
            output = replace(output, size=max(1, round(DRAWN_SHARE * vocab_size)))
        else:
            output = replace(output, penalty=PENALTY)
    if output.kind == "class" and words.num_classes not in (0, output.size):
        raise OptionError(
            "--output", f"{output.size} classes are asked for, the vocabulary has {words.num_classes}", "--output class"
        )
    output.check(vocab_size)
    return output


def choose_cuts(counts: Sequence[float]) -> tuple[int, ...]:
    """Cuts such that the words before each make up the `SHARES` of the text.

    Args:
        counts: of the words, in the vocabulary's order, for `frequencies`.
    """
    size = len(counts)
    weights = frequencies(counts)
    total, seen, cuts = sum(weights), 0.0, []
    shares = list(SHARES)
    for number, weight in enumerate(weights, 1):
        seen += weight
        if shares and seen >= shares[0] * total:
            cuts.append(number)
            shares.pop(0)
    return tuple(dict.fromkeys(min(cut, size - 1) for cut in cuts)) if size > 1 else ()


def frequencies(counts: Sequence[float]) -> Sequence[float]:
    """The counts; where none is known, word r is taken to occur in proportion to 1/r."""
    return counts if any(counts) else [1 / rank for rank in range(1, len(counts) + 1)]


def _penalty(text: str, number: str) -> float:
    """The number after `selfnorm:`."""
    try:
        penalty = float(number)
    except ValueError:
        penalty = math.nan
    if not 0 < penalty < math.inf:
        raise OptionError("--output", f"'{text}' is not of the form selfnorm:A, A above 0")
    return penalty
