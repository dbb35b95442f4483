"""Models of the same shape as one, whose weights are the mean of theirs.

    θ = Σ_i λ_i θ_i

Models from one run are near enough to each other for that; those of different runs are not, and mix as an ensemble.
Sums are taken in float64, one model in memory beside them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import fields

import torch
from torch import Tensor

from rnntool.checkpoint.model import Model
from rnntool.config.network import NetworkConfig
from rnntool.errors import ModelError


def averaged(models: Iterable[Model], weights: Sequence[float], names: Sequence[str]) -> Model:
    """The mean of models, in the place of the first, without its metrics.

    Args:
        models: at least one, each taken when the one before has been added.
        weights: λ, positive, summing to one.
        names: of the models, as the mean's provenance has them.

    Raises:
        ModelError: a model has another shape, or another vocabulary, than the first.
    """
    first: Model | None = None
    sums: dict[str, Tensor] = {}
    for model, weight in zip(models, weights, strict=True):
        if first is None:
            first = model
        else:
            _check_alike(model, first)
        for name, parameter in model.network.named_parameters():
            share = weight * parameter.detach().double()
            sums[name] = sums[name] + share if name in sums else share
    assert first is not None
    with torch.no_grad():
        for name, parameter in first.network.named_parameters():
            parameter.copy_(sums[name])
    provenance = {**first.provenance, "averaged": list(names)}
    return Model(first.network, first.config, first.vocabulary, provenance, {}, first.name, first.source_vocabulary)


def _check_alike(model: Model, first: Model) -> None:
    for field in fields(NetworkConfig):
        have, want = getattr(model.config, field.name), getattr(first.config, field.name)
        if have != want:
            option = f"--{field.name.replace('_', '-')}"
            raise ModelError(model.name, f"its {option} is {_shown(have)}, that of {first.name} {_shown(want)}")
    for whose in ("vocabulary", "source_vocabulary"):
        ours, others = getattr(model, whose), getattr(first, whose)
        if ours is not None and ours.tokens != others.tokens:
            what = f"its {whose.replace('_', ' ')} is {ours.digest}, that of {first.name} {others.digest}"
            raise ModelError(model.name, what)


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return str(value or "the default")
