"""How a network is conditioned on a source: the strings of `--encoder` and `--link`.

--encoder none | bag | ARCH | bi-ARCH
--link    none | init | each | attention[:mlp|dot|general]
"""

from __future__ import annotations

from dataclasses import dataclass

from rnntool.config.arch import FORMS, Arch, parse_arch
from rnntool.errors import OptionError

ATTENTIONS = ("mlp", "dot", "general")
"""Kinds of attention, the first of them what `attention` alone means."""

WHENS = ("prev", "cur")
"""With which of the decoder's states it attends: that before a word, or that after."""


@dataclass(frozen=True)
class EncoderArch:
    """What reads a source.

    Args:
        arch: its layers; None for a bag of words.
        is_both: whether each layer reads in both directions.
    """

    arch: Arch | None
    is_both: bool = False

    def output_size(self, embed_size: int) -> int:
        """D, width of a position's vector, for embeddings of width `embed_size`."""
        return embed_size if self.arch is None else self.arch.output_size * (1 + self.is_both)


@dataclass(frozen=True)
class LinkKind:
    """How what was read reaches the decoder.

    Args:
        attention: a kind, `equal` for `each`; empty for `init`.
        is_ahead: whether a context comes before the decoder's step.
    """

    attention: str
    is_ahead: bool


def parse_encoder(text: str) -> EncoderArch | None:
    """The encoder that `text` names; None for `none`.

    Raises:
        OptionError: it is none of the forms above.
    """
    if text == "none":
        return None
    if text == "bag":
        return EncoderArch(None)
    is_both = text.startswith("bi-")
    name = text.removeprefix("bi-")
    if name.split(":")[0] not in FORMS:
        known = f"none, bag, {', '.join(FORMS)}, and bi- before any of these networks"
        raise OptionError("--encoder", f"unknown encoder '{text}'; known are {known}")
    return EncoderArch(parse_arch(name, option="--encoder"), is_both)


def parse_link(text: str, attend_with: str) -> LinkKind | None:
    """The link that `text` names; None for `none`.

    Args:
        text: as above.
        attend_with: one of `WHENS`, or empty for what suits the kind: `prev` for mlp, `cur` for the products.

    Raises:
        OptionError: it is none of the forms above, or `attend_with` is of no use.
    """
    name, _, kind = text.partition(":")
    if name == "attention":
        kind = kind or ATTENTIONS[0]
        if kind not in ATTENTIONS:
            raise OptionError("--link", f"unknown attention '{kind}'; known are {', '.join(ATTENTIONS)}")
        return LinkKind(kind, (attend_with or ("prev" if kind == "mlp" else "cur")) == "prev")
    if text not in ("none", "init", "each"):
        raise OptionError("--link", f"unknown link '{text}'; known are none, init, each, attention[:KIND]")
    if attend_with:
        raise OptionError("--attend-with", f"--link {text} does not attend", "--link attention")
    return {"none": None, "init": LinkKind("", False), "each": LinkKind("equal", True)}[text]
