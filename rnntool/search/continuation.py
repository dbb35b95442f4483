"""How a line goes on."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Continuation:
    """Tokens after a beginning, up to a line's end or to a limit.

    Args:
        ids: without `</s>`.
        logprob: natural log-probability of the ids under the model as it is, and of `</s>` if the line has ended; what
            was done to the distribution before drawing does not enter.
        has_ended: whether `</s>` came; otherwise the limit did.
    """

    ids: tuple[int, ...]
    logprob: float
    has_ended: bool

    @property
    def num_tokens(self) -> int:
        """The tokens that `logprob` is of."""
        return len(self.ids) + self.has_ended

    def score(self, length_penalty: float) -> float:
        """What it competes by: log P / length^a, a being `length_penalty`."""
        return self.logprob / float(max(1, self.num_tokens) ** length_penalty)
