"""`rnntool translate`: source lines in, target lines out, in their order."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from rnntool.cli import fields, models, options, report
from rnntool.errors import OptionError

if TYPE_CHECKING:
    from torch import Tensor

    from rnntool.search.translation import Aligned, Target
    from rnntool.text.shards import Lines

DIGITS = 6
"""After the point, of what stands in lists."""

TOGETHER = 1024
"""Lines of a file that are sorted by length before they are translated."""

BEAM = 5
FOUND, DRAWN, WORDS = "Searching", "Drawing", "Unknown words and alignments"
LEVELS = ("word", "piece")
UNKNOWN = ("keep", "ban", "copy")


class _AlignmentType(click.ParamType):  # type: ignore[type-arg]  # generic since click 8.4
    name = "alignment"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str | float:
        if value in ("hard", "soft") or isinstance(value, float):
            return str(value) if isinstance(value, str) else float(value)
        try:
            threshold = float(value)
        except ValueError:
            threshold = 0.0
        if not 0 < threshold <= 1:
            self.fail(f"{value!r} is not hard, soft, or a number above 0 and at most 1", param, ctx)
        return threshold


@options.command("translate")
@options.model(help="Model to translate with; may be repeated for an ensemble.")
@options.option("--n-best", type=options.Whole(1), metavar="N", help="Write the N best of each line, as Moses does.")
@options.option("--distinct", is_flag=True, help="With --n-best: no text twice.")
@options.option("--prefix", type=options.type_of_file, metavar="FILE", help="Begin target n with line n of FILE.")
@options.option(
    "--min-length",
    type=options.Real(0),
    metavar="X",
    default=0.0,
    help="Fewest tokens of a target, as a multiple of its source's.",
)
@options.option(
    "--max-length",
    type=options.Real(0, min_open=True),
    metavar="X",
    default=2.0,
    help="Most tokens of a target, as a multiple of its source's, and ten more.",
)
@options.option(
    "--max-source",
    type=options.Whole(1),
    metavar="N",
    default=5000,
    help="Leave the answer to a line of more tokens blank, and say so.",
)
@options.json
@options.option(
    "--beam",
    section=FOUND,
    type=options.Whole(1, 1000),
    metavar="K",
    help=f"Hypotheses kept side by side; default: {BEAM}.",
)
@options.option(
    "--length-penalty",
    section=FOUND,
    type=options.Real(0),
    metavar="A",
    default=1.0,
    help="Hypotheses compete by log-probability / length^A.",
)
@options.option(
    "--coverage-penalty",
    section=FOUND,
    type=options.Real(0),
    metavar="B",
    default=0.0,
    help="Prefer targets that looked at all of the source.",
)
@options.beside(section=FOUND)
@options.option("--sample", section=DRAWN, is_flag=True, help="Draw targets instead of searching for the best.")
@options.under(
    DRAWN,
    options.temperature("Below 1 likelier targets, above 1 wilder; 0: the likeliest token."),
    options.top_k,
    options.top_p,
    options.seed(1),
)
@options.option(
    "--unk",
    section=WORDS,
    metavar="HOW",
    default="keep",
    help="Where <unk> would stand: keep it, ban it, copy the word looked at, or look that up in a file.",
)
@options.option(
    "--alignment",
    section=WORDS,
    type=_AlignmentType(),
    metavar="HOW",
    help="Write what looked where: hard, soft, or pairs of at least X.",
)
@options.option(
    "--alignment-file",
    section=WORDS,
    type=options.type_of_file,
    metavar="FILE",
    help="Write alignments to FILE, not beside the targets.",
)
@options.option(
    "--alignment-level",
    section=WORDS,
    type=click.Choice(LEVELS),
    metavar="UNIT",
    default=LEVELS[0],
    help="Align each word, or each piece.",
)
@options.batch_size(32)
@options.shard
@options.search_precision
@options.device
@options.threads
@options.quiet
@options.verbose
@options.color
@options.text
def command(
    model: tuple[options.Model, ...],
    n_best: int | None,
    distinct: bool,
    prefix: str | None,
    min_length: float,
    max_length: float,
    max_source: int,
    json: bool,
    beam: int | None,
    length_penalty: float,
    coverage_penalty: float,
    lm: tuple[options.Model, ...],
    sample: bool,
    temperature: float,
    top_k: int | None,
    top_p: float,
    seed: int,
    unk: str,
    alignment: str | float | None,
    alignment_file: str | None,
    alignment_level: str,
    batch_size: int,
    shard: str | None,
    precision: str,
    device: str,
    threads: int | None,
    text: tuple[str, ...],
) -> None:
    """Translate each line of TEXT.

    Line n of the output answers line n of TEXT; a blank line stays blank.  A pipe is answered as its lines come, a file in
    batches of like length.  The answer to a line does not depend on the others.  Several -m, whose targets have one
    vocabulary, mix their probabilities.

    Examples:
      rnntool translate -m runs/ende < test.en | rnntool bleu test.de
      rnntool translate -m runs/a -m runs/b --n-best 5 test.en > test.nbest
      rnntool translate -m runs/ende --lm runs/de:0.2 --unk copy test.en
    """
    _check(n_best, distinct, min_length, max_length, beam, coverage_penalty, sample, alignment, alignment_file)
    _check_drawing(sample, temperature, top_k, top_p)
    lines_wanted = options.lines_of(shard, text)
    opened = models.open_translators(model, threads=threads, device=device)
    companions = models.open_companions(lm, opened[0])
    attending = _attending(opened, unk=unk, alignment=alignment, coverage_penalty=coverage_penalty)
    from rnntool.search.drawing import Bend
    from rnntool.search.translation import Line, Manner, Translation
    from rnntool.search.translator import Translator

    first = opened[0].vocabulary
    shares = options.shares(model)
    translator = Translator(
        [each.network for each in opened],
        shares,
        eos_id=first.eos_id,
        source_ends=[each.source.eos_id for each in opened],
        precision=precision,
        companions=companions,
        banned=first.unwritable(no_unk=unk == "ban"),
    )
    manner = Manner(
        beam_size=beam or BEAM,
        num_best=n_best or 1,
        is_distinct=distinct,
        length_penalty=length_penalty,
        coverage_penalty=coverage_penalty,
        min_length=min_length,
        max_length=max_length,
        max_source=max_source,
        bend=Bend((), temperature, top_k or 0, top_p) if sample else None,
        seed=seed,
        replacements=_replacements(unk),
        level="" if alignment is None else alignment_level,
        has_features=len(opened) + len(companions) > 1 and (n_best is not None or json),
    )
    translation = Translation(
        translator,
        first,
        [each.source for each in opened],
        attending=attending,
        weights=shares,
        batch_size=batch_size,
        manner=manner,
    )
    names = [f"F{number}" for number in range(len(opened))] + [f"LM{number}" for number in range(len(companions))]
    writer = _Writer(names, n_best is not None, json, alignment, beside=alignment_file is None)
    with contextlib.ExitStack() as stack:
        aside = None if alignment_file is None else stack.enter_context(report.output(alignment_file))
        out = stack.enter_context(report.output())
        number = lines_wanted.first
        for group in _groups(text, prefix, lines_wanted):
            lines = [Line(line.text, number + place, line.prefix) for place, line in enumerate(group)]
            for line, targets in zip(group, translation.targets(lines), strict=True):
                if targets[0].is_refused:
                    report.warning(line.where, f"more than {max_source} tokens (--max-source); the answer is blank")
                out.write(writer.record(number, targets))
                if aside is not None:
                    aside.write(writer.alignments(targets))
                number += 1
            out.flush()


def _check(
    n_best: int | None,
    distinct: bool,
    min_length: float,
    max_length: float,
    beam: int | None,
    coverage_penalty: float,
    sample: bool,
    alignment: str | float | None,
    alignment_file: str | None,
) -> None:
    """Refuse options that contradict each other."""
    kept = BEAM if beam is None else beam
    if not sample and n_best is not None and n_best > kept:
        raise OptionError("--n-best", f"{n_best} lines, and --beam {kept} keeps no more than {kept}")
    if distinct and n_best is None:
        raise OptionError("--distinct", "goes with --n-best only")
    if min_length > max_length:
        what = f"{min_length:g}, and --max-length {max_length:g} allows long lines no more"
        raise OptionError("--min-length", what, f"--max-length {min_length:g}")
    if sample and beam is not None:
        raise OptionError("--beam", "searches; --sample draws")
    if sample and coverage_penalty:
        raise OptionError("--coverage-penalty", "is for a search; --sample draws")
    if alignment_file is not None and alignment is None:
        raise OptionError("--alignment-file", "goes with --alignment only", "--alignment hard")
    if alignment_file == "-":
        raise OptionError(
            "--alignment-file", "targets go to the standard output; without it, alignments stand beside them"
        )


def _check_drawing(sample: bool, temperature: float, top_k: int | None, top_p: float) -> None:
    bent = {"--temperature": temperature != 1, "--top-k": top_k, "--top-p": top_p < 1}
    for option, is_given in bent.items():
        if is_given and not sample:
            raise OptionError(option, "is for drawing, with --sample only")


def _attending(
    opened: Sequence[models.Translating], *, unk: str, alignment: str | float | None, coverage_penalty: float
) -> list[int]:
    """The models whose attention counts: those that have the source vocabulary of the first that attends.

    Raises:
        OptionError: none attends, and an option needs it.
    """
    attending = [index for index, each in enumerate(opened) if each.network.attends]
    wants = {"--unk": unk not in ("keep", "ban"), "--alignment": alignment, "--coverage-penalty": coverage_penalty}
    for option, is_wanted in wants.items():
        if is_wanted and not attending:
            raise OptionError(option, f"needs attention, and {opened[0].name} has none")
    return [index for index in attending if opened[index].source.tokens == opened[attending[0]].source.tokens]


def _replacements(unk: str) -> Mapping[str, str] | None:
    """What `--unk` asks to put for words of the source."""
    if unk in UNKNOWN:
        return {} if unk == "copy" else None
    from rnntool.text.lexicon import read_lexicon

    return read_lexicon(unk)


class _Read(NamedTuple):
    """A line of TEXT, and what its target begins with."""

    where: str
    text: str
    prefix: str


def _groups(text: tuple[str, ...], prefix: str | None, wanted: Lines) -> Iterator[list[_Read]]:
    """The lines to be translated: those of a file many together, those of a pipe as they come.

    Args:
        text: names of files.
        prefix: name of a file with a line for each of theirs.
        wanted: which lines.

    Raises:
        InputError: there are more or fewer prefixes than lines.
    """
    from rnntool.text.files import arriving_from, read_lines, shown
    from rnntool.text.parallel import Parallel

    lines = ((f"{shown(path)}:{n}", line) for path in text for n, line in enumerate(read_lines(path), 1))
    prefixes = None if prefix is None else Parallel([prefix])
    read = (_Read(where, line, "" if prefixes is None else prefixes.take(where)) for where, line in lines)
    yield from arriving_from(text, wanted.of(read), TOGETHER)
    if prefixes is not None and wanted.reach_the_end:
        prefixes.end()


class _Writer(NamedTuple):
    """How targets are written."""

    names: Sequence[str]
    """Of the models."""
    is_list: bool
    as_json: bool
    alignment: str | float | None
    beside: bool
    """Whether alignments stand beside the targets."""

    def record(self, number: int, targets: Sequence[Target]) -> str:
        """The targets of one line: the best as text, or all as a list."""
        if self.as_json:
            return "".join(self._object(number, rank, each) for rank, each in enumerate(targets, 1))
        if not self.is_list:
            beside = f" ||| {self._form(targets[0].aligned)}" if self._shows else ""
            return f"{targets[0].text}{beside}\n"
        from rnntool.text.nbest import moses
        from rnntool.text.nbest.lists import Hypothesis, NbestList

        hypotheses = (
            Hypothesis(
                each.text,
                {name: (round(value, DIGITS),) for name, value in self._features(each).items()},
                round(each.score, DIGITS),
                after=(self._form(each.aligned),) if self._shows else (),
            )
            for each in targets
        )
        return moses.write(NbestList(str(number), tuple(hypotheses)))

    def alignments(self, targets: Sequence[Target]) -> str:
        """The alignment of each target that is written, on a line of its own."""
        return "".join(f"{self._form(each.aligned)}\n" for each in targets)

    @property
    def _shows(self) -> bool:
        return self.alignment is not None and self.beside

    def _features(self, target: Target) -> dict[str, float]:
        log_probs = target.log_probs or (target.continuation.logprob,)
        features = dict(zip(self.names, log_probs, strict=True))
        return features if target.coverage is None else {**features, "Coverage": target.coverage}

    def _form(self, aligned: Aligned | None) -> str:
        from rnntool.search import alignment

        if aligned is None:
            return ""
        if self.alignment == "soft":
            return alignment.soft_form(aligned.attention)
        return alignment.hard_form(self._links(aligned.attention))

    def _links(self, attention: Tensor) -> list[tuple[int, int]]:
        from rnntool.search.alignment import links

        return links(attention, self.alignment if isinstance(self.alignment, float) else None)

    def _object(self, number: int, rank: int, target: Target) -> str:
        found = target.continuation
        record: dict[str, Any] = {
            "sentence": number + 1,
            "rank": rank,
            "score": target.score,
            "logprob": found.logprob,
            "tokens": found.num_tokens,
            "ended": found.has_ended,
            "text": target.text,
        }
        if target.log_probs or target.coverage is not None:
            record["features"] = self._features(target)
        if target.aligned is not None:
            attention = target.aligned.attention
            record |= {"source": target.aligned.source, "target": target.aligned.target}
            record["alignment"] = attention.tolist() if self.alignment == "soft" else self._links(attention)
        return fields.as_object(record)
