"""Lines in, whole files out."""

from __future__ import annotations

import bz2
import contextlib
import errno
import gzip
import io
import lzma
import os
import shutil
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnntool.errors import InputError, OutputError, RnntoolWarning
from rnntool.text import compression, files
from rnntool.text.files import arriving, clean_blocks, is_regular, read_lines, read_raw_lines, whole_file, write_whole

TEXT = "one two\n\nthrée\x00 four\u2028five\rsix\n"
LINES = ["one two", "", "thrée\x00 four\u2028five\rsix"]


def written(path: Path, data: bytes | str) -> str:
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return str(path)


def lines_of(data: bytes) -> list[str]:
    return [line for block in clean_blocks([data], "text") for line in block[:-1].decode().split("\n")]


# --- reading ---------------------------------------------------------------------------------------------------------


def test_lines_end_at_line_feeds_and_nowhere_else(tmp_path: Path) -> None:
    path = written(tmp_path / "t", TEXT)
    assert list(read_lines(path)) == LINES
    assert list(read_raw_lines(path)) == [line.encode() for line in LINES]


def test_a_last_line_without_line_feed_counts(tmp_path: Path) -> None:
    assert list(read_lines(written(tmp_path / "t", TEXT[:-1]))) == LINES
    assert list(read_lines(written(tmp_path / "t", "\n\n"))) == ["", ""]
    assert list(read_lines(written(tmp_path / "t", ""))) == []


@given(st.lists(st.text(st.characters(exclude_characters="\n\r\ufeff", exclude_categories=["Cs"]))))
def test_as_many_lines_come_out_as_went_in(lines: list[str]) -> None:
    assert lines_of("".join(line + "\n" for line in lines).encode()) == lines


@given(st.binary(), st.lists(st.integers(0, 40)))
def test_where_the_chunks_are_cut_makes_no_difference(data: bytes, cuts: list[int]) -> None:
    data = data.replace(b"\r", b"").removeprefix(b"\xef\xbb\xbf")
    chunks = []
    rest = data
    for cut in cuts:
        chunks.append(rest[:cut])
        rest = rest[cut:]

    def outcome(pieces: list[bytes]) -> tuple[bytes, str]:
        found = b""
        try:
            for block in clean_blocks(pieces, "t"):
                found += block
        except InputError as error:
            return found, str(error)
        return found, ""

    assert outcome([*chunks, rest]) == outcome([data])


@pytest.mark.parametrize("name", ["gzip", "bzip2", "xz", "zstd"])
def test_compression_is_known_by_the_first_bytes(tmp_path: Path, name: str) -> None:
    data = compressed(name, TEXT.encode())
    assert list(read_lines(written(tmp_path / "no-suffix.txt", data))) == LINES


@pytest.mark.parametrize("name", ["gzip", "bzip2", "xz", "zstd"])
def test_compressed_members_are_joined(tmp_path: Path, name: str) -> None:
    data = compressed(name, b"a\nb") + compressed(name, b"c\n")
    assert list(read_lines(written(tmp_path / "t", data))) == ["a", "bc"]


@pytest.mark.parametrize("name", ["gzip", "bzip2", "xz", "zstd"])
def test_a_cut_off_or_damaged_archive_is_an_error_with_its_name(tmp_path: Path, name: str) -> None:
    data = compressed(name, b"".join(b"%d squared is %d\n" % (n, n * n) for n in range(100_000)))
    for damaged in (data[: len(data) // 2], data[:60] + b"\x00\xff\x00" + data[63:]):
        path = written(tmp_path / "t", damaged)
        with pytest.raises(InputError) as caught:
            list(read_lines(path))
        assert caught.value.where == path or caught.value.where.startswith(f"{path}:")
        assert name in caught.value.what or caught.value.what.startswith("not UTF-8")


def test_zstd_is_read_by_the_package_where_it_is_installed(tmp_path: Path) -> None:
    zstandard = pytest.importorskip("zstandard")
    assert compression._zstd_decoder() is not None
    data = zstandard.compress(TEXT.encode() * 100_000)
    path = written(tmp_path / "t", data + zstandard.compress(b"end"))
    assert b"".join(files.read_chunks(path)) == TEXT.encode() * 100_000 + b"end"
    with pytest.raises(InputError, match=r"cut off: the zstd data end too early$"):
        list(files.read_chunks(written(tmp_path / "t", data[:-1])))


def test_zstd_without_package_and_program_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compression, "_zstd_decoder", lambda: None)
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(InputError) as caught:
        list(read_lines(written(tmp_path / "t", b"\x28\xb5\x2f\xfd....")))
    assert caught.value.what == "zstd data, and neither the zstd extra of rnntool nor the program zstd is installed"
    assert caught.value.hint == "pip install 'rnntool[zstd]'"


def test_the_message_about_a_cut_off_archive(tmp_path: Path) -> None:
    path = written(tmp_path / "t.gz", gzip.compress(b"hello\n")[:-3])
    with pytest.raises(InputError) as caught:
        list(read_lines(path))
    assert str(caught.value) == f"{path}: cut off: the gzip data end too early"


def test_an_archive_made_to_expand_is_read_in_bounded_pieces(tmp_path: Path) -> None:
    bomb = b"".join(compressed(name, b"x" * 9_999_999 + b"\n") for name in ("xz",) * 3)
    sizes = [len(chunk) for chunk in files.read_chunks(written(tmp_path / "t", bomb))]
    assert sum(sizes) == 30_000_000
    assert max(sizes) <= 1 << 20


def test_text_that_begins_like_an_archive_is_text(tmp_path: Path) -> None:
    for text in ("BZh", "BZh9 is a mark\n", "\x1f\n", "(\n", "B"):
        assert list(read_lines(written(tmp_path / "t", text))) == [text.removesuffix("\n")]


def test_a_bad_byte_is_named_with_line_and_column_after_the_lines_before(tmp_path: Path) -> None:
    path = written(tmp_path / "t", b"one\ntwo\nth\xc3\xa9\xffre\xfe\nfour\n")
    lines = read_lines(path)
    assert [next(lines), next(lines)] == ["one", "two"]
    with pytest.raises(InputError) as caught:
        next(lines)
    assert str(caught.value) == f"{path}:3: not UTF-8: byte 0xff at column 4"
    assert caught.value.hint == "iconv -f latin1 -t utf8"


def test_surrogates_and_overlong_forms_are_not_utf8() -> None:
    for bad in (b"\xed\xa0\x80", b"\xc0\xaf", b"\xf5\x80\x80\x80"):
        with pytest.raises(InputError):
            lines_of(bad)


def test_utf16_gets_the_right_advice() -> None:
    with pytest.raises(InputError) as caught:
        lines_of("hello\n".encode("utf-16"))
    assert caught.value.hint == "iconv -f utf16 -t utf8"


def test_what_is_no_text_at_all_gets_no_advice() -> None:
    with pytest.raises(InputError) as caught:
        lines_of(b"\x7fELF\x00\xff")
    assert (str(caught.value), caught.value.hint) == ("text:1: not UTF-8: byte 0xff at column 6", "")


def test_a_byte_order_mark_and_carriage_returns_are_dropped_with_one_warning_each(tmp_path: Path) -> None:
    path = written(tmp_path / "t", b"\xef\xbb\xbfone\r\n\r\ntwo\rthree\r\nfour\r")
    with pytest.warns(RnntoolWarning) as caught:
        assert list(read_lines(path)) == ["one", "", "two\rthree", "four"]
    assert [str(warning.message) for warning in caught] == [
        f"{path}: starts with a byte order mark; dropped",
        rf"{path}:1: lines end in \r\n; the \r are dropped",
    ]


def test_texts_that_begin_with_a_mark_may_be_joined(tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_bytes("\ufeffa\nb\n\ufeffc \ufeff d\n".encode() + "\ufeffé\n".encode())
    with pytest.warns(RnntoolWarning) as told:
        assert list(read_lines(str(path))) == ["a", "b", "c \ufeff d", "é"]
    assert [str(warning.message) for warning in told] == [
        f"{path}: starts with a byte order mark; dropped",
        f"{path}:3: starts with a byte order mark; dropped",
    ]


def test_a_file_that_is_only_a_byte_order_mark_has_no_lines() -> None:
    with pytest.warns(RnntoolWarning, match=r"byte order mark"):
        assert lines_of(b"\xef\xbb\xbf") == []


def test_what_cannot_be_opened_is_named_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "dangling").symlink_to("nowhere")
    for name, reason in (
        ("missing", "No such file or directory"),
        ("dangling", "No such file or directory"),
        (".", "Is a directory"),
        ("missing/below", "No such file or directory"),
    ):
        path = str(tmp_path / name)
        with pytest.raises(InputError) as caught:
            next(read_lines(path))
        assert (caught.value.where, caught.value.what) == (path, reason)


def test_a_closed_standard_input_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(InputError, match=r"^standard input: Bad file descriptor$"):
        next(read_lines("-"))
    assert not is_regular("-")


def test_the_first_line_arrives_before_the_second_is_sent(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    seen = threading.Event()

    def send() -> None:
        with open(pipe, "wb", buffering=0) as stream:
            stream.write(b"first\n")
            assert seen.wait(10)
            stream.write(b"second\n")

    thread = threading.Thread(target=send)
    thread.start()
    lines = read_lines(str(pipe))
    assert next(lines) == "first"
    seen.set()
    assert list(lines) == ["second"]
    thread.join()


def test_a_line_longer_than_allowed_is_refused_before_it_is_in_memory() -> None:
    def endless() -> Iterator[bytes]:
        yield b"short\n"
        while True:
            yield b"x" * 1000

    with pytest.raises(InputError, match=r"^t:2: a line of more than 5000 bytes$"):
        list(clean_blocks(endless(), "t", longest=5000))


def compressed(name: str, data: bytes) -> bytes:
    if name == "gzip":
        return gzip.compress(data)
    if name == "bzip2":
        return bz2.compress(data)
    if name == "xz":
        return lzma.compress(data)
    if not shutil.which("zstd"):
        pytest.skip("the program zstd is not installed")
    return subprocess.run(["zstd", "-cq"], input=data, stdout=subprocess.PIPE, check=True).stdout


# --- groups of what arrives ------------------------------------------------------------------------------------------


@given(st.lists(st.integers()), st.integers(1, 7), st.booleans())
def test_groups_keep_order_and_size(items: list[int], size: int, wait: bool) -> None:
    groups = list(arriving(items, size, wait=wait))
    assert [item for group in groups for item in group] == items
    assert all(1 <= len(group) <= size for group in groups)
    assert not wait or all(len(group) == size for group in groups[:-1])


@pytest.mark.parametrize("wait", [True, False])
def test_an_error_comes_after_the_items_before_it(wait: bool) -> None:
    def failing() -> Iterator[int]:
        yield from range(5)
        raise InputError("t:6", "bad")

    found = []
    with pytest.raises(InputError, match=r"^t:6: bad$"):
        for group in arriving(failing(), 3, wait=wait):
            found += group
    assert found == [0, 1, 2, 3, 4]


def test_a_group_is_given_out_when_nothing_more_has_arrived() -> None:
    answered = threading.Event()

    def dialogue() -> Iterator[int]:
        yield 1
        assert answered.wait(10)
        yield 2

    groups = arriving(dialogue(), 64, wait=False)
    assert next(groups) == [1]
    answered.set()
    assert list(groups) == [[2]]


def test_reading_ahead_is_bounded_and_ends_with_the_reader() -> None:
    taken = 0

    def endless() -> Iterator[int]:
        nonlocal taken
        while True:
            taken += 1
            yield taken

    before = threading.active_count()
    groups = arriving(endless(), 10, wait=False)
    next(groups)
    groups.close()  # type: ignore[attr-defined]
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and thread.daemon:
            thread.join(5)
    assert threading.active_count() <= before
    assert taken < 200


# --- writing ---------------------------------------------------------------------------------------------------------


def test_a_file_is_there_whole_and_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "out"
    with whole_file(str(path), "w") as stream:
        stream.write("süß\n")
        assert not path.exists()
    assert path.read_bytes() == "süß\n".encode()
    assert os.listdir(tmp_path) == ["out"]


def test_a_failure_leaves_everything_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "out"
    path.write_text("old")
    for error in (ValueError, KeyboardInterrupt):
        with pytest.raises(error), whole_file(str(path)) as stream:
            stream.write(b"new")
            raise error
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["out"]


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o027, 0o640), (0o077, 0o600)])
def test_the_umask_is_honoured(tmp_path: Path, umask: int, mode: int) -> None:
    before = os.umask(umask)
    try:
        write_whole(str(tmp_path / "out"), b"data")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "out").stat().st_mode) == mode


def test_a_symbolic_link_stays_one(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("target")
    for data in (b"first", b"second"):
        write_whole(str(tmp_path / "link"), data)
        assert (tmp_path / "link").is_symlink()
        assert (tmp_path / "target").read_bytes() == data


def test_a_pipe_is_written_to_directly(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    found = []
    reader = threading.Thread(target=lambda: found.append(pipe.read_bytes()))
    reader.start()
    write_whole(str(pipe), b"data")
    reader.join()
    assert found == [b"data"]
    assert stat.S_ISFIFO(pipe.stat().st_mode)


@pytest.mark.skipif(not os.path.exists("/dev/fd"), reason="no /dev/fd")
def test_a_descriptor_is_written_to_where_it_stands(tmp_path: Path) -> None:
    """A shell's `>> log` must not lose what is there, as it would if /dev/stdout were opened anew or replaced."""
    with open(tmp_path / "log", "ab") as log:
        log.write(b"before\n")
        log.flush()
        write_whole(f"/dev/fd/{log.fileno()}", b"after\n")
    assert (tmp_path / "log").read_bytes() == b"before\nafter\n"


@pytest.mark.parametrize(
    ("suffix", "opened"), [(".gz", gzip.decompress), (".bz2", bz2.decompress), (".xz", lzma.decompress)]
)
def test_the_suffix_chooses_the_compression(tmp_path: Path, suffix: str, opened: object) -> None:
    for name in ("a", "b"):
        with whole_file(str(tmp_path / f"{name}{suffix}"), "w") as stream:
            stream.write("text\n" * 100)
    data = (tmp_path / f"a{suffix}").read_bytes()
    assert opened(data) == b"text\n" * 100  # type: ignore[operator]
    assert data == (tmp_path / f"b{suffix}").read_bytes(), "neither time nor name are in it"


@pytest.mark.skipif(not shutil.which("zstd"), reason="the program zstd is not installed")
def test_zstd_is_written_too(tmp_path: Path) -> None:
    write_whole(str(tmp_path / "a.zst"), b"text\n" * 100)
    assert (tmp_path / "a.zst").read_bytes().startswith(b"\x28\xb5\x2f\xfd")
    assert list(read_lines(str(tmp_path / "a.zst"))) == ["text"] * 100


def test_what_cannot_be_written_is_named_with_the_reason(tmp_path: Path) -> None:
    for name, reason in (("missing/out", "No such file or directory"), (".", "Is a directory")):
        path = str(tmp_path / name)
        with pytest.raises(OutputError) as caught:
            write_whole(path, b"data")
        assert (caught.value.where, caught.value.what) == (path, reason)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
def test_a_full_disk_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"^/dev/full: No space left on device$"):
        write_whole("/dev/full", b"data")


def test_a_dash_is_the_standard_output(monkeypatch: pytest.MonkeyPatch) -> None:
    memory = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(memory))
    with whole_file("-", "w") as stream:
        stream.write("é\n")
    write_whole("-", b"\xff")
    assert memory.getvalue() == "é\n".encode() + b"\xff"


@pytest.mark.parametrize(("code", "is_error"), [(errno.EIO, True), (errno.ENOSPC, True), (errno.EINVAL, False)])
def test_a_name_that_does_not_reach_the_disk_is_an_error_where_that_can_be_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, is_error: bool
) -> None:
    sync = os.fsync

    def fail(number: int) -> None:
        if stat.S_ISDIR(os.fstat(number).st_mode):
            raise OSError(code, os.strerror(code))
        sync(number)

    monkeypatch.setattr(os, "fsync", fail)
    path = str(tmp_path / "out")
    with pytest.raises(OutputError) if is_error else contextlib.nullcontext() as caught:
        write_whole(path, b"data")
    if caught is not None:
        assert str(caught.value) == f"{path}: {os.strerror(code)}"
