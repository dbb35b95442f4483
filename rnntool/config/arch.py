"""Architecture strings: one short word names a stack of recurrent layers completely.

    NAME[:[LAYERSx]UNITS[SEPARATOR SECOND]][@DECAY][,WORD...]

`lstm:2x650` is two layers of 650 units, `lstm:1024/256` projects each layer's output to 256, `scrn:100+40@0.95` has 100
fast and 40 slow units whose decay is 0.95, `elman:100,tanh` replaces the lecture's sigmoid.  This module knows which
names, sizes and words exist; it does not know what they compute (that is `rnntool.nn.cells`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from rnntool.errors import OptionError


@dataclass(frozen=True)
class Form:
    """Which parts the string of one cell may have.

    Args:
        summary: what the cell is, in a few words, for `--help`, error messages and man pages.
        hidden_size: units where the string names none.
        second: the character before the second size and that size's name; empty if the cell has none.
        second_size: the second size where the string names none.
        decay: the decay where the string names none; None if the cell has no decay.
        words: what may follow a comma.
        exclusive: whether at most one of the words may be given.
        is_direct: whether its equation multiplies words, not embeddings, with the input matrix.
    """

    summary: str
    hidden_size: int = 200
    second: tuple[str, str] = ("", "")
    second_size: int = 0
    decay: float | None = None
    words: tuple[str, ...] = ()
    exclusive: bool = False
    is_direct: bool = False


FORMS = {
    "elman": Form(
        "simple recurrent network, sigmoid units", words=("sigmoid", "tanh", "relu"), exclusive=True, is_direct=True
    ),
    "lstm": Form("long short-term memory; UNITS/SIZE projects its output", second=("/", "proj_size")),
    "gru": Form("gated recurrent unit, reset after the recurrent product (torch, cuDNN)"),
    "gru-before": Form("gated recurrent unit, reset before the recurrent product (Cho et al. 2014)"),
    "scrn": Form(
        "structurally constrained network, UNITS+CONTEXT@DECAY",
        hidden_size=100,
        second=("+", "context_size"),
        second_size=40,
        decay=0.95,
        words=("learn", "prev"),
        is_direct=True,
    ),
    "trace": Form("exponential trace of the inputs (Mozer 1989)", decay=0.95, words=("learn",)),
    "jordan": Form(
        "context of decaying outputs (Jordan 1986)",
        decay=0.5,
        words=("sigmoid", "tanh"),
        exclusive=True,
        is_direct=True,
    ),
}
"""The known cells, in the order in which the lecture introduces them."""

_PATTERN = re.compile(
    r"(?P<cell>[a-z-]+)"
    r"(?::(?:(?P<layers>\d{1,4})x)?(?P<hidden>\d{1,9})(?:(?P<mark>[/+])(?P<second>\d{1,9}))?)?"
    r"(?:@(?P<decay>\d*\.?\d+(?:e-\d{1,3})?))?"
    r"(?P<words>(?:,[a-z]+)*)",
    re.ASCII,
)


@dataclass(frozen=True)
class Arch:
    """A stack of equal recurrent layers.

    Args:
        cell: a key of `FORMS`.
        num_layers: L, at least 1.
        hidden_size: H, units of each layer; 0 only for an `scrn` that keeps its context units.
        second_size: the size that `FORMS[cell].second` names; 0 for none.
        decay: α of the slow state, in [0, 1]; None where the cell has none.
        words: the variants chosen, in the order of `FORMS[cell].words`.
    """

    cell: str
    num_layers: int
    hidden_size: int
    second_size: int
    decay: float | None
    words: tuple[str, ...]

    @property
    def output_size(self) -> int:
        """Width of what a layer hands upwards: H, or P where it projects, or H + C where slow units stand beside."""
        if self.cell == "lstm" and self.second_size:
            return self.second_size
        return self.hidden_size + self.second_size

    def __str__(self) -> str:
        """The canonical string: `parse_arch(str(arch)) == arch`."""
        form = FORMS[self.cell]
        text = f"{self.cell}:{f'{self.num_layers}x' if self.num_layers > 1 else ''}{self.hidden_size}"
        if form.second_size or self.second_size:
            text += f"{form.second[0]}{self.second_size}"
        if self.decay is not None:
            text += f"@{self.decay!r}".removesuffix(".0")
        return ",".join([text, *self.words])


def parse_arch(text: str, *, option: str = "--arch") -> Arch:
    """The stack that `text` names.

    Raises:
        OptionError: the string is not of the form above, names an unknown cell or word, or a size of zero.
    """

    def refuse(what: str, hint: str = "") -> OptionError:
        return OptionError(option, what, hint)

    match = _PATTERN.fullmatch(text)
    name = match["cell"] if match else re.split(r"[:@,]", text)[0]
    if name not in FORMS:
        raise refuse(f"unknown network '{name}'; known are {', '.join(FORMS)}")
    form = FORMS[name]
    if match is None:
        raise refuse(f"'{text}' is not of the form {usage(name)}")
    hidden_size = int(match["hidden"]) if match["hidden"] else form.hidden_size
    num_layers = int(match["layers"] or 1)
    second_size = form.second_size if not match["hidden"] else 0
    if match["mark"]:
        if match["mark"] != form.second[0]:
            raise refuse(f"'{text}' is not of the form {usage(name)}")
        second_size = int(match["second"])
        if second_size == 0 and name == "lstm":
            raise refuse(f"'{text}' projects to 0 units")
    elif name == "scrn":
        second_size = form.second_size
    if match["decay"] and form.decay is None:
        raise refuse(f"'{name}' has no decay, '{text}' names one")
    decay = float(match["decay"]) if match["decay"] else form.decay
    if decay is not None and not 0 <= decay <= 1:
        raise refuse(f"a decay lies between 0 and 1, '{text}' says {decay:g}")
    given = [word for word in match["words"].split(",") if word]
    unknown = [word for word in given if word not in form.words]
    if unknown:
        known = f"known are {', '.join(form.words)}" if form.words else "it has none"
        raise refuse(f"'{name}' has no variant '{unknown[0]}'; {known}")
    if form.exclusive and len(set(given)) > 1:
        raise refuse(f"'{text}' names {len(set(given))} variants of which one can hold")
    if num_layers < 1 or (hidden_size < 1 and not (name == "scrn" and second_size > 0)):
        raise refuse(f"'{text}' has no {'layers' if num_layers < 1 else 'units'}")
    words = tuple(word for word in form.words if word in given)
    if form.exclusive and words[:1] == form.words[:1]:
        words = ()  # the first word is what the plain name means
    return Arch(name, num_layers, hidden_size, second_size, decay, words)


def usage(cell: str) -> str:
    """How the strings of a cell look: `scrn:[LAYERSx]UNITS+CONTEXT@DECAY[,learn][,prev]`."""
    form = FORMS[cell]
    second = {"proj_size": "[/SIZE]", "context_size": "[+CONTEXT]", "": ""}[form.second[1]]
    decay = "" if form.decay is None else "[@DECAY]"
    words = "[," + "|".join(form.words) + "]" if form.exclusive else "".join(f"[,{word}]" for word in form.words)
    return f"{cell}:[LAYERSx]UNITS{second}{decay}{words}"
