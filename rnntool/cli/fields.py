"""A result as a line of fields for eyes, or as a JSON object for programs."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from rnntool.cli import report


def as_line(result: str, fields: Mapping[str, object]) -> str:
    """`RESULT | key:value | key:value`, and the end of the line."""
    return " | ".join([result, *(f"{key}:{value}" for key, value in fields.items())]) + "\n"


def as_object(values: Mapping[str, Any]) -> str:
    """One object on a line; a number that JSON cannot hold (nothing was counted, or past all floats) is null."""
    return json.dumps(_holdable(values), ensure_ascii=False) + "\n"


def token_record(sentence: int, position: int, token: str, logprob: float, flags: str, *, as_json: bool) -> str:
    """What `score --tokens` writes about a token: five columns, or an object with their names."""
    if not as_json:
        return f"{sentence}\t{position}\t{token}\t{logprob:.6f}\t{flags}\n"
    names = ("sentence", "position", "token", "logprob", "flags")
    return as_object(dict(zip(names, (sentence, position, token, logprob, flags), strict=True)))


def spelled(name: str) -> str:
    """A file's name on one line, bytes that are not UTF-8 as backslash, x and two digits."""
    return report.one_line(name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace"))


def _holdable(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _holdable(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_holdable(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
