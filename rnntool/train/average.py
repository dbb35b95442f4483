"""Averages of weights over updates, kept beside the run and used where it is validated and stored."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from rnntool.config.training import TrainingConfig


class Average:
    """A running average of a network's weights: exponential (`ema`), or uniform once it is triggered (`asgd`).

    Source: Polyak and Juditsky 1992; the trigger is that of NT-ASGD, Merity et al. 2018, §3: averaging begins when the
    validation is worse than the best of those more than `average_patience` validations ago.

    Args:
        config: the run's settings.
        parameters: by name.
    """

    def __init__(self, config: TrainingConfig, parameters: dict[str, nn.Parameter]) -> None:
        self.config = config
        self.parameters = parameters
        self.count = 0
        self.triggered = config.average == "ema"
        self.history: list[float] = []
        self.weights: dict[str, Tensor] = {}

    def update(self) -> None:
        """Take the weights after one more update into the average."""
        if self.config.average == "none" or not self.triggered:
            return
        if not self.weights:
            self.weights = {name: p.detach().clone() for name, p in self.parameters.items()}
            self.count = 1
            return
        self.count += 1
        share = 1 / self.count
        if self.config.average == "ema":
            # the early average is uniform, so that the first weights do not linger
            share = max(share, 1 - self.config.average_decay)
        ours, theirs = list(self.weights.values()), [self.parameters[name].detach() for name in self.weights]
        torch._foreach_lerp_(ours, theirs, share)

    def observe(self, nll: float) -> None:
        """Take note of a validation; may trigger `asgd`."""
        patience = self.config.average_patience
        past = self.history[:-patience] if patience else self.history
        if self.config.average == "asgd" and not self.triggered and past and nll > min(past):
            self.triggered = True
        self.history.append(nll)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Lend the network the averaged weights, if there are any."""
        if not self.weights:
            yield
            return
        own = {name: p.data for name, p in self.parameters.items()}
        try:
            for name, average in self.weights.items():
                self.parameters[name].data = average
            yield
        finally:
            for name, weight in own.items():
                self.parameters[name].data = weight

    @property
    def memory(self) -> dict[str, object]:
        """What JSON can hold of the average; its tensors are `weights`."""
        return {"count": self.count, "triggered": self.triggered, "history": self.history}

    def recall(self, memory: dict[str, object], weights: dict[str, Tensor]) -> None:
        """Take up a memory and its tensors."""
        self.count = int(memory["count"])  # type: ignore[call-overload]
        self.triggered = bool(memory["triggered"])
        self.history = list(memory["history"])  # type: ignore[call-overload]
        self.weights = weights
