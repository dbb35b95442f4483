"""`rnntool rerank`: from n-best lists to the best line of each."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from rnntool.cli import fields, judging, metrics, options, report
from rnntool.config.metrics import MetricConfig
from rnntool.errors import InputError, OptionError

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from rnntool.score.reranking import Choice, Chooser, Tuned
    from rnntool.text.nbest.lists import NbestList

SEARCHED = ("bleu", "chrf")
RESTARTS = 10
SCALE = 1.0
NAMED = 5  # missing ids that a warning names


class Named(NamedTuple):
    """`--scores NAME:FILE`."""

    name: str
    path: str


class _NamedFile(click.ParamType):  # type: ignore[type-arg]  # generic since click 8.4
    name = "named file"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Named:
        if isinstance(value, Named):
            return value
        name, colon, path = str(value).partition(":")
        if not (name and colon and path):
            self.fail(f"{value!r} is not NAME:FILE", param, ctx)
        return Named(name, path)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        from click.shell_completion import CompletionItem

        return [CompletionItem(incomplete, type="file")]


@options.command("rerank")
@options.option(
    "-w",
    "--weights",
    metavar="NAME:W,…|FILE",
    help="Weigh features, also score (the list's own) and words; or a file of weights.",
)
@options.option(
    "--tune",
    type=options.type_of_file,
    multiple=True,
    metavar="REF",
    help="Find the weights whose lines are most like REF; may be repeated.",
)
@options.option(
    "--save-weights", type=options.type_of_file, metavar="FILE", help="With --tune: write them to FILE, for --weights."
)
@options.option(
    "--metric",
    type=click.Choice(SEARCHED),
    metavar="METRIC",
    help="With --tune: what to raise, bleu (default) or chrf.",
)
@options.option(
    "--restarts", type=options.Whole(0), metavar="N", help=f"With --tune: starting points drawn; default: {RESTARTS}."
)
@options.option(
    "--mbr", type=click.Choice(SEARCHED), metavar="METRIC", help="Take the line of the highest expected bleu or chrf."
)
@options.option(
    "--scale",
    type=options.Real(0),
    metavar="X",
    help=f"With --mbr: probabilities are exp(X score), normalised; default: {SCALE:g}.",
)
@judging.form("moses", help="moses, srilm, rnnlm or kaldi.")
@options.option(
    "--scores",
    type=_NamedFile(),
    multiple=True,
    metavar="NAME:FILE",
    help="A feature more: FILE has a number for each hypothesis; may be repeated.",
)
@metrics.tokenize
@metrics.lowercase
@options.output()
@options.json
@options.seed(1, help="Seed of --tune.")
@options.quiet
@options.nbest
def command(
    weights: str | None,
    tune: tuple[str, ...],
    save_weights: str | None,
    metric: str | None,
    restarts: int | None,
    mbr: str | None,
    scale: float | None,
    format: str,
    scores: tuple[Named, ...],
    tokenize: str,
    lowercase: bool,
    output: str,
    json: bool,
    seed: int,
    text: tuple[str, ...],
) -> None:
    """Pick the best line of every n-best list.

    Reads lists, `id ||| hypothesis ||| NAME= value … ||| score`, and writes for
    each id, from 0, the hypothesis of the highest score, weighted sum (-w, --tune)
    or expected metric (--mbr). Line n answers id n; a missing id has a blank line.
    Memory grows with the longest list; with --tune, with all of them.

    Examples:
      rnntool rerank test.nbest > test.hyp
      rnntool rerank --tune valid.de --save-weights w valid.nbest > valid.hyp
      rnntool rerank -w w test.nbest | rnntool bleu test.de
    """
    _check(tune, save_weights, metric, restarts, mbr, scale, lowercase)
    _check_inputs(text, tune, scores)
    given = None if weights is None else _given(weights)
    config = MetricConfig(tokenize=tokenize, lowercase=lowercase)
    from rnntool.score import reranking
    from rnntool.text.files import read_lines, shown
    from rnntool.text.nbest.forms import read_nbest
    from rnntool.text.nbest.keyed import with_numbers
    from rnntool.text.nbest.weights import to_text

    lists = read_nbest(text, format)
    for name, path in scores:
        lists = with_numbers(lists, name, read_lines(path), shown(path))
    if tune:
        all_lists, references = _aligned(lists, text, tune)
        tuned = reranking.tune(
            all_lists,
            references,
            metric or "bleu",
            config,
            start=given,
            restarts=RESTARTS if restarts is None else restarts,
            seed=seed,
        )
        _tell(tuned, metric or "bleu")
        if save_weights is not None:
            with report.output(save_weights) as file:
                file.write(to_text(tuned.weights))
        lists, given = iter(all_lists), tuned.weights
    if mbr is None:
        choose = reranking.by_score(given)
    else:
        choose = reranking.by_consensus(mbr, config, given, SCALE if scale is None else scale)
    with report.output(output) as out:
        for nbest, choice in _chosen(lists, choose):
            out.write(_record(nbest, choice) if json else f"{choice.text}\n")
            out.flush()  # whoever sends lists one by one waits for each line


def _check(
    tune: tuple[str, ...],
    save_weights: str | None,
    metric: str | None,
    restarts: int | None,
    mbr: str | None,
    scale: float | None,
    lowercase: bool,
) -> None:
    """Refuse options that contradict each other."""
    if not tune:
        for name, value in (("--save-weights", save_weights), ("--metric", metric), ("--restarts", restarts)):
            if value is not None:
                raise OptionError(name, "goes with --tune only")
    if tune and mbr is not None:
        raise OptionError("--mbr", "is another way to choose; tune first, then give it the weights")
    if scale is not None and mbr is None:
        raise OptionError("--scale", "goes with --mbr only")
    if lowercase and not tune and mbr is None:
        raise OptionError("--lowercase", "goes with --tune or --mbr only")


def _check_inputs(text: tuple[str, ...], tune: tuple[str, ...], scores: tuple[Named, ...]) -> None:
    if [*text, *tune, *(path for _, path in scores)].count("-") > 1:
        raise OptionError("", "the standard input can be read only once, as NBEST, --tune or --scores")


def _given(text: str) -> dict[str, tuple[float, ...]]:
    """The weights that `--weights` names: those of a file that is there, else those that it spells."""
    from rnntool.text.nbest import weights

    if os.path.exists(text):
        return weights.read(text)
    try:
        parsed = weights.parse(text)
    except ValueError as error:
        raise OptionError("--weights", str(error)) from None
    if parsed is None:
        raise OptionError("--weights", f"{text!r} is neither NAME:W,NAME:W nor a file")
    return parsed


def _aligned(
    lists: Iterable[NbestList], text: tuple[str, ...], tune: tuple[str, ...]
) -> tuple[list[NbestList], list[list[str]]]:
    """A list for each line of the references, which it answers, and the references.

    Raises:
        InputError: there are more lists than lines, no hypothesis, or references of different lengths.
    """
    from rnntool.score.bleu import read_text
    from rnntool.text.files import read_lines, shown
    from rnntool.text.nbest.lists import NbestList

    references = [read_text(read_lines(path)) for path in tune]
    for path, lines in zip(tune, references, strict=True):
        metrics.require_same_length((path, len(lines)), (tune[0], len(references[0])))
    found = list(lists)
    where = shown(text[0]) if len(text) == 1 else f"{len(text)} files"
    if not any(nbest.hypotheses for nbest in found):
        raise InputError(where, "no hypotheses")
    if len(found) > len(references[0]):
        what = f"{len(found)} lists, but {shown(tune[0])} has {metrics.counted(len(references[0]))}"
        raise InputError(where, what)
    found += [NbestList(str(missing)) for missing in range(len(found), len(references[0]))]
    return found, references


def _tell(tuned: Tuned, metric: str) -> None:
    """Say what tuning found, the weights as `--weights` takes them."""
    from rnntool.text.nbest.weights import one_line

    report.say(f"weights {one_line(tuned.weights)}")
    report.record(**{metric: f"{tuned.score:.2f}", "before": f"{tuned.before:.2f}"})


def _chosen(lists: Iterable[NbestList], choose: Chooser) -> Iterator[tuple[NbestList, Choice]]:
    """Each list with its best line; a warning at the end if there were lists without hypotheses."""
    missing: list[str] = []
    number = 0
    for nbest in lists:
        number += 1
        choice = choose(nbest)
        if choice.rank is None:
            missing.append(nbest.id)
        yield nbest, choice
    if missing:
        ids = ", ".join(missing[:NAMED]) + (", …" if len(missing) > NAMED else "")
        report.warning("", f"{len(missing)} of {number} lists have no hypothesis (id {ids}); their lines are blank")


def _record(nbest: NbestList, choice: Choice) -> str:
    """One answer as JSON."""
    values = {"id": nbest.id, "rank": choice.rank, "score": choice.score, "hypothesis": choice.text}
    return fields.as_object(values)
