r"""Manual pages as plain text, for machines without man(1) and mandoc(1).

`render` knows the part of mdoc(7) that rnntool's pages use, and nothing about where pages lie or who reads them.  A
line that begins with a dot is a macro and its arguments; among these, other macros may follow (`.Op Fl o Ar FILE`).
Text is filled; what stands between `.Bd -literal` and `.Ed` is not.
"""

from __future__ import annotations

import re
import textwrap
import unicodedata
from collections.abc import Iterator

WIDTH = 79
"""Columns of the text, as in all help."""

# Escapes of roff: \& nothing, \- and \(hy a hyphen, \e a backslash, \(aq and \(dq quotes, \(*S a capital sigma …
_ESCAPES = {
    "&": "", "-": "-", "e": "\\", "~": " ", " ": " ", "(hy": "-", "(en": "–", "(em": "—", "(aq": "'", "(dq": '"',
    "(bu": "•", "(->": "→", "(<=": "≤", "(>=": "≥", "(*S": "Σ", "(*a": "α", "(*l": "λ", "(mu": "×", "(co": "©",
    "(lq": "“", "(rq": "”", "(rs": "\\", "(ti": "~", "(ha": "^", "(ga": "`", "(mi": "−",
}  # fmt: skip
_ACCENTS = {"'": "\u0301", ":": "\u0308", "`": "\u0300", "^": "\u0302", "~": "\u0303", "ah": "\u030c"}
_ESCAPE = re.compile(r"\\(?:\[(?P<named>[^\]]+)\]|(?P<two>\(..)|(?P<one>.))")

_ARGUMENT = re.compile(r'"((?:[^"\\]|\\.)*)"|(\S+)')
_CLOSING = set(".,:;)]?!")
_ENCLOSED = {"Op": "[]", "Sq": "‘’", "Dq": "“”", "Pq": "()", "Qq": '""', "Ql": "‘’", "Aq": "<>", "Brq": "{}"}
_PLAIN = {"An", "Ar", "Cm", "Dv", "Em", "Er", "Ev", "Fa", "Ic", "Li", "Lk", "Mt", "No", "Pa", "Sy", "Tn", "Ux", "Va"}
_REFERENCE = {"%A", "%B", "%D", "%I", "%J", "%N", "%O", "%P", "%R", "%T", "%U", "%V"}


def render(source: str) -> str:
    """The page as plain text.

    Args:
        source: the text of an mdoc page.
    """
    return "\n".join(_Page().lines(source)) + "\n"


class _Page:
    """One rendering under way: the text gathered for the paragraph, and how deep it stands."""

    def __init__(self) -> None:
        self.name = ""
        self.words: list[str] = []
        self.indents: list[int] = [0]
        self.tag: str | None = None
        self.literal = False
        self.authors: list[str] = []
        self.reference: dict[str, str] = {}

    def lines(self, source: str) -> Iterator[str]:
        for line in source.replace("\\\n", "").split("\n"):
            if line.startswith('.\\"'):
                continue
            if line.startswith("."):
                yield from self.macro(line[1:].strip())
            elif self.literal:
                yield f"{self.margin()}{unescaped(line)}"
            elif line:
                self.words.append(unescaped(line))
        yield from self.paragraph()

    def margin(self) -> str:
        return " " * sum(self.indents)

    def paragraph(self) -> Iterator[str]:
        """What was gathered, filled; a list's tag stands on a line of its own before it."""
        if self.tag is not None:
            yield " " * sum(self.indents[:-1]) + self.tag
            self.tag = None
        text = " ".join(word for word in self.words if word)
        self.words = []
        if text:
            margin = self.margin()
            fill = textwrap.TextWrapper(WIDTH, initial_indent=margin, subsequent_indent=margin, break_on_hyphens=False)
            yield from fill.wrap(text)

    def macro(self, line: str) -> Iterator[str]:
        name, _, rest = line.partition(" ")
        match name:
            case "Dd" | "Dt" | "Os" | "Bk" | "Ek":
                return
            case "Sh" | "Ss":
                yield from self.paragraph()
                self.indents = [5]
                yield from ("", f"{'' if name == 'Sh' else '   '}{unescaped(rest)}")
            case "Pp":
                yield from self.paragraph()
                yield ""
            case "Nd":
                self.words.append(f"– {unescaped(rest)}")
            case "Nm" if rest and not self.name:
                self.name = rest
                self.words.append(rest)
            case "Nm" if rest and rest not in _CLOSING:  # the start of a line of the synopsis
                yield from self.paragraph()
                self.words.append(rest)
            case "Bl":
                yield from self.paragraph()
                self.indents.append(6)
            case "El":
                yield from self.paragraph()
                self.indents.pop()
            case "It":
                yield from self.paragraph()
                if "compact" not in rest:
                    yield ""
                self.tag = self.inline(rest)
            case "Dl" | "D1":
                yield from self.paragraph()
                yield f"{self.margin()}      {self.inline(rest) if name == 'D1' else unescaped(rest)}"
            case "Bd":
                yield from self.paragraph()
                if "compact" not in rest:
                    yield ""
                self.indents.append(6)
                self.literal = "literal" in rest or "unfilled" in rest
            case "Ed":
                yield from self.paragraph()
                self.literal = False
                self.indents.pop()
            case "Rs":
                yield from self.paragraph()
                yield ""
            case "Re":
                *others, last = self.authors or [""]
                names = f"{', '.join(others)}{', and ' if len(others) > 1 else ' and '}{last}" if others else last
                if "%T" in self.reference and {"%B", "%J"} & set(self.reference):  # a part of something
                    self.reference["%T"] = f"“{self.reference['%T']}”"
                self.words.append(", ".join([names, *self.reference.values()]) + ".")
                self.authors, self.reference = [], {}
                yield from self.paragraph()
            case "%A":
                self.authors.append(unescaped(rest))
            case _ if name in _REFERENCE:
                self.reference[name] = unescaped(rest)
            case _ if self.literal:
                yield f"{self.margin()}{self.inline(line)}"
            case _:
                self.words.append(self.inline(line))

    def inline(self, line: str) -> str:
        """A macro line as running text."""
        return self.words_of([quoted or bare for quoted, bare in _ARGUMENT.findall(line)])

    def words_of(self, arguments: list[str]) -> str:
        if not arguments:
            return ""
        name, *rest = arguments
        if name in _ENCLOSED:
            inner, closing = _without_closing(rest)
            return _ENCLOSED[name][0] + self.words_of(inner) + _ENCLOSED[name][1] + closing
        text, glue, position = "", "", 0
        flag = False
        while position < len(arguments):
            word = arguments[position]
            position += 1
            if word in _ENCLOSED:
                return text + glue + self.words_of(arguments[position - 1 :])
            if word == "Fl":
                flag = True
                if position == len(arguments) or arguments[position] in _PLAIN:
                    text, glue, flag = f"{text}{glue}-", " ", False
                continue
            if word == "Ns":
                glue = ""
                continue
            if word == "Nm":
                text, glue, flag = f"{text}{glue}{self.name}", " ", False
                continue
            if word == "Xr" and position + 1 < len(arguments):
                text, glue = f"{text}{glue}{arguments[position]}({arguments[position + 1]})", " "
                position += 2
                continue
            if word in _PLAIN:
                flag = False
                continue
            if word in _CLOSING:
                text += word
            else:
                text += f"{glue}{'-' if flag else ''}{unescaped(word)}"
            glue = " "
        return text


def _without_closing(arguments: list[str]) -> tuple[list[str], str]:
    """Arguments and the punctuation that follows them."""
    end = len(arguments)
    while end and arguments[end - 1] in _CLOSING:
        end -= 1
    return arguments[:end], "".join(arguments[end:])


def unescaped(text: str) -> str:
    """Text with the escapes of roff replaced by what they stand for."""

    def replace(match: re.Match[str]) -> str:
        named, two, one = match["named"], match["two"], match["one"]
        if named is not None:
            return (
                chr(int(named[1:], 16)) if re.fullmatch(r"u[0-9A-F]{4,6}", named) else _ESCAPES.get(f"({named}", named)
            )
        key = two or one
        if two and two[1] in _ACCENTS:  # \('e: an accent on a letter
            return two[2] + _ACCENTS[two[1]]
        return _ESCAPES.get(key, key.lstrip("("))

    return unicodedata.normalize("NFC", _ESCAPE.sub(replace, text))
