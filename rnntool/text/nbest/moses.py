"""The n-best lists of Moses and Marian, and our own: `id ||| hypothesis ||| NAME= value … ||| score`.

The fields are separated by ` ||| `, ids are numbers from 0 and never fall, and the lines of an id stand together.
Fields are found from both ends of the line, so that a hypothesis may hold `|||` itself:

    score       the last field that is one number; what follows it is kept as it is (Moses' alignments)
    features    the field before it, `NAME= value …` once or more, or nothing; `NAME=value` and `NAME: value` are read
    between     fields before the features that are alignments or `WordScores= …`, kept as they are (Marian's)
    hypothesis  all that is left

In lists of three fields, as Nematus writes them, there are no features.  A blank hypothesis is a hypothesis.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from rnntool.errors import InputError
from rnntool.text.formats import quoted
from rnntool.text.nbest.lists import Hypothesis, NbestList, is_number, number, spelled, words_of

BAR = "|||"
LARGEST_GAP = 1_000_000
"""Ids that may be missing in a row: more are taken for an error, not for as many blank lines of output."""

_LINK = re.compile(r"\d+-\d+(?:[:=][-+.\deE]+)?|[-+.\deE]+(?:,[-+.\deE]+)+")
"""A pair of an alignment, with or without its probability; or the weights of a soft one for a word."""


def read(lines: Iterable[str], name: str) -> Iterator[NbestList]:
    """The lists of a file, one for every id from 0 to the last; a missing id has a list without hypotheses.

    Args:
        lines: without their ends.
        name: of their file, for messages.

    Raises:
        InputError: a line is no line of an n-best list, or ids fall; the lists before have been yielded.
    """
    current = -1
    hypotheses: list[Hypothesis] = []
    for line_number, line in enumerate(lines, 1):
        id_, hypothesis = parse(line, name, line_number)
        if id_ != current:
            if hypotheses:
                yield NbestList(str(current), tuple(hypotheses), name)
            _check_next(id_, current, f"{name}:{line_number}")
            yield from (NbestList(str(missing), (), name) for missing in range(current + 1, id_))
            current, hypotheses = id_, []
        hypotheses.append(hypothesis)
    if hypotheses:
        yield NbestList(str(current), tuple(hypotheses), name)


def _check_next(id_: int, last: int, where: str) -> None:
    if id_ < last:
        raise InputError(where, f"id {id_} after id {last}", "sort -s -n -k 1,1")
    if id_ - last > LARGEST_GAP:
        raise InputError(where, f"id {id_} after id {last}: {id_ - last - 1} ids are missing")


def parse(line: str, name: str, line_number: int) -> tuple[int, Hypothesis]:
    """The id and the hypothesis of one line.

    Raises:
        InputError: it has no id, no score, or features that are none.
    """
    where = f"{name}:{line_number}"
    starts, ends = _fields(line)
    fields = [line[start:end] for start, end in zip(starts, ends, strict=True)]
    if len(fields) < 3:
        raise InputError(where, "no line of an n-best list, which is id ||| hypothesis ||| features ||| score")
    if not (fields[0].isascii() and fields[0].isdigit() and len(fields[0]) < 19):
        raise InputError(where, f"the id is {quoted(fields[0])}, not a whole number from 0")
    at_score = next((at for at in reversed(range(2, len(fields))) if is_number(fields[at])), None)
    if at_score is None:
        raise InputError(where, f"no score; the last field is {quoted(fields[-1])}")
    features: dict[str, tuple[float, ...]] = {}
    last = at_score - 1  # field of the hypothesis
    if last > 1:
        features = _features(fields[last], where)
        last -= 1
    while last > 1 and _is_kept(fields[last]):
        last -= 1
    return int(fields[0]), Hypothesis(
        text=line[starts[1] : ends[last]],
        features=features,
        score=number(fields[at_score], where, "score"),
        between=tuple(fields[last + 1 : at_score - 1]),
        after=tuple(fields[at_score + 1 :]),
        line=line_number,
    )


def _fields(line: str) -> tuple[list[int], list[int]]:
    """Where the fields of a line begin and end: at every `|||`, and one space on either side of it.

    Two `|||` may share a space; the field between them is empty and ends before it begins.
    """
    starts, ends = [0], []
    at = line.find(BAR)
    while at >= 0:
        ends.append(at - (line[at - 1 : at] == " "))
        after = at + len(BAR)
        starts.append(after + (line[after : after + 1] == " "))
        at = line.find(BAR, after)
    ends.append(len(line) - (line[-1:] == " "))
    return starts, ends


def _is_kept(field: str) -> bool:
    """Whether a field before the features is one of Marian's, and not the end of the hypothesis."""
    words = field.split(" ")
    return words[0] == "WordScores=" or all(map(_LINK.fullmatch, words))


def _features(field: str, where: str) -> dict[str, tuple[float, ...]]:
    """The features of `NAME= value …`."""
    features: dict[str, tuple[float, ...]] = {}
    name = ""
    for word in words_of(field):
        head, mark, value = word.rpartition("=") if "=" in word else (word[:-1], word[-1:], "")
        if mark in ("=", ":") and head and (not value or is_number(value)):
            name = head
            if name in features:
                raise InputError(where, f"the feature {quoted(name)} twice")
            features[name] = ()
            word = value
        elif not name:
            raise InputError(where, f"features begin with {quoted(word)}; a feature is NAME= value")
        if word:
            features[name] += (number(word, where, "feature", name),)
    for name, values in features.items():
        if not values:
            raise InputError(where, f"the feature {quoted(name)} has no value")
    return features


def write(nbest: NbestList) -> str:
    """A list as lines; nothing if it has no hypotheses.  Its id is a number, and its hypotheses have scores."""
    return "".join(f"{format_line(nbest.id, hypothesis)}\n" for hypothesis in nbest.hypotheses)


def format_line(id_: str, hypothesis: Hypothesis) -> str:
    """One line of a list, without its end."""
    assert id_.isdigit() and hypothesis.score is not None, "what has no number or no score is no line of a Moses list"
    features = (f"{name}= {' '.join(map(spelled, values))}" for name, values in hypothesis.features.items())
    fields = (
        id_,
        hypothesis.text,
        *hypothesis.between,
        " ".join(features),
        spelled(hypothesis.score),
        *hypothesis.after,
    )
    return f" {BAR} ".join(fields)
