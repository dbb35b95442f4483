"""Attention against its equations, position by position."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from rnntool.nn.attention import KINDS, Attention
from rnntool.nn.kernels import energy as kernel
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


@pytest.mark.parametrize("block", [1, S * A, 2 * S * A, 3 * S * A * T, 1 << 20])
def test_blocks_of_any_size_have_the_same_energies_and_gradients(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """As one word of one row, several words, several rows, all of them."""
    generator = torch.Generator().manual_seed(4)
    leaves = [torch.randn(*shape, generator=generator, dtype=torch.float64) for shape in ((B, T, A), (B, S, A), (A,))]
    wanted = torch.randn(B, T, S, generator=generator, dtype=torch.float64)
    for leaf in leaves:
        leaf.requires_grad_()
    q, k, v = leaves
    plain = torch.tanh(q[:, :, None] + k[:, None]) @ v
    expected = torch.autograd.grad(plain, leaves, wanted)
    monkeypatch.setitem(kernel.BLOCK, "cpu", block)
    found = kernel.energies(q, k, v)
    torch.testing.assert_close(found, plain, rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(torch.autograd.grad(found, leaves, wanted), expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("kind", ["mlp", "general"])
def test_gradients(kind: str) -> None:
    attention = built(kind)
    query, source = case(attention)

    def context(q: Tensor, memory: Tensor, *_: Tensor) -> Tensor:
        found: Tensor = attention(q, Source(memory, source.mask, source.summary, attention.keys(memory)))[0]
        return found

    leaves = [query.requires_grad_(), source.memory.requires_grad_(), *attention.parameters()]
    assert torch.autograd.gradcheck(context, leaves)
