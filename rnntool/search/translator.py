"""What comes next in a target, given its source: one or more networks that read sources as one distribution.

    log P(w | h, source) = log Σ_i λ_i P_i(w | h, source) + Σ_j w_j log P_j(w | h)

the second sum over language models beside them, if there are any ("shallow fusion"), which makes of it a score that does
not sum to one.  All have one target vocabulary; each network may have units of its own for the source.  The sources that
are being translated are held here, and with them what their targets must be like; the state of a row ends with the number
of its source and that of its tokens, so that a search indexes states and nothing else.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from rnntool.models.network import Network
from rnntool.models.packed import PackedNetwork
from rnntool.nn.cells.cell import State
from rnntool.nn.source import Source
from rnntool.score.columns import Ids, columns
from rnntool.search.drawing import allow
from rnntool.search.ngram import NgramPart
from rnntool.search.predictor import Predictor, Prefixes


class Companion(NamedTuple):
    """A language model beside networks that translate."""

    part: Network | NgramPart
    """Over the vocabulary of targets."""
    weight: float
    """By which its log-probabilities are multiplied."""


class Translator(Predictor):
    """Networks that translate as one.

    Args:
        networks: that read sources, over one target vocabulary, on one device, where they are copied.
        weights: λ, positive, summing to one.
        eos_id: the token that ends a target, after which the next begins.
        source_ends: the id of `</s>` in each network's source vocabulary.
        precision: of products, one of `rnntool.search.predictor.PRECISIONS`.
        companions: language models.
        banned: tokens that come in no target, unless they are forced.
    """

    def __init__(
        self,
        networks: Sequence[Network],
        weights: Sequence[float],
        *,
        eos_id: int,
        source_ends: Sequence[int],
        precision: str = "fp64",
        companions: Sequence[Companion] = (),
        banned: tuple[int, ...] = (),
    ) -> None:
        parts = [*networks, *(each.part for each in companions)]
        super().__init__(parts, weights, eos_id=eos_id, precision=precision)
        self._source_ends = tuple(source_ends)
        self._fusion = tuple(each.weight for each in companions)
        self._banned = banned
        self._sources: list[Source] = []
        self._spread: tuple[Tensor, list[Source]] | None = None  # what `_of` gave last
        self._forced: Tensor | None = None  # (B, P), -1 where nothing is
        self._fewest: Tensor | None = None  # (B,)
        self._most: Tensor | None = None  # (B,)

    @property
    def is_recordable(self) -> bool:
        """No: what is read next would be unknown to a recording."""
        return False

    @property
    def networks(self) -> list[Network | PackedNetwork]:
        """Those that translate."""
        found = self.models[: len(self._source_ends)]
        assert all(isinstance(each, Network | PackedNetwork) for each in found)
        return found  # type: ignore[return-value]

    @torch.no_grad()
    def read(
        self,
        sources: Sequence[Sequence[Ids]],
        *,
        forced: Sequence[Ids] = (),
        fewest: Sequence[int] = (),
        most: Sequence[int] = (),
    ) -> Prefixes:
        """Begin the targets of some sources; those that were read before are forgotten.

        Args:
            sources: for each network the ids of B sources, without `</s>`.
            forced: what each of the targets begins with; none may be left out.
            fewest: tokens that each target has at least, `</s>` not counted; none may be left out.
            most: tokens after which each target ends, whatever its probability; none may be left out.
        """
        self._sources, self._spread = [], None
        state: list[Tensor] = []
        for network, lines, end in zip(self.networks, sources, self._source_ends, strict=True):
            ids, lengths = columns(lines, end)
            source, own = network.read(ids.to(self.device), lengths.to(self.device))
            self._sources.append(source)
            state += own
        number = torch.arange(len(self._sources[0]), device=self.device)
        for companion in self.models[len(self._sources) :]:
            state += (each.to(self.device) for each in companion.state0(len(number)))
        self._forced = self._fewest = self._most = None
        if any(forced):
            ids, lengths = columns(forced, -1)
            self._forced = ids.T.to(self.device)
        if any(fewest):
            self._fewest = torch.tensor(fewest, device=self.device)
        if most:
            self._most = torch.tensor(most, device=self.device)
        last = torch.full_like(number, self.eos_id)
        return Prefixes(last, (*state, number, torch.zeros_like(number)))

    @torch.no_grad()
    def step(self, prefixes: Prefixes) -> tuple[Tensor, State]:
        """As `Predictor.step`, with −∞ for what may not come."""
        *rest, number, length = prefixes.state
        answers, _, state = self._each(prefixes.last, rest, number)
        mixed = answers[0]
        if len(self._sources) > 1:
            translating = torch.stack(answers[: len(self._sources)])
            mixed = torch.logsumexp(translating + self.log_weights[:, None, None], dim=0)
        for answer, weight in zip(answers[len(self._sources) :], self._fusion, strict=True):
            mixed = mixed + weight * answer
        return self._allowed(mixed, number, length), (*state, number, length + 1)

    def _each(
        self, last: Tensor, rest: Sequence[Tensor], number: Tensor
    ) -> tuple[list[Tensor], list[Tensor | None], State]:
        """What each model answers, (B, V); where each network looks, (B, S), if it attends; and the new state."""
        answers: list[Tensor] = []
        looks: list[Tensor | None] = []
        state: list[Tensor] = []
        sources = self._of(number)
        for index, model in enumerate(self.models):
            if index < len(sources):
                assert isinstance(model, Network | PackedNetwork)
                own = tuple(rest[len(state) : len(state) + model.num_states])
                log_probs, after, alpha = model.step_with(last, own, sources[index])
                looks.append(alpha)
            else:
                own = tuple(rest[len(state) : len(state) + len(model.state0(1))])
                log_probs, after = model.step(last, own)
            answers.append(log_probs.to(self.device, self.log_weights.dtype))
            state += after
        return answers, looks, tuple(state)

    def _of(self, number: Tensor) -> list[Source]:
        """The sources of each row; mostly those of the step before, since hypotheses of a line stay together."""
        if self._spread is None or not torch.equal(self._spread[0], number):
            self._spread = (number, [source.at(number) for source in self._sources])
        return self._spread[1]

    def _allowed(self, log_probs: Tensor, number: Tensor, length: Tensor) -> Tensor:
        """What the targets may go on with; what they may not is overwritten, unless something is forced."""
        free = allow(log_probs if self._forced is None else log_probs.clone(), self._banned)
        if self._fewest is not None:
            free[:, self.eos_id].masked_fill_(length < self._fewest[number], -math.inf)
        if self._most is not None and (is_over := length >= self._most[number]).any():
            ends = free[is_over, self.eos_id]
            free[is_over] = -math.inf
            free[is_over, self.eos_id] = ends
        if self._forced is None:
            return free
        longest = self._forced.shape[1]
        wanted = self._forced[number, length.clamp(max=longest - 1)][:, None]  # (B, 1)
        only = torch.full_like(free, -math.inf).scatter(
            1, wanted.clamp(min=0), log_probs.gather(1, wanted.clamp(min=0))
        )
        return torch.where((wanted >= 0) & (length[:, None] < longest), only, free)

    def followed(self, begun: Prefixes, rows: Sequence[int], targets: Sequence[Ids]) -> Iterator[Followed]:
        """Go along targets that are there already, token by token; nothing is forbidden there.

        Args:
            begun: what `read` gave.
            rows: the source of each target.
            targets: R targets, each with its `</s>` if it has one.
        """
        ids, lengths = columns(targets, self.eos_id)  # with one token more than there is
        ids = ids.to(self.device)
        prefixes = begun.at(rows)
        *rest, number, _ = prefixes.state
        last = prefixes.last
        for place in range(int(lengths.max()) - 1):
            with torch.no_grad():
                answers, looks, state = self._each(last, rest, number)
                last, rest = ids[place], list(state)
                gains = torch.stack([each.gather(1, last[:, None])[:, 0] for each in answers])
            yield Followed(gains, looks, (place < lengths - 1).to(self.device))


class Followed(NamedTuple):
    """One token of R targets."""

    log_probs: Tensor
    """What each of M models, the language models last, gave it, (M, R)."""
    looks: list[Tensor | None]
    """Where each network looked for it, (R, S), if it attends."""
    is_there: Tensor
    """Which targets have this token, (R,)."""
