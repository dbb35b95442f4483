"""A vocabulary: which tokens there are, and the way from a line to ids and back.

It is a value: made once, never changed, written as bytes that a model file carries inside.  Every vocabulary has
`<unk>`, what it does not know, and `</s>`, the end of a line.  A sentence begins after the `</s>` of the one before, so
there is no token for a beginning.  The forms on the disk are those of `rnntool.text.formats` and SentencePiece's.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from rnntool.errors import InputError, OptionError
from rnntool.text import files, formats
from rnntool.text.formats import CONTROLS, EOS, LONGEST, UNK, Listing
from rnntool.text.pieces import LARGEST_MODEL, Pieces, looks_like_model
from rnntool.text.units import LINE_END, SEGMENTERS, Segmenter

if TYPE_CHECKING:
    from numpy.typing import NDArray

LONGEST_LINE = 4 * LONGEST + 64  # of a vocabulary file: a token that is all escapes, and its numbers

WHITE_SPACE = frozenset(" \t\n\r\v\f")
"""What separates words; ASCII's alone, as in `rnntool.text.units`."""


class Vocabulary:
    """Tokens by id, and a unit of text that finds them in a line.

    Attributes:
        unit: `word`, `char`, `byte` or `spm`.
        tokens: spelling of every id.
        counts: occurrences of every token in the text that the vocabulary was made from; 0 where not known.
        classes: class of every token, or None.
        unk_id: id of `<unk>`.
        eos_id: id of `</s>`.
        control_ids: ids of tokens that are never found in text, `</s>` among them.
    """

    def __init__(
        self,
        unit: str,
        tokens: Sequence[str],
        counts: Sequence[int] | None = None,
        classes: Sequence[int] | None = None,
        *,
        model: Pieces | None = None,
    ) -> None:
        """Make a vocabulary of known parts; see `from_bytes` and `rnntool.text.counting` for the usual ways.

        Args:
            unit: of text.
            tokens: by id, each once; `<unk>` and `</s>` among them.
            counts: by id; all 0 if left out.
            classes: by id, from 0.
            model: the SentencePiece model, for unit `spm` only.
        """
        self.unit = unit
        self.tokens = tuple(tokens)
        self.counts = tuple(counts) if counts is not None else (0,) * len(self.tokens)
        self.classes = tuple(classes) if classes is not None else None
        self._model = model
        self._segmenter: Segmenter = model if model else SEGMENTERS[unit](self.tokens)
        self.unk_id = model.unk_id if model else self.tokens.index(UNK)
        self.eos_id = model.eos_id if model else self.tokens.index(EOS)
        controls = {id_ for id_, token in enumerate(self.tokens) if token in CONTROLS}
        self.control_ids = tuple(sorted(controls | {self.eos_id}))

    @property
    def word_ends(self) -> tuple[int, ...]:
        """Ids of the tokens at which a word ends, `</s>` and white space; none where tokens are words or pieces."""
        if self.unit not in ("char", "byte"):
            return ()
        space = WHITE_SPACE if self.unit == "char" else {f"<0x{ord(each):02x}>" for each in WHITE_SPACE}
        return tuple(i for i, token in enumerate(self.tokens) if i == self.eos_id or token.lower() in space)

    @classmethod
    def from_bytes(cls, data: bytes, name: str) -> Vocabulary:
        """The vocabulary that `to_bytes` wrote, or any vocabulary file read whole.

        Args:
            data: the bytes of a text form or of a SentencePiece model, told apart by what they hold.
            name: of where they came from, for messages.

        Raises:
            InputError: with the line that is wrong.
        """
        return _read(iter([data]), name)

    def __len__(self) -> int:
        """The number of tokens, special ones included."""
        return len(self.tokens)

    def __eq__(self, other: object) -> bool:
        """Whether the other is written as the same bytes."""
        return isinstance(other, Vocabulary) and self.to_bytes() == other.to_bytes()

    def __hash__(self) -> int:
        """By the tokens."""
        return hash((self.unit, self.tokens))

    def __repr__(self) -> str:
        """Unit, size and digest."""
        return f"Vocabulary({self.unit}, {len(self)} tokens, {self.digest})"

    @cached_property
    def digest(self) -> str:
        """The first six hexadecimal digits of the SHA-256 of `to_bytes()`; scores name their vocabulary by it."""
        return hashlib.sha256(self.to_bytes()).hexdigest()[:6]

    def unwritable(self, *, no_unk: bool = False) -> tuple[int, ...]:
        """Ids of what no line that is written may hold, rising.

        These are marks other than `</s>` and the byte that would begin another line; with `no_unk`, `<unk>`, too.
        """
        found = set(self.control_ids) - {self.eos_id}
        if self.unit in ("byte", "spm"):
            found |= {id_ for id_, token in enumerate(self.tokens) if token.lower() == "<0x0a>"}
        if no_unk:
            found.add(self.unk_id)
        return tuple(sorted(found))

    @cached_property
    def _decimals(self) -> list[bytes]:
        decimals = [b"%d " % id_ for id_ in range(len(self))]
        decimals[self.eos_id] = b"\n"
        return decimals

    def to_bytes(self) -> bytes:
        """The canonical file: `.tsv`, or the SentencePiece model as it was read."""
        if self._model:
            return self._model.model
        return formats.to_bytes(Listing(self.unit, self.tokens, self.counts, self.classes))

    def encode(self, line: str) -> list[int]:
        """The ids of a line, without `</s>`; a token that is not in the vocabulary is `unk_id`."""
        return self._segmenter.encode(line)

    def encode_counting(self, line: str) -> tuple[list[int], int]:
        """The ids of a line, and how many of its tokens are not in the vocabulary.

        A literal `<unk>` in a text of words is in the vocabulary, and not counted.
        """
        return self._segmenter.encode_counting(line)

    def encode_block(self, block: bytes) -> tuple[NDArray[Any], int]:
        r"""The fast twin of `encode_counting` for many lines.

        Args:
            block: lines in UTF-8, as `read_blocks` or `slices` gives them.

        Returns:
            The ids of all lines (uint32), with `eos_id` for every `\n`; the number of tokens not in the vocabulary.
        """
        return self._segmenter.encode_block(block)

    def slices(self, block: bytes) -> Iterator[bytes]:
        """Lines cut where no token is cut: `encode_block` gives the same for the parts as for the whole."""
        return self._segmenter.slices(block)

    def id_lines(self, block: bytes) -> Iterator[bytes]:
        """Whole lines as their ids in decimal, with one space between them: line n for line n; part by part."""
        table = self._decimals
        return _glued(
            b"".join(map(table.__getitem__, self._segmenter.ids(part))).replace(b" \n", b"\n").removesuffix(b" ")
            for part in self._segmenter.slices(block)
        )

    def piece_lines(self, block: bytes) -> Iterator[bytes]:
        """Whole lines as their pieces, with one space between them: line n for line n; part by part."""
        for part in _glued(b" ".join(self._segmenter.spellings(part)) for part in self._segmenter.slices(block)):
            tight = part.replace(b" " + LINE_END, LINE_END).replace(LINE_END + b" ", LINE_END)
            yield tight.replace(LINE_END, b"\n")

    def pieces(self, line: str) -> list[str]:
        """The spelling of every token of a line, unknown ones as the line has them; as many as `encode` gives ids."""
        return self._segmenter.pieces(line)

    def spellings(self, ids: Iterable[int]) -> list[str]:
        """The spelling of every id, as `pieces` spells tokens."""
        tokens = map(self.tokens.__getitem__, ids)
        return [formats.escape(token) for token in tokens] if self.unit == "char" else list(tokens)

    def decode(self, ids: Iterable[int]) -> str:
        """The text of ids; `</s>` and other control tokens are left out, `<unk>` is not.

        Characters and bytes come back as they were; words with one space between them.
        """
        return self._segmenter.decode(ids)

    def join(self, pieces: Iterable[str]) -> str:
        """The text of pieces, as `pieces` spells them; control tokens are left out.

        Raises:
            ValueError: with a piece that is none of this unit.
        """
        return self._segmenter.join(pieces)

    def sample(self, line: str, *, alpha: float, nbest: int = -1, seed: int = 0) -> list[int]:
        """One of the ways to cut a line into pieces, drawn at random: the same for the same line and seed.

        Args:
            line: the text.
            alpha: unigram models: sharpness, from 0 (all ways alike) up; BPE: probability to drop a merge, in [0, 1].
            nbest: draw from this many best ways only; -1: from all. Unigram models only.
            seed: any number; mix in the line's own for draws that do not depend on other lines.

        Raises:
            OptionError: the unit is not `spm`; others have one way only.
        """
        model = self._drawing()
        return list(map(model.id_of, model.sample(line, alpha=alpha, nbest=nbest, seed=seed)))

    def sample_pieces(self, line: str, *, alpha: float, nbest: int = -1, seed: int = 0) -> list[str]:
        """The same as spellings."""
        return self._drawing().sample(line, alpha=alpha, nbest=nbest, seed=seed)

    def _drawing(self) -> Pieces:
        if self._model is None:
            what = f"only a SentencePiece vocabulary has several ways to cut a line; this one has unit {self.unit}"
            raise OptionError("--sample", what)
        return self._model


def _glued(parts: Iterable[bytes]) -> Iterator[bytes]:
    """Parts of lines, with a space between two that belong to one line."""
    is_open = False
    for part in parts:
        if part:
            if is_open and not part.startswith((b"\n", LINE_END)):
                yield b" "
            yield part
            is_open = not part.endswith((b"\n", LINE_END))


def read_vocabulary(path: str) -> Vocabulary:
    """Read a vocabulary in any of the known forms, compressed or not; `-` is the standard input.

    Raises:
        InputError: it cannot be read, or is none; with the line that is wrong.
    """
    return _read(files.read_chunks(path), files.shown(path))


def _read(chunks: Iterator[bytes], name: str) -> Vocabulary:
    head = b""
    for chunk in chunks:
        head += chunk
        if len(head) >= 16:
            break
    if looks_like_model(head):
        return sentencepiece_vocabulary(_joined(itertools.chain((head,), chunks), name), name)
    if head[8:10] == b'{"':  # safetensors
        raise InputError(name, "a model, not a vocabulary", f"rnntool info {name}")
    if head.startswith(b"\\data\\"):  # ARPA
        raise InputError(name, "an n-gram model, not a vocabulary", f"rnntool info {name}")
    listing = formats.parse(
        files.clean_blocks(itertools.chain((head,), chunks), name, longest=LONGEST_LINE),
        name,
    )
    return Vocabulary(listing.unit, listing.tokens, listing.counts, listing.classes)


def sentencepiece_vocabulary(model: bytes, name: str) -> Vocabulary:
    """The vocabulary of a SentencePiece model.

    Raises:
        InputError: the model is damaged.
    """
    pieces = Pieces(model, name)
    return Vocabulary("spm", pieces.tokens, model=pieces)


def _joined(chunks: Iterator[bytes], name: str) -> bytes:
    parts = []
    size = 0
    for chunk in chunks:
        parts.append(chunk)
        size += len(chunk)
        if size > LARGEST_MODEL:
            raise InputError(
                name,
                f"more than {LARGEST_MODEL} bytes; no SentencePiece model is as large",
            )
    return b"".join(parts)
