"""`rnntool rescore`: n-best lists in, the same lists with one more score out."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from rnntool.cli import judging, options, report
from rnntool.errors import InputError, OptionError

if TYPE_CHECKING:
    from rnntool.text.nbest.lists import NbestList

DIGITS = 6
"""After the point."""

WITH_SOURCES, ALONE = "TM", "LM"
"""Names of the feature."""


@options.command("rescore")
@options.model()
@judging.sources
@options.option("--name", metavar="NAME", help=f"Of the feature; default: {WITH_SOURCES} with --src, {ALONE} without.")
@judging.form("moses", help="moses, srilm, rnnlm or kaldi.")
@options.batch_size(64)
@options.device
@options.threads
@options.quiet
@options.verbose
@options.color
@options.nbest
def command(
    model: tuple[options.Model, ...],
    src: tuple[str, ...],
    name: str | None,
    format: str,
    batch_size: int,
    device: str,
    threads: int | None,
    text: tuple[str, ...],
) -> None:
    """Add a model's score to n-best lists.

    Reads lists of Moses' form and writes them with one more feature, the log-probability of each hypothesis; with --src,
    given the line of the source that the list answers.  Of other forms comes what their own programs write: SRILM's with
    another lscore, for rnnlm's log10 P on each line, for Kaldi's each key and a cost.

    Examples:
      rnntool rescore -m runs/lm test.nbest | rnntool rerank -w F0:1,LM:0.3
      rnntool rescore -m back --src test.en --name BACK test.nbest
    """
    if name is not None and format != "moses":
        raise OptionError("--name", f"is of a feature, and {format} lists have none; it goes with moses only")
    if name is not None and (not name or set(name) & set(" \t=:|")):
        raise OptionError("--name", f"{name!r} is no name of a feature, which has no space, =, : or |")
    if format == "srilm" and len(text) > 1:
        raise OptionError("NBEST", f"{len(text)} files; SRILM has one list in each, so that each is written alone")
    judging.check_inputs(text, src)
    judge = judging.open_judge(model, has_sources=bool(src), threads=threads, device=device, batch_size=batch_size)
    name = name or (WITH_SOURCES if src else ALONE)
    write: dict[str, Callable[[NbestList, Sequence[float]], str]] = {
        "moses": lambda nbest, log_probs: _moses(nbest, log_probs, name),
        "srilm": _srilm,
        "rnnlm": lambda _, log_probs: "".join(f"{_log10(log_prob)}\n" for log_prob in log_probs),
        "kaldi": _kaldi,
    }
    with report.output() as out:
        for group in judging.judged_lists(judge, text, src, format):
            for nbest, scored in group:
                out.write(write[format](nbest, [float(line.log_probs.sum()) for line in scored]))
            out.flush()


def _log10(log_prob: float) -> float:
    return round(log_prob / math.log(10), DIGITS)


def _moses(nbest: NbestList, log_probs: Sequence[float], name: str) -> str:
    from rnntool.text.nbest import moses
    from rnntool.text.nbest.lists import with_feature

    return moses.write(with_feature(nbest, name, [round(log_prob, DIGITS) for log_prob in log_probs]))


def _srilm(nbest: NbestList, log_probs: Sequence[float]) -> str:
    from rnntool.text.nbest import srilm

    hypotheses = []
    for hypothesis, log_prob in zip(nbest.hypotheses, log_probs, strict=True):
        if srilm.BYTELOG in hypothesis.features:
            what = f"{srilm.DECIPHER}, which has one score for all, and no place for another"
            raise InputError(nbest.where(hypothesis), what, "rnntool score --format srilm")
        features = {**hypothesis.features, srilm.LSCORE: (_log10(log_prob),)}
        hypotheses.append(replace(hypothesis, features=features))
    return srilm.write(replace(nbest, hypotheses=tuple(hypotheses)))


def _kaldi(nbest: NbestList, log_probs: Sequence[float]) -> str:
    pairs = zip(nbest.hypotheses, log_probs, strict=True)
    return "".join(f"{nbest.id}-{hypothesis.rank} {round(-log_prob, DIGITS)}\n" for hypothesis, log_prob in pairs)
