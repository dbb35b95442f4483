"""Reading metrics.jsonl, the course of a run.  Needs no torch, so that curves are drawn at once."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any

from rnntool.errors import InputError
from rnntool.text.files import read_lines, shown

Record = dict[str, Any]
"""One report or validation; a key that is not there was not measured."""


def find_metrics(path: str) -> str:
    """The metrics of a run: those in a run directory, or the file itself."""
    return os.path.join(path, "metrics.jsonl") if os.path.isdir(path) else path


def read_metrics(path: str) -> Iterator[Record]:
    """The records of a file in their order.

    Raises:
        InputError: with the line that is not a record, or does not come after the one before; those before it have been
            yielded.
    """
    last = -1
    for number, line in enumerate(read_lines(path), 1):
        where = f"{shown(path)}:{number}"
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as error:
            reason = error.msg if isinstance(error, json.JSONDecodeError) else "too deep"
            raise InputError(where, f"not JSON: {reason.lower()}") from None
        step = record.get("step") if isinstance(record, dict) else None
        if not isinstance(step, int):
            raise InputError(where, "not a record of a run: it names no step")
        if step <= last:
            raise InputError(where, f"step {step} comes after step {last}")
        last = step
        yield record
