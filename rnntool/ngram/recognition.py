r"""Is this an ARPA file, or a forest?  An ARPA file has nothing but blank lines and comments before `\data\`.

A forest is a container, whose header names its kind.

Here, apart from what reads it, so that a command can ask before it knows what it will have to import.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

HEAD = 1 << 16
r"""Bytes, decompressed, among which `\data\` must come."""

FOREST = "forest"
"""The kind of container that holds one."""

_COMMENTS = rb"(?:\xef\xbb\xbf)?(?:[ \t]*(?:#[^\n]*)?\r?\n)*+"
_ARPA = re.compile(_COMMENTS + rb"[ \t]*\\data\\[ \t]*\r?\n")
_UNDECIDED = re.compile(_COMMENTS + rb"[ \t]*(?:#[^\n]*|\\[dat\\]{0,5}[ \t]*\r?)?\Z")


def is_arpa(head: bytes) -> bool:
    """Whether a file that begins so, decompressed, is an ARPA file."""
    return _ARPA.match(head) is not None


def is_forest(head: bytes) -> bool:
    """Whether a file that begins so is a container that holds a forest.

    The header's JSON is a string within JSON, so that facts cannot imitate the name: their quotation marks are escaped
    twice.
    """
    size = int.from_bytes(head[:8], "little")
    return head[8:9] == b"{" and head.find(rb"\"kind\":\"%b\"" % FOREST.encode(), 8, 8 + size) > 0


def take_head(chunks: Iterator[bytes]) -> bytes:
    """As much of the beginning of a stream as `is_arpa` needs."""
    head = b""
    for chunk in chunks:
        head += chunk
        if len(head) >= HEAD or not _UNDECIDED.match(head):
            break
    return head
