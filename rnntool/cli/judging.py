"""Lines and n-best lists under a model: a language model, or one that translates, whose sources are in files beside."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import click

from rnntool.cli import models, options
from rnntool.errors import OptionError

if TYPE_CHECKING:
    from rnntool.config.adaptation import Choices
    from rnntool.score.perplexity import ScoredLine
    from rnntool.score.scorer import Scorer
    from rnntool.text.nbest.lists import NbestList
    from rnntool.text.shards import Lines
    from rnntool.text.vocabulary import Vocabulary

TOGETHER = 64
"""Lists of a file that are scored together."""

FORMS = ("moses", "srilm", "rnnlm", "kaldi")

sources = options.option(
    "--src",
    type=options.type_of_file,
    metavar="FILE",
    multiple=True,
    help="Sources, one for each line or list; may be repeated.",
)
"""--src FILE: a tuple of paths, empty for a language model."""


def form(default: str | None, *, help: str) -> options.Decorator:
    """--format FORMAT: of n-best lists."""
    return options.option("--format", type=click.Choice(FORMS), metavar="FORMAT", default=default, help=help)


def check_inputs(text: tuple[str, ...], src: tuple[str, ...]) -> None:
    """Refuse to read the standard input twice."""
    if [*text, *src].count("-") > 1:
        raise OptionError("", "the standard input can be read only once, as TEXT or --src")


class LineJudge(NamedTuple):
    """A model that scores lines, each on its own."""

    vocabulary: Vocabulary
    scored: Callable[[Sequence[str], Sequence[str]], list[ScoredLine]]
    """Of sources, blank ones for a language model, and of as many lines."""


def open_judge(
    named: Sequence[options.Model], *, has_sources: bool, threads: int | None, device: str, batch_size: int
) -> LineJudge:
    """Open what `-m` names: models that translate, if there are sources, else language models, which reset their context.

    Raises:
        ModelError: a file is no such model, or two do not go together.
    """
    if has_sources:
        hint = "leave out --src"
        opened = models.open_translators(named, threads=threads, device=device, hint=hint)
        from rnntool.score.pairs import PairScorer

        pairs = PairScorer(
            [each.network for each in opened],
            [each.source for each in opened],
            opened[0].vocabulary,
            options.shares(named),
            batch_size=batch_size,
        )
        return LineJudge(pairs.vocabulary, pairs.scored)
    scorer = models.open_models(
        named, threads=threads, device=device, context="reset", batch_size=batch_size, hint="--src FILE"
    ).scorer
    from rnntool.score.perplexity import score_lines

    return LineJudge(scorer.vocabulary, lambda _, lines: next(score_lines(scorer, [lines])) if lines else [])


def are_independent(scorer: Scorer, choices: Choices, shard: str | None) -> bool:
    """Whether a line gets the same wherever it stands.

    Raises:
        OptionError: it does not, and `--shard` wants a part alone.
    """
    if not choices.stages and scorer.context == "reset":
        return True
    if shard is not None:
        what = "adapts to the lines before" if choices.stages else "carries its context over line ends"
        raise OptionError("--shard", f"the model {what}", "--context reset, and no adaptation")
    return False


def scored_lines(
    scorer: Scorer, text: tuple[str, ...], wanted: Lines, *, batch_size: int
) -> Iterator[list[ScoredLine]]:
    """The wanted lines of all texts, which follow each other; a pipe's as they come."""
    from rnntool.score.perplexity import score_lines
    from rnntool.text.files import arriving_from, read_lines

    lines = (line for path in text for line in read_lines(path))
    return score_lines(scorer, arriving_from(text, wanted.of(lines), batch_size))


def judged_lines(
    judge: LineJudge, text: tuple[str, ...], src: tuple[str, ...], wanted: Lines, *, batch_size: int
) -> Iterator[list[ScoredLine]]:
    """The lines of texts that are wanted, each with the line of the sources that it answers; a pipe's as they come.

    Raises:
        InputError: there are more or fewer sources than lines.
    """
    from rnntool.text.files import arriving_from, read_lines, shown
    from rnntool.text.parallel import Parallel

    lines = ((f"{shown(path)}:{n}", line) for path in text for n, line in enumerate(read_lines(path), 1))
    beside = Parallel(src)
    pairs = ((beside.take(where), line) for where, line in lines)
    for group in arriving_from(text, wanted.of(pairs), batch_size):
        yield judge.scored([source for source, _ in group], [line for _, line in group])
    if wanted.reach_the_end:
        beside.end()


def judged_lists(
    judge: LineJudge, text: tuple[str, ...], src: tuple[str, ...], form: str
) -> Iterator[list[tuple[NbestList, list[ScoredLine]]]]:
    """N-best lists, each with the scores of its hypotheses; a pipe's as they come.

    The first list answers the first source, and so on; there may be more sources, which had no hypotheses.

    Raises:
        InputError: a list cannot be read, or has no source; those before have been yielded.
    """
    from rnntool.text.files import arriving_from
    from rnntool.text.nbest.forms import read_nbest
    from rnntool.text.parallel import Parallel

    beside = Parallel(src) if src else None
    pairs = (
        (nbest, "" if beside is None else beside.take(f"the list of id {nbest.id} in {nbest.source}"))
        for nbest in read_nbest(text, form)
    )
    for group in arriving_from(text, pairs, TOGETHER):
        sources = [source for nbest, source in group for _ in nbest.hypotheses]
        lines = [hypothesis.text for nbest, _ in group for hypothesis in nbest.hypotheses]
        scored = iter(judge.scored(sources, lines))
        yield [(nbest, [next(scored) for _ in nbest.hypotheses]) for nbest, _ in group]
