"""The learning rate over time, and when to stop: functions of progress, and of validations seen.

What a schedule remembers is in its `memory`, a dict that JSON holds, so that a resumed run decides alike.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from rnntool.config.training import TrainingConfig


@dataclass(frozen=True)
class Verdict:
    """What a validation leads to.

    Args:
        is_best: no earlier validation was better.
        roll_back: go on from the best weights instead of these.
        stop: why the run ends here; empty if it goes on.
    """

    is_best: bool
    roll_back: bool = False
    stop: str = ""


class Schedule:
    """Rate and end of a run.

    Source: `newbob` as in Mikolov's rnnlm: once the entropy improves by less than the ratio `min_improvement`, the rate
    is multiplied by `lr_factor` at every validation; the second time it does so, the run ends; weights that got worse
    are given up.

    Args:
        config: the run's settings.
    """

    def __init__(self, config: TrainingConfig) -> None:
        self.config = config
        self.best = math.inf
        self.last = math.inf
        self.factor = 1.0
        self.falling = False
        self.waited = 0

    @property
    def memory(self) -> dict[str, float | bool | int | None]:
        """Everything a later `rate` or `observe` depends on."""
        finite = {name: None if math.isinf(v) else v for name, v in (("best", self.best), ("last", self.last))}
        return finite | {"factor": self.factor, "falling": self.falling, "waited": self.waited}

    def recall(self, memory: dict[str, float | bool | int | None]) -> None:
        """Take up a memory."""
        self.best = math.inf if memory["best"] is None else float(memory["best"])
        self.last = math.inf if memory["last"] is None else float(memory["last"])
        self.factor = float(memory["factor"] or 0.0)
        self.falling = bool(memory["falling"])
        self.waited = int(memory["waited"] or 0)

    def rate(self, *, progress: float, step: int) -> float:
        """The learning rate of one update.

        Args:
            progress: epochs done before it, with fractions.
            step: updates done before it.
        """
        config = self.config
        rate = config.rate * self.factor
        if config.warmup:
            rate *= min(1.0, (step + 1) / config.warmup)
        left = max(0.0, 1 - progress / config.max_epochs)
        if config.schedule == "linear":
            rate *= left
        elif config.schedule == "cosine":
            rate *= (1 - math.cos(math.pi * left)) / 2
        return rate

    def observe(self, nll: float, error: float | None = None) -> Verdict:
        """Take note of a validation.

        Args:
            nll: in nats per token.
            error: what is compared with other validations, the smaller the better; None: `nll`.
        """
        config = self.config
        error = nll if error is None else error
        is_best = error < self.best
        improved = error * config.min_improvement < self.last
        self.waited = 0 if is_best else self.waited + 1
        stop, roll_back = "", False
        if config.schedule == "newbob":
            roll_back = not is_best
            if not improved:
                if self.falling:
                    stop = (
                        f"the entropy improved by less than a ratio of {config.min_improvement:g} for the second time"
                    )
                self.falling = True
            if self.falling:
                self.factor *= config.lr_factor
        elif config.schedule == "plateau" and not improved:
            self.factor *= config.lr_factor
        if is_best:
            self.best = error
        self.last = self.best if roll_back else error
        if config.target_ppl and nll <= math.log(config.target_ppl):
            stop = f"perplexity {math.exp(nll):.2f} reaches --target-ppl {config.target_ppl:g}"
        elif config.patience and self.waited >= config.patience * config.validations:
            stop = f"no better validation for {config.patience} epochs"
        return Verdict(is_best, roll_back, stop)
