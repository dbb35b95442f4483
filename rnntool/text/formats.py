r"""The text forms of a vocabulary: rnntool's own, and four that other programs write.

Own: `token⇥count[⇥class]`, the special tokens first, then by falling count.  A vocabulary of words has no header; the
first line of any other is `#unit⇥char` or `#unit⇥byte`, and its tokens are escaped: `\\` a backslash, `\t` a tab,
`\s` a space, `\xNN` a control character.

Others, known by their first lines, and given `<unk>` and `</s>` where they lack them:
    word                a plain list
    word count          fairseq's dict.txt
    word id             Kaldi's words.txt, from `<eps> 0` on; `<eps>`, `<s>` and `#0`, `#1`, ... are left out
    CLASS prob word     SRILM's word classes

A vocabulary in a model or on a disk is a list in the order of ids; nothing here looks a token up.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NoReturn

from rnntool.errors import InputError

UNK = "<unk>"
EOS = "</s>"
SPECIALS = (UNK, EOS)
"""What every vocabulary has, and begins with when rnntool makes it."""

CONTROLS = ("</s>", "<s>", "<pad>")
"""Tokens that say something about text and never are text: a word spelled like one is an unknown word."""

LONGEST = 1 << 16  # bytes of a token

UNITS = ("word", "char", "byte", "spm")
ESCAPED_UNITS = ("char", "byte")

_ESCAPES = {"\\": r"\\", "\t": r"\t", " ": r"\s"}
_ESCAPED = re.compile("[\\\\ \x00-\x1f\x7f-\x9f]")
_ESCAPE = re.compile(r"\\(?:([\\ts])|x([0-9a-f]{2}))?")
_UNESCAPES = {"\\": "\\", "t": "\t", "s": " "}


@dataclass(frozen=True)
class Listing:
    """What a vocabulary file says."""

    unit: str
    """`word`, `char` or `byte`."""
    tokens: tuple[str, ...]
    """Spellings by id, without escapes."""
    counts: tuple[int, ...]
    """Occurrences in the text that it was made from; 0 where not known."""
    classes: tuple[int, ...] | None = None
    """Class of every token, from 0; None if there are none."""


def escape(token: str) -> str:
    r"""The spelling of a character or special token without white space and control characters."""
    return _ESCAPED.sub(lambda match: _ESCAPES.get(match[0]) or f"\\x{ord(match[0]):02x}", token)


def unescape(spelling: str) -> str:
    """The token that `escape` spelled so.

    Raises:
        ValueError: a backslash that begins no escape.
    """
    return _ESCAPE.sub(_unescaped, spelling) if "\\" in spelling else spelling


def _unescaped(match: re.Match[str]) -> str:
    if match[1]:
        return _UNESCAPES[match[1]]
    if match[2]:
        return chr(int(match[2], 16))
    raise ValueError(match.string)


def to_bytes(listing: Listing) -> bytes:
    """The file, byte for byte the same for equal vocabularies."""
    spelled = map(escape, listing.tokens) if listing.unit in ESCAPED_UNITS else listing.tokens
    columns: list[Iterable[object]] = [spelled, listing.counts]
    if listing.classes is not None:
        columns.append(listing.classes)
    lines = ["\t".join(map(str, row)) for row in zip(*columns, strict=True)]
    if listing.unit != "word":
        lines.insert(0, f"#unit\t{listing.unit}")
    return "".join(line + "\n" for line in lines).encode()


def parse(blocks: Iterable[bytes], name: str) -> Listing:
    """Read a vocabulary in any of the text forms.

    Args:
        blocks: its lines, as `clean_blocks` gives them.
        name: of the file, for messages.

    Raises:
        InputError: with the number of the line that is wrong.
    """
    lines = [line.decode() for block in blocks for line in block[:-1].split(b"\n")]
    if not lines:
        raise InputError(name, "empty; a vocabulary has one token on each line")
    return _form_of(lines, name)(lines, name).listing()


class _Reader:
    """Tokens gathered line by line, each at most once."""

    def __init__(self, name: str, unit: str = "word") -> None:
        self.name = name
        self.unit = unit
        self.line_of: dict[str, int] = {}
        self.counts: list[int] = []
        self.classes: list[int] = []

    def add(self, token: str, line: int, count: int = 0) -> None:
        if not token:
            self.fail(line, "an empty token")
        if len(token) > LONGEST // 4 and len(token.encode()) > LONGEST:
            self.fail(line, f"a token of {len(token.encode())} bytes; {LONGEST} are allowed")
        first = self.line_of.setdefault(token, line)
        if first != line:
            self.fail(
                line,
                f"{quoted(token)} again, which line {first} has" if first else f"{quoted(token)} again",
            )
        self.counts.append(count)

    def number(self, text: str, line: int, what: str) -> int:
        if not (text.isascii() and text.isdigit() and len(text) <= 18):
            self.fail(line, f"the {what} is {quoted(text)}, not a whole number")
        return int(text)

    def width(self, width: int, line: int, wanted: int) -> None:
        if width != wanted:
            self.fail(line, f"{width} columns; line 1 has {wanted}")

    def fail(self, line: int, what: str, hint: str = "") -> NoReturn:
        raise InputError(f"{self.name}:{line}", what, hint)

    def listing(self) -> Listing:
        classes = tuple(self.classes) if self.classes else None
        return Listing(self.unit, tuple(self.line_of), tuple(self.counts), classes)


def _form_of(lines: list[str], name: str) -> type[_Own | _Plain | _Fairseq | _Kaldi | _SrilmClasses]:
    """Which of the forms a vocabulary with these lines has."""
    first = lines[0]
    row = first.split()
    if re.match(r"#unit\t\D", first):
        return _Own
    if first.startswith("<eps>") and row[1:] == ["0"]:
        return _Kaldi
    if "\t" in first:
        return _Own
    if " " not in first.strip(" "):
        return _Plain
    if len(row) == 2 and row[1].isdigit():
        is_numbered = all(line.split()[1:] == [str(number)] for number, line in enumerate(lines))
        return _Kaldi if is_numbered and len(lines) > 1 else _Fairseq
    if len(row) == 3 and re.fullmatch(r"[0-9.]+(e-?[0-9]+)?", row[1], re.IGNORECASE):
        return _SrilmClasses
    hint = "rnntool vocab < TEXT > words.tsv, to make one from text"
    raise InputError(f"{name}:1", f"{len(row)} columns; a vocabulary has token⇥count[⇥class]", hint)


class _Own(_Reader):
    def __init__(self, lines: list[str], name: str) -> None:
        super().__init__(name)
        start = 1
        if re.match(r"#unit\t\D", lines[0]):
            self.unit = lines[0].split("\t", 1)[1]
            if self.unit not in UNITS or self.unit == "spm":
                self.fail(1, f"unit {quoted(self.unit)}; known are word, char, byte")
            start = 2
        width = 0
        for line, text in enumerate(lines[start - 1 :], start):
            row = text.split("\t")
            width = width or len(row)
            self.width(len(row), line, width)
            if width not in (2, 3):
                self.fail(line, f"{width} columns; a vocabulary has token⇥count[⇥class]")
            self.add(self.token(row[0], line), line, self.number(row[1], line, "count"))
            if width == 3:
                self.classes.append(self.number(row[2], line, "class"))
        for special in SPECIALS:
            if special not in self.line_of:
                self.fail(start, f"no {special} here or below", f"add a line {special}⇥0")

    def token(self, spelling: str, line: int) -> str:
        if self.unit not in ESCAPED_UNITS:
            if len(spelling.encode().split()) != 1 and spelling:
                self.fail(line, f"white space in the word {quoted(spelling)}")
            return spelling
        try:
            return unescape(spelling)
        except ValueError:
            self.fail(line, rf"{quoted(spelling)} has a \ that begins none of \\ \t \s \xNN")


class _Foreign(_Reader):
    """A form that knows nothing of our special tokens: they come first, whether it has them or not."""

    left_out: tuple[str, ...] = CONTROLS

    def __init__(self, lines: list[str], name: str) -> None:
        super().__init__(name)
        self.line_of = dict.fromkeys(SPECIALS, 0)
        self.counts = [0] * len(SPECIALS)
        for line, text in enumerate(lines, 1):
            if not text.strip(" \t"):
                self.fail(line, "an empty token")
            self.read(text.encode().split(), line)

    def read(self, row: list[bytes], line: int) -> None:
        raise NotImplementedError

    def add(self, token: str, line: int, count: int = 0) -> None:
        if token in SPECIALS:
            place = SPECIALS.index(token)
            if self.line_of[token]:
                self.fail(line, f"{quoted(token)} again, which line {self.line_of[token]} has")
            self.line_of[token] = line
            self.counts[place] = count
        elif token not in self.left_out:
            super().add(token, line, count)


class _Plain(_Foreign):
    def read(self, row: list[bytes], line: int) -> None:
        self.width(len(row), line, 1)
        self.add(row[0].decode(), line)


class _Fairseq(_Foreign):
    def read(self, row: list[bytes], line: int) -> None:
        if row[2:] == [b"#fairseq:overwrite"]:
            row = row[:2]
        self.width(len(row), line, 2)
        self.add(row[0].decode(), line, self.number(row[1].decode(), line, "count"))


class _Kaldi(_Foreign):
    left_out = (*CONTROLS, "<eps>")

    def __init__(self, lines: list[str], name: str) -> None:
        self.rows: list[tuple[int, int, str]] = []
        super().__init__(lines, name)
        for _, line, token in sorted(self.rows):
            if not re.fullmatch(r"#\d+", token):
                self.add(token, line)

    def read(self, row: list[bytes], line: int) -> None:
        self.width(len(row), line, 2)
        self.rows.append((self.number(row[1].decode(), line, "id"), line, row[0].decode()))


class _SrilmClasses(_Foreign):
    def __init__(self, lines: list[str], name: str) -> None:
        self.class_of: dict[str, str] = {}
        super().__init__(lines, name)
        dense: dict[str, int] = {}  # a special token that no class holds is a class of its own
        names = (self.class_of.get(token, f" {token}") for token in self.line_of)
        self.classes = [dense.setdefault(name, len(dense)) for name in names]

    def read(self, row: list[bytes], line: int) -> None:
        if len(row) != 3:
            self.fail(
                line,
                f"{len(row)} columns; a word class has CLASS prob word, one word each",
            )
        name, _, word = (column.decode() for column in row)
        self.class_of[word] = name
        self.add(word, line)


def quoted(text: str) -> str:
    """A token as a message shows it: in quotes, and not for pages."""
    return f"'{text}'" if len(text) <= 40 else f"'{text[:30]}...' of {len(text)} characters"
