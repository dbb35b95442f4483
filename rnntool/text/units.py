"""Units of text that a line is cut into without a model of its own: words, characters, bytes.

Words are what white space separates, and white space is ASCII's alone: a no-break space is part of a word.  Characters
are the code points of the line, bytes those of its UTF-8 form.  The end of a line is `</s>` and belongs to no line.

Each class answers the same questions (`Segmenter`); `rnntool.text.pieces` has the fourth unit.  None reads a file.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from rnntool.errors import RnntoolWarning
from rnntool.text.formats import CONTROLS, EOS, UNK, escape, unescape

if TYPE_CHECKING:
    from numpy.typing import NDArray

SLICE = 1 << 20  # bytes of text whose tokens are in memory one by one at a time
_BREAK = re.compile(rb"[ \t\n\r\v\f]")

LINE_END = b"\xff"  # stands for the end of a line among words: no UTF-8 text holds this byte


class Segmenter(Protocol):
    """How one unit cuts a line into tokens and puts it together again."""

    def encode(self, line: str) -> list[int]:
        """The ids of a line, without `</s>`."""

    def encode_counting(self, line: str) -> tuple[list[int], int]:
        """The ids of a line, and how many of its tokens the vocabulary does not have."""

    def slices(self, block: bytes) -> Iterator[bytes]:
        """Lines cut where no token is cut, so that the tokens of a very long line need not be in memory together."""

    def encode_block(self, block: bytes) -> tuple[NDArray[Any], int]:
        """The ids of lines, each followed by `</s>`, and the number of unknown tokens."""

    def ids(self, block: bytes) -> list[int]:
        """The ids of lines, each followed by `</s>`."""

    def spellings(self, block: bytes) -> Iterable[bytes]:
        """The spellings of the tokens of lines, each line followed by `LINE_END`."""

    def pieces(self, line: str) -> list[str]:
        """The spelling of every token of a line."""

    def decode(self, ids: Iterable[int]) -> str:
        """The text of ids, without control tokens."""

    def join(self, pieces: Iterable[str]) -> str:
        """The text of pieces, without control tokens.

        Raises:
            ValueError: with a piece that is none of this unit.
        """


def sliced(block: bytes) -> Iterator[bytes]:
    """A block in parts that are cut after white space."""
    start = 0
    while len(block) - start > SLICE:
        gap = _BREAK.search(block, start + SLICE)
        if not gap:
            break
        yield block[start : gap.end()]
        start = gap.end()
    yield block[start:] if start else block


def _sliced_anywhere(block: bytes) -> Iterator[bytes]:
    """A block in parts that are cut between characters."""
    start = 0
    while len(block) - start > SLICE:
        end = start + SLICE
        while block[end] & 0xC0 == 0x80:
            end -= 1
        yield block[start:end]
        start = end
    yield block[start:] if start else block


class _Ids(dict[Any, int]):
    """Ids by spelling, with an answer for every spelling."""

    def __init__(self, ids: Iterable[tuple[Any, int]], unk_id: int) -> None:
        super().__init__(ids)
        self.unk_id = unk_id

    def __missing__(self, token: Any) -> int:
        return self.unk_id


class _WordIds(_Ids):
    """The same for words, with a word of warning when text holds a control token."""

    controls = frozenset(token.encode() for token in CONTROLS)
    has_warned = False

    def __missing__(self, token: Any) -> int:
        if token in self.controls and not self.has_warned:
            self.has_warned = True
            what = f"the text holds {token.decode()} as a word; read as {UNK}"
            warnings.warn(RnntoolWarning("", what), stacklevel=2)
        return self.unk_id


class _Words:
    """White space separates words; they are looked up as UTF-8."""

    def __init__(self, tokens: Sequence[str]) -> None:
        self.tokens = tokens
        unk_id = tokens.index(UNK)
        words = ((token.encode(), id_) for id_, token in enumerate(tokens) if token not in CONTROLS)
        self.id_of = _WordIds(words, unk_id)
        self.id_of[LINE_END] = tokens.index(EOS)

    def slices(self, block: bytes) -> Iterator[bytes]:
        return sliced(block)

    def encode(self, line: str) -> list[int]:
        return list(map(self.id_of.__getitem__, line.encode().split()))

    def encode_counting(self, line: str) -> tuple[list[int], int]:
        words = line.encode().split()
        ids = list(map(self.id_of.__getitem__, words))
        unknown = ids.count(self.id_of.unk_id)
        return ids, unknown and unknown - words.count(UNK.encode())

    def encode_block(self, block: bytes) -> tuple[NDArray[Any], int]:
        import numpy as np

        words = self.spellings(block)
        ids = np.fromiter(map(self.id_of.__getitem__, words), np.uint32, len(words))
        unknown = int(np.count_nonzero(ids == self.id_of.unk_id))
        return ids, unknown and unknown - words.count(UNK.encode())

    def ids(self, block: bytes) -> list[int]:
        return list(map(self.id_of.__getitem__, self.spellings(block)))

    def spellings(self, block: bytes) -> list[bytes]:
        return block.replace(b"\n", b" %b " % LINE_END).split()

    def pieces(self, line: str) -> list[str]:
        return [word.decode() for word in line.encode().split()]

    def decode(self, ids: Iterable[int]) -> str:
        return self.join(map(self.tokens.__getitem__, ids))

    def join(self, pieces: Iterable[str]) -> str:
        return " ".join(piece for piece in pieces if piece not in CONTROLS)


class _CharSpellings(dict[str, bytes]):
    """Escaped characters, each escaped when it is first met."""

    def __missing__(self, char: str) -> bytes:
        spelling = self[char] = escape(char).encode()
        return spelling


class _Chars:
    """Every code point is a token; a special token is never found in text."""

    def __init__(self, tokens: Sequence[str]) -> None:
        self.tokens = tokens
        self.eos_id = tokens.index(EOS)
        self.id_of = _Ids(
            ((token, id_) for id_, token in enumerate(tokens) if len(token) == 1),
            tokens.index(UNK),
        )
        self._spelling_of = _CharSpellings({"\n": LINE_END})
        self._table: NDArray[Any] | None = None

    def slices(self, block: bytes) -> Iterator[bytes]:
        return _sliced_anywhere(block)

    def encode(self, line: str) -> list[int]:
        return list(map(self.id_of.__getitem__, line))

    def encode_counting(self, line: str) -> tuple[list[int], int]:
        ids = self.encode(line)
        return ids, ids.count(self.id_of.unk_id)

    def encode_block(self, block: bytes) -> tuple[NDArray[Any], int]:
        import numpy as np

        if self._table is None:
            self._table = np.full(0x110000, self.id_of.unk_id, np.uint32)
            for char, id_ in self.id_of.items():
                self._table[ord(char)] = id_
            self._table[ord("\n")] = self.eos_id
        code_points = np.frombuffer(block.decode().encode("utf-32-le"), np.uint32)
        ids = self._table[code_points]
        return ids, int(np.count_nonzero(ids == self.id_of.unk_id))

    def ids(self, block: bytes) -> list[int]:
        ids: list[int] = self.encode_block(block)[0].tolist()
        return ids

    def spellings(self, block: bytes) -> Iterable[bytes]:
        return map(self._spelling_of.__getitem__, block.decode())

    def pieces(self, line: str) -> list[str]:
        return [escape(char) for char in line]

    def decode(self, ids: Iterable[int]) -> str:
        tokens = map(self.tokens.__getitem__, ids)
        return "".join(token for token in tokens if token not in CONTROLS)

    def join(self, pieces: Iterable[str]) -> str:
        return "".join(map(self._spelled, pieces))

    def _spelled(self, piece: str) -> str:
        if piece in CONTROLS:
            return ""
        token = unescape(piece)
        if len(token) != 1 and token not in self.tokens:
            raise ValueError(piece)
        return token


class _Bytes:
    """Every byte is a token, spelled `<0x61>`; a special token is never found in text."""

    spelling = re.compile(r"<0x([0-9a-f]{2})>", re.IGNORECASE)

    def __init__(self, tokens: Sequence[str]) -> None:
        self.tokens = tokens
        self.eos_id = tokens.index(EOS)
        self.unk_id = tokens.index(UNK)
        self.id_of_byte = [self.unk_id] * 256
        self.bytes_of: list[bytes] = []
        for id_, token in enumerate(tokens):
            match = self.spelling.fullmatch(token)
            if match:
                self.id_of_byte[int(match[1], 16)] = id_
            self.bytes_of.append(self._spelled(token))
        self._table: NDArray[Any] | None = None

    def slices(self, block: bytes) -> Iterator[bytes]:
        return _sliced_anywhere(block)

    def encode(self, line: str) -> list[int]:
        return list(map(self.id_of_byte.__getitem__, line.encode()))

    def encode_counting(self, line: str) -> tuple[list[int], int]:
        ids = self.encode(line)
        return ids, ids.count(self.unk_id)

    def encode_block(self, block: bytes) -> tuple[NDArray[Any], int]:
        import numpy as np

        if self._table is None:
            self._table = np.array(self.id_of_byte, np.uint32)
            self._table[ord("\n")] = self.eos_id
        ids = self._table[np.frombuffer(block, np.uint8)]
        return ids, int(np.count_nonzero(ids == self.unk_id))

    def ids(self, block: bytes) -> list[int]:
        ids: list[int] = self.encode_block(block)[0].tolist()
        return ids

    def spellings(self, block: bytes) -> Iterable[bytes]:
        spelling_of = [spell_byte(byte).encode() for byte in range(256)]
        spelling_of[ord("\n")] = LINE_END
        return map(spelling_of.__getitem__, block)

    def pieces(self, line: str) -> list[str]:
        return [spell_byte(byte) for byte in line.encode()]

    def decode(self, ids: Iterable[int]) -> str:
        """The text of ids; bytes that are not UTF-8 become U+FFFD."""
        return b"".join(map(self.bytes_of.__getitem__, ids)).decode(errors="replace")

    def join(self, pieces: Iterable[str]) -> str:
        found = []
        for piece in pieces:
            if piece not in self.tokens and not self.spelling.fullmatch(piece):
                raise ValueError(piece)
            found.append(self._spelled(piece))
        return b"".join(found).decode(errors="replace")

    def _spelled(self, token: str) -> bytes:
        match = self.spelling.fullmatch(token)
        if match:
            return bytes([int(match[1], 16)])
        return b"" if token in CONTROLS else token.encode()


def spell_byte(byte: int) -> str:
    """A byte as a token, the way SentencePiece spells it."""
    return f"<0x{byte:02x}>"


SEGMENTERS: dict[str, Callable[[Sequence[str]], Segmenter]] = {"word": _Words, "char": _Chars, "byte": _Bytes}
"""What makes a segmenter of the tokens of a vocabulary, for every unit that needs nothing else."""
