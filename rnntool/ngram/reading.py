"""From text to ids that can be read again: once through a stream, whether or not its vocabulary is known before.

Without a vocabulary, words are numbered as they come, and get their ids when all have been counted.  Memory grows with the
number of different words; the ids themselves go to a temporary file where they are more than a few.
"""

from __future__ import annotations

import contextlib
import tempfile
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import IO

import numpy as np
from numpy.typing import NDArray

from rnntool.errors import InputError, OutputError, RnntoolWarning
from rnntool.text.counting import Counts, build, require_tokens
from rnntool.text.formats import LONGEST, UNK
from rnntool.text.units import LINE_END, sliced
from rnntool.text.vocabulary import Vocabulary

Ids = NDArray[np.uint32]

BLOCK = 1 << 18  # ids that are read at once


@dataclass(frozen=True)
class Text:
    """A text as ids.

    Args:
        vocabulary: what they are.
        spool: where they are.
        final: the id of each number in the spool; None if they are ids.
    """

    vocabulary: Vocabulary
    spool: Spool
    final: Ids | None = None

    @property
    def appearance(self) -> NDArray[np.int64] | None:
        """For each id a number that rises in the order in which they first came; None if that was not looked at."""
        if self.final is None:
            return None
        numbers = np.full(len(self.vocabulary), -1)
        numbers[self.final] = np.arange(len(self.final))
        return numbers

    def blocks(self) -> Iterator[Ids]:
        """The ids in blocks of whole lines, each line ended by `</s>`."""
        waiting: list[Ids] = []
        for block in self.spool.blocks():
            ids = block if self.final is None else self.final[block]
            (ends,) = (ids == self.vocabulary.eos_id).nonzero()
            if len(ends):
                yield np.concatenate([*waiting, ids[: ends[-1] + 1]])
                waiting = []
            waiting.append(ids[ends[-1] + 1 :] if len(ends) else ids)


def read_closed(blocks: Iterable[bytes], name: str, vocabulary: Vocabulary, spool: Spool) -> Text:
    """A text as the ids of a vocabulary; what it does not have is `<unk>`.

    Args:
        blocks: of whole lines, as `read_blocks` gives them.
        name: of the text, for messages.
        vocabulary: of any unit.
        spool: where the ids go.

    Raises:
        InputError: there is no token.
    """
    num_tokens = 0
    for block in blocks:
        num_tokens -= block.count(b"\n")
        for part in vocabulary.slices(block):
            ids, _ = vocabulary.encode_block(part)
            num_tokens += len(ids)
            spool.add(ids)
    if not num_tokens:
        raise InputError(name, "no tokens")
    return Text(vocabulary, spool)


def read_open(blocks: Iterable[bytes], name: str, spool: Spool) -> Text:
    """A text of words as the ids of all its words, the commonest first.

    A word that no vocabulary can hold, longer than 64 KiB or `<s>`, `</s>` or `<pad>`, is `<unk>`.

    Args:
        blocks: as in `read_closed`.
        name: as in `read_closed`.
        spool: as in `read_closed`.

    Raises:
        InputError: there is no token.
    """
    number_of = _Numbers({LINE_END: 0})
    totals = np.zeros(0, np.int64)
    for block in blocks:
        for part in sliced(block):
            words = part.replace(b"\n", b" %b " % LINE_END).split()
            numbers = np.fromiter(map(number_of.__getitem__, words), np.uint32, len(words))
            spool.add(numbers)
            found = np.bincount(numbers, minlength=len(totals))
            found[: len(totals)] += totals
            totals = found
    spellings = [word.decode() for word in list(number_of)[1:]]
    counts = Counts(Counter(dict(zip(spellings, totals[1:].tolist(), strict=True))), int(totals[:1].sum()))
    require_tokens(counts, name)
    vocabulary = build(counts, "word")
    final = np.array([vocabulary.eos_id, *vocabulary.encode(" ".join(spellings))], np.uint32)
    return Text(vocabulary, spool, final)


class _Numbers(dict[bytes, int]):
    """Words numbered in the order in which they are first met."""

    has_warned = False

    def __missing__(self, word: bytes) -> int:
        if len(word) > LONGEST:
            if not self.has_warned:
                self.has_warned = True
                what = f"the text holds a word of more than {LONGEST} bytes; read as {UNK}"
                warnings.warn(RnntoolWarning("", what), stacklevel=2)
            return self[UNK.encode()]
        number = self[word] = len(self)
        return number


class Spool:
    """Numbers written once and read from the start, in memory while they are few; a context, at whose end they are gone.

    Args:
        memory: bytes that they may have there.
    """

    def __init__(self, memory: int) -> None:
        self._file: IO[bytes] = tempfile.SpooledTemporaryFile(memory)  # noqa: SIM115  # closed by __exit__

    def __enter__(self) -> Spool:
        return self

    def __exit__(self, *error: object) -> None:
        with contextlib.suppress(OSError):  # a full disk has been reported, and is full still
            self._file.close()

    def add(self, numbers: Ids) -> None:
        """Write some.

        Raises:
            OutputError: the disk does not take them.
        """
        try:
            self._file.write(numbers.astype(np.uint32).tobytes())
        except OSError as error:
            raise OutputError(tempfile.gettempdir(), error.strerror or str(error)) from error

    def blocks(self) -> Iterator[Ids]:
        """All of them, some at a time."""
        try:
            self._file.seek(0)
            while data := self._file.read(4 * BLOCK):
                yield np.frombuffer(data, np.uint32)
        except OSError as error:
            raise OutputError(tempfile.gettempdir(), error.strerror or str(error)) from error
