"""Output layers by name: one short word, and its numbers.

    auto                       full or adaptive, by the vocabulary
    full
    adaptive[:CUT,CUT…]        CUT is a number of words, or of thousands of words: 200, 1k, 2.5k

Knows names and numbers; what they compute is in `rnntool.nn.output`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from rnntool.errors import OptionError

FORMS = {
    "auto": "full for a small vocabulary, else adaptive",
    "full": "one product for every word",
    "adaptive": "the most frequent words first, the others in groups",
}
"""The known output layers, and what they are in a few words."""

LARGE = 5000
"""Words from which `auto` is adaptive.  With 10,000 words and 100 to 200 units a step is then three to four times as fast;
after four epochs on the Penn Treebank, an LSTM of 100 had a validation perplexity of 130.2 with it, 131.0 without."""

SPECIALS = 8
"""Tokens at the front of a vocabulary that need not be sorted: `<unk>`, `</s>` and their like."""

SHARES = (0.8, 0.94)
"""Share of a text that the words before each cut make up.  Fewer words before the first cut are faster, more are better:
whatever lies behind a cut is predicted in two steps."""

_CUT = re.compile(r"(?P<number>[0-9]{1,9}(?:\.[0-9]{1,3})?)(?P<thousands>k?)", re.ASCII)


@dataclass(frozen=True)
class Output:
    """An output layer.

    Args:
        kind: a key of `FORMS`.
        cuts: of `adaptive`: after how many words each group ends but the last, rising; empty until they are chosen.
    """

    kind: str
    cuts: tuple[int, ...] = ()

    def check(self, vocab_size: int) -> None:
        """Raise OptionError if a network of so many words cannot be built with it."""
        if self.kind == "auto" or (self.kind == "adaptive" and not self.cuts):
            raise OptionError("--output", f"'{self}' is not settled: it depends on a vocabulary")
        if self.cuts and self.cuts[-1] >= vocab_size:
            raise OptionError(
                "--output", f"a cut at {self.cuts[-1]} is not below {vocab_size}, the size of the vocabulary"
            )

    def __str__(self) -> str:
        """The canonical string: `parse_output(str(output)) == output`."""
        return ":".join([self.kind, *([",".join(map(str, self.cuts))] if self.cuts else [])])


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
    matches = [_CUT.fullmatch(word) for word in rest.split(",")]
    cuts = [float(m["number"]) * (1000 if m["thousands"] else 1) for m in matches if m]
    if kind != "adaptive" or len(cuts) != len(matches) or any(cut % 1 for cut in cuts):
        raise OptionError(
            "--output", f"'{text}' is not of the form {'adaptive:CUT,CUT…' if kind == 'adaptive' else kind}"
        )
    if cuts[0] < 1 or any(one >= other for one, other in pairwise(cuts)):
        raise OptionError("--output", f"the cuts of '{text}' do not rise from at least 1")
    return Output(kind, tuple(int(cut) for cut in cuts))


def settle_output(output: Output, counts: Sequence[float]) -> Output:
    """The output layer, its kind and its cuts chosen by the counts of the words where they are left open.

    `auto` is adaptive where that is worth it and words are sorted by count, as far as counts are known.

    Raises:
        OptionError: a cut is not below the number of words.
    """
    if output.kind == "auto":
        is_sorted = all(one >= other for one, other in pairwise(counts[SPECIALS:]))
        output = Output("adaptive" if len(counts) >= LARGE and is_sorted else "full")
    if output.kind == "adaptive" and not output.cuts:
        output = Output("adaptive", choose_cuts(counts))
    output.check(len(counts))
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
