"""The n-best lists of rnnlm and of Kaldi: a key and the words on each line, the scores in other files.

    rnnlm    `ID word …`     the lines of an id stand together; its -nbest prints log10 P for each, one a line
    Kaldi    `ID-N word …`   N is the number of the hypothesis in its list; scores are `ID-N cost`, cost = −log P

A blank hypothesis is its key alone.

Source: rnnlm 0.4b, -nbest; Kaldi, nbest-to-linear and steps/rnnlmrescore.sh (`words_text`, `lmwt.*`, `acwt`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rnntool.errors import InputError
from rnntool.text.formats import quoted
from rnntool.text.nbest.lists import Hypothesis, NbestList, number, with_feature, words_of


def read_rnnlm(lines: Iterable[str], name: str) -> Iterator[NbestList]:
    """The lists of a file, in its order: lines with one id that stand together.

    Raises:
        InputError: a line has no id.
    """
    yield from _grouped(((key, 0, text, line) for key, text, line in _keyed(lines, name)), name)


def read_kaldi(lines: Iterable[str], name: str) -> Iterator[NbestList]:
    """The lists of a file, in its order.

    Raises:
        InputError: a key does not end in -N.
    """

    def split() -> Iterator[tuple[str, int, str, int]]:
        for key, text, line in _keyed(lines, name):
            id_, _, rank = key.rpartition("-")
            if not (id_ and rank.isascii() and rank.isdigit() and len(rank) < 10):
                raise InputError(
                    f"{name}:{line}", f"the key {quoted(key)} does not end in -N, the number of a hypothesis"
                )
            yield id_, int(rank), text, line

    yield from _grouped(split(), name)


def _keyed(lines: Iterable[str], name: str) -> Iterator[tuple[str, str, int]]:
    """The first word of each line, its other words, and its number."""
    for line_number, line in enumerate(lines, 1):
        words = words_of(line)
        if not words:
            raise InputError(f"{name}:{line_number}", "blank; a hypothesis has at least its key")
        yield words[0], " ".join(words[1:]), line_number


def _grouped(lines: Iterable[tuple[str, int, str, int]], name: str) -> Iterator[NbestList]:
    current = ""
    hypotheses: list[Hypothesis] = []
    for id_, rank, text, line in lines:
        if id_ != current and hypotheses:
            yield NbestList(current, tuple(hypotheses), name)
            hypotheses = []
        current = id_
        hypotheses.append(Hypothesis(text, rank=rank, line=line))
    if hypotheses:
        yield NbestList(current, tuple(hypotheses), name)


def write_rnnlm(nbest: NbestList) -> str:
    """A list as lines."""
    return "".join(f"{nbest.id} {hypothesis.text}".rstrip() + "\n" for hypothesis in nbest.hypotheses)


def write_kaldi(nbest: NbestList) -> str:
    """A list as lines; hypotheses without a number get their place in the list."""
    return "".join(
        f"{nbest.id}-{hypothesis.rank or place} {hypothesis.text}".rstrip() + "\n"
        for place, hypothesis in enumerate(nbest.hypotheses, 1)
    )


def with_numbers(lists: Iterable[NbestList], name: str, lines: Iterable[str], source: str) -> Iterator[NbestList]:
    """Lists with one feature more, whose values stand in a file of their own.

    Args:
        lists: in the order of the file.
        name: of the feature.
        lines: of the file, as `read_numbers` reads them; keys are those of Kaldi's lists.
        source: name of the file.

    Raises:
        InputError: there are more or fewer numbers than hypotheses, or a key is of another hypothesis.
    """
    numbers = read_numbers(lines, source)
    place = 0

    def value_of(nbest: NbestList, hypothesis: Hypothesis) -> float:
        nonlocal place
        place += 1
        key, value = next(numbers, (None, 0.0))
        if key is None:
            raise InputError(source, f"{place - 1} scores; there are more hypotheses in {nbest.source}")
        if key and key != f"{nbest.id}-{hypothesis.rank}":
            where = f"{source}:{place}"
            raise InputError(where, f"a score of {quoted(key)}; the hypothesis is {nbest.id}-{hypothesis.rank}")
        return value

    for nbest in lists:
        yield with_feature(nbest, name, [value_of(nbest, hypothesis) for hypothesis in nbest.hypotheses])
    if next(numbers, None) is not None:
        raise InputError(f"{source}:{place + 1}", f"a score more than the {place} hypotheses")


def read_numbers(lines: Iterable[str], name: str) -> Iterator[tuple[str, float]]:
    """Scores that stand in a file of their own, one a line: `number`, or `KEY cost`, whose sign is turned.

    Yields:
        The key, empty where there is none, and a number that is the better the higher.

    Raises:
        InputError: a line is neither.
    """
    for line_number, line in enumerate(lines, 1):
        where = f"{name}:{line_number}"
        match words_of(line):
            case [spelling]:
                yield "", number(spelling, where, "score")
            case [key, spelling]:
                yield key, -number(spelling, where, "cost")
            case words:
                raise InputError(where, f"{len(words)} columns; a score is one number, or a key and a cost")
