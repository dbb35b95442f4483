"""Translations beside references: how they are compared, and that they are line for line."""

from __future__ import annotations

import click

from rnntool.cli import options
from rnntool.config.metrics import TOKENIZERS, MetricConfig
from rnntool.errors import InputError

tokenize = options.option(
    "--tokenize",
    type=click.Choice(TOKENIZERS),
    metavar="HOW",
    default=MetricConfig.tokenize,
    help="How BLEU cuts lines into words: 13a, none, intl, char, zh and others.",
)
"""--tokenize HOW: a name of `TOKENIZERS`."""

lowercase = options.option("--lowercase", is_flag=True, help="Ignore case in BLEU and chrF.")
"""--lowercase: a flag."""


def require_same_length(one: tuple[str, int], other: tuple[str, int]) -> None:
    """Raise InputError if two texts, each a path and a number of lines, cannot be line for line."""
    from rnntool.text.files import shown

    if one[1] == other[1]:
        return
    first, second = (f"{shown(path)} has {counted(number)}" for path, number in (one, other))
    hint = "" if "-" in (one[0], other[0]) else f"paste {one[0]} {other[0]} | less"
    raise InputError("", f"{first}, {second}; line n of one answers line n of the other", hint)


def counted(number: int) -> str:
    """A number of lines, in words of a message."""
    return f"{number} line{'s' * (number != 1)}"
