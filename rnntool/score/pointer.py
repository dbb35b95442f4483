"""The continuous cache: what followed hidden states like the present one is likely to follow again.

    P(w | h_t) = (1 − λ) P_model(w | h_t) + λ P_cache(w | h_t)

    P_cache(w | h_t) = Σ_i exp(θ h_t · h_i) [w_{i+1} = w] / Σ_i exp(θ h_t · h_i)

over the last N tokens w_{i+1}, each remembered with the state h_i that entered the output layer before it.  Before the
first token, the model stands alone.  The cache looks across line ends, also where the model's context is reset.
Source: Grave et al. 2017, "Improving neural language models with a continuous cache", the linear interpolation of §3.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from rnntool.config.adaptation import Pointer
from rnntool.nn.precision import exact_products
from rnntool.score.network import Passage, PassageScorer, by_line
from rnntool.score.scorer import LogProbs
from rnntool.text.vocabulary import Vocabulary


class Memory(NamedTuple):
    """The last M tokens, M at most N."""

    h: Tensor
    """What was before each, (M, O)."""
    ids: Tensor
    """(M,)."""


class PointerScorer:
    """A network and a continuous cache of its states.

    What is carried is what the network carries, and the memory; None for an empty one.

    Args:
        scorer: the network.
        pointer: with a weight.
    """

    def __init__(self, scorer: PassageScorer, pointer: Pointer) -> None:
        assert pointer.weight is not None
        self.scorer = scorer
        self.pointer = pointer
        self._log_shares = tuple(
            math.log(share) if share else -math.inf for share in (1 - pointer.weight, pointer.weight)
        )

    @property
    def vocabulary(self) -> Vocabulary:
        """The network's."""
        return self.scorer.vocabulary

    @property
    def context(self) -> str:
        """The network's."""
        return self.scorer.context

    def state0(self) -> tuple[Any, Memory | None]:
        """The network's, and an empty memory."""
        return self.scorer.state0(), None

    def score(
        self, lines: Sequence[Sequence[int]], state: tuple[Any, Memory | None]
    ) -> tuple[list[LogProbs], tuple[Any, Memory | None]]:
        """As `Scorer.score`."""
        return by_line(lines, self._answers(lines, state)) if lines else ([], state)

    def _answers(
        self, lines: Sequence[Sequence[int]], state: tuple[Any, Memory | None]
    ) -> Iterator[tuple[Tensor, tuple[Any, Memory | None]]]:
        before, memory = state
        for passage, after in self.scorer.passages(lines, before):
            seen = _and(memory, passage)
            start = len(seen.ids) - len(passage.targets)
            pointed = pointed_log_probs(seen, start, self.pointer).cpu()
            both = torch.stack([passage.log_probs + self._log_shares[0], pointed + self._log_shares[1]])
            mixed = both.logsumexp(dim=0)
            if start == 0:
                mixed[0] = passage.log_probs[0]
            memory = Memory(seen.h[-self.pointer.window :].clone(), seen.ids[-self.pointer.window :].clone())
            yield mixed, (after, memory)


def _and(memory: Memory | None, passage: Passage) -> Memory:
    if memory is None:
        return Memory(passage.h, passage.targets)
    return Memory(torch.cat([memory.h, passage.h]), torch.cat([memory.ids, passage.targets]))


def pointed_log_probs(memory: Memory, start: int, pointer: Pointer) -> Tensor:
    """log P_cache of the tokens from `start` on, float64, each after those before it; of the very first, −inf.

    Args:
        memory: M tokens.
        start: how many of them are history alone.
        pointer: window and theta.
    """
    with exact_products():
        energies = (pointer.theta * (memory.h[start:] @ memory.h.T)).double()  # (M - start, M)
    places = torch.arange(len(memory.ids), device=memory.ids.device)
    back = places[start:, None] - places
    energies.masked_fill_((back < 1) | (back > pointer.window), -math.inf)
    hits = energies.masked_fill(memory.ids[start:, None] != memory.ids, -math.inf)
    log_probs = hits.logsumexp(dim=1) - energies.logsumexp(dim=1)
    return log_probs.masked_fill(log_probs.isnan(), -math.inf)  # of the very first, nothing less nothing
