"""`rnntool ppl`: from text to its perplexity, which says how it was counted."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from rnntool import __version__
from rnntool.cli import fields, judging, models, options, report
from rnntool.cli.adaptation import Wanted, adapt, takes_adaptation
from rnntool.errors import InputError, OptionError

if TYPE_CHECKING:
    from rnntool.score.perplexity import ScoredLine, Tally
    from rnntool.score.unnormalized import Moments


@options.command("ppl")
@options.model()
@models.context
@options.unk
@models.unnormalized
@options.option("--confidence", is_flag=True, help="Add the 95 % interval over lines (bootstrap).")
@options.option("--per-line", is_flag=True, help="One result for every line instead of every TEXT.")
@options.batch_size(64)
@options.shard
@options.json
@options.device
@options.threads
@options.quiet
@options.verbose
@options.color
@takes_adaptation
@options.text
def command(
    model: tuple[options.Model, ...],
    context: str | None,
    unk: str,
    unnormalized: bool,
    confidence: bool,
    adaptation: Wanted,
    per_line: bool,
    batch_size: int,
    shard: str | None,
    json: bool,
    device: str,
    threads: int | None,
    text: tuple[str, ...],
) -> None:
    """Print the perplexity of TEXT under a language model.

    Reads one sentence per line and prints one line for each TEXT, and their total, or with --per-line one for each line of
    TEXT.  Each says how it was counted: tokens (one </s> for every line among them), words out of the vocabulary, context.
    Several -m are mixed linearly.  Memory grows with the longest line, not with the text.  A model may adapt to the text
    as it reads it: KEY are those of the manual page, and the word fit in place of them leaves all to --fit.

    Examples:
      rnntool ppl -m run valid.txt
      zcat news.txt.gz | rnntool ppl -m run -m other.rnn:0.3 --json
      rnntool ppl -m run --per-line --json test.txt
      rnntool ppl -m run --cache time=100,weight=0.1 test.txt
      rnntool ppl -m run --pointer fit --fit valid.txt test.txt
    """
    if per_line and confidence:
        raise OptionError("--confidence", "is an interval over lines; leave out --per-line")
    if shard is not None and not per_line:
        raise OptionError("--shard", "the perplexity of a part says nothing about the whole", "--per-line")
    wanted = options.lines_of(shard, text, batch_size)
    choices = adaptation.choices()
    opened = models.open_models(
        model,
        threads=threads,
        device=device,
        context=context,
        batch_size=batch_size,
        hint="rnntool score --src FILE",
    )
    from rnntool.score.perplexity import Bootstrap, Tally, grouped, score_lines
    from rnntool.text.files import read_lines, shown

    log_z: Moments | None = None
    if unnormalized:
        from rnntool.score.unnormalized import Moments

        log_z = Moments()
        scorer, adapts = models.unnormalize(opened, adapts=bool(choices.stages), log_z=log_z), {"normalized": "no"}
    else:
        scorer, adapts = adapt(opened.scorer, choices, adaptation.fit)
    signature = {
        "eos": "yes",
        "context": scorer.context,
        "unk": unk,
        "vocab": scorer.vocabulary.digest,
        "version": __version__,
        **adapts,
    }
    write = _Writer(signature, scorer.vocabulary.unit, as_json=json)
    is_one_text = judging.are_independent(scorer, choices, shard)

    def tally_of(line: ScoredLine) -> Tally:
        return line.tally() if unk == "count" else line.tally().without_oov()

    with report.output() as out:
        if per_line:
            number = itertools.count(wanted.first + 1)
            # where a line knows those before it, each text begins anew
            for paths in [text] if is_one_text else [(path,) for path in text]:
                for scored in judging.scored_lines(scorer, paths, wanted, batch_size=batch_size):
                    out.write("".join(write.result(tally_of(line), {"sentence": next(number)}) for line in scored))
                    out.flush()
            return
        total = Tally()
        interval = Bootstrap() if confidence else None
        for path in text:
            tally = Tally()
            for scored in score_lines(scorer, grouped(read_lines(path))):
                for line in scored:
                    one = tally_of(line)
                    tally += one
                    if interval is not None:
                        interval.add(one)
            if not tally.tokens:
                raise InputError(shown(path), "no tokens")
            total += tally
            if len(text) > 1:
                out.write(write.result(tally, text=shown(path)))
                out.flush()
        spread = {} if log_z is None else {"log_z_mean": log_z.mean, "log_z_variance": log_z.variance}
        out.write(write.result(total, spread, interval.interval() if interval is not None else None))


@dataclass(frozen=True)
class _Writer:
    """How results are written.

    Args:
        signature: how all of them were counted.
        unit: of the vocabulary.
        as_json: as objects.
    """

    signature: Mapping[str, str]
    unit: str
    as_json: bool

    def result(
        self,
        tally: Tally,
        numbers: Mapping[str, float] = MappingProxyType({}),
        bounds: tuple[float, float] | None = None,
        text: str | None = None,
    ) -> str:
        """One result.

        Args:
            tally: what was scored.
            numbers: more that is said of it.
            bounds: the interval of its perplexity.
            text: where it is from, if not all of it is meant.
        """
        signature = dict(self.signature) if text is None else {**self.signature, "text": fields.spelled(text)}
        write = self._as_object if self.as_json else self._as_line
        return write(tally, numbers, bounds, signature)

    def _as_object(
        self, tally: Tally, numbers: Mapping[str, float], bounds: tuple[float, float] | None, signature: dict[str, str]
    ) -> str:
        values: dict[str, Any] = {
            "sentences": tally.sentences,
            "tokens": tally.tokens,
            "oov": tally.oov,
            "nll": tally.nll,
            "ppl": tally.ppl,
            "ppl_excl_oov": tally.ppl if signature["unk"] == "skip" else tally.ppl_excl_oov,
            "ppl1": tally.ppl1,
            "bits_per_token": tally.bits_per_token,
            "bits_per_char": tally.bits_per_char,
            "bits_per_byte": tally.bits_per_byte,
            "words": tally.words,
            "ppl_per_word": tally.ppl_per_word,
        }
        if bounds is not None:
            values["ppl_interval"] = bounds
        return fields.as_object({**values, **numbers, "signature": signature})

    def _as_line(
        self, tally: Tally, numbers: Mapping[str, float], bounds: tuple[float, float] | None, signature: dict[str, str]
    ) -> str:
        """For eyes, with the perplexity per word where tokens are none."""
        interval = "" if bounds is None else f" [{bounds[0]:.2f}, {bounds[1]:.2f}]"
        counts: dict[str, object] = {"tokens": tally.tokens, "oov": tally.oov}
        if self.unit != "word":
            counts["ppl_per_word"] = f"{tally.ppl_per_word:.2f}"
        for name, number in numbers.items():
            counts[name] = f"{number:.4f}" if isinstance(number, float) else number
        return fields.as_line(f"ppl = {tally.ppl:.2f}{interval}", {**counts, **signature})
