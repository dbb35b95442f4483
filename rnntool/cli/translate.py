"""`rnntool translate`: source lines in, target lines out, in their order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from rnntool.cli import models, options, report
from rnntool.errors import OptionError

if TYPE_CHECKING:
    from rnntool.search.continuation import Continuation
    from rnntool.search.translator import Translator
    from rnntool.text.vocabulary import Vocabulary

DIGITS = 6
"""After the point, of what stands in lists."""

TOGETHER = 1024
"""Lines of a file that are sorted by length before they are translated."""


@options.command("translate")
@options.model(help="Model to translate with; may be repeated for an ensemble.")
@options.option("--beam", type=click.IntRange(1), metavar="K", default=5, help="Hypotheses kept side by side.")
@options.option(
    "--length-penalty",
    type=click.FloatRange(0),
    metavar="A",
    default=1.0,
    help="Hypotheses compete by log-probability / length^A.",
)
@options.option(
    "--max-length",
    type=click.FloatRange(0, min_open=True),
    metavar="X",
    default=2.0,
    help="Most tokens of a target, as a multiple of its source's, and ten more.",
)
@options.option("--n-best", type=click.IntRange(1), metavar="N", help="Write the N best of each line, as Moses does.")
@options.option("--no-unk", is_flag=True, help="Never write <unk>.")
@options.batch_size(32)
@options.option(
    "--precision",
    type=click.Choice(["fp64", "fp32"]),
    metavar="NAME",
    default="fp64",
    help="Of products: fp64, or fp32, which is faster.",
)
@options.device
@options.threads
@options.quiet
@options.verbose
@options.color
@options.text
def command(
    model: tuple[options.Model, ...],
    beam: int,
    length_penalty: float,
    max_length: float,
    n_best: int | None,
    no_unk: bool,
    batch_size: int,
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
    """
    if n_best is not None and n_best > beam:
        raise OptionError("--n-best", f"{n_best} lines, and --beam {beam} keeps no more than {beam}")
    opened = models.open_translators(model, threads=threads, device=device)
    from rnntool.search.translator import Translator
    from rnntool.text.files import arriving, is_regular, read_lines

    first = opened[0].vocabulary
    translator = Translator(
        [each.network for each in opened],
        options.shares(model),
        eos_id=first.eos_id,
        source_ends=[each.source.eos_id for each in opened],
        precision=precision,
    )
    banned = set(first.control_ids) - {first.eos_id} | ({first.unk_id} if no_unk else set())
    task = _Task(
        translator,
        first,
        tuple(each.source for each in opened),
        beam,
        length_penalty,
        max_length,
        n_best,
        tuple(sorted(banned)),
        batch_size,
    )
    lines = (line for path in text for line in read_lines(path))
    groups = arriving(lines, TOGETHER, wait=all(is_regular(path) for path in text))
    number = 0
    with report.output() as out:
        for group in groups:
            for found in task.translated(group):
                out.write(task.record(number, found))
                number += 1
            out.flush()


@dataclass(frozen=True)
class _Task:
    """What is to be translated, and how."""

    translator: Translator
    vocabulary: Vocabulary
    sources: tuple[Vocabulary, ...]
    beam: int
    length_penalty: float
    max_length: float
    n_best: int | None
    banned: tuple[int, ...]
    batch_size: int

    def translated(self, lines: Sequence[str]) -> Iterator[list[Continuation]]:
        """The best targets of each line, in order."""
        from rnntool.score.columns import batches_by
        from rnntool.search.continuation import Continuation

        ids = [[vocabulary.encode(line) for line in lines] for vocabulary in self.sources]
        written = [number for number, line in enumerate(ids[0]) if line]
        found: dict[int, list[Continuation]] = {}
        for places in batches_by([len(ids[0][number]) for number in written], self.batch_size):
            numbers = [written[place] for place in places]
            batch = [[own[number] for number in numbers] for own in ids]
            found |= zip(numbers, self._search(batch), strict=True)
        for number in range(len(lines)):
            yield found.get(number, [Continuation((), 0.0, has_ended=True)])

    def _search(self, batch: list[list[list[int]]]) -> list[list[Continuation]]:
        from rnntool.search.beam import beam_search

        return beam_search(
            self.translator,
            self.translator.read(batch),
            beam_size=self.beam,
            num_best=self.n_best or 1,
            max_tokens=[int(self.max_length * len(line)) + 10 for line in batch[0]],
            banned=self.banned,
            length_penalty=self.length_penalty,
        )

    def record(self, number: int, found: Sequence[Continuation]) -> str:
        """The targets of one line: the best as text, or all as a list."""
        from rnntool.text.nbest import moses
        from rnntool.text.nbest.lists import Hypothesis, NbestList

        texts = [self.vocabulary.decode(each.ids) for each in found]
        if self.n_best is None:
            return f"{texts[0]}\n"
        hypotheses = (
            Hypothesis(text, {"F0": (round(each.logprob, DIGITS),)}, round(each.score(self.length_penalty), DIGITS))
            for text, each in zip(texts, found, strict=True)
        )
        return moses.write(NbestList(str(number), tuple(hypotheses)))
