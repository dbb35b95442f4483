"""A corpus: texts as ids on the disk, mapped into memory, read once and then at any place.

A corpus directory holds
    ids.bin      ids of all lines, one after the other, each line ended by `</s>`; uint16, or uint32 past 65536 tokens
    ends.bin     for every line the place in ids.bin after its `</s>`; int64
    corpus.json  what the sources are, how many lines and tokens each has; written last, it vouches for the rest

all little-endian.  Sources lie in ids.bin in the order in which they were named.  Nothing here decides what is
trained on or in which order: weights and fractions are carried along.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from rnntool.errors import InputError, ModelError, OptionError
from rnntool.text.files import (
    is_regular,
    read_blocks,
    shown,
    sync_directory,
    whole_file,
    write_whole,
)
from rnntool.text.vocabulary import Vocabulary

FORMAT = 1
"""Number of the layout of a corpus directory."""

PATIENCE = 60.0
"""Seconds for which a pipe may give nothing before somebody is told."""

IDS, ENDS, FACTS = "ids.bin", "ends.bin", "corpus.json"

_SOURCE = re.compile(r"(?P<path>.+)@(?P<weight>[^@:]*)(:(?P<fraction>[^@:]*))?\Z", re.DOTALL)


@dataclass(frozen=True)
class Source:
    """A text to train on, as it is named on the command line."""

    path: str
    """A file, or `-`."""
    weight: float = 1.0
    """How much each of its tokens counts, above 0."""
    fraction: float = 1.0
    """Share of its lines that an epoch draws, above 0, at most 1."""


@dataclass(frozen=True)
class CorpusSource(Source):
    """A text that is in a corpus.

    A part of a text (`hold_out`) has its own lines and tokens; what was counted over the whole text is None there.
    """

    sha256: str = ""
    """Of the whole text as it was read: decompressed, without byte order mark and carriage returns."""
    size: int | None = None
    """Bytes of the file as it lay on the disk; None if it was no ordinary file."""
    mtime_ns: int | None = None
    """When it was last changed; None if it was no ordinary file."""
    first_line: int = 0
    """Number of its first line among those of the corpus, from 0."""
    num_lines: int = 0
    """Lines, blank ones too."""
    first_token: int = 0
    """Place of its first id in ids.bin."""
    num_tokens: int = 0
    """Ids, one `</s>` for every line included."""
    num_oov: int | None = None
    """Tokens that are not in the vocabulary."""
    num_chars: int | None = None
    """Code points, without the ends of lines."""
    num_bytes: int | None = None
    """UTF-8 bytes, without the ends of lines."""


@dataclass(frozen=True, eq=False)
class Corpus:
    """Texts as ids, or a part of them.

    `ids` and `ends` are always those of the whole directory; `sources` says which lines and tokens belong to this one.
    """

    directory: str
    """Where it lies."""
    vocabulary_digest: str
    """Of the vocabulary that the ids belong to."""
    vocab_size: int
    """Its size; every id is below."""
    ids: NDArray[Any]
    """(tokens) uint16 or uint32, mapped from the disk and not to be written."""
    ends: NDArray[np.int64]
    """(lines) where each line ends in `ids`, its `</s>` included."""
    sources: tuple[CorpusSource, ...]
    """The texts, in order."""

    @property
    def num_tokens(self) -> int:
        """Ids of all sources, ends of lines included."""
        return sum(source.num_tokens for source in self.sources)

    @property
    def num_lines(self) -> int:
        """Lines of all sources."""
        return sum(source.num_lines for source in self.sources)

    def ids_of(self, source: CorpusSource) -> NDArray[Any]:
        """(tokens) the ids of one source of this corpus."""
        return self.ids[source.first_token : source.first_token + source.num_tokens]

    def ends_of(self, source: CorpusSource) -> NDArray[np.int64]:
        """(lines) where its lines end, as places in `ids`."""
        return self.ends[source.first_line : source.first_line + source.num_lines]

    def unchanged(self) -> bool:
        """Whether the files that it was made from have the size and time of change that they had then.

        Standard input and pipes leave nothing to compare, and count as unchanged.
        """
        return all(
            _stamp(source.path) == (source.size, source.mtime_ns) for source in self.sources if source.size is not None
        )


def parse_source(text: str) -> Source:
    """Read `FILE[@WEIGHT[:FRACTION]]`.

    An existing file whose whole name looks like this is that file.

    Raises:
        OptionError: the weight or the fraction is out of range.
    """
    match = _SOURCE.match(text)
    if not match or os.path.exists(text):
        return Source(text)
    try:
        weight = float(match["weight"] or 1)
        fraction = float(match["fraction"] or 1)
    except ValueError:
        return Source(text)  # an @ of a name, most likely: the message about the missing file says it
    if not (math.isfinite(weight) and weight > 0):
        raise OptionError(text, f"the weight is {match['weight']}; it must be above 0")
    if not 0 < fraction <= 1:
        raise OptionError(
            text,
            f"the fraction is {match['fraction']}; it must be above 0 and at most 1",
        )
    return Source(match["path"], weight, fraction)


def write_corpus(sources: Sequence[Source], vocabulary: Vocabulary, directory: str) -> Corpus:
    """Read texts once, as a stream, and write their ids to a directory; an earlier corpus there is replaced.

    Memory grows with the longest line only.

    Raises:
        InputError: a text cannot be read, or all of them are empty; then nothing new is left behind.
        OutputError: the directory cannot be written.
    """
    with _writing(vocabulary, directory) as writer:
        for source in sources:
            writer.begin(source)
            for block in read_blocks(source.path, patience=PATIENCE):
                writer.take(block)
            writer.end()
    return open_corpus(directory)


def write_pairs(
    sources: Sequence[Source], vocabularies: tuple[Vocabulary, Vocabulary], directories: tuple[str, str]
) -> tuple[Corpus, Corpus]:
    """Read texts of lines `source⇥target` once, as a stream, and write the ids of either side as `write_corpus` does.

    Args:
        sources: the texts.
        vocabularies: of the sources and of the targets.
        directories: likewise.

    Raises:
        InputError: a text cannot be read, a line has no tab or several, or all are empty; then nothing new is left behind.
        OutputError: a directory cannot be written.
    """
    with _writing(vocabularies[0], directories[0]) as one, _writing(vocabularies[1], directories[1]) as other:
        for source in sources:
            for writer in (one, other):
                writer.begin(source)
            number = 1
            for block in read_blocks(source.path, patience=PATIENCE):
                for writer, side in zip((one, other), _sides(block, shown(source.path), number), strict=True):
                    writer.take(side)
                number += block.count(b"\n")
            for writer in (one, other):
                writer.end()
    return open_corpus(directories[0]), open_corpus(directories[1])


def _sides(block: bytes, name: str, number: int) -> tuple[bytes, bytes]:
    """The sources and the targets of whole lines, of which the first has a number, as lines."""
    lines = [line.split(b"\t") for line in block[:-1].split(b"\n")]
    for place, columns in enumerate(lines):
        if len(columns) != 2:
            what = f"{len(columns)} columns; a pair is a source, a tab, and a target"
            raise InputError(f"{name}:{number + place}", what)
    one, other = (b"".join(columns[side] + b"\n" for columns in lines) for side in (0, 1))
    return one, other


@contextlib.contextmanager
def _writing(vocabulary: Vocabulary, directory: str) -> Iterator[_Writer]:
    """A writer of a corpus, which is there when all has been written, and else as if nothing had been."""
    is_new = not os.path.isdir(directory)
    try:
        os.makedirs(directory, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(directory, FACTS))  # from here on, the old corpus is none
        with (
            whole_file(os.path.join(directory, IDS)) as ids,
            whole_file(os.path.join(directory, ENDS)) as ends,
        ):
            writer = _Writer(vocabulary, ids, ends)
            yield writer
            if not writer.num_tokens:
                raise InputError(", ".join(shown(entry.path) for entry in writer.entries), "no tokens")
        _write_facts(directory, vocabulary, writer)
    except BaseException:
        if is_new:
            with contextlib.suppress(OSError):
                os.rmdir(directory)
        raise


def verify_corpus(directory: str) -> None:
    """Read a corpus to its end, and compare it with the hashes that were written with it, if there are any.

    Raises:
        ModelError: it is none, or damaged.
    """
    open_corpus(directory)
    facts = _read_facts(os.path.join(directory, FACTS))
    for name in (IDS, ENDS) if facts.get("sha256") else ():
        path = os.path.join(directory, name)
        try:
            with open(path, "rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise ModelError(path, error.strerror or str(error)) from None
        if found != facts["sha256"].get(name):
            raise ModelError(path, f"damaged: its content does not have the hash that {FACTS} names")


def open_corpus(directory: str) -> Corpus:
    """Open the corpus that `write_corpus` left in a directory.

    Raises:
        ModelError: there is none, or its files do not fit each other.
    """
    facts = _read_facts(os.path.join(directory, FACTS))
    try:
        sources = tuple(CorpusSource(**source) for source in facts["sources"])
        num_tokens, num_lines = int(facts["num_tokens"]), int(facts["num_lines"])
        dtype = {"uint16": "<u2", "uint32": "<u4"}[facts["dtype"]]
        digest, vocab_size = str(facts["vocabulary"]), int(facts["vocab_size"])
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(os.path.join(directory, FACTS), "damaged, or not rnntool's") from error
    ids = _mapped(os.path.join(directory, IDS), dtype, num_tokens)
    ends = _mapped(os.path.join(directory, ENDS), "<i8", num_lines)
    if ends[-1] != num_tokens:
        raise ModelError(
            os.path.join(directory, ENDS),
            f"ends at token {ends[-1]}; {IDS} has {num_tokens}",
        )
    return Corpus(directory, digest, vocab_size, ids, ends, sources)


def hold_out(corpus: Corpus, rate: float) -> tuple[Corpus, Corpus]:
    """Split off the last lines of every source: the corpus without them, and they.

    Both parts share the files of the corpus.

    Args:
        corpus: at least one source has two lines.
        rate: share of the lines, between 0 and 1; rounded, and so that each part of a source of two lines or more
            has at least one.

    Raises:
        InputError: no source has a line to spare.
    """
    kept, held = [], []
    for source in corpus.sources:
        num_held = min(max(round(rate * source.num_lines), 1), source.num_lines - 1) if source.num_lines > 1 else 0
        num_kept = source.num_lines - num_held
        kept.append(_part(corpus, source, source.first_line, num_kept))
        if num_held:
            held.append(_part(corpus, source, source.first_line + num_kept, num_held))
    if not held:
        raise InputError(
            ", ".join(shown(source.path) for source in corpus.sources),
            "one line; no part can be held out",
        )
    return replace(corpus, sources=tuple(kept)), replace(corpus, sources=tuple(held))


def _part(corpus: Corpus, source: CorpusSource, first_line: int, num_lines: int) -> CorpusSource:
    first_token = int(corpus.ends[first_line - 1]) if first_line else 0
    last = first_line + num_lines
    num_tokens = (int(corpus.ends[last - 1]) if last else 0) - first_token
    if num_lines == source.num_lines:
        return source
    return replace(
        source,
        first_line=first_line,
        num_lines=num_lines,
        first_token=first_token,
        num_tokens=num_tokens,
        num_oov=None,
        num_chars=None,
        num_bytes=None,
    )


class _Writer:
    """Ids and ends of lines on their way to the disk."""

    def __init__(self, vocabulary: Vocabulary, ids: BinaryIO, ends: BinaryIO) -> None:
        self.vocabulary = vocabulary
        self.dtype = _dtype_for(len(vocabulary))
        self.ids = ids
        self.ends = ends
        self.num_lines = 0
        self.num_tokens = 0
        self.entries: list[CorpusSource] = []
        self._hashes = {IDS: hashlib.sha256(), ENDS: hashlib.sha256()}

    @property
    def hashes(self) -> dict[str, str]:
        """SHA-256 of what has been written, by the names of the files."""
        return {name: found.hexdigest() for name, found in self._hashes.items()}

    def begin(self, source: Source) -> None:
        """What comes next is of this source."""
        size, mtime_ns = _stamp(source.path)
        self._entry = CorpusSource(
            **asdict(source),
            size=size,
            mtime_ns=mtime_ns,
            first_line=self.num_lines,
            first_token=self.num_tokens,
        )
        self._num_oov = self._num_chars = self._num_bytes = 0
        self._hash = hashlib.sha256()

    def take(self, block: bytes) -> None:
        """Some whole lines of it."""
        self._hash.update(block)
        self._num_bytes += len(block)
        self._num_chars += len(block) if block.isascii() else len(block.decode())
        self._num_oov += sum(map(self._write, self.vocabulary.slices(block)))

    def end(self) -> None:
        """There are no more."""
        num_lines = self.num_lines - self._entry.first_line
        self.entries.append(
            replace(
                self._entry,
                sha256=self._hash.hexdigest(),
                num_lines=num_lines,
                num_tokens=self.num_tokens - self._entry.first_token,
                num_oov=self._num_oov,
                num_chars=self._num_chars - num_lines,
                num_bytes=self._num_bytes - num_lines,
            )
        )

    def _write(self, block: bytes) -> int:
        ids, num_oov = self.vocabulary.encode_block(block)
        ends = np.flatnonzero(ids == self.vocabulary.eos_id).astype("<i8") + (self.num_tokens + 1)
        assert len(ends) == block.count(b"\n"), "no unit makes </s> of anything but the end of a line"
        for name, file, data in ((IDS, self.ids, ids.astype(self.dtype)), (ENDS, self.ends, ends)):
            file.write(data.tobytes())
            self._hashes[name].update(data.tobytes())
        self.num_tokens += len(ids)
        self.num_lines += len(ends)
        return num_oov


def _dtype_for(vocab_size: int) -> str:
    return "<u2" if vocab_size <= 1 << 16 else "<u4"


def _stamp(path: str) -> tuple[int | None, int | None]:
    """Size and time of change of an ordinary file."""
    if path == "-" or not is_regular(path):
        return None, None
    found = os.stat(path)
    return found.st_size, found.st_mtime_ns


def _write_facts(directory: str, vocabulary: Vocabulary, writer: _Writer) -> None:
    sources = writer.entries
    facts = {
        "format": FORMAT,
        "vocabulary": vocabulary.digest,
        "vocab_size": len(vocabulary),
        "dtype": "uint16" if _dtype_for(len(vocabulary)) == "<u2" else "uint32",
        "num_lines": sum(source.num_lines for source in sources),
        "num_tokens": sum(source.num_tokens for source in sources),
        "sources": [asdict(source) for source in sources],
    }
    facts["sha256"] = {**writer.hashes, FACTS: _hash_of(facts)}
    sync_directory(directory)
    data = json.dumps(facts, indent=1, sort_keys=True, ensure_ascii=True).encode() + b"\n"
    write_whole(os.path.join(directory, FACTS), data)


def _read_facts(path: str) -> dict[str, Any]:
    try:
        with open(path, "rb") as stream:
            facts = json.loads(stream.read(1 << 24))
    except OSError as error:
        raise ModelError(path, error.strerror or str(error)) from error
    except (ValueError, RecursionError) as error:
        raise ModelError(path, "damaged: not JSON") from error
    if not isinstance(facts, dict) or facts.get("format") != FORMAT:
        found = facts.get("format") if isinstance(facts, dict) else None
        raise ModelError(path, f"corpus format {found}; this rnntool reads {FORMAT}")
    hashes = facts.get("sha256", {})  # an older version's names none
    if hashes and (not isinstance(hashes, dict) or hashes.get(FACTS) != _hash_of(facts)):
        raise ModelError(path, "damaged: its content does not have the hash that it names")
    return facts


def _hash_of(facts: dict[str, Any]) -> str:
    """SHA-256 of facts but for the hashes among them."""
    rest = {name: value for name, value in facts.items() if name != "sha256"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()


def _mapped(path: str, dtype: str, length: int) -> NDArray[Any]:
    """A file of so many numbers as an array; its size is checked first, for a short one would end the program."""
    wanted = length * np.dtype(dtype).itemsize
    try:
        size = os.stat(path).st_size
        if size != wanted or not length:
            raise ModelError(path, f"{size} bytes; {FACTS} speaks of {wanted}")
        return np.memmap(path, dtype=dtype, mode="r", shape=(length,))
    except (OSError, ValueError) as error:
        raise ModelError(path, getattr(error, "strerror", None) or str(error)) from error
