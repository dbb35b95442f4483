"""`rnntool bleu`: from translations and references to sacreBLEU's scores, intervals and paired tests."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from rnntool.cli import fields, metrics, options, report
from rnntool.config.metrics import METRICS, SMOOTHINGS, MetricConfig
from rnntool.errors import InputError, OptionError

if TYPE_CHECKING:
    from rnntool.score.bleu import Comparison

BLEU, CHRF, TER = "BLEU", "chrF", "TER"
System = tuple[str, list[str]]
"""A text with its name."""
NUM_SAMPLES = {"bootstrap": 1000, "randomization": 10000}
"""Test → samples or trials, as sacreBLEU has them."""


@options.command("bleu")
@options.hypotheses
@options.option(
    "--metric",
    type=click.Choice(METRICS),
    multiple=True,
    metavar="METRIC",
    default=("bleu",),
    show_default="bleu",
    help="bleu, chrf or ter; may be repeated.",
)
@options.option("--sentence-level", is_flag=True, help="Score every line, line n for line n.")
@options.option("--confidence", is_flag=True, help="Add the 95 % interval over lines (bootstrap).")
@options.option(
    "--paired",
    type=click.Choice(list(NUM_SAMPLES)),
    metavar="TEST",
    help="Test every --hyp against the first: bootstrap, or randomization.",
)
@options.option(
    "--resamples",
    type=options.Whole(2),
    metavar="N",
    help="Texts that are drawn; default: 1000, with randomization 10000.",
)
@options.option(
    "-s",
    "--seed",
    type=options.Whole(1),
    metavar="N",
    default=12345,
    envvar="SACREBLEU_SEED",
    help="Seed of what is drawn.",
)
@metrics.lowercase
@options.option("--score-only", is_flag=True, help="Print scores without signatures.")
@options.option("--width", type=options.Whole(0, 15), metavar="N", default=1, help="Digits after the point.")
@options.json
@options.quiet
@options.under(
    BLEU,
    metrics.tokenize,
    options.option(
        "--smooth",
        type=click.Choice(SMOOTHINGS),
        metavar="HOW",
        default=MetricConfig.smooth,
        help="What stands for counts of zero: exp, floor, add-k or none.",
    ),
    options.option(
        "--smooth-value", type=options.Real(0), metavar="X", help="Of floor (default: 0.1) or add-k (default: 1)."
    ),
)
@options.under(
    CHRF,
    options.option(
        "--chrf-char-order",
        type=options.Whole(1, 100),
        metavar="N",
        default=MetricConfig.chrf_char_order,
        help="Longest n-gram of characters.",
    ),
    options.option(
        "--chrf-word-order",
        type=options.Whole(0, 100),
        metavar="N",
        default=MetricConfig.chrf_word_order,
        help="Longest n-gram of words; 2 makes it chrF++.",
    ),
    options.option(
        "--chrf-beta",
        type=options.Whole(1),
        metavar="N",
        default=MetricConfig.chrf_beta,
        help="Weight of recall over precision.",
    ),
    options.option("--chrf-whitespace", is_flag=True, help="Spaces are characters."),
    options.option("--chrf-eps-smoothing", is_flag=True, help="Smooth as chrF++.py does."),
)
@options.under(
    TER,
    options.option("--ter-normalized", is_flag=True, help="Cut punctuation from words."),
    options.option("--ter-no-punct", is_flag=True, help="Remove punctuation."),
    options.option("--ter-asian-support", is_flag=True, help="Cut East Asian scripts into characters."),
    options.option("--ter-case-sensitive", is_flag=True, help="Mind case."),
)
@options.references
def command(
    references: tuple[str, ...],
    text: tuple[str, ...],
    metric: tuple[str, ...],
    sentence_level: bool,
    confidence: bool,
    paired: str | None,
    resamples: int | None,
    seed: int,
    score_only: bool,
    width: int,
    json: bool,
    **settings: Any,
) -> None:
    """Compare translations with references.

    Reads translations from standard input, or from each --hyp FILE, one a line,
    and prints sacreBLEU's line: score and signature. Line n of each REF is a
    reference for line n. Texts are read whole; memory grows with them.

    Examples:
      rnntool bleu test.de < test.hyp
      rnntool bleu ref1 ref2 --metric chrf --metric bleu --confidence < test.hyp
      rnntool bleu test.de --hyp old.hyp --hyp new.hyp --paired bootstrap
    """
    _check(references, text, metric, sentence_level, confidence, paired, resamples)
    if settings["smooth_value"] is not None and settings["smooth"] not in ("floor", "add-k"):
        raise OptionError("--smooth-value", "goes with --smooth floor or add-k only")
    os.environ["SACREBLEU_SEED"] = str(seed)  # where sacreBLEU looks for it
    config = MetricConfig(**settings)
    names = sorted(set(metric))
    style = Style(width, score_only, json)
    with report.output() as out:
        if sentence_level:
            lines = _sentences(names[0], config, references, text[0], style)
        else:
            built, systems = _read(names, config, references, text)
            num_samples = resamples or NUM_SAMPLES[paired or "bootstrap"]
            if paired is not None:
                lines = _comparisons(built, systems, paired, num_samples, style)
            else:
                lines = _scores(built, systems, num_samples if confidence else 0, style)
        for line in lines:
            out.write(line)
            out.flush()  # whoever sends lines one by one waits for each score, and texts have few


class Style(NamedTuple):
    """How scores are written."""

    width: int
    """Digits after the point."""
    score_only: bool
    """Without signatures."""
    json: bool
    """As JSON objects."""


def _check(
    references: tuple[str, ...],
    text: tuple[str, ...],
    metric: tuple[str, ...],
    sentence_level: bool,
    confidence: bool,
    paired: str | None,
    resamples: int | None,
) -> None:
    """Refuse options that contradict each other."""
    if "-" in references and "-" in text:
        raise OptionError("REF", "the standard input can be read only once, as REF or --hyp")
    if sentence_level and (confidence or paired):
        raise OptionError("--confidence" if confidence else "--paired", "is of whole texts; leave out --sentence-level")
    if sentence_level and len(set(metric)) > 1:
        raise OptionError("--metric", "one only with --sentence-level, whose line n answers line n")
    if sentence_level and len(text) > 1:
        raise OptionError("--hyp", "one only with --sentence-level, whose line n answers line n")
    if paired and confidence:
        raise OptionError("--confidence", "leave it out: --paired bootstrap has the interval of every text")
    if paired and len(text) < 2:
        raise OptionError("--paired", "tests every other --hyp against the first; give two or more")
    if resamples is not None and not (confidence or paired):
        raise OptionError("--resamples", "goes with --confidence or --paired only")


# --- whole texts -----------------------------------------------------------------------------------------------------


def _read(
    names: Sequence[str], config: MetricConfig, references: Sequence[str], text: Sequence[str]
) -> tuple[list[Any], list[System]]:
    """The metrics with their references, and each text with its name.

    Raises:
        InputError: there is nothing to score, or two texts differ in their number of lines.
    """
    from rnntool.score import bleu
    from rnntool.text.files import read_lines, shown

    refs = [bleu.read_text(read_lines(path)) for path in references]
    systems = [(shown(path), bleu.read_text(read_lines(path))) for path in text]
    for path, lines in [*zip(references[1:], refs[1:], strict=True), *zip(text, (t for _, t in systems), strict=True)]:
        metrics.require_same_length((path, len(lines)), (references[0], len(refs[0])))
    if not refs[0]:
        raise InputError(systems[0][0], "no lines")
    if "bleu" in names and config.tokenize != "none":
        for system, lines in systems:
            bleu.warn_if_tokenized(lines, system)
    return [bleu.build(name, config, refs) for name in names], systems


def _scores(metrics: Sequence[Any], systems: Sequence[System], num_samples: int, style: Style) -> Iterator[str]:
    """A line for each metric of each text."""
    from rnntool.score import bleu

    for system, lines in systems:
        for metric in metrics:
            found = bleu.score(metric, lines, num_samples=num_samples, width=style.width, score_only=style.score_only)
            if style.json:
                yield fields.as_object({"system": system, **found.record} if len(systems) > 1 else found.record)
            else:
                yield found.line + (f"\t{fields.spelled(system)}" if len(systems) > 1 else "") + "\n"


def _comparisons(
    metrics: Sequence[Any], systems: Sequence[System], test: str, num_samples: int, style: Style
) -> Iterator[str]:
    """The columns' names, then a row for each metric of each text."""
    from rnntool.score import bleu

    if not style.json:
        yield "score\tmean\tinterval\tp_value\tmetric\tsystem\n"
    compared = bleu.compare(metrics, systems, test=test, num_samples=num_samples)
    for (system, _), comparisons in zip(systems, compared, strict=True):
        for each in comparisons:
            yield _row(system, each, style)


def _row(system: str, compared: Comparison, style: Style) -> str:
    """What a paired test found of one text."""
    if style.json:
        return fields.as_object({"system": system, **asdict(compared)})
    numbers = [
        "" if value is None else f"{value:.{digits}f}"
        for value, digits in (
            (compared.score, style.width),
            (compared.mean, style.width),
            (compared.interval, style.width),
            (compared.p_value, 4),
        )
    ]
    metric = compared.metric if style.score_only else f"{compared.metric}|{compared.signature}"
    return "\t".join([*numbers, metric, fields.spelled(system)]) + "\n"


# --- single lines ----------------------------------------------------------------------------------------------------


def _sentences(name: str, config: MetricConfig, references: Sequence[str], path: str, style: Style) -> Iterator[str]:
    """A line for each line, as it arrives."""
    from rnntool.score import bleu
    from rnntool.text.files import read_lines

    metric = bleu.build(name, config, sentences=True)
    paths = [path, *references]
    counts = [0] * len(paths)
    for number, lines in enumerate(zip_longest(*map(read_lines, paths)), 1):
        counts = [number if line is not None else count for line, count in zip(lines, counts, strict=True)]
        if None in lines:
            continue
        hypothesis, *refs = bleu.read_text(lines)
        found = bleu.score_sentence(metric, hypothesis, refs, width=style.width, score_only=style.score_only)
        yield fields.as_object({"sentence": number, **found.record}) if style.json else f"{found.line}\n"
    for other, count in zip(paths[1:], counts[1:], strict=True):
        metrics.require_same_length((path, counts[0]), (other, count))
