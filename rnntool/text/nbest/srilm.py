"""SRILM's n-best lists: one file for each utterance, one hypothesis on each line, in one of two forms.

    ascore lscore nwords word …      log10 P of the acoustic and of the language model, and the number of words
    (bytelog) word …                 one score for both, after a first line `NBestList1.0`

The score of the first form is the one by which SRILM itself picks the best line, with its default weights 8 and 0:
ascore + 8 · lscore + 0 · nwords.  A bytelog is in units of 1024 / 10000.5 nats.  Numbers are kept in their base, so
that a list that is read and written is the same list.  `<s>` before the words and `</s>` after them are marks, and no
words: they are kept, and stand in no text.

Source: SRILM 1.7.3, nbest-format(5), ngram(1) (-rescore-lmw, -rescore-wtw), Prob.h.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import PurePath

from rnntool.errors import InputError
from rnntool.text.formats import EOS, quoted
from rnntool.text.nbest.lists import Hypothesis, NbestList, number, spelled, words_of

LM_WEIGHT = 8.0
LSCORE = "lscore"
COLUMNS = ("ascore", LSCORE, "nwords")
DECIPHER = "NBestList1.0"
DECIPHER_WITH_TIMES = "NBestList2.0"
BYTELOG = "bytelog"
BOS = "<s>"


def read(lines: Iterable[str], name: str) -> Iterator[NbestList]:
    """The one list of a file; its id is the file's name without folder and suffixes.

    Raises:
        InputError: a line is no line of a list.
    """
    parse = _scored
    hypotheses: list[Hypothesis] = []
    for line_number, line in enumerate(lines, 1):
        if line_number == 1 and line.strip() == DECIPHER:
            parse = _decipher
        elif line_number == 1 and line.strip() == DECIPHER_WITH_TIMES:
            what = f"{DECIPHER_WITH_TIMES}, whose scores of single words are not read"
            raise InputError(f"{name}:1", what, "nbest2-to-nbest1, which comes with SRILM")
        else:
            hypotheses.append(parse(line, f"{name}:{line_number}", line_number))
    yield NbestList(PurePath(name).name.split(".")[0], tuple(hypotheses), name)


def _scored(line: str, where: str, line_number: int) -> Hypothesis:
    words = words_of(line)
    if len(words) < len(COLUMNS):
        raise InputError(where, f"{len(words)} columns; a hypothesis is ascore lscore nwords word …")
    values = [number(word, where, column) for column, word in zip(COLUMNS, words, strict=False)]
    features = {column: (value,) for column, value in zip(COLUMNS, values, strict=True)}
    return _hypothesis(words[3:], features, values[0] + LM_WEIGHT * values[1], line_number)


def _decipher(line: str, where: str, line_number: int) -> Hypothesis:
    score, *words = words_of(line) or [""]
    if not (score.startswith("(") and score.endswith(")")):
        raise InputError(where, f"{quoted(score)} is no score in parentheses")
    value = number(score[1:-1], where, "score")
    return _hypothesis(words, {BYTELOG: (value,)}, value, line_number)


def _hypothesis(words: Sequence[str], features: Mapping[str, tuple[float, ...]], score: float, line: int) -> Hypothesis:
    """Words, and the marks around them if they are there."""
    first = int(words[:1] == [BOS])
    last = len(words) - int(words[first:][-1:] == [EOS])
    text = " ".join(words[first:last])
    return Hypothesis(text, features, score, tuple(words[:first]), tuple(words[last:]), line=line)


def write(nbest: NbestList) -> str:
    """A list as the text of its file, in the form that its features are of."""
    lines = []
    if nbest.hypotheses and BYTELOG in nbest.hypotheses[0].features:
        lines.append(DECIPHER)
    for hypothesis in nbest.hypotheses:
        features = hypothesis.features
        if BYTELOG in features:
            scores = [f"({spelled(features[BYTELOG][0])})"]
        else:
            scores = [spelled(features[column][0]) for column in COLUMNS]
        lines.append(" ".join([*scores, *hypothesis.between, *words_of(hypothesis.text), *hypothesis.after]))
    return "".join(f"{line}\n" for line in lines)
