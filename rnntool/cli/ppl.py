"""`rnntool ppl`: from text to its perplexity, which says how it was counted."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from rnntool import __version__
from rnntool.cli import models, options, report
from rnntool.errors import InputError

if TYPE_CHECKING:
    from rnntool.score.perplexity import Tally


@options.command("ppl")
@options.model()
@models.context
@options.option(
    "--unk",
    type=click.Choice(["count", "skip"]),
    metavar="HOW",
    default="count",
    help="Unknown words: count them as <unk>, or skip them.",
)
@options.option("--confidence", is_flag=True, help="Add the 95 % interval over lines (bootstrap).")
@options.batch_size(64)
@options.json
@options.device
@options.threads
@options.quiet
@options.verbose
@options.color
@options.text
def command(
    model: tuple[options.Model, ...],
    context: str | None,
    unk: str,
    confidence: bool,
    batch_size: int,
    json: bool,
    device: str,
    threads: int | None,
    text: tuple[str, ...],
) -> None:
    """Print the perplexity of TEXT under a language model.

    Reads one sentence per line and prints one line for each TEXT, and their total.  The line says how it was counted:
    tokens (one </s> for every line among them), words out of the vocabulary, context.  Several -m are mixed linearly.
    Memory grows with the longest line, not with the text.

    Examples:
      rnntool ppl -m run valid.txt
      zcat news.txt.gz | rnntool ppl -m run -m other.rnn:0.3 --json
    """
    opened = models.open_models(model, threads=threads, device=device, context=context, batch_size=batch_size)
    from rnntool.score.perplexity import Bootstrap, Tally, grouped, score_lines
    from rnntool.text.files import read_lines, shown

    signature = {
        "eos": "yes",
        "context": opened.scorer.context,
        "unk": unk,
        "vocab": opened.scorer.vocabulary.digest,
        "version": __version__,
    }
    total = Tally()
    interval = Bootstrap() if confidence else None
    with report.output() as out:
        for path in text:
            tally = Tally()
            for scored in score_lines(opened.scorer, grouped(read_lines(path))):
                for line in scored:
                    one = _counted(line.tally(), unk)
                    tally += one
                    if interval is not None:
                        interval.add(one)
            if not tally.tokens:
                raise InputError(shown(path), "no tokens")
            total += tally
            if len(text) > 1:
                out.write(_line(tally, {**signature, "text": _spelled(shown(path))}, json))
                out.flush()
        bounds = interval.interval() if interval is not None else None
        out.write(_line(total, signature, json, bounds))


def _counted(tally: Tally, unk: str) -> Tally:
    """The tally, without what is not to be counted."""
    if unk == "count":
        return tally
    return replace(tally, tokens=tally.tokens - tally.oov, nll=tally.nll - tally.oov_nll, oov_nll=0.0)


def _spelled(name: str) -> str:
    """A file's name on one line, bytes that are not UTF-8 as backslash, x and two digits."""
    return report.one_line(name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace"))


def _line(tally: Tally, signature: dict[str, str], as_json: bool, bounds: tuple[float, float] | None = None) -> str:
    """One result: for eyes, or as JSON."""
    if as_json:
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
        }
        if bounds is not None:
            values["ppl_interval"] = list(bounds)
        return json.dumps({**{key: _for_json(value) for key, value in values.items()}, "signature": signature}) + "\n"
    interval = "" if bounds is None else f" [{bounds[0]:.2f}, {bounds[1]:.2f}]"
    parts = [f"ppl = {tally.ppl:.2f}{interval}", f"tokens:{tally.tokens}", f"oov:{tally.oov}"]
    return " | ".join(parts + [f"{key}:{value}" for key, value in signature.items()]) + "\n"


def _for_json(value: Any) -> Any:
    """The value, or None for a number that JSON cannot hold: nothing was counted, or the sum is past all floats."""
    if isinstance(value, list):
        return [_for_json(each) for each in value]
    return value if math.isfinite(value) else None
