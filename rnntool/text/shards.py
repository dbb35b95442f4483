"""A part of a text's lines, so that several processes share the work and their outputs follow each other."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from rnntool.errors import OptionError
from rnntool.text.files import is_regular, read_blocks, shown

T = TypeVar("T")


@dataclass(frozen=True)
class Lines:
    """Lines of a text, numbered from 0 over all its files.

    Args:
        first: the first one.
        end: the first one after them; None: all the others belong to them.
    """

    first: int = 0
    end: int | None = None

    def of(self, items: Iterable[T]) -> Iterator[T]:
        """Of things that go with all lines, those that go with these."""
        return itertools.islice(items, self.first, self.end)

    @property
    def reach_the_end(self) -> bool:
        """Whether the last line is among them."""
        return self.end is None


@dataclass(frozen=True)
class Shard:
    """One of several parts that hold nearly the same number of lines, or of groups of lines.

    Args:
        number: which one, from 1.
        count: of how many.
    """

    number: int
    count: int

    def lines_of(self, paths: Sequence[str], together: int = 1) -> Lines:
        """Its lines, for which all are counted.

        Args:
            paths: the texts.
            together: a part begins at a multiple of so many lines, so that lines that are computed side by side without
                parts are so with them, and get the same last digits.

        Raises:
            OptionError: a text can be read only once.
            InputError: a text cannot be read.
        """
        for path in paths:
            if not is_regular(path) or path == "-":
                raise OptionError(
                    "--shard", f"lines are counted first, and {shown(path)} can be read only once", "a file"
                )
        total = sum(block.count(b"\n") for path in paths for block in read_blocks(path))
        groups = -(-total // together)
        first, end = (groups * n // self.count * together for n in (self.number - 1, self.number))
        return Lines(first, end if self.number < self.count else None)


def parse_shard(text: str) -> Shard:
    """Read `I/N`.

    Raises:
        OptionError: it is not of this form, or there is no such part.
    """
    match = re.fullmatch(r"(\d{1,9})/(\d{1,9})", text, re.ASCII)
    if match is None:
        raise OptionError("--shard", f"{text!r} is not I/N, such as 1/4")
    number, count = map(int, match.groups())
    if not 1 <= number <= count:
        raise OptionError("--shard", f"there is no part {number} of {count}; they are numbered from 1")
    return Shard(number, count)
