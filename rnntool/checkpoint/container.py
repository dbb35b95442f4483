"""One file of tensors and facts that knows whether it is undamaged.

A container is a safetensors file whose metadata has exactly one key, `rnntool`, holding sorted JSON (with more keys,
safetensors writes them in a new order every time).  The JSON's `sha256` is the hash of the whole file with 64 zeros in
its place, so that a change of any byte is seen; safetensors alone notices less than half of flipped bits.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from pathlib import Path
from typing import Any

import safetensors.torch
from safetensors import SafetensorError
from torch import Tensor

from rnntool import __version__
from rnntool.errors import InputError, ModelError, NewerError
from rnntool.text.files import whole_file

KEY = "rnntool"
FORMAT = 1
"""Format number of what this version writes; it reads every number up to it."""

MAX_HEADER = 1 << 20
"""Longest header that is parsed, in bytes; ours are a few kilobytes."""

MAX_TENSORS = 4096
"""Most tensors a file may hold; ours have less than two hundred."""

_ZEROS = "0" * 64
_PLACE = rb"\"sha256\":\""
"""What stands before the hash in the header, where the JSON is a string within JSON; facts cannot imitate it together
with 64 zeros, since their own quotation marks are escaped twice."""

Facts = dict[str, Any]


def write_container(path: str, kind: str, facts: Facts, tensors: dict[str, Tensor]) -> str:
    """Write a container, whole and durable, and return its hash.

    Args:
        path: where.
        kind: what it is, `model` or `state`.
        facts: anything JSON holds; the same facts and tensors give the same bytes.
        tensors: by name; shared storage is written as often as it is named.

    Raises:
        OutputError: the disk does not take it.
    """
    header = {"format": FORMAT, "kind": kind, "sha256": _ZEROS, "version": __version__, **facts}
    text = json.dumps(header, sort_keys=True, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    own = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    data = safetensors.torch.save(own, metadata={KEY: text})
    del own
    digest = hashlib.sha256(data).hexdigest()
    end = 8 + int.from_bytes(data[:8], "little")
    with whole_file(path) as stream:
        stream.write(data[:end].replace(_PLACE + _ZEROS.encode(), _PLACE + digest.encode(), 1))
        stream.write(memoryview(data)[end:])
    return digest


def read_container(path: str, kind: str, data: bytes | None = None) -> tuple[Facts, dict[str, Tensor]]:
    """The facts and tensors of a container; a pipe is read to its end.

    Args:
        path: where it is.
        kind: what it must be.
        data: its bytes, where they have been read already.

    Raises:
        InputError: the file cannot be read.
        NewerError: it is from the future.
        ModelError: it is not a container, of another kind, or damaged.
    """
    if data is None:
        data = _read(path)
    facts = _facts(path, data)
    if facts.get("kind") != kind:
        raise ModelError(path, f"this is a {facts.get('kind')} file, not a {kind} file")
    digest = str(facts["sha256"])
    whole = data.replace(_PLACE + digest.encode(), _PLACE + _ZEROS.encode(), 1)
    if hashlib.sha256(whole).hexdigest() != digest:
        raise ModelError(path, "damaged: its content does not have the hash that it names")
    try:
        # cloned, for theirs lie anywhere in memory, and products of them could be summed in another order
        return facts, {name: tensor.clone() for name, tensor in safetensors.torch.load(data).items()}
    except (SafetensorError, ValueError, KeyError, RuntimeError) as error:
        raise ModelError(path, f"damaged: {error}") from error


def is_begun(head: bytes) -> bool:
    """Whether a file that begins so may be a container."""
    return _header_size(head) is not None


def read_facts(path: str) -> Facts:
    """The facts of a container alone, from its header; the hash is not checked."""
    with _open(path) as file:
        head = file.read(8 + MAX_HEADER)
    return _facts(path, head)


def _open(path: str) -> Any:
    try:
        if stat.S_ISDIR(os.stat(path).st_mode):
            raise ModelError(path, "is a directory, not a model file")
        return Path(path).open("rb")
    except OSError as error:
        raise InputError(path, error.strerror or str(error)) from None


def _read(path: str) -> bytes:
    with _open(path) as file:
        try:
            start = file.read(8)
            if _header_size(start) is None:
                raise _foreign(path)
            return bytes(start + file.read())
        except OSError as error:
            raise InputError(path, error.strerror or str(error)) from None


def _header_size(data: bytes) -> int | None:
    """The length of a safetensors header; None if these are not the first bytes of one that may be ours."""
    size = int.from_bytes(data[:8], "little")
    return size if len(data) >= 8 and 2 <= size <= MAX_HEADER else None


def _facts(path: str, data: bytes) -> Facts:
    """The JSON of the one metadata key, checked for everything but the content's hash."""
    size = _header_size(data)
    if size is None or data[8:9] != b"{" or len(data) < 8 + size:
        raise _foreign(path)
    try:
        header = json.loads(data[8 : 8 + size])
        metadata = header.pop("__metadata__")
        facts = json.loads(metadata[KEY], parse_constant=_refuse_constant)
        if list(metadata) != [KEY] or not isinstance(facts, dict):
            raise _foreign(path)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise _foreign(path) from None
    number = facts.get("format")
    if not isinstance(number, int):
        raise _foreign(path)
    if number > FORMAT:
        raise NewerError(path, f"format {number}; rnntool {__version__} reads up to {FORMAT}", "a newer rnntool")
    if len(header) > MAX_TENSORS:
        raise ModelError(path, f"{len(header)} tensors; at most {MAX_TENSORS} can be ours")
    sha256 = facts.get("sha256")
    if not isinstance(sha256, str) or len(sha256) != 64 or data.find(_PLACE + sha256.encode(), 8, 8 + size) < 0:
        raise ModelError(path, "damaged: it names no hash of its content")
    return facts


def _foreign(path: str) -> ModelError:
    return ModelError(path, "not an rnntool model")


def _refuse_constant(name: str) -> float:
    raise ValueError(name)
