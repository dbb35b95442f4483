"""`-m MODEL[:WEIGHT] …` as one scorer: a model file, a run directory, or a mixture of several."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from rnntool.cli import compute, options, report

if TYPE_CHECKING:
    import torch

    from rnntool.checkpoint.model import Model
    from rnntool.score.scorer import Scorer


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
        report.detail(f"{model.name} {model.config.arch} {model.network.num_parameters} parameters")
    scorers = [
        NetworkScorer(model.network, model.vocabulary, context or model.config.context, batch_size=batch_size)
        for model in models
    ]
    scorer: Scorer = scorers[0] if len(scorers) == 1 else Mixture(scorers, shares, [model.name for model in models])
    return Opened(scorer, models, shares, place)


context = options.option(
    "--context",
    type=click.Choice(["carry", "reset"]),
    metavar="HOW",
    help="At a line end, carry or reset the history; default: as trained.",
)
"""--context HOW: for `open_models`; None if not given."""
