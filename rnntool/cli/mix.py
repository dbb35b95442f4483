"""`rnntool mix`: token scores of several models as those of one, with the weights that suit a text best."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from rnntool import __version__
from rnntool.cli import fields, options, report
from rnntool.errors import InputError, OptionError

if TYPE_CHECKING:
    from rnntool.score.interpolation import Fit
    from rnntool.score.scorer import LogProbs
    from rnntool.score.streams import Streams


class _Weights(click.ParamType):  # type: ignore[type-arg]  # generic since click 8.4
    """Numbers that are not negative, scaled to sum to one."""

    name = "weights"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[float, ...]:
        if isinstance(value, tuple):
            return value
        try:
            weights = [float(word) for word in str(value).split(",")]
        except ValueError:
            self.fail(f"{value!r} is not numbers with commas between", param, ctx)
        largest = max(weights)
        if not (0 < largest < math.inf and all(weight >= 0 for weight in weights)):
            self.fail(f"{value!r} is not numbers from 0 up, one of them above 0", param, ctx)
        total = sum(weight / largest for weight in weights)  # their plain sum may be past all floats
        return tuple(weight / largest / total for weight in weights)


@options.command("mix")
@options.option("--fit", type=options.type_of_file, metavar="STREAM", multiple=True, help="Fit the weights on STREAM.")
@options.option("--weights", type=_Weights(), metavar="W,W…", help="Weights to mix with; default: fitted.")
@options.option("--log-linear", is_flag=True, help="Multiply powers instead of adding shares.")
@options.unk
@options.option("--emit", is_flag=True, help="Write the mixed stream; say the rest on standard error.")
@options.json
@options.quiet
@options.verbose
@options.color
@options.streams
def command(
    fit: tuple[str, ...],
    weights: tuple[float, ...] | None,
    log_linear: bool,
    unk: str,
    emit: bool,
    json: bool,
    text: tuple[str, ...],
) -> None:
    """Print how well several models predict a text together, from their token scores.

    A STREAM is what score --tokens prints, with or without --json, or SRILM's -debug 2, KenLM's query -v word, rnnlm's
    -debug 2.  The weights are those that make its tokens likeliest (EM), or those of another text: --fit is given once for
    each STREAM, in the same order.  Prints the perplexity of each stream, then of all mixed.  Memory grows with the text.

    Examples:
      rnntool score --tokens -m A t | rnntool mix - b.tsv
      rnntool mix --fit valid.a --fit valid.b test.a test.b
      rnntool mix --weights 0.3,0.7 --emit a.tsv b.tsv > mixed.tsv
    """
    _check(fit, weights, log_linear, len(text))
    from rnntool.score import interpolation
    from rnntool.score.streams import read_streams

    fitted_on = read_streams(fit) if fit else None
    streams = read_streams(text, keep_spellings=emit)
    if fitted_on is None:
        fitted_on = streams
    found = _fit(fitted_on, unk) if weights is None else interpolation.Fit(weights, 0)
    mix = interpolation.log_linear if log_linear else interpolation.linear
    mixed = mix(streams.log_probs, found.weights)
    if not streams.tally(mixed, unk)[0].tokens:
        raise _impossible(streams)
    signature = {
        "eos": "yes" if streams.is_end.any() else "no",
        "unk": unk,
        "mix": "log-linear" if log_linear else "linear",
        **({"normalized": "no"} if log_linear else {}),
        "weights": ",".join(f"{weight:.6f}" for weight in found.weights),
        "fitted": "no" if weights is not None else "elsewhere" if fit else "here",
        "version": __version__,
    }
    results = _as_json if json and not emit else _as_lines
    lines = results(streams, mixed, found, signature)
    with report.output() as out:
        if not emit:
            out.write(lines)
            return
        for line in lines.splitlines():
            report.say(line)
        for record in _records(streams, mixed, as_json=json):
            out.write(record)


def _check(fit: tuple[str, ...], weights: tuple[float, ...] | None, log_linear: bool, num_streams: int) -> None:
    """Raise OptionError for options that do not go together."""
    if log_linear and weights is None:
        what = "its weights cannot be fitted: without the sum over all words, the best lie all on one stream"
        raise OptionError("--log-linear", what, "--weights")
    if fit and weights is not None:
        raise OptionError("--fit", "the weights are given and not fitted; leave out --weights")
    for option, number in (("--fit", len(fit)), ("--weights", len(weights or ()))):
        if number not in (0, num_streams):
            raise OptionError(option, f"{number} for {num_streams} streams; each has one")


def _fit(streams: Streams, unk: str) -> Fit:
    """The best weights for the tokens that count and that some stream finds possible."""
    from rnntool.score.interpolation import fit_linear

    counts = streams.counted(unk) & (streams.log_probs > -math.inf).any(axis=0)
    if not counts.any():
        raise _impossible(streams)
    fit = fit_linear(streams.log_probs[:, counts])
    report.detail(f"weights after {fit.iterations} iterations")
    return fit


def _impossible(streams: Streams) -> InputError:
    return InputError(", ".join(streams.names), "no token that counts has a probability above 0")


def _as_lines(streams: Streams, mixed: LogProbs, found: Fit, signature: dict[str, str]) -> str:
    """A line for each stream, then one for the mixture."""
    lines = []
    for name, log_probs, weight in zip(streams.names, streams.log_probs, found.weights, strict=True):
        tally, zeros = streams.tally(log_probs, signature["unk"])
        counts = {"tokens": tally.tokens, "zeros": zeros, "weight": f"{weight:.6f}", "stream": fields.spelled(name)}
        lines.append(fields.as_line(f"ppl = {tally.ppl:.2f}", counts))
    tally, zeros = streams.tally(mixed, signature["unk"])
    relation = "<=" if "normalized" in signature else "="
    counts = {"tokens": tally.tokens, "zeros": zeros, "oov": tally.oov}
    return "".join([*lines, fields.as_line(f"ppl {relation} {tally.ppl:.2f}", {**counts, **signature})])


def _as_json(streams: Streams, mixed: LogProbs, found: Fit, signature: dict[str, str]) -> str:
    """One object."""
    each = []
    for name, form, log_probs, weight in zip(
        streams.names, streams.formats, streams.log_probs, found.weights, strict=True
    ):
        tally, zeros = streams.tally(log_probs, signature["unk"])
        each.append(
            {
                "stream": fields.spelled(name),
                "format": form,
                "weight": weight,
                "tokens": tally.tokens,
                "zeros": zeros,
                "nll": tally.nll,
                "ppl": tally.ppl,
            }
        )
    tally, zeros = streams.tally(mixed, signature["unk"])
    bound = "_bound" if "normalized" in signature else ""
    return fields.as_object(
        {
            "streams": each,
            "sentences": tally.sentences,
            "tokens": tally.tokens,
            "zeros": zeros,
            "oov": tally.oov,
            f"nll{bound}": tally.nll,
            f"ppl{bound}": tally.ppl,
            "weights": found.weights,
            "iterations": found.iterations,
            "signature": signature,
        }
    )


def _records(streams: Streams, mixed: LogProbs, *, as_json: bool) -> Iterator[str]:
    """The mixture as a stream of token scores."""
    sentence, position = 1, 0
    for token, log_prob, is_oov, is_end in zip(streams.tokens(), mixed, streams.is_oov, streams.is_end, strict=True):
        position += 1
        flags = "eos" if is_end else "oov" if is_oov else ""
        yield fields.token_record(sentence, position, token, float(log_prob), flags, as_json=as_json)
        if is_end:
            sentence, position = sentence + 1, 0
