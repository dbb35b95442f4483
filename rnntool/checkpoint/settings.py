"""Settings as TOML: flat, keys as the command line spells them."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from typing import Any

from rnntool.errors import InputError, OutputError
from rnntool.text.files import write_whole

Settings = dict[str, Any]


def write_settings(path: str, settings: Mapping[str, Any], comment: str) -> None:
    """Write settings, whole; None is left out, sequences become arrays.

    Raises:
        OutputError: the disk does not take them, or TOML cannot hold one.
    """
    lines = [f"# {comment}".encode()]
    for key, value in settings.items():
        try:
            lines += [] if value is None else [f"{key} = {_toml(value)}".encode()]
        except UnicodeEncodeError:
            raise OutputError(path, f"--{key} holds a name that is not UTF-8") from None
    write_whole(path, b"\n".join(lines) + b"\n")


def read_settings(path: str) -> Settings:
    """Read settings.

    Raises:
        InputError: the file cannot be read or is not TOML.
    """
    try:
        with open(path, "rb") as file:
            return tomllib.load(file)
    except OSError as error:
        raise InputError(path, error.strerror or str(error)) from None
    except RecursionError:
        raise InputError(path, "not TOML: too deep") from None
    except ValueError as error:  # no TOML, no UTF-8, or a number of too many digits
        raise InputError(path, f"not TOML: {error}") from None


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_toml(each) for each in value) + "]"
    return repr(value)
