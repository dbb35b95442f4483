"""Files and standard streams: text read as lines as it arrives, results written whole or not at all.

Reading: a name is a path or `-`, the standard input; compression is known by the first bytes; text is strict UTF-8; a
line ends at a line feed and nowhere else, and a last line without one counts.  A carriage return before a line feed and
a byte order mark at the start are dropped, each with one warning per file.  Every other byte is kept, NUL too.
Writing: a temporary neighbour takes the name of the result when everything is on the disk.

This module knows bytes, lines and names, and nothing of what a line means.
"""

from __future__ import annotations

import codecs
import contextlib
import contextvars
import errno
import io
import itertools
import os
import re
import secrets
import select
import stat
import sys
import threading
import warnings
from collections import deque
from collections.abc import Iterable, Iterator
from typing import IO, Any, BinaryIO, Literal, TextIO, TypeVar, cast, overload

from rnntool.errors import InputError, OutputError, RnntoolWarning
from rnntool.text import compression

T = TypeVar("T")

STDIN_NAME = "standard input"
STDOUT_NAME = "standard output"

CHUNK = 1 << 18  # bytes asked for at a time: large enough for speed, small enough for the processor's cache

_DESCRIPTOR = re.compile(r"/dev/(?:fd/(\d+)|stdout|stderr)\Z|/proc/self/fd/(\d+)\Z")


def shown(path: str) -> str:
    """The name under which messages speak of an input."""
    return STDIN_NAME if path == "-" else path


def read_lines(path: str) -> Iterator[str]:
    """The lines of a text, without their ends, each as soon as it has arrived.

    Memory grows with the longest line, not with the text.

    Raises:
        InputError: the file cannot be read, is damaged, or is not UTF-8; the lines before have been yielded.
    """
    for block in read_blocks(path):
        yield from block[:-1].decode().split("\n")


def read_raw_lines(path: str) -> Iterator[bytes]:
    """The same lines as their UTF-8 bytes."""
    for block in read_blocks(path):
        yield from block[:-1].split(b"\n")


def read_blocks(path: str, *, longest: int | None = None, patience: float = 0.0) -> Iterator[bytes]:
    r"""The text in blocks of whole lines, every line ended by `\n`: what has arrived, some 256 KiB at a time.

    Args:
        path: a file, or `-`.
        longest: refuse lines of more bytes than this.
        patience: as `read_chunks` has it.
    """
    return clean_blocks(read_chunks(path, patience), shown(path), longest=longest)


def read_chunks(path: str, patience: float = 0.0) -> Iterator[bytes]:
    """The bytes of a file after decompression, as they arrive.

    Args:
        path: a file, or `-`.
        patience: seconds without any after which a warning says so, and again after twice as many; 0 for never.
    """
    chunks = _raw_chunks(path, patience)
    head = b""
    for chunk in chunks:
        head += chunk
        if not compression.undecided(head):
            break
    if not head:
        return
    chunks = itertools.chain((head,), chunks)
    kind = compression.kind_of(head)
    yield from compression.decompressed(kind, chunks, shown(path)) if kind else chunks


def clean_blocks(chunks: Iterable[bytes], name: str, *, longest: int | None = None) -> Iterator[bytes]:
    """Blocks of whole lines from chunks cut anywhere, checked and without byte order mark and carriage returns."""
    number = 1  # of the first line of the next block
    has_returns = False
    for block in _whole_lines(_without_mark(chunks, name), name, longest):
        if b"\r\n" in block:
            if not has_returns:
                has_returns = True
                line = number + block.count(b"\n", 0, block.index(b"\r\n"))
                what = r"lines end in \r\n; the \r are dropped"
                warnings.warn(RnntoolWarning(f"{name}:{line}", what), stacklevel=2)
            block = block.replace(b"\r\n", b"\n")
        if not block.isascii():
            block = _without_marks(block, name, number)
            try:
                block.decode()
            except UnicodeDecodeError as error:
                start = block.rfind(b"\n", 0, error.start) + 1
                if start:
                    yield block[:start]
                raise _not_utf8(block, start, error.start, name, number) from None
        yield block
        number += block.count(b"\n")


def _without_mark(chunks: Iterable[bytes], name: str) -> Iterator[bytes]:
    """The chunks without a byte order mark at the start."""
    chunks = iter(chunks)
    head = b""
    for chunk in chunks:
        head += chunk
        if len(head) >= len(codecs.BOM_UTF8) or not codecs.BOM_UTF8.startswith(head):
            break
    if head.startswith(codecs.BOM_UTF8):
        warnings.warn(RnntoolWarning(name, "starts with a byte order mark; dropped"), stacklevel=2)
        head = head[len(codecs.BOM_UTF8) :]
    yield head
    yield from chunks


def _without_marks(block: bytes, name: str, number: int) -> bytes:
    """Whole lines, the first of which has a number, without marks where texts that begin with one were joined."""
    if not block.startswith(codecs.BOM_UTF8) and b"\n" + codecs.BOM_UTF8 not in block:
        return block
    lines = block[:-1].split(b"\n")
    found = [number + place for place, line in enumerate(lines) if line.startswith(codecs.BOM_UTF8)]
    warnings.warn(RnntoolWarning(f"{name}:{found[0]}", "starts with a byte order mark; dropped"), stacklevel=2)
    return b"".join(line.removeprefix(codecs.BOM_UTF8) + b"\n" for line in lines)


def _whole_lines(chunks: Iterable[bytes], name: str, longest: int | None) -> Iterator[bytes]:
    """Chunks cut anew after line feeds; a missing last one is added."""
    parts: list[bytes] = []
    waiting = 0
    number = 1
    for chunk in chunks:
        end = chunk.rfind(b"\n") + 1
        if end:
            parts.append(chunk[:end])
            yield b"".join(parts)
            parts, waiting = [], 0
        parts.append(chunk[end:])
        waiting += len(chunk) - end
        if longest is not None:
            number += chunk.count(b"\n")
            if waiting > longest:
                raise InputError(f"{name}:{number}", f"a line of more than {longest} bytes")
    if waiting:
        parts.append(b"\n")
        yield b"".join(parts)


def _not_utf8(block: bytes, start: int, at: int, name: str, number: int) -> InputError:
    """The error for the byte `at` of the line that begins at `start` of a block whose first line has `number`."""
    line = number + block.count(b"\n", 0, start)
    column = len(block[start:at].decode()) + 1
    is_utf16 = line == 1 and block.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    is_binary = b"\0" in block and not is_utf16  # no advice for what is no text in any encoding
    hint = "" if is_binary else f"iconv -f {'utf16' if is_utf16 else 'latin1'} -t utf8"
    return InputError(f"{name}:{line}", f"not UTF-8: byte 0x{block[at]:02x} at column {column}", hint)


def _await(stream: Any, patience: float, name: str) -> None:
    """Wait until something has come, and say so while nothing does."""
    while patience and not select.select([stream], [], [], patience)[0]:
        what = f"nothing has come for {patience:g} s; waiting on"
        warnings.warn(RnntoolWarning(name, what), stacklevel=2)
        patience *= 2


def _raw_chunks(path: str, patience: float) -> Iterator[bytes]:
    """The bytes of a file or of the standard input as they arrive."""
    try:
        with _opened(path) as stream:
            while True:
                _await(stream, patience, shown(path))
                chunk = stream.read(CHUNK) if isinstance(stream, io.RawIOBase) else stream.read1(CHUNK)
                if chunk is None:  # a stream in non-blocking mode, with nothing to give yet
                    select.select([stream], [], [])
                    continue
                if not chunk:
                    return
                yield chunk
    except OSError as error:
        raise InputError(shown(path), error.strerror or str(error)) from error


@contextlib.contextmanager
def _opened(path: str) -> Iterator[Any]:
    """A binary stream without a buffer of its own, where there is one."""
    if path != "-":
        with open(path, "rb", buffering=0) as stream:
            yield stream
        return
    if sys.stdin is None:
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))
    # Past the buffer: a thread that waits for input while the program ends must not hold the buffer's lock.
    yield getattr(sys.stdin.buffer, "raw", sys.stdin.buffer)


def is_regular(path: str) -> bool:
    """Whether an input is an ordinary file, all there from the start, rather than a pipe or a terminal."""
    try:
        mode = os.fstat(sys.stdin.fileno()).st_mode if path == "-" else os.stat(path).st_mode
    except (OSError, ValueError, AttributeError):
        return False
    return stat.S_ISREG(mode)


def arriving(items: Iterable[T], size: int, *, wait: bool) -> Iterator[list[T]]:
    """The items in groups of at most `size`.

    Args:
        items: any stream; an error that it raises comes after the items before it.
        size: of a full group, at least 1.
        wait: True makes every group but the last full, whenever the items come; False ends a group as soon as nothing
            more has arrived, so that whoever waits for an answer before sending more gets it.
    """
    return _full_groups(items, size) if wait else _Arrivals(items, size).groups()


def arriving_from(paths: Iterable[str], items: Iterable[T], size: int) -> Iterator[list[T]]:
    """What is read from texts, in groups of at most `size`: a pipe's as it comes, that of files always grouped alike."""
    return arriving(items, size, wait=all(is_regular(path) for path in paths))


def _full_groups(items: Iterable[T], size: int) -> Iterator[list[T]]:
    group: list[T] = []
    try:
        for item in items:
            group.append(item)
            if len(group) == size:
                yield group
                group = []
    except Exception:
        if group:
            yield group
        raise
    if group:
        yield group


class _Arrivals:
    """A thread that reads ahead by a few groups, and groups of what it has read."""

    AHEAD = 4  # full groups read ahead at most, so that memory stays flat

    def __init__(self, items: Iterable[Any], size: int) -> None:
        self.items = items
        self.size = size
        self.read: deque[Any] = deque()
        self.changed = threading.Condition()
        self.is_over = False
        self.is_abandoned = False
        self.error: BaseException | None = None

    def groups(self) -> Iterator[list[Any]]:
        # The thread warns into the same place as its caller would.
        thread = threading.Thread(target=contextvars.copy_context().run, args=(self._pump,), daemon=True)
        thread.start()
        try:
            while group := self._next_group():
                yield group
            if self.error:
                raise self.error
        finally:
            with self.changed:
                self.is_abandoned = True
                self.changed.notify_all()

    def _next_group(self) -> list[Any]:
        with self.changed:
            while not self.read and not self.is_over:
                self.changed.wait()
            group = [self.read.popleft() for _ in range(min(self.size, len(self.read)))]
            self.changed.notify_all()
            return group

    def _pump(self) -> None:
        try:
            for item in self.items:
                with self.changed:
                    while len(self.read) >= self.AHEAD * self.size and not self.is_abandoned:
                        self.changed.wait()
                    if self.is_abandoned:
                        return
                    self.read.append(item)
                    self.changed.notify_all()
        except BaseException as error:
            self.error = error
        finally:
            with self.changed:
                self.is_over = True
                self.changed.notify_all()


@overload
def whole_file(path: str, mode: Literal["wb"] = "wb") -> contextlib.AbstractContextManager[BinaryIO]: ...
@overload
def whole_file(path: str, mode: Literal["w"]) -> contextlib.AbstractContextManager[TextIO]: ...
@contextlib.contextmanager  # type: ignore[misc]
def whole_file(path: str, mode: Literal["wb", "w"] = "wb") -> Iterator[IO[Any]]:
    r"""A stream to write a result to, which afterwards is at `path` whole, or not at all.

    The result is written beside its place, brought to the disk, and takes its name in one step; if the body raises,
    everything is as before.  A symbolic link stays one, and what it points to is replaced.  `-` is the standard output,
    and an existing pipe or device is written to directly: there what has been written stays written.

    Args:
        path: where to; a name that ends in .gz, .bz2, .xz or .zst is compressed.
        mode: `wb` for bytes, `w` for text in UTF-8 with `\n` at the ends of lines.

    Raises:
        OutputError: it cannot be written.  A reader that went away is a BrokenPipeError.
    """
    name = STDOUT_NAME if path == "-" else path
    try:
        with _target(path) as raw, _compressed(path, raw) as binary:
            if mode == "wb":
                yield binary
                return
            text = io.TextIOWrapper(binary, encoding="utf-8", newline="\n")
            try:
                yield text
            finally:
                text.detach()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputError(name, error.strerror or str(error)) from error


def write_whole(path: str, data: bytes) -> None:
    """Write a file that is there with all its data, or not at all; see `whole_file`."""
    with whole_file(path) as stream:
        stream.write(data)


def _compressed(path: str, raw: BinaryIO) -> contextlib.AbstractContextManager[BinaryIO]:
    kind = compression.SUFFIXES.get(os.path.splitext(path)[1])
    return compression.compressing(kind, raw, path) if kind else contextlib.nullcontext(raw)


def _target(path: str) -> contextlib.AbstractContextManager[BinaryIO]:
    """Where the bytes of a result go: beside its place first, or directly where nothing can be replaced."""
    descriptor = _DESCRIPTOR.match(path)
    if path == "-":
        return _standard_output()
    if descriptor:
        number = descriptor[1] or descriptor[2] or ("1" if path == "/dev/stdout" else "2")
        return cast(
            "contextlib.AbstractContextManager[BinaryIO]",
            os.fdopen(os.dup(int(number)), "wb"),
        )
    path = os.path.realpath(path)
    with contextlib.suppress(FileNotFoundError):
        if not stat.S_ISREG(os.stat(path).st_mode):
            return cast("contextlib.AbstractContextManager[BinaryIO]", open(path, "wb"))
    return _neighbour(path)


@contextlib.contextmanager
def _standard_output() -> Iterator[BinaryIO]:
    if sys.stdout is None:
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))
    sys.stdout.flush()
    try:
        yield cast("BinaryIO", sys.stdout.buffer)
    finally:
        sys.stdout.buffer.flush()


@contextlib.contextmanager
def _neighbour(path: str) -> Iterator[BinaryIO]:
    """A temporary file in the directory of `path`, which takes its name at the end."""
    directory = os.path.dirname(path)
    temporary = os.path.join(directory, f".rnntool-{secrets.token_hex(8)}.tmp")
    # The kernel applies the umask to 0666; tempfile would leave a result that the group cannot read.
    descriptor = os.open(
        temporary,
        os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0),
        0o666,
    )
    try:
        with os.fdopen(descriptor, "wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
    sync_directory(directory)


def sync_directory(directory: str) -> None:
    """Make the names in a directory durable, on file systems that can.

    Raises:
        OSError: the disk failed or is full, so that they are not.
    """
    try:
        descriptor = os.open(directory or ".", os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        if error.errno in (errno.EIO, errno.ENOSPC, errno.EDQUOT):
            raise OSError(error.errno, error.strerror, directory) from None
