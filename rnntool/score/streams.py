r"""Token-score streams: what programs print about every token of a text, as arrays of log-probabilities.

    ours, TSV         1⇥2⇥rose⇥-3.468330⇥                            rnntool score --tokens; natural logarithms
    ours, JSON        {"sentence": 1, …, "logprob": -3.46833, …}      the same with --json
    SRILM             ⇥p( rose | a ...) ⇥= [2gram] 0.031 [ -1.506 ]   ngram -ppl -debug 2 and above; base 10
    KenLM             a=7 1 -1.44⇥rose=9 2 -1.506⇥…Total: …           query -v word or all; base 10
    rnnlm             9⇥0.0311780000⇥rose                             rnnlm -debug 2; probabilities

A stream is told apart by what it holds.  Several are read side by side, so that they may come from pipes, and must hold
the same tokens in the same order.  SRILM prints `<unk>` and rnnlm `OOV` in the place of a word that they do not know;
either stands for whatever word the others have there.  In memory are numbers, and if asked for the spellings as one
string of bytes; no object for each token.

This module knows lines and formats, and nothing of what is done with the numbers.
"""

from __future__ import annotations

import json
import math
import re
from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rnntool.errors import InputError
from rnntool.score.perplexity import Tally
from rnntool.score.scorer import LogProbs
from rnntool.text.files import read_lines, shown
from rnntool.text.formats import EOS, UNK, quoted

LN10 = math.log(10)

PREAMBLE = 1000
"""Lines in which the first token is looked for: SRILM prints the sentence before, rnnlm how it was called."""

ARPA_ZERO = -99.0
"""The logarithm to base 10 that stands for that of zero in ARPA files; below, KenLM stands for a missing `<unk>`."""

EXCESS = 1e-3
"""How far above zero rounding may have carried a log-probability."""


class Token(NamedTuple):
    """A record of a stream."""

    spelling: str
    log_prob: float
    """Natural; −inf for a probability of zero."""
    is_oov: bool
    """Whether the model does not know it."""
    is_end: bool
    """Whether it is the end of a line."""
    is_placeholder: bool = False
    """Whether its own spelling was not printed."""


@dataclass(frozen=True, eq=False)
class Streams:
    """K streams over the same N tokens."""

    names: tuple[str, ...]
    """Of the files."""
    formats: tuple[str, ...]
    """Keys of `FORMATS`."""
    log_probs: LogProbs
    """(K, N), natural; −inf for a probability of zero."""
    is_oov: NDArray[np.bool_]
    """(N,): whether a stream says that its model does not know the token."""
    is_end: NDArray[np.bool_]
    """(N,): whether it is the end of a line."""
    spellings: bytes | None = None
    r"""The tokens in UTF-8, each ended by `\n`; None if they were not kept."""

    def __len__(self) -> int:
        """N."""
        return len(self.is_end)

    def counted(self, unk: str) -> NDArray[np.bool_]:
        """(N,): which tokens count, if unknown ones `count` or are to `skip`."""
        return np.ones(len(self), dtype=bool) if unk == "count" else ~self.is_oov

    def tally(self, log_probs: LogProbs, unk: str) -> tuple[Tally, int]:
        """Of log-probabilities (N,), those of the tokens that count; and how many of these have a probability of zero.

        The latter are left out of the tally, which would be infinite with them.
        """
        counts = self.counted(unk)
        possible = counts & ~np.isneginf(log_probs)
        tally = Tally(
            sentences=int(np.count_nonzero(self.is_end & possible)),
            tokens=int(np.count_nonzero(possible)),
            oov=int(np.count_nonzero(self.is_oov)),
            nll=-float(log_probs[possible].sum()),
        )
        return tally, int(np.count_nonzero(counts)) - tally.tokens

    def tokens(self) -> Iterator[str]:
        """The spellings."""
        assert self.spellings is not None
        start = 0
        while start < len(self.spellings):
            end = self.spellings.index(b"\n", start)
            yield self.spellings[start:end].decode()
            start = end + 1


def read_streams(paths: Sequence[str], *, keep_spellings: bool = False) -> Streams:
    """Read streams side by side.

    Args:
        paths: of at least one file; `-` is the standard input.
        keep_spellings: whether the tokens are wanted again.

    Raises:
        InputError: a file cannot be read, is no stream, or does not hold the tokens of the others; says where.
    """
    readers = [_Reader(path) for path in paths]
    log_probs = [array("d") for _ in readers]
    is_oov, is_end, spellings = bytearray(), bytearray(), bytearray()
    for tokens in zip_longest(*readers):
        token = _common(readers, tokens, len(is_end))
        for column, own in zip(log_probs, tokens, strict=True):
            column.append(own.log_prob)
        is_oov.append(any(own.is_oov for own in tokens))
        is_end.append(token.is_end)
        if keep_spellings:
            spellings += token.spelling.encode() + b"\n"
    if not is_end:
        raise InputError(readers[0].name, "no tokens")
    return Streams(
        names=tuple(reader.name for reader in readers),
        formats=tuple(reader.format for reader in readers),
        log_probs=np.stack([np.frombuffer(column) for column in log_probs]),
        is_oov=np.frombuffer(is_oov, dtype=bool),
        is_end=np.frombuffer(is_end, dtype=bool),
        spellings=bytes(spellings) if keep_spellings else None,
    )


def _common(readers: Sequence[_Reader], tokens: Sequence[Token | None], number: int) -> Token:
    """The token that all streams have here, as it is best spelled; an error if there is none.

    Args:
        readers: the streams.
        tokens: what each has; None where it has ended.
        number: how many tokens they had in common before.
    """
    present = [place for place, token in enumerate(tokens) if token is not None]
    best = next((place for place in present if not _at(tokens, place).is_placeholder), present[0])
    token = _at(tokens, best)
    there = f"{readers[best].name}:{readers[best].line} has {quoted(token.spelling)}"
    rule = "all streams must hold the same tokens"
    for reader, own in zip(readers, tokens, strict=True):
        if own is None and not number:
            raise InputError(reader.name, f"no tokens; {there}; {rule}")
        if own is None:
            raise InputError(f"{reader.name}:{reader.line}", f"ends after token {number}; {there}; {rule}")
        if own.spelling != token.spelling and (not own.is_placeholder or token.is_end):
            raise InputError(f"{reader.name}:{reader.line}", f"{quoted(own.spelling)} where {there}; {rule}")
    return token


def _at(tokens: Sequence[Token | None], place: int) -> Token:
    token = tokens[place]
    assert token is not None
    return token


class _Reader:
    """The tokens of one file, one after the other.

    Attributes:
        name: of the file.
        format: a key of `FORMATS`, once a token has been read.
        line: number of the line that the last token was on.
    """

    def __init__(self, path: str) -> None:
        self.name = shown(path)
        self.format = ""
        self.line = 0
        self._lines = read_lines(path)

    def __iter__(self) -> Iterator[Token]:
        parse: Callable[[str], Sequence[Token]] | None = None
        for line in self._lines:
            self.line += 1
            if parse is None:
                self.format = self._recognise(line)
                if not self.format:
                    continue
                parse = FORMATS[self.format].parse
            try:
                tokens = parse(line)
            except ValueError as error:
                raise InputError(f"{self.name}:{self.line}", str(error)) from None
            yield from tokens
        if self.line and not self.format:
            raise self._not_recognised()

    def _recognise(self, line: str) -> str:
        """The format whose record a line is; nothing for a line that may stand before the first record."""
        if self.line > PREAMBLE:
            raise self._not_recognised()
        for name, form in FORMATS.items():
            if (self.line == 1 or form.has_preamble) and form.record.match(line):
                return name
        return ""

    def _not_recognised(self) -> InputError:
        what = "not a stream of token scores; known are score --tokens, SRILM -debug 2, KenLM query -v word, rnnlm -debug 2"
        return InputError(self.name, what, "rnntool score --tokens -m MODEL TEXT")


# --- formats ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Format:
    """One program's way to print token scores."""

    record: re.Pattern[str]
    """What a line with a token looks like, as far as it tells it from all others."""
    has_preamble: bool
    """Whether other lines may stand before the first record."""
    parse: Callable[[str], Sequence[Token]]
    """The tokens of a line, none if it is no record; ValueError, with what is wrong, if it is a broken one."""


def _tsv(line: str) -> Sequence[Token]:
    columns = line.split("\t")
    if len(columns) != 5:
        raise ValueError(f"{len(columns)} columns; token scores have sentence⇥position⇥token⇥logprob⇥flags")
    return (_own(columns[2], _number(columns[3]), columns[4]),)


def _json(line: str) -> Sequence[Token]:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        record = None
    match record:
        case {"token": str(spelling), "logprob": int() | float() | None as log_prob, "flags": str(flags)}:
            return (_own(spelling, -math.inf if log_prob is None else log_prob, flags),)
    raise ValueError("not a record of score --tokens --json")


def _own(spelling: str, log_prob: float, flags: str) -> Token:
    """A token of ours: a word of the text may be spelled `</s>`, too."""
    return _token(spelling, log_prob, is_oov="oov" in flags.split())._replace(is_end="eos" in flags.split())


_SRILM = re.compile(r"\tp\( (?P<word>\S+) \| .*\)\s+= (?P<how>.*) \[ (?P<log10prob>\S+) \]")


def _srilm(line: str) -> Sequence[Token]:
    if not line.startswith("\tp( "):
        return ()
    match = _SRILM.match(line)
    if match is None:
        raise ValueError("not of the form p( WORD | CONTEXT ) = [HOW] PROB [ LOG10PROB ]")
    is_oov = "[OOV]" in match["how"]
    log_prob = LN10 * _number(match["log10prob"])
    return (_token(match["word"], log_prob, is_oov=is_oov, is_placeholder=match["word"] == UNK),)


_KENLM = re.compile(r"(?P<word>.+)=(?P<id>\d+) \d+ (?P<log10prob>\S+)")


def _kenlm(line: str) -> Sequence[Token]:
    tokens = []
    for field in line.split("\t"):
        match = _KENLM.fullmatch(field)
        if match is not None:
            log10prob = _number(match["log10prob"])
            log_prob = LN10 * log10prob if log10prob > ARPA_ZERO else -math.inf
            tokens.append(_token(match["word"], log_prob, is_oov=match["id"] == "0"))
        elif field and not field.startswith(_KENLM_SUMS):
            raise ValueError(f"{quoted(field)} is not of the form WORD=ID LENGTH LOG10PROB")
        elif field:
            break
    return tokens


_KENLM_SUMS = ("Total: ", "Perplexity ", "OOVs:", "Tokens:", "Name:")

_RNNLM = re.compile(r"(?P<id>-?\d+)\t(?P<prob>[^\t]+)\t(?:[^\t]*\t)*(?P<word>[^\t]+)")


def _rnnlm(line: str) -> Sequence[Token]:
    match = _RNNLM.fullmatch(line)
    if match is None:
        return ()
    prob = _number(match["prob"])
    if prob < 0:
        raise ValueError(f"the probability of {quoted(match['word'])} is {prob:g}; none is below 0")
    log_prob = math.log(prob) if prob > 0 else -math.inf
    is_oov = match["id"] == "-1"
    return (_token(match["word"], log_prob, is_oov=is_oov, is_placeholder=is_oov),)


FORMATS = {
    "tsv": Format(re.compile(r"\d+\t\d+\t[^\t]+\t[^\t]+\t[a-z ]*$"), False, _tsv),
    "json": Format(re.compile(r'\{.*"logprob"'), False, _json),
    "kenlm": Format(re.compile(r"[^\t]+=\d+ \d+ [^\t ]+\t"), False, _kenlm),
    "srilm": Format(re.compile(r"\tp\( "), True, _srilm),
    "rnnlm": Format(re.compile(r"(-1\t0\t\t|\d+\t[01]\.\d+\t)"), True, _rnnlm),
}
"""The known formats, in the order in which they are tried."""


def _token(spelling: str, log_prob: float, *, is_oov: bool, is_placeholder: bool = False) -> Token:
    """The token, its log-probability checked."""
    if not log_prob <= EXCESS:  # NaN is not, either
        raise ValueError(f"the log-probability of {quoted(spelling)} is {log_prob:g}; none is above 0")
    return Token(spelling, min(log_prob, 0.0), is_oov, spelling == EOS, is_placeholder)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"{quoted(text)} is not a number") from None
