"""Lines that go with those of another text, one for one: line n of one answers line n of the other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rnntool.errors import InputError
from rnntool.text.files import read_lines, shown


class Parallel:
    """The lines of files, one file after another, taken as those of another text come.

    Args:
        paths: files, or `-`.
    """

    def __init__(self, paths: Sequence[str]) -> None:
        self._name = shown(paths[0]) if len(paths) == 1 else f"{len(paths)} files"
        self._lines: Iterator[str] = (line for path in paths for line in read_lines(path))
        self._num_taken = 0

    def take(self, where: str) -> str:
        """The next line.

        Args:
            where: the place of the line that it goes with, for a message.

        Raises:
            InputError: there is none, or it cannot be read.
        """
        line = next(self._lines, None)
        if line is None:
            raise InputError(self._name, f"{self._num_taken} lines, and {where} is one more")
        self._num_taken += 1
        return line

    def end(self) -> None:
        """Make sure that there is no line left.

        Raises:
            InputError: there is one.
        """
        if next(self._lines, None) is not None:
            raise InputError(self._name, f"more than {self._num_taken} lines, which is all that the text has")
