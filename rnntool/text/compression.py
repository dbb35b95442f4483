"""Compressed streams: known by their first bytes when read, by the suffix of their name when written.

gzip, bzip2 and xz come from the standard library; zstd from it since Python 3.14, else from the package `zstandard`,
else through the program `zstd`.  Reading is a stream in bounded pieces, so that neither a large file nor one made to
expand without end takes memory.  Nothing here opens a file.
"""

from __future__ import annotations

import bz2
import contextlib
import importlib
import lzma
import shutil
import subprocess
import threading
import zlib
from collections.abc import Callable, Iterator
from typing import IO, Any, BinaryIO, Protocol, cast

from rnntool.errors import InputError, OutputError

MAGIC = {
    "gzip": (b"\x1f\x8b",),
    # Four letters that text may begin with, then the first block's or the empty file's own mark.
    "bzip2": tuple(b"BZh%d" % level + mark for level in range(1, 10) for mark in (b"1AY&SY", b"\x17rE8P\x90")),
    "xz": (b"\xfd7zXZ\x00",),
    "zstd": (b"\x28\xb5\x2f\xfd",),
}
"""What a compressed stream begins with."""

SUFFIXES = {".gz": "gzip", ".bz2": "bzip2", ".xz": "xz", ".zst": "zstd"}
"""How the name of a file ends that is to be written compressed."""

PIECE = 1 << 20  # bytes at most that one step of decompression hands out

NO_ZSTD = "zstd data, and neither the zstd extra of rnntool nor the program zstd is installed"


def undecided(head: bytes) -> bool:
    """Whether more bytes after `head` could still make it the beginning of a compressed stream."""
    return any(len(head) < len(mark) and mark.startswith(head) for marks in MAGIC.values() for mark in marks)


def kind_of(head: bytes) -> str | None:
    """The kind of compression that a stream beginning with `head` has; None if it is plain."""
    return next((kind for kind, marks in MAGIC.items() if head.startswith(marks)), None)


def decompressed(kind: str, chunks: Iterator[bytes], name: str) -> Iterator[bytes]:
    """What the compressed `chunks` hold, piece by piece as they arrive; members that follow each other are joined.

    Raises:
        InputError: the data are damaged or cut off; everything before the damage has been yielded.
    """
    new: Callable[[], _Decoder] | None
    if kind == "zstd":
        new = _zstd_decoder()
        if new is None:
            yield from _through_program(chunks, name)
            return
    else:
        new = _DECODERS[kind]
    try:
        yield from _members(new, kind, chunks, name)
    except InputError:
        raise
    except Exception as error:  # each library has its own class, and zstd's depends on where it came from
        raise InputError(name, f"damaged {kind} data") from error


def compressing(kind: str, stream: BinaryIO, name: str) -> contextlib.AbstractContextManager[BinaryIO]:
    """A stream to write to, whose compressed form goes to `stream`; nothing in it depends on the time or the name."""
    if kind == "gzip":
        import gzip

        return cast(
            "contextlib.AbstractContextManager[BinaryIO]",
            gzip.GzipFile("", "wb", 6, stream, mtime=0),
        )
    if kind == "bzip2":
        return cast("contextlib.AbstractContextManager[BinaryIO]", bz2.BZ2File(stream, "wb"))
    if kind == "xz":
        return cast("contextlib.AbstractContextManager[BinaryIO]", lzma.LZMAFile(stream, "wb"))
    return _zstd_writer(stream, name)


class _Decoder(Protocol):
    """The interface that bz2, lzma and compression.zstd share: one member of a compressed stream."""

    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    @property
    def needs_input(self) -> bool: ...
    def decompress(self, data: bytes, max_length: int = -1) -> bytes: ...


class _Gzip:
    """zlib's gzip decoder in the interface of the others."""

    def __init__(self) -> None:
        self._inner = zlib.decompressobj(wbits=31)
        self._is_full = False

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data

    @property
    def needs_input(self) -> bool:
        return not self._is_full and not self._inner.unconsumed_tail

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        piece = self._inner.decompress(self._inner.unconsumed_tail + data, max_length)
        self._is_full = len(piece) == max_length
        return piece


class _Zstandard:
    """The decoder of the package `zstandard` in the interface of the others.

    It knows no bound on what one call returns, so it is fed in small steps: at most 128 KiB come out of a block of
    zstd, and a step holds some sixty of the smallest blocks at most.
    """

    STEP = 256

    def __init__(self) -> None:
        self._inner: Any = importlib.import_module("zstandard").ZstdDecompressor().decompressobj()
        self._waiting = b""
        self._at = 0

    @property
    def eof(self) -> bool:
        return bool(self._inner.eof)

    @property
    def unused_data(self) -> bytes:
        return cast("bytes", self._inner.unused_data) + self._waiting[self._at :]

    @property
    def needs_input(self) -> bool:
        return self._at >= len(self._waiting)

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        if data:
            self._waiting, self._at = self._waiting[self._at :] + data, 0
        step = self._waiting[self._at : self._at + self.STEP]
        self._at += len(step)
        return cast("bytes", self._inner.decompress(step))


_DECODERS: dict[str, Callable[[], _Decoder]] = {
    "gzip": _Gzip,
    "bzip2": bz2.BZ2Decompressor,
    "xz": lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ),
}


def _members(new: Callable[[], _Decoder], kind: str, chunks: Iterator[bytes], name: str) -> Iterator[bytes]:
    """Members decompressed one after the other, with the zeros that may pad them left out."""
    decoder: _Decoder | None = None
    for chunk in chunks:
        while chunk:
            if decoder is None:
                chunk = chunk.lstrip(b"\0")
                if not chunk:
                    break
                decoder = new()
            if piece := decoder.decompress(chunk, PIECE):
                yield piece
            while not decoder.eof and not decoder.needs_input:
                if piece := decoder.decompress(b"", PIECE):
                    yield piece
            chunk = b""
            if decoder.eof:
                chunk, decoder = decoder.unused_data, None
    if decoder is not None:
        raise InputError(name, f"cut off: the {kind} data end too early")


def _zstd_module() -> Any:
    """Python's own zstd, or None before 3.14."""
    try:
        return importlib.import_module("compression.zstd")
    except ImportError:
        return None


def _zstd_decoder() -> Callable[[], _Decoder] | None:
    if module := _zstd_module():
        return cast("Callable[[], _Decoder]", module.ZstdDecompressor)
    try:
        importlib.import_module("zstandard")
    except ImportError:
        return None
    return _Zstandard


def _zstd_program(error: type[InputError | OutputError], name: str) -> str:
    program = shutil.which("zstd")
    if program is None:
        raise error(name, NO_ZSTD, "pip install 'rnntool[zstd]'")
    return program


def _through_program(chunks: Iterator[bytes], name: str) -> Iterator[bytes]:
    """The chunks decompressed by the program `zstd`, fed by a thread of its own."""
    process = subprocess.Popen(
        [_zstd_program(InputError, name), "-dcq"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        bufsize=0,
    )
    source, sink = cast("IO[bytes]", process.stdin), cast("IO[bytes]", process.stdout)
    failures: list[BaseException] = []

    def feed() -> None:
        try:
            with source:
                for chunk in chunks:
                    source.write(chunk)
        except BrokenPipeError:
            pass  # the program has given up; its status says so
        except BaseException as error:
            failures.append(error)

    feeder = threading.Thread(target=feed, daemon=True)
    feeder.start()
    try:
        while piece := sink.read(PIECE):
            yield piece
        feeder.join()
        if failures:
            raise failures[0]
        if process.wait():
            raise InputError(name, "damaged or cut off zstd data")
    finally:
        sink.close()
        if process.poll() is None:
            process.kill()
            process.wait()


@contextlib.contextmanager
def _zstd_writer(stream: BinaryIO, name: str) -> Iterator[BinaryIO]:
    if module := _zstd_module():
        with module.ZstdFile(stream, "wb") as compressor:
            yield compressor
        return
    with contextlib.suppress(ImportError):
        zstandard: Any = importlib.import_module("zstandard")
        with zstandard.ZstdCompressor().stream_writer(stream, closefd=False) as compressor:
            yield compressor
        return
    stream.flush()
    process = subprocess.Popen(
        [_zstd_program(OutputError, name), "-cq"],
        stdin=subprocess.PIPE,
        stdout=stream.fileno(),
    )
    try:
        with cast("BinaryIO", process.stdin) as compressor:
            yield compressor
        if process.wait():
            raise OutputError(name, f"the program zstd ended with status {process.returncode}")
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
