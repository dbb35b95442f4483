"""SentencePiece: pieces of words learnt from text, by its unigram model or by byte-pair encoding.

The one module that imports `sentencepiece`.  Its log lines and C++ assertions become errors of ours, and everything
that it would leave out without a word (long lines, NUL) is made to fit or reported.  The same text and options give
the same model, byte for byte.
"""

from __future__ import annotations

import contextlib
import heapq
import io
import random
import re
import struct
import warnings
from collections.abc import Iterable, Iterator
from functools import cached_property
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from rnntool.errors import InputError, OptionError, RnntoolWarning
from rnntool.text import sampling
from rnntool.text.formats import CONTROLS, EOS, UNK
from rnntool.text.units import LINE_END

if TYPE_CHECKING:
    from numpy.typing import NDArray

LONGEST_SENTENCE = 4192  # bytes; SentencePiece's own default, which leaves longer lines out
MOST_BYTES = 1 << 26  # SentencePiece keeps its text in memory, unigram models some 20 times; of more, so much is drawn
RESERVED = re.compile("[\x00\u2585]")  # SentencePiece leaves out lines with either

LARGEST_MODEL = 1 << 28  # bytes of a model file; those of the largest public models have 5 MB


def looks_like_model(head: bytes) -> bool:
    """Whether a file that begins so, with 16 bytes, can be a SentencePiece model rather than text.

    It is a protocol buffer whose first field is a piece, whose own first field is a spelling.
    """
    return head[:1] == b"\n" and (head[2:3] == b"\n" or (head[3:4] == b"\n" and head[1:2] >= b"\x80"))


class Pieces:
    """A SentencePiece model as a unit of text."""

    def __init__(self, data: bytes, name: str) -> None:
        """Load a model.

        Args:
            data: the bytes of the model file.
            name: for messages.

        Raises:
            InputError: it is damaged, or lacks an unknown piece.
        """
        import sentencepiece

        self.model = data
        self._name = name
        self._processor: Any = sentencepiece.SentencePieceProcessor()
        try:
            with _quiet(sentencepiece):
                self._processor.LoadFromSerializedProto(data)
            size = self._processor.get_piece_size()
            tokens = [self._processor.id_to_piece(id_) for id_ in range(size)]
            for token in tokens:
                token.encode()
        except (RuntimeError, OSError, UnicodeError, ValueError) as error:
            raise InputError(name, "damaged, or not a SentencePiece model") from error
        self.unk_id: int = self._processor.unk_id()
        self.eos_id: int = self._processor.eos_id()
        if not 0 <= self.unk_id < size:
            raise InputError(name, f"a SentencePiece model without {UNK}")
        if not 0 <= self.eos_id < size:
            self.eos_id = size
            tokens.append(EOS)
        self.tokens = tuple(tokens)
        self._controls = {id_ for id_ in range(size) if self._processor.IsControl(id_)} | {self.eos_id}

    def slices(self, block: bytes) -> Iterator[bytes]:
        """The block itself: any character can be part of a piece."""
        yield block

    def encode(self, line: str) -> list[int]:
        """The ids of a line."""
        ids: list[int] = self._processor.encode(line)
        return ids

    def encode_counting(self, line: str) -> tuple[list[int], int]:
        """The ids of a line, and how many are the unknown piece's."""
        ids = self.encode(line)
        return ids, ids.count(self.unk_id)

    def encode_block(self, block: bytes) -> tuple[NDArray[Any], int]:
        """The ids of whole lines, each followed by `</s>`, and the number of unknown pieces."""
        import numpy as np

        ids = np.array(self.ids(block), np.uint32)
        return ids, int(np.count_nonzero(ids == self.unk_id))

    def ids(self, block: bytes) -> list[int]:
        """The ids of whole lines, each followed by `</s>`."""
        ids: list[int] = []
        for line in self._processor.encode(block[:-1].decode().split("\n"), num_threads=1):
            ids += line
            ids.append(self.eos_id)
        return ids

    def spellings(self, block: bytes) -> Iterator[bytes]:
        """The pieces of whole lines, each line followed by `LINE_END`."""
        for line in self._processor.encode(block[:-1].decode().split("\n"), out_type=str, num_threads=1):
            for piece in line:
                yield piece.encode()
            yield LINE_END

    def pieces(self, line: str) -> list[str]:
        """The pieces of a line."""
        pieces: list[str] = self._processor.encode(line, out_type=str)
        return pieces

    def sample(self, line: str, *, alpha: float, nbest: int, seed: int) -> list[str]:
        """One way to cut a line, drawn at random; see `Vocabulary.sample`."""
        model = self._sampled_model
        if model.kind == sampling.UNIGRAM and nbest > 1:
            ways = self._processor.nbest_encode_as_pieces(line, nbest)
            return sampling.sample_best(model, ways, alpha, seed) if ways else []
        if model.kind not in (sampling.UNIGRAM, sampling.BPE):
            return self.pieces(line)  # a model of words or characters has one way only
        draw = sampling.sample_unigram if model.kind == sampling.UNIGRAM else sampling.sample_bpe
        drawn = draw(model, self._processor.normalize(line), alpha, seed)
        return [piece for spelling in drawn for piece in self._in_bytes(spelling)]

    @cached_property
    def _sampled_model(self) -> sampling.Model:
        try:
            return sampling.read_model(self.model)
        except (ValueError, struct.error) as error:
            raise InputError(self._name, "damaged, or not a SentencePiece model") from error

    def _in_bytes(self, spelling: str) -> list[str]:
        """An unknown piece as the bytes that a model with byte fall-back has for it, any other as it is."""
        if spelling in self._sampled_model.scores or not self._processor.IsByte(self._processor.piece_to_id("<0x00>")):
            return [spelling]
        return [f"<0x{byte:02X}>" for byte in spelling.encode()]

    def id_of(self, piece: str) -> int:
        """The id of a piece, that of the unknown one if there is none."""
        id_: int = self._processor.piece_to_id(piece)
        return id_

    def decode(self, ids: Iterable[int]) -> str:
        """The text of ids, without control pieces."""
        text: str = self._processor.decode([id_ for id_ in ids if id_ not in self._controls])
        return text

    def join(self, pieces: Iterable[str]) -> str:
        """The text of pieces, without control pieces."""
        text: str = self._processor.decode_pieces([piece for piece in pieces if piece not in CONTROLS])
        return text


def train(
    lines: Iterable[str],
    *,
    size: int,
    model_type: str,
    specials: Iterable[str] = (),
    where: str = "standard input",
) -> bytes:
    """Learn a SentencePiece model from text, with `<unk>` as id 0 and `</s>` as id 1.

    Memory grows with the text up to 64 MiB; of more, lines that make up so much are drawn, always the same.

    Args:
        lines: the text.  A line longer than SentencePiece takes is cut, at white space if it has any.
        size: pieces at most, the special ones counted; fewer with a warning, if the text has no more.
        model_type: `unigram` or `bpe`.
        specials: tokens that text may hold and that are never cut.
        where: what messages call the text.

    Returns:
        The bytes of the model file.

    Raises:
        InputError: the text has no tokens, or more characters than `size` leaves room for.
    """
    import sentencepiece

    sentences = _drawn(_fit(lines, where), where)
    if not sentences:
        raise InputError(where, "no tokens")
    model = io.BytesIO()
    try:
        with _quiet(sentencepiece):
            sentencepiece.SentencePieceTrainer.train(
                sentence_iterator=iter(sentences),
                model_writer=model,
                vocab_size=size,
                model_type=model_type,
                user_defined_symbols=list(specials),
                unk_id=0,
                eos_id=1,
                bos_id=-1,
                pad_id=-1,
                num_threads=1,  # the model file remembers this number
                max_sentence_length=LONGEST_SENTENCE,
                hard_vocab_limit=False,
                minloglevel=2,
            )
    except RuntimeError as error:
        raise _translated(str(error), size, where) from error
    found = len(Pieces(model.getvalue(), where).tokens)
    if found < size:
        warnings.warn(RnntoolWarning(where, f"has text for {found} pieces; {size} were asked for"), stacklevel=2)
    return model.getvalue()


def _drawn(sentences: Iterable[bytes], where: str) -> list[bytes]:
    """All sentences, or as many as SentencePiece can take, each as likely as the others, in the order of the text.

    SentencePiece would draw others in each process, and give another model for the same text.
    """
    draw = random.Random(0)
    heap: list[tuple[float, int, bytes]] = []  # the sentences with the largest of random keys, the smallest key first
    size = number = 0
    lowest = 0.0
    for number, sentence in enumerate(sentences, 1):
        key = draw.random()
        if key < lowest:
            continue
        heapq.heappush(heap, (key, number, sentence))
        size += len(sentence)
        while size > MOST_BYTES and len(heap) > 1:
            lowest, _, dropped = heapq.heappop(heap)
            size -= len(dropped)
    if number > len(heap):
        what = f"{len(heap)} of {number} lines are drawn to learn from"
        warnings.warn(RnntoolWarning(where, what), stacklevel=2)
    return [sentence for _, _, sentence in sorted(heap, key=itemgetter(1))]


def _fit(lines: Iterable[str], where: str) -> Iterator[bytes]:
    """Lines made fit for SentencePiece's trainer."""
    num_reserved = 0
    for line in lines:
        if RESERVED.search(line):
            num_reserved += 1
            line = RESERVED.sub(" ", line)
        if line.strip():
            yield from _cut(line.encode())
    if num_reserved:
        what = f"{num_reserved} lines hold NUL or U+2585, which SentencePiece reserves; read as spaces"
        warnings.warn(RnntoolWarning(where, what), stacklevel=2)


def _cut(sentence: bytes) -> Iterator[bytes]:
    """The sentence in parts that SentencePiece takes, cut at spaces, else between characters."""
    while len(sentence) > LONGEST_SENTENCE:
        end = sentence.rfind(b" ", 1, LONGEST_SENTENCE)
        if end < 0:
            end = LONGEST_SENTENCE
            while sentence[end] & 0xC0 == 0x80:
                end -= 1
        yield sentence[:end]
        sentence = sentence[end:]
    yield sentence


def _translated(message: str, size: int, where: str) -> InputError | OptionError:
    """SentencePiece's assertion as a message of ours."""
    if match := re.search(r"smaller than required_chars\. *\d+ vs (\d+)", message):
        return InputError(
            where,
            f"has {match[1]} characters and special tokens, --size leaves room for {size}",
        )
    what = " ".join(message.rsplit("]", 1)[-1].split()) or " ".join(message.split())
    return InputError(where, f"SentencePiece cannot learn from this: {what}")


@contextlib.contextmanager
def _quiet(sentencepiece: Any) -> Iterator[None]:
    """SentencePiece without its log lines."""
    sentencepiece.set_min_log_level(2)
    yield
