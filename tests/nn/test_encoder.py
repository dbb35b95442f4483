"""Encoders: what is filled in changes nothing, and the other direction reads from the end."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from rnntool.config.arch import parse_arch
from rnntool.nn.cells.build import build_cell
from rnntool.nn.encoder import Bag, Encoder, RecurrentEncoder, reorder, reversal

E, S = 3, 6
LENGTHS = (6, 1, 4)


def encoder(name: str) -> Encoder:
    if name == "bag":
        return Bag(E)
    is_both = name.startswith("bi-")
    arch = parse_arch(name.removeprefix("bi-"))
    cells, width = [], E
    for _ in range(arch.num_layers):
        cells.append([build_cell(arch, width) for _ in range(1 + is_both)])
        width = arch.output_size * (1 + is_both)
    built = RecurrentEncoder(cells, residual=arch.num_layers > 2).double()
    with torch.no_grad():
        built.init(torch.Generator().manual_seed(1))
    return built


def embeddings() -> Tensor:
    return torch.randn(S, len(LENGTHS), E, generator=torch.Generator().manual_seed(2), dtype=torch.float64)


NAMES = ("bag", "gru:4", "lstm:2x4", "bi-gru:4", "bi-lstm:3x4", "bi-elman:2x4", "bi-ngram:3x4")


@pytest.mark.parametrize("name", NAMES)
def test_a_source_is_read_the_same_whatever_stands_beside_it(name: str) -> None:
    built, x = encoder(name), embeddings()
    memory, summary = built.run(x, torch.tensor(LENGTHS))
    assert (memory.shape, summary.shape) == ((S, 3, built.output_size), (3, built.output_size))
    for b, length in enumerate(LENGTHS):
        alone, own = built.run(x[:length, b : b + 1], torch.tensor([length]))
        torch.testing.assert_close(memory[:length, b], alone[:, 0], rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(summary[b], own[0], rtol=1e-12, atol=1e-12)


def test_the_other_direction_is_the_first_on_the_source_from_its_end() -> None:
    built, x = encoder("bi-gru:4"), embeddings()[:, :1]
    forward, backward = built.stacks  # type: ignore[attr-defined]
    memory, summary = built.run(x, torch.tensor([S]))
    ahead, _ = forward.run(x, forward.state0(1))
    back, _ = backward.run(x.flip(0), backward.state0(1))
    torch.testing.assert_close(memory, torch.cat([ahead, back.flip(0)], dim=2))
    torch.testing.assert_close(summary, torch.cat([ahead[-1], back[-1]], dim=1))


def test_a_bag_has_no_order() -> None:
    x = embeddings()[:, :1]
    _, one = Bag(E).run(x, torch.tensor([S]))
    _, other = Bag(E).run(x.flip(0), torch.tensor([S]))
    torch.testing.assert_close(one, other)
    torch.testing.assert_close(one[0], x[:, 0].mean(dim=0))


def test_reversal_leaves_what_is_filled_in_where_it_is() -> None:
    order = reversal(torch.tensor([3, 1]), 4)
    assert order.T.tolist() == [[2, 1, 0, 3], [0, 1, 2, 3]]
    x = torch.arange(8.0).reshape(4, 2, 1)
    assert reorder(x, order)[:, 0, 0].tolist() == [4, 2, 0, 6]
    assert torch.equal(reorder(reorder(x, order), order), x)
