"""Attention against its equations, position by position."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from rnntool.nn import attention as attentions
from rnntool.nn.attention import KINDS, Attention
from rnntool.nn.source import Source

B, S, T, Q, D, A = 3, 5, 4, 6, 6, 7
LENGTHS = (5, 1, 3)


def built(kind: str) -> Attention:
    attention = Attention(kind, Q, D, A).double()
    with torch.no_grad():
        attention.init(torch.Generator().manual_seed(1))
        if kind == "mlp":
            attention.bias.uniform_(-1, 1, generator=torch.Generator().manual_seed(2))
    return attention


def case(attention: Attention) -> tuple[Tensor, Source]:
    generator = torch.Generator().manual_seed(3)
    query = torch.randn(T, B, Q, generator=generator, dtype=torch.float64)
    memory = torch.randn(B, S, D, generator=generator, dtype=torch.float64)
    mask = torch.arange(S) < torch.tensor(LENGTHS)[:, None]
    return query, Source(memory, mask, memory.mean(dim=1), attention.keys(memory))


@torch.no_grad()
def energy(attention: Attention, q: Tensor, m: Tensor) -> float:
    """e(q, m) as the module's docstring writes it."""
    match attention.kind:
        case "mlp":
            hidden = torch.tanh(attention.weight_query @ q + attention.weight_memory @ m + attention.bias)
            return float(attention.weight_energy @ hidden)
        case "dot":
            return float(q @ m)
        case "general":
            return float(q @ (attention.weight_memory @ m))
    return 0.0


@pytest.mark.parametrize("kind", KINDS)
def test_where_it_looks_and_what_it_sees(kind: str) -> None:
    attention = built(kind)
    query, source = case(attention)
    context, alpha = attention(query, source)
    assert (context.shape, alpha.shape) == ((T, B, D), (T, B, S))
    for t in range(T):
        for b, length in enumerate(LENGTHS):
            weights = [math.exp(energy(attention, query[t, b], source.memory[b, s])) for s in range(length)]
            expected = torch.tensor([w / sum(weights) for w in weights] + [0.0] * (S - length)).double()
            torch.testing.assert_close(alpha[t, b], expected, rtol=1e-6, atol=1e-8)
            torch.testing.assert_close(context[t, b], expected @ source.memory[b], rtol=1e-6, atol=1e-7)


def test_many_queries_are_compared_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    attention = built("mlp")
    query, source = case(attention)
    whole, _ = attention(query, source)
    monkeypatch.setattr(attentions, "BLOCK", 1)
    torch.testing.assert_close(attention(query, source)[0], whole)


@pytest.mark.parametrize("kind", ["mlp", "general"])
def test_gradients(kind: str) -> None:
    attention = built(kind)
    query, source = case(attention)

    def context(q: Tensor, memory: Tensor, *_: Tensor) -> Tensor:
        found: Tensor = attention(q, Source(memory, source.mask, source.summary, attention.keys(memory)))[0]
        return found

    leaves = [query.requires_grad_(), source.memory.requires_grad_(), *attention.parameters()]
    assert torch.autograd.gradcheck(context, leaves)
