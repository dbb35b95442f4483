r"""Is this an ARPA file?  Known by its beginning: nothing but blank lines and comments before `\data\`.

Here, apart from what reads it, so that a command can ask before it knows what it will have to import.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

HEAD = 1 << 16
r"""Bytes, decompressed, among which `\data\` must come."""

_COMMENTS = rb"(?:\xef\xbb\xbf)?(?:[ \t]*(?:#[^\n]*)?\r?\n)*+"
_ARPA = re.compile(_COMMENTS + rb"[ \t]*\\data\\[ \t]*\r?\n")
_UNDECIDED = re.compile(_COMMENTS + rb"[ \t]*(?:#[^\n]*|\\[dat\\]{0,5}[ \t]*\r?)?\Z")


def is_arpa(head: bytes) -> bool:
    """Whether a file that begins so, decompressed, is an ARPA file."""
    return _ARPA.match(head) is not None


def take_head(chunks: Iterator[bytes]) -> bytes:
    """As much of the beginning of a stream as `is_arpa` needs."""
    head = b""
    for chunk in chunks:
        head += chunk
        if len(head) >= HEAD or not _UNDECIDED.match(head):
            break
    return head
