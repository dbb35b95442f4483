"""`-m MODEL[:WEIGHT] …` as one scorer: a model file, a run directory, or a mixture of several."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import click

from rnntool.cli import compute, options, report
from rnntool.errors import ModelError

if TYPE_CHECKING:
    import torch

    from rnntool.checkpoint.model import Model
    from rnntool.models.network import Network
    from rnntool.score.scorer import Scorer
    from rnntool.text.vocabulary import Vocabulary


@dataclass(frozen=True)
class Opened:
    """Models that were opened together.

    Args:
        scorer: all of them as one.
        models: each, in the order of the command line.
        shares: their weights, summing to one.
        device: where they are.
    """

    scorer: Scorer
    models: tuple[Model, ...]
    shares: tuple[float, ...]
    device: torch.device


def open_models(
    named: Sequence[options.Model],
    *,
    threads: int | None,
    device: str,
    context: str | None = None,
    batch_size: int = 64,
) -> Opened:
    """Open what `-m` names; torch is imported here.

    Args:
        named: at least one model.
        threads: for `compute.prepare`.
        device: for `compute.prepare`.
        context: `carry` or `reset` against what the models were trained for; None for what they were.
        batch_size: lines computed side by side.

    Raises:
        ModelError: a file is no model, or two do not go together.
    """
    shares = options.shares(named)
    place = compute.prepare(threads, device)
    from rnntool.checkpoint.model import load_model
    from rnntool.checkpoint.run import find_model
    from rnntool.score.mixture import Mixture
    from rnntool.score.network import NetworkScorer

    models = tuple(load_model(find_model(model.path), place) for model in named)
    for model in models:
        if model.source_vocabulary is not None:
            raise ModelError(model.name, "it reads a source, and is no language model", "rnntool translate")
        report.detail(f"{model.name} {model.config.arch} {model.network.num_parameters} parameters")
    scorers = [
        NetworkScorer(model.network, model.vocabulary, context or model.config.context, batch_size=batch_size)
        for model in models
    ]
    scorer: Scorer = scorers[0] if len(scorers) == 1 else Mixture(scorers, shares, [model.name for model in models])
    return Opened(scorer, models, shares, place)


class Translating(NamedTuple):
    """A model that translates."""

    network: Network
    source: Vocabulary
    vocabulary: Vocabulary


def open_translators(named: Sequence[options.Model], *, threads: int | None, device: str) -> tuple[Translating, ...]:
    """Open what `-m` names, models that translate into one vocabulary; torch is imported here.

    Args:
        named: at least one model.
        threads: for `compute.prepare`.
        device: for `compute.prepare`.

    Raises:
        ModelError: a file is no model, or one that does not translate, or two do not go together.
    """
    place = compute.prepare(threads, device)
    from rnntool.checkpoint.model import load_model
    from rnntool.checkpoint.run import find_model

    opened: list[Translating] = []
    for each in named:
        model = load_model(find_model(each.path), place)
        if model.source_vocabulary is None:
            raise ModelError(model.name, "a language model, which reads no source", "rnntool generate")
        if opened and opened[0].vocabulary.tokens != model.vocabulary.tokens:
            what = f"its targets' vocabulary is {model.vocabulary.digest}, not {opened[0].vocabulary.digest}"
            raise ModelError(model.name, f"{what}; probabilities of different tokens cannot be mixed")
        report.detail(f"{model.name} {model.config.arch} {model.network.num_parameters} parameters")
        opened.append(Translating(model.network, model.source_vocabulary, model.vocabulary))
    return tuple(opened)


context = options.option(
    "--context",
    type=click.Choice(["carry", "reset"]),
    metavar="HOW",
    help="At a line end, carry or reset the history; default: as trained.",
)
"""--context HOW: for `open_models`; None if not given."""
