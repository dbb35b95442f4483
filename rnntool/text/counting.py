"""From text to a vocabulary: tokens counted in a stream, the commonest kept.

The count of `</s>` is the number of lines; that of `<unk>` is what text has of `<unk>` itself and of tokens that are
left out.  So the counts of a vocabulary sum to the tokens of its text, ends of lines included.  Memory grows with the
number of different tokens, not with the text.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from rnntool.errors import InputError, OptionError, RnntoolWarning
from rnntool.text.formats import CONTROLS, EOS, LONGEST, SPECIALS, UNK, quoted
from rnntool.text.units import sliced, spell_byte
from rnntool.text.vocabulary import Vocabulary


@dataclass
class Counts:
    """What a text holds."""

    tokens: Counter[str] = field(default_factory=Counter)
    """Occurrences of every token."""
    num_lines: int = 0
    """Lines, blank ones too."""


def count(blocks: Iterable[bytes], unit: str, *, only: Sequence[str] | None = None) -> Counts:
    """Count the tokens of a text.

    Args:
        blocks: whole lines, as `read_blocks` gives them.
        unit: `word`, `char` or `byte`.
        only: count these words alone; every other is counted as `<unk>`.
    """
    counts = _COUNTERS[unit](blocks)
    if only is not None:
        listed = Counter(dict.fromkeys(only, 0))
        for token in listed:
            listed[token] = counts.tokens.pop(token, 0)
        listed[UNK] += sum(counts.tokens.values())
        counts.tokens = listed
    return counts


def build(
    counts: Counts,
    unit: str,
    *,
    size: int | None = None,
    min_count: int = 1,
    specials: Sequence[str] = (),
) -> Vocabulary:
    """The vocabulary of the commonest tokens: special tokens first, then by falling count, ties by code points.

    Args:
        counts: of a text.
        unit: that was counted.
        size: tokens at most, special ones included; None keeps all.
        min_count: leave out tokens that occur less often.
        specials: tokens to keep in front whatever their count, after `<unk>` and `</s>`.

    Raises:
        OptionError: `size` leaves no room for any token that is not special, or a special token cannot be one.
    """
    front = [*SPECIALS, *_checked(specials)]
    if unit == "byte":
        tokens = _by_count({**dict.fromkeys(map(spell_byte, range(256)), 0), **counts.tokens})
    else:
        tokens = _by_count({token: n for token, n in counts.tokens.items() if n >= min_count})
    tokens = [token for token in tokens if token not in front and token not in CONTROLS]
    if size is not None:
        room = size - len(front)
        if room < 1:
            raise OptionError("--size", f"{size} leaves no room beside {len(front)} special tokens")
        if unit == "byte" and room < len(tokens):
            raise OptionError(
                "--size",
                f"{size} is less than 256 bytes and {len(front)} special tokens",
            )
        tokens = tokens[:room]
    kept = {token: counts.tokens[token] for token in [*front, *tokens]}
    kept[EOS] = counts.num_lines
    kept[UNK] = sum(counts.tokens.values()) - sum(n for token, n in kept.items() if token not in SPECIALS)
    return Vocabulary(unit, tuple(kept), tuple(kept.values()))


def _checked(specials: Sequence[str]) -> Iterator[str]:
    seen = set(SPECIALS)
    for token in specials:
        if not token or token.encode().split() != [token.encode()]:
            raise OptionError("--special", f"{quoted(token)} has white space, or is empty")
        if token in seen:
            raise OptionError("--special", f"{quoted(token)} is there already")
        seen.add(token)
        yield token


def _by_count(counts: dict[str, int]) -> list[str]:
    # UTF-8 and code points sort alike; two plain sorts are faster than one by pairs.
    tokens = sorted(counts)
    tokens.sort(key=counts.__getitem__, reverse=True)
    return tokens


def _count_words(blocks: Iterable[bytes]) -> Counts:
    words: Counter[bytes] = Counter()
    num_lines = 0
    for block in blocks:
        num_lines += block.count(b"\n")
        for part in sliced(block):
            words.update(part.split())
    return Counts(Counter(_spelled(words)), num_lines)


def _spelled(words: Counter[bytes]) -> dict[str, int]:
    """The words as text, without those that no vocabulary file can hold."""
    counts = {}
    too_long = 0
    unknown = 0
    for word, n in words.items():
        if len(word) > LONGEST:
            too_long += 1
            unknown += n
        else:
            counts[word.decode()] = n
    if too_long:
        what = f"{too_long} words of more than {LONGEST} bytes are left out"
        warnings.warn(RnntoolWarning("", what), stacklevel=2)
        counts[UNK] = counts.get(UNK, 0) + unknown
    return counts


def _count_chars(blocks: Iterable[bytes]) -> Counts:
    import numpy as np

    totals = np.zeros(0x110000, np.int64)
    for block in blocks:
        found = np.bincount(np.frombuffer(block.decode().encode("utf-32-le"), np.uint32))
        totals[: len(found)] += found
    num_lines = int(totals[ord("\n")])
    totals[ord("\n")] = 0
    (seen,) = totals.nonzero()
    return Counts(Counter({chr(char): int(totals[char]) for char in seen.tolist()}), num_lines)


def _count_bytes(blocks: Iterable[bytes]) -> Counts:
    import numpy as np

    totals = np.zeros(256, np.int64)
    for block in blocks:
        totals += np.bincount(np.frombuffer(block, np.uint8), minlength=256)
    num_lines = int(totals[ord("\n")])
    totals[ord("\n")] = 0
    (seen,) = totals.nonzero()
    return Counts(
        Counter({spell_byte(byte): int(totals[byte]) for byte in seen.tolist()}),
        num_lines,
    )


_COUNTERS = {"word": _count_words, "char": _count_chars, "byte": _count_bytes}


def require_tokens(counts: Counts, where: str) -> None:
    """Refuse a text without a single token.

    Raises:
        InputError: naming `where`.
    """
    if not counts.tokens.total():
        raise InputError(where, "no tokens")
