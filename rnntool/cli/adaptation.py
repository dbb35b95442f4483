"""`--cache`, `--pointer`, `--dynamic`, `--temperature` and `--fit`: scorers that adapt to the text they score."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rnntool.cli import fields, options, report
from rnntool.config.adaptation import (
    Adaptation,
    Choices,
    parse_cache,
    parse_dynamic,
    parse_pointer,
    parse_temperature,
)
from rnntool.errors import InputError, OptionError

if TYPE_CHECKING:
    from rnntool.score.scorer import Scorer
    from rnntool.score.tuning import Trial


@dataclass(frozen=True)
class Wanted:
    """What the options ask for, as they were written."""

    dynamic: str | None
    temperature: str | None
    pointer: str | None
    cache: tuple[str, ...]
    fit: str | None

    def choices(self) -> Choices:
        """The same as settings.

        Raises:
            OptionError: an option is wrong, or there is nothing to fit, or nothing to fit it on.
        """
        fits = self.fit is not None
        choices = Choices(
            parse_dynamic(self.dynamic, fits=fits) if self.dynamic is not None else (),
            parse_temperature(self.temperature, fits=fits) if self.temperature is not None else (),
            parse_pointer(self.pointer, fits=fits) if self.pointer is not None else (),
            tuple(parse_cache(text, fits=fits) for text in self.cache),
        )
        if fits and choices.is_settled:
            raise OptionError("--fit", "nothing is left open that could be fitted", "--cache fit")
        return choices


def takes_adaptation(function: options.Decorated) -> options.Decorated:
    """The options; the function gets all of them as one argument `adaptation`, a `Wanted`."""

    @options.under(
        "Adaptation",
        options.option(
            "--cache",
            metavar="KEY=N,…",
            multiple=True,
            help="Mix in a cache of the tokens before: order, time, window, weight; may be repeated.",
        ),
        options.option(
            "--pointer", metavar="KEY=N,…", help="Mix in a cache of the states before: window, theta, weight."
        ),
        options.option(
            "--dynamic", metavar="KEY=N,…", help="Let networks learn from what they scored: rule, lr, decay, bptt."
        ),
        options.option(
            "--temperature", metavar="T", help="Sharpen (below 1) or flatten the distributions of networks."
        ),
        options.option("--fit", type=options.type_of_file, metavar="FILE", help="Fit what is left open on FILE first."),
    )
    @functools.wraps(function)
    def wrapped(
        dynamic: str | None,
        temperature: str | None,
        pointer: str | None,
        cache: tuple[str, ...],
        fit: str | None,
        **others: Any,
    ) -> Any:
        return function(adaptation=Wanted(dynamic, temperature, pointer, cache, fit), **others)

    return wrapped


def adapt(scorer: Scorer, choices: Choices, fit: str | None) -> tuple[Scorer, dict[str, str]]:
    """The scorer that adapts, and what its signature says of that: nothing, if nothing was asked for.

    Args:
        scorer: a model, or a mixture of several.
        choices: what was asked for.
        fit: the text to choose on; None if nothing is left to choose.

    Raises:
        InputError: the text cannot be read, or is empty.
        OptionError: a network is needed, and there is none.
    """
    if not choices.stages:
        return scorer, {}
    from rnntool.score.adaptation import adapted

    if fit is None:
        adaptation = choices.settled()
        return adapted(scorer, adaptation), _signature(adaptation)
    from rnntool.score import tuning
    from rnntool.text.files import read_lines, shown

    lines = [scorer.vocabulary.encode(line) for line in read_lines(fit)]
    if not lines:
        raise InputError(shown(fit), "no tokens")
    adaptation, ppl = tuning.fit(scorer, choices, lines, on_trial=_tell)
    report.say(f"fitted on {shown(fit)}, whose perplexity is then {ppl:.2f}: {_options(adaptation)}")
    return adapted(scorer, adaptation), {**_signature(adaptation), "fit": fields.spelled(shown(fit))}


def _tell(trial: Trial) -> None:
    report.detail(f"ppl = {trial.ppl:.2f} with {_options(Adaptation().with_part(trial.candidate))}")


def _options(adaptation: Adaptation) -> str:
    """As they are typed."""
    return " ".join(f"--{name} {value}" for name, value in adaptation.parts)


def _signature(adaptation: Adaptation) -> dict[str, str]:
    """Whether the text that is scored changes the model, and with which values; several caches with + between."""
    signature = {"adapts": "yes"} if adaptation.adapts else {}
    for name, value in adaptation.parts:
        signature[name] = f"{signature[name]}+{value}" if name in signature else value
    return signature
