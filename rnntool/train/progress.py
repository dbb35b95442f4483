"""What a run tells whoever watches, and how it is asked to stop."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

REQUEUE = 75
"""The status of a run that is to be queued again, EX_TEMPFAIL of sysexits.h, unless another is asked for."""


class Observer(Protocol):
    """Someone who watches a run; `cli` draws what it is told."""

    def began(self, *, resumed_at: int | None) -> None:
        """The run begins, or is taken up again after an update."""
        ...

    def stepped(self, *, progress: float, loss: float, tokens_per_second: float, lr: float) -> None:
        """An update was done; `progress` is in epochs, `loss` in nats per token."""
        ...

    def reported(self, record: Mapping[str, Any]) -> None:
        """A line went into metrics.jsonl."""
        ...

    def validating(self, share: float) -> None:
        """A share of a validation is done."""
        ...


class Silent:
    """An observer that does nothing."""

    def began(self, *, resumed_at: int | None) -> None:
        """Nothing."""

    def stepped(self, *, progress: float, loss: float, tokens_per_second: float, lr: float) -> None:
        """Nothing."""

    def reported(self, record: Mapping[str, Any]) -> None:
        """Nothing."""

    def validating(self, share: float) -> None:
        """Nothing."""


class GivenUp(Exception):
    """Work that was left off because somebody wishes to stop, and is done again when the run is taken up."""


@dataclass
class StopRequest:
    """A wish to stop, set from outside (a signal's handler) and looked at after every update.

    Args:
        status: the exit status that the wish leads to; None while nobody wishes.
        reason: in a few words.
        is_heard: whether a run looks at it.
        requeue_status: the one for a run whose time is up.
    """

    status: int | None = None
    reason: str = ""
    is_heard: bool = False
    requeue_status: int = REQUEUE

    def heed(self) -> None:
        """Raise GivenUp if somebody wishes to stop: for work that changes nothing until it is done."""
        if self.status is not None:
            raise GivenUp
