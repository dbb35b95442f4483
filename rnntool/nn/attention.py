"""Attention: which positions of the source a target word looks at.

    α_s = softmax_s e(q, m_s)      c = Σ_s α_s m_s

    mlp        e = v · tanh(W q + U m_s + b)        Bahdanau et al. 2015, §A.1.2
    dot        e = q · m_s                          Luong et al. 2015, §3.1
    general    e = q · W m_s                        the same
    equal      e = 0, so that α_s = 1 / S           a bag of words: the lecture's "word-level" conditioning

U m_s + b and W m_s are the same for all target words: they are the source's keys, computed once.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from rnntool.nn.deferred import Deferred
from rnntool.nn.kernels.energy import energies
from rnntool.nn.packed import Packed
from rnntool.nn.source import Source

KINDS = ("mlp", "dot", "general", "equal")


class Attention(nn.Module):
    """One of the four.

    Args:
        kind: a name of `KINDS`.
        query_size: Q, width of q.
        memory_size: D, width of m; for `dot`, the same.
        units: A, width of the mlp's hidden layer.
    """

    def __init__(self, kind: str, query_size: int, memory_size: int, units: int) -> None:
        super().__init__()
        assert kind in KINDS
        self.kind = kind
        if kind == "mlp":
            self.weight_query = nn.Parameter(torch.empty(units, query_size))
            self.weight_memory = nn.Parameter(torch.empty(units, memory_size))
            self.bias = nn.Parameter(torch.empty(units))
            self.weight_energy = nn.Parameter(torch.empty(units))
        elif kind == "general":
            self.weight_memory = nn.Parameter(torch.empty(query_size, memory_size))

    def keys(self, memory: Tensor) -> Tensor:
        """What queries are compared with, (B, S, A), for memory (B, S, D)."""
        match self.kind:
            case "mlp":
                return memory @ self.weight_memory.T + self.bias
            case "general":
                return memory @ self.weight_memory.T
        return memory

    def forward(
        self, query: Tensor, source: Source, *, weight_query: Tensor | Deferred | Packed | None = None
    ) -> tuple[Tensor, Tensor]:
        """Where queries look.

        Args:
            query: (T, B, Q).
            source: B sources.
            weight_query: what stands in for the mlp's W; None for itself.

        Returns:
            c (T, B, D) and α (T, B, S).
        """
        if self.kind == "mlp":
            weight = self.weight_query if weight_query is None else weight_query
            seen: Tensor = query.flatten(0, 1) @ weight.T
            query = seen.view(*query.shape[:2], -1)  # (T, B, A)
        q = query.transpose(0, 1)  # (B, T, ·)
        energy = self._energy(q, source.keys).masked_fill(~source.mask[:, None], -math.inf)  # (B, T, S)
        alpha = energy.softmax(dim=2)
        return (alpha @ source.memory).transpose(0, 1), alpha.transpose(0, 1)

    def _energy(self, q: Tensor, keys: Tensor) -> Tensor:
        """e (B, T, S) for q (B, T, Q), of the mlp W q (B, T, A), and keys (B, S, A)."""
        if self.kind == "equal":
            return q.new_zeros(len(q), q.shape[1], keys.shape[1])
        if self.kind != "mlp":
            return q @ keys.transpose(1, 2)
        return energies(q, keys, self.weight_energy)

    def init(self, generator: torch.Generator) -> None:
        """Set all weights to where training starts: uniform in ±1/√n for n inputs, the bias zero."""
        for name, weight in self.named_parameters():
            if name == "bias":
                weight.zero_()
            else:
                bound = 1 / math.sqrt(weight.shape[-1])
                weight.uniform_(-bound, bound, generator=generator)
