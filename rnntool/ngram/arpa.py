r"""ARPA files: a back-off model as text, as SRILM, KenLM and most speech recognisers read and write it.

    \data\
    ngram 1=5
    ngram 2=6

    \1-grams:
    -1.041393	<unk>	0
    -99	<s>	-0.1760913
    ...

    \2-grams:
    -0.3853	<s> a
    ...

    \end\

A line has log₁₀ p, the words, and, below the highest order, log₁₀ of the back-off weight of what goes on from them; -99 is
the logarithm of 0.  A model of units other than words begins with a line `#unit⇥char` or `#unit⇥byte`, and its tokens are
escaped as in a vocabulary; programs that know no such line skip it.
"""

from __future__ import annotations

import itertools
import math
import re
import warnings
from collections.abc import Iterable, Iterator, Sequence
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from rnntool.errors import ModelError, RnntoolWarning
from rnntool.ngram.grams import NOWHERE, Grams
from rnntool.ngram.model import ZERO, NgramModel
from rnntool.text.files import clean_blocks
from rnntool.text.formats import EOS, ESCAPED_UNITS, LONGEST, UNITS, UNK, escape, quoted, unescape
from rnntool.text.vocabulary import Vocabulary

BOS = "<s>"

DATA, END = b"\\data\\", b"\\end\\"

LONGEST_LINE = 16 * LONGEST  # bytes

WRITTEN = 1 << 12
"""N-grams that are written at once."""

_SECTION = re.compile(rb"\\([0-9]{1,9})-grams:")
_COUNT = re.compile(rb"ngram[ \t]+([0-9]{1,9})[ \t]*=[ \t]*([0-9]{1,18})")
_IS_SPACE = np.isin(np.arange(256), list(b" \t\n\r\v\f"))
"""Of each byte, whether it separates fields."""


# --- writing ---------------------------------------------------------------------------------------------------------


def write_arpa(model: NgramModel) -> Iterator[str]:
    """The file, piece by piece; numbers with seven digits."""
    vocabulary, grams = model.vocabulary, model.grams
    is_escaped = vocabulary.unit in ESCAPED_UNITS
    if is_escaped:
        yield f"#unit\t{vocabulary.unit}\n"
    yield "\\data\\\n"
    for order in range(1, model.order + 1):
        yield f"ngram {order}={grams.size(order)}\n"
    tokens = [*(map(escape, vocabulary.tokens) if is_escaped else vocabulary.tokens), BOS]
    for order in range(1, model.order + 1):
        yield f"\n\\{order}-grams:\n"
        line = "%.7g\t" + " ".join(["%s"] * order) + ("\t%.7g\n" if order < model.order else "\n")
        for first in range(0, grams.size(order), WRITTEN):
            places = np.arange(first, min(first + WRITTEN, grams.size(order)))
            columns: list[Iterable[object]] = [model.log10_probs[order - 1][places].tolist()]
            columns += [map(tokens.__getitem__, words.tolist()) for words in grams.words(order, places)]
            if order < model.order:
                columns.append((model.log10_backoffs[order - 1][places] + 0.0).tolist())  # no -0
            yield line * len(places) % tuple(itertools.chain.from_iterable(zip(*columns, strict=True)))
    yield "\n\\end\\\n"


# --- reading ---------------------------------------------------------------------------------------------------------


def read_arpa(chunks: Iterable[bytes], name: str) -> NgramModel:
    """The model in an ARPA file.

    A file without `<unk>` is given one, of probability 0, with a warning: a word that it does not have cannot happen.

    Args:
        chunks: its bytes, decompressed.
        name: of the file, for messages.

    Raises:
        ModelError: it is none, with the line that is wrong.
        InputError: it cannot be read.
    """
    reader = _Reader(name)
    for block in clean_blocks(chunks, name, longest=LONGEST_LINE):
        reader.read(block)
        if reader.is_over:
            break
    return reader.model()


class _Section:
    """The n-grams of one order, as they are read.

    Args:
        order: of them.
        expected: how many the head of the file speaks of.
    """

    def __init__(self, order: int, expected: int) -> None:
        self.order = order
        self.expected = expected
        self.size = 0
        self.keys: list[NDArray[np.int64]] = []
        self.probs: list[NDArray[np.float64]] = []
        self.backoffs: list[NDArray[np.float64]] = []
        self.lines: list[NDArray[np.int64]] = []


class _Reader:
    """An ARPA file, block by block."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.number = 0  # of the last line that was read
        self.unit = "word"
        self.expected: list[int] = []  # n-grams by order, as the head says
        self.has_data = self.is_over = False
        self.section: _Section | None = None
        self.id_of: dict[bytes, int] = {}
        self.tokens: list[str] = []
        self.grams: Grams | None = None  # of the sections that are complete
        self.probs: list[NDArray[np.float64]] = []
        self.backoffs: list[NDArray[np.float64]] = []

    def fail(self, what: str, line: int | None = None) -> NoReturn:
        raise ModelError(f"{self.name}:{line or self.number}", what)

    def read(self, block: bytes) -> None:
        """Take whole lines."""
        start = 0
        while start < len(block) and not self.is_over:
            if self.section is None or block[start : start + 1] == b"\\":
                end = block.index(b"\n", start) + 1
                self.number += 1
                self._heading(block[start:end].strip())
            else:
                end = block.find(b"\n\\", start) + 1 or len(block)
                self._take(self.section, block[start:end])
            start = end

    def _heading(self, line: bytes) -> None:
        """A line outside the sections, or one that begins or ends one."""
        if not self.has_data:
            self._before_data(line)
        elif match := _COUNT.fullmatch(line):
            self._count(int(match[1]), int(match[2]))
        elif match := _SECTION.fullmatch(line):
            self._begin(int(match[1]))
        elif line == END:
            self._end()
        elif line:
            self.fail(f"{_shown(line)} is no line of an ARPA file's head" if self.section is None else _odd(line))

    def _before_data(self, line: bytes) -> None:
        if line == DATA:
            self.has_data = True
        elif line.startswith(b"#unit\t"):
            self.unit = line.removeprefix(b"#unit\t").decode()
            if self.unit not in UNITS or self.unit == "spm":
                self.fail(f"unit {quoted(self.unit)}; known are word, char, byte")
        elif line and not line.startswith(b"#"):
            self.fail("not an ARPA file: no \\data\\ before this line")

    def _count(self, order: int, count: int) -> None:
        if order != len(self.expected) + 1:
            self.fail(f"a count of {order}-grams where that of {len(self.expected) + 1}-grams belongs")
        self.expected.append(count)

    def _begin(self, order: int) -> None:
        done = self.section.order if self.section else 0
        self._complete()
        if order != done + 1 or order > len(self.expected):
            known = f"{len(self.expected)} orders are announced" if order > len(self.expected) else f"after {done}"
            self.fail(f"a section of {order}-grams; {known}")
        self.section = _Section(order, self.expected[order - 1])

    def _end(self) -> None:
        done = self.section.order if self.section else 0
        self._complete()
        if not done or done < len(self.expected):
            self.fail(f"the end after {done} of {len(self.expected)} sections")
        self.is_over = True

    # --- lines of n-grams

    def _take(self, section: _Section, block: bytes) -> None:
        """Lines of n-grams."""
        order = section.order
        widths = _widths(block)
        numbers = self.number + 1 + np.arange(len(widths))
        self.number += len(widths)
        numbers, widths = numbers[widths > 0], widths[widths > 0]  # but for blank ones
        has_backoff = widths == order + 2
        is_odd = ~has_backoff & (widths != order + 1)
        if is_odd.any():
            bad = int(is_odd.argmax())
            what = f"{widths[bad]} columns; a {order}-gram has a logarithm, its words, and perhaps another logarithm"
            self.fail(what, int(numbers[bad]))
        if not len(widths):
            return
        fields = block.split()
        probs, *words = _columns(fields, widths, order + 1)
        section.probs.append(self._logarithms(probs, numbers, at_most=0))
        if order < len(self.expected):
            backoffs = np.zeros(len(widths))
            ends = (np.cumsum(widths) - 1)[has_backoff].tolist()
            backoffs[has_backoff] = self._logarithms([fields[end] for end in ends], numbers[has_backoff])
            section.backoffs.append(backoffs)
        if order == 1:
            self._new_words(words[0], numbers)
        else:
            section.keys.append(self._keys(words, numbers))
        section.lines.append(numbers)
        section.size += len(widths)

    def _logarithms(
        self, spelled: Sequence[bytes], numbers: NDArray[np.int64], *, at_most: float = math.inf
    ) -> NDArray[np.float64]:
        try:
            values = np.fromiter(map(float, spelled), np.float64, len(spelled))
        except ValueError:
            bad = next(place for place, text in enumerate(spelled) if not _is_number(text))
            self.fail(f"{_shown(spelled[bad])} is not a number", int(numbers[bad]))
        is_wrong = ~(values <= at_most) | (values == math.inf)
        if is_wrong.any():
            bad = int(is_wrong.argmax())
            what = "is not finite" if at_most or not math.isfinite(values[bad]) else "is above 0: no probability"
            self.fail(f"the logarithm {spelled[bad].decode()} {what}", int(numbers[bad]))
        return np.maximum(values, ZERO)

    def _new_words(self, words: Sequence[bytes], numbers: NDArray[np.int64]) -> None:
        """The 1-grams: what words there are, by place in the file."""
        for word, line in zip(words, numbers.tolist(), strict=True):
            if word in self.id_of:
                self.fail(f"the 1-gram {_shown(word)} again", line)
            if len(word) > LONGEST:
                self.fail(f"a word of {len(word)} bytes; {LONGEST} are allowed", line)
            self.id_of[word] = len(self.id_of)
        self.tokens += [word.decode() for word in words]

    def _keys(self, words: Sequence[Sequence[bytes]], numbers: NDArray[np.int64]) -> NDArray[np.int64]:
        """The keys of n-grams, whose histories must be there."""
        grams = self.grams
        assert grams is not None
        order = len(words)
        columns = []
        for column in words:
            try:
                ids = np.fromiter(map(self.id_of.__getitem__, column), np.int64, len(column))
            except KeyError:
                bad = next(place for place, word in enumerate(column) if word not in self.id_of)
                self.fail(f"{_shown(column[bad])} is not among the 1-grams", int(numbers[bad]))
            columns.append(ids)
        places = columns[0]
        for n in range(2, order):
            places = grams.find(n, places, columns[n - 1])
        if (places == NOWHERE).any():
            bad = int((places == NOWHERE).argmax())
            history = b" ".join(column[bad] for column in words[:-1])
            self.fail(f"its history {_shown(history)} is not among the {order - 1}-grams", int(numbers[bad]))
        return places * grams.stride + columns[-1]

    # --- sections

    def _complete(self) -> None:
        """Put the section at hand away, if there is one."""
        section = self.section
        if section is None:
            return
        if section.size != section.expected:
            what = f"{section.size} {section.order}-grams in the section before; \\data\\ speaks of {section.expected}"
            self.fail(what)
        empty = np.zeros(0)
        probs = np.concatenate([empty, *section.probs])
        backoffs = np.concatenate([empty, *section.backoffs])
        if section.order == 1:
            self._complete_words(probs, backoffs)
            return
        assert self.grams is not None
        keys = np.concatenate([np.zeros(0, np.int64), *section.keys])
        if (np.diff(keys) <= 0).any():
            order = np.argsort(keys, kind="stable")
            keys, probs = keys[order], probs[order]
            backoffs = backoffs[order] if len(backoffs) else backoffs
            (again,) = (np.diff(keys) == 0).nonzero()
            if len(again):
                lines = np.concatenate(section.lines)[order]
                self.fail(f"the {section.order}-gram of line {lines[again[0]]} again", int(lines[again[0] + 1]))
        self.grams = Grams(self.grams.vocab_size, [*self.grams.keys, keys])
        self.probs.append(probs)
        self.backoffs.append(backoffs)

    def _complete_words(self, probs: NDArray[np.float64], backoffs: NDArray[np.float64]) -> None:
        """Give the words their ids: their order in the file, but `<s>`, which is no token, the last one."""
        values = [probs, backoffs if len(backoffs) else np.zeros(len(probs))]
        if EOS not in self.tokens:
            self.fail(f"no {EOS} among the 1-grams, so that no line can end")
        if UNK not in self.tokens and "<UNK>" in self.tokens:
            self.tokens[self.tokens.index("<UNK>")] = UNK
        if UNK not in self.tokens:
            what = f"no {UNK} among its 1-grams: words that it does not have are given the probability 1e{ZERO:.0f}"
            warnings.warn(RnntoolWarning(self.name, what), stacklevel=2)
            self._insert(0, UNK, values)
        if BOS not in self.tokens:
            self._insert(len(self.tokens), BOS, values)
        bos = self.tokens.index(BOS)
        place = {token: id_ - (id_ > bos) for id_, token in enumerate(self.tokens)} | {BOS: len(self.tokens) - 1}
        order = [id_ for id_ in range(len(self.tokens)) if id_ != bos] + [bos]
        spelled = {UNK: b"<UNK>"} if b"<UNK>" in self.id_of and b"<unk>" not in self.id_of else {}
        self.id_of = {spelled.get(token, token.encode()): id_ for token, id_ in place.items()}
        self.tokens.pop(bos)
        self.grams = Grams(len(self.tokens))
        self.probs.append(values[0][order])
        self.backoffs.append(values[1][order])

    def _insert(self, place: int, token: str, values: list[NDArray[np.float64]]) -> None:
        """A word of probability 0."""
        self.tokens.insert(place, token)
        values[0] = np.insert(values[0], place, ZERO)
        values[1] = np.insert(values[1], place, 0.0)

    def model(self) -> NgramModel:
        """The model, when all has been read."""
        if not self.has_data:
            raise ModelError(self.name, "not an ARPA file: no \\data\\")
        if not self.is_over:
            raise ModelError(self.name, f"cut off: line {self.number} is the last, and no \\end\\ has come")
        assert self.grams is not None
        tokens = self.tokens
        if self.unit in ESCAPED_UNITS:
            tokens = [self._unescaped(token) for token in tokens]
        vocabulary = Vocabulary(self.unit, tokens)
        return NgramModel(vocabulary, self.grams, tuple(self.probs), tuple(self.backoffs[: self.grams.order - 1]))

    def _unescaped(self, token: str) -> str:
        try:
            return unescape(token)
        except ValueError:
            raise ModelError(self.name, rf"{quoted(token)} has a \ that begins none of \\ \t \s \xNN") from None


def _widths(block: bytes) -> NDArray[np.int64]:
    """The number of fields in each line."""
    characters = np.frombuffer(block, np.uint8)
    is_space = _IS_SPACE[characters]
    is_start = ~is_space
    is_start[1:] &= is_space[:-1]
    starts, ends = np.flatnonzero(is_start), np.flatnonzero(characters == ord("\n"))
    return np.diff(np.searchsorted(starts, ends), prepend=0)


def _columns(fields: list[bytes], widths: NDArray[np.int64], number: int) -> list[list[bytes]]:
    """The first columns of lines that have so many or more."""
    if (widths == widths[0]).all():
        return [fields[column :: widths[0]] for column in range(number)]
    starts = (np.cumsum(widths) - widths).tolist()
    return [[fields[start + column] for start in starts] for column in range(number)]


def _is_number(text: bytes) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _shown(text: bytes) -> str:
    return quoted(text.decode())


def _odd(line: bytes) -> str:
    return f"{_shown(line)} is neither an n-gram nor the heading of a section"
