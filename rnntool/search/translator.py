"""What comes next in a target, given its source: one or more networks that read sources as one distribution.

    P(w | h, source) = Σ_i λ_i P_i(w | h, source)

The networks have one target vocabulary; each may have units of its own for the source.  The sources that are being
translated are held here; the state of a row ends with the number of its source, so that a search indexes states and
nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from rnntool.models.network import Network
from rnntool.nn.cells.cell import State
from rnntool.nn.source import Source
from rnntool.score.columns import Ids, columns
from rnntool.search.predictor import Predictor, Prefixes


class Translator(Predictor):
    """Networks that translate as one.

    Args:
        networks: that read sources, over one target vocabulary, on one device, where they are copied.
        weights: λ, positive, summing to one.
        eos_id: the token that ends a target, after which the next begins.
        source_ends: the id of `</s>` in each network's source vocabulary.
        precision: of products, `fp64` or `fp32`.
    """

    def __init__(
        self,
        networks: Sequence[Network],
        weights: Sequence[float],
        *,
        eos_id: int,
        source_ends: Sequence[int],
        precision: str = "fp64",
    ) -> None:
        super().__init__(networks, weights, eos_id=eos_id, precision=precision)
        self._source_ends = tuple(source_ends)
        self._sources: list[Source] = []

    @torch.no_grad()
    def read(self, sources: Sequence[Sequence[Ids]]) -> Prefixes:
        """Begin the targets of some sources; those that were read before are forgotten.

        Args:
            sources: for each network the ids of B sources, without `</s>`.
        """
        self._sources = []
        state: list[Tensor] = []
        for network, lines, end in zip(self.models, sources, self._source_ends, strict=True):
            assert isinstance(network, Network)
            ids, lengths = columns(lines, end)
            source, own = network.read(ids.to(self.device), lengths.to(self.device))
            self._sources.append(source)
            state += own
        number = torch.arange(len(self._sources[0]), device=self.device)
        last = torch.full_like(number, self.eos_id)
        return Prefixes(last, (*state, number))

    @torch.no_grad()
    def step(self, prefixes: Prefixes) -> tuple[Tensor, State]:
        """As `Predictor.step`."""
        *rest, number = prefixes.state
        answers: list[Tensor] = []
        state: list[Tensor] = []
        for network, source in zip(self.models, self._sources, strict=True):
            assert isinstance(network, Network)
            width = network.num_states
            own = tuple(rest[len(state) : len(state) + width])
            log_probs, after, _ = network.step_with(prefixes.last, own, source.at(number))
            answers.append(log_probs)
            state += after
        mixed = answers[0]
        if len(answers) > 1:
            mixed = torch.logsumexp(torch.stack(answers) + self.log_weights[:, None, None], dim=0)
        return mixed, (*state, number)
