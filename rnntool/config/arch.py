"""Architecture strings: one short word names a stack of recurrent layers completely.

    NAME[:[LAYERSx]UNITS[SEPARATOR SECOND]][@DECAY][,WORD...]
    ngram[:[ORDERx]UNITS][,WORD...]

`lstm:2x650` is two layers of 650 units, `lstm:1024/256` projects each layer's output to 256, `scrn:100+40@0.95` has 100
fast and 40 slow units whose decay is 0.95, `elman:100,tanh` replaces the lecture's sigmoid; `ngram:5x100` is one layer of
100 units over the last four words.  This module knows which
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
        order: n of an n-gram, where the string names none, in place of layers; 0 where there are layers.
        functions: nonlinearities that may follow a comma, of which one holds, the first where none is named.
        words: what else may follow a comma.
        is_direct: whether its equation multiplies words, not embeddings, with the input matrix.
    """

    summary: str
    hidden_size: int = 200
    second: tuple[str, str] = ("", "")
    second_size: int = 0
    decay: float | None = None
    order: int = 0
    functions: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    is_direct: bool = False


FORMS = {
    "ngram": Form(
        "feed-forward network over the last words, ORDERxUNITS (Bengio et al. 2003)",
        hidden_size=100,
        order=5,
        functions=("tanh", "sigmoid"),
        words=("direct",),
    ),
    "elman": Form("simple recurrent network, sigmoid units", functions=("sigmoid", "tanh", "relu"), is_direct=True),
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
        functions=("sigmoid", "tanh"),
        is_direct=True,
    ),
    "mrnn": Form(
        "multiplicative network, UNITS/FACTORS (Sutskever et al. 2011)",
        second=("/", "factor_size"),
        second_size=200,
    ),
}
"""The known cells, in the order in which the lecture introduces them."""

_PATTERN = re.compile(
    r"(?P<cell>[a-z-]+)"
    r"(?::(?:(?P<number>\d{1,4})x)?(?P<hidden>\d{1,9})(?:(?P<mark>[/+])(?P<second>\d{1,9}))?)?"
    r"(?:@(?P<decay>\d*\.?\d+(?:e-\d{1,3})?))?"
    r"(?P<words>(?:,[a-z]+)*)",
    re.ASCII,
)


@dataclass(frozen=True)
class Arch:
    """A stack of equal layers.

    Args:
        cell: a key of `FORMS`.
        num_layers: L, at least 1.
        hidden_size: H, units of each layer; 0 only for an `scrn` that keeps its context units.
        second_size: the size that `FORMS[cell].second` names; 0 for none.
        decay: α of the slow state, in [0, 1]; None where the cell has none.
        words: the variants chosen: a function other than the first, then others, both in the order of `FORMS[cell]`.
        order: n of an n-gram; 0 where there is none.
    """

    cell: str
    num_layers: int
    hidden_size: int
    second_size: int
    decay: float | None
    words: tuple[str, ...]
    order: int = 0

    @property
    def output_size(self) -> int:
        """Width of what a layer hands upwards: H, or P where it projects, or H + C where slow units stand beside.

        The embeddings that a `direct` n-gram hands on, too, are not counted: how wide they are is not said here.
        """
        if self.cell == "lstm" and self.second_size:
            return self.second_size
        return self.hidden_size + (self.second_size if self.cell == "scrn" else 0)

    @property
    def function(self) -> str:
        """The nonlinearity, by name; empty where there is no choice."""
        functions = FORMS[self.cell].functions
        return next((word for word in self.words if word in functions), functions[0] if functions else "")

    def __str__(self) -> str:
        """The canonical string: `parse_arch(str(arch)) == arch`."""
        form = FORMS[self.cell]
        number = self.order or (self.num_layers if self.num_layers > 1 else 0)
        text = f"{self.cell}:{f'{number}x' if number else ''}{self.hidden_size}"
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
    number = int(match["number"] or form.order or 1)
    second_size = form.second_size if not match["hidden"] else 0
    if match["mark"]:
        if match["mark"] != form.second[0]:
            raise refuse(f"'{text}' is not of the form {usage(name)}")
        second_size = int(match["second"])
        if second_size == 0 and name != "scrn":
            raise refuse(f"'{text}' {'projects to 0 units' if name == 'lstm' else 'has no factors'}")
    elif name == "scrn":
        second_size = form.second_size
    elif name == "mrnn":
        second_size = hidden_size
    if match["decay"] and form.decay is None:
        raise refuse(f"'{name}' has no decay, '{text}' names one")
    decay = float(match["decay"]) if match["decay"] else form.decay
    if decay is not None and not 0 <= decay <= 1:
        raise refuse(f"a decay lies between 0 and 1, '{text}' says {decay:g}")
    given = [word for word in match["words"].split(",") if word]
    variants = (*form.functions, *form.words)
    unknown = [word for word in given if word not in variants]
    if unknown:
        known = f"known are {', '.join(variants)}" if variants else "it has none"
        raise refuse(f"'{name}' has no variant '{unknown[0]}'; {known}")
    functions = set(form.functions).intersection(given)
    if len(functions) > 1:
        raise refuse(f"'{text}' names {len(functions)} variants of which one can hold")
    if number < 1 or (hidden_size < 1 and not (name == "scrn" and second_size > 0)):
        raise refuse(f"'{text}' has no {'layers' if number < 1 else 'units'}")
    if form.order and number < 2:
        raise refuse(f"'{text}' sees no word: an order is at least 2")
    words = tuple(word for word in variants[bool(form.functions) :] if word in given)  # the first function goes unsaid
    return Arch(name, 1 if form.order else number, hidden_size, second_size, decay, words, number if form.order else 0)


def usage(cell: str) -> str:
    """How the strings of a cell look: `scrn:[LAYERSx]UNITS+CONTEXT@DECAY[,learn][,prev]`."""
    form = FORMS[cell]
    second = {"proj_size": "[/SIZE]", "context_size": "[+CONTEXT]", "factor_size": "[/FACTORS]", "": ""}[form.second[1]]
    decay = "" if form.decay is None else "[@DECAY]"
    words = ["|".join(form.functions)] if form.functions else []
    variants = "".join(f"[,{word}]" for word in (*words, *form.words))
    return f"{cell}:[{'ORDER' if form.order else 'LAYERS'}x]UNITS{second}{decay}{variants}"
