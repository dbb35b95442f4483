"""`rnntool ppl`: from text to its perplexity, which says how it was counted."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from rnntool import __version__
from rnntool.cli import fields, models, options, report
from rnntool.cli.adaptation import Wanted, adapt, takes_adaptation
from rnntool.errors import InputError

if TYPE_CHECKING:
    from rnntool.score.perplexity import Tally
    from rnntool.score.unnormalized import Moments


@options.command("ppl")
@options.model()
@models.context
@options.unk
@models.unnormalized
@options.option("--confidence", is_flag=True, help="Add the 95 % interval over lines (bootstrap).")
@options.batch_size(64)
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
    batch_size: int,
    json: bool,
    device: str,
    threads: int | None,
    text: tuple[str, ...],
) -> None:
    """Print the perplexity of TEXT under a language model.

    Reads one sentence per line and prints one line for each TEXT, and their total.  The line says how it was counted:
    tokens (one </s> for every line among them), words out of the vocabulary, context.  Several -m are mixed linearly.
    Memory grows with the longest line, not with the text.  A model may adapt to the text as it reads it: KEY are those of
    the manual page, and the word fit in place of them leaves all to --fit.

    Examples:
      rnntool ppl -m run valid.txt
      zcat news.txt.gz | rnntool ppl -m run -m other.rnn:0.3 --json
      rnntool ppl -m run --cache time=100,weight=0.1 test.txt
      rnntool ppl -m run --pointer fit --fit valid.txt test.txt
    """
    choices = adaptation.choices()
    opened = models.open_models(model, threads=threads, device=device, context=context, batch_size=batch_size)
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
    unit = scorer.vocabulary.unit
    total = Tally()
    interval = Bootstrap() if confidence else None
    with report.output() as out:
        for path in text:
            tally = Tally()
            for scored in score_lines(scorer, grouped(read_lines(path))):
                for line in scored:
                    one = line.tally() if unk == "count" else line.tally().without_oov()
                    tally += one
                    if interval is not None:
                        interval.add(one)
            if not tally.tokens:
                raise InputError(shown(path), "no tokens")
            total += tally
            if len(text) > 1:
                own = {**signature, "text": fields.spelled(shown(path))}
                out.write(_as_object(tally, own) if json else _as_line(tally, own, unit))
                out.flush()
        bounds = interval.interval() if interval is not None else None
        spread = {} if log_z is None else {"log_z_mean": log_z.mean, "log_z_variance": log_z.variance}
        if json:
            out.write(_as_object(total, signature, bounds, spread))
        else:
            shown_spread = {key: f"{value:.4f}" for key, value in spread.items()}
            out.write(_as_line(total, {**shown_spread, **signature}, unit, bounds))


def _as_object(
    tally: Tally,
    signature: dict[str, str],
    bounds: tuple[float, float] | None = None,
    spread: Mapping[str, float] = MappingProxyType({}),
) -> str:
    """One result as JSON."""
    skipped = signature["unk"] == "skip"
    values: dict[str, Any] = {
        "sentences": tally.sentences,
        "tokens": tally.tokens,
        "oov": tally.oov,
        "nll": tally.nll,
        "ppl": tally.ppl,
        "ppl_excl_oov": tally.ppl if skipped else tally.ppl_excl_oov,
        "ppl1": tally.ppl1,
        "bits_per_token": tally.bits_per_token,
        "bits_per_char": tally.bits_per_char,
        "bits_per_byte": tally.bits_per_byte,
        "words": tally.words,
        "ppl_per_word": tally.ppl_per_word,
    }
    if bounds is not None:
        values["ppl_interval"] = bounds
    return fields.as_object({**values, **spread, "signature": signature})


def _as_line(tally: Tally, signature: dict[str, str], unit: str, bounds: tuple[float, float] | None = None) -> str:
    """One result for eyes, with the perplexity per word where tokens are none."""
    interval = "" if bounds is None else f" [{bounds[0]:.2f}, {bounds[1]:.2f}]"
    counts: dict[str, object] = {"tokens": tally.tokens, "oov": tally.oov}
    if unit != "word":
        counts["ppl_per_word"] = f"{tally.ppl_per_word:.2f}"
    return fields.as_line(f"ppl = {tally.ppl:.2f}{interval}", {**counts, **signature})
