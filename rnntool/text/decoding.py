"""From lines of pieces or ids, as people and programs write them, back to text; with a place for what is wrong."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from rnntool.errors import InputError
from rnntool.text.formats import quoted
from rnntool.text.vocabulary import Vocabulary


class Decoder(Protocol):
    """A function from whole lines to their texts."""

    def __call__(self, block: bytes, name: str, number: int) -> Iterator[str]:
        """Decode lines one by one.

        Args:
            block: whole lines in UTF-8, each ended by a line feed.
            name: of their file, for messages.
            number: of the first line.

        Raises:
            InputError: at the first line that cannot be decoded; the ones before have been yielded.
        """


def decoder(vocabulary: Vocabulary, *, ids: bool) -> Decoder:
    """The decoder for a vocabulary: of ids in decimal, or of pieces.

    Items are separated by spaces; a line may be blank.
    """
    if not ids:

        def of_pieces(block: bytes, name: str, number: int) -> Iterator[str]:
            for line, text in enumerate(block[:-1].decode().split("\n"), number):
                try:
                    yield vocabulary.join(filter(None, text.split(" ")))
                except ValueError as error:
                    what = f"{quoted(str(error))} is no piece of unit {vocabulary.unit}"
                    raise InputError(f"{name}:{line}", what) from None

        return of_pieces

    table = _Numbers(len(vocabulary))

    def of_ids(block: bytes, name: str, number: int) -> Iterator[str]:
        for line, text in enumerate(block[:-1].split(b"\n"), number):
            try:
                yield vocabulary.decode(map(table.__getitem__, text.split()))
            except ValueError as error:
                what = f"{quoted(str(error))} is no id from 0 to {len(vocabulary) - 1}"
                raise InputError(f"{name}:{line}", what) from None

    return of_ids


class _Numbers(dict[bytes, int]):
    """Ids by their decimal spelling, each checked when it is first met."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def __missing__(self, spelling: bytes) -> int:
        if not (spelling.isdigit() and len(spelling) <= 18 and int(spelling) < self.size):
            raise ValueError(spelling.decode())
        id_ = int(spelling)
        if len(spelling) <= 9:  # however many zeros someone writes in front, the table stays small
            self[spelling] = id_
        return id_
