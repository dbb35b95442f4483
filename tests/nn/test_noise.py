"""Dropout: what it keeps, what it holds, and what it leaves alone."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from rnntool.config.arch import parse_arch
from rnntool.nn.cells.build import build_cell
from rnntool.nn.noise import Noise
from rnntool.nn.recurrent import Recurrent


def noise(seed: int = 1, **rates: float | bool) -> Noise:
    return Noise(torch.Generator().manual_seed(seed), **rates)  # type: ignore[arg-type]


ONES = torch.ones(50, 40, 20)


def test_what_stays_makes_up_for_what_is_dropped() -> None:
    """40,000 draws: the mean of a mask of rate 0.3 is 1 within four standard errors, √(0.3 / 0.7 / 40000) = 0.0033."""
    for dropped in (
        noise().drop(ONES, 0.3),
        noise(embed=0.3).drop_words(torch.ones(40_000, 1), torch.arange(40_000), 40_000),
        noise(weight=0.3).drop_recurrent(torch.ones(200, 200)),
        noise(recurrent=0.3).drop_recurrent(torch.ones(1, 40_000)),
    ):
        assert dropped.mean() == pytest.approx(1, abs=0.013)
        values = dropped.unique()
        torch.testing.assert_close(values, torch.tensor([0, 1 / 0.7]))


def test_a_rate_of_zero_hands_back_the_very_tensor() -> None:
    silent = noise()
    weight = torch.ones(3, 4)
    assert silent.drop(ONES, 0.0) is ONES
    assert silent.drop_words(weight, torch.arange(3), 3) is weight
    assert silent.drop_recurrent(weight) is weight


def test_the_same_seed_draws_the_same_masks_and_another_others() -> None:
    assert torch.equal(noise(1).drop(ONES, 0.5), noise(1).drop(ONES, 0.5))
    assert not torch.equal(noise(1).drop(ONES, 0.5), noise(2).drop(ONES, 0.5))


def test_a_locked_mask_is_one_for_all_steps_and_differs_from_stream_to_stream() -> None:
    locked = noise(locked=True).drop(ONES, 0.5)
    assert (locked == locked[0]).all()
    assert len({tuple(stream.tolist()) for stream in locked[0]}) == 40
    loose = noise().drop(ONES, 0.5)
    assert not (loose == loose[0]).all()


def test_whole_words_are_dropped() -> None:
    words = torch.arange(100).repeat(2)
    rows = noise(embed=0.5).drop_words(torch.ones(200, 7), words, 100)
    assert (rows == rows[:, :1]).all()
    assert torch.equal(rows[:100], rows[100:])
    assert 20 < int((rows[:100, 0] == 0).sum()) < 80


def test_a_recurrent_unit_is_dropped_for_all_that_read_it() -> None:
    """Columns of a matrix (4 H, H): the same unit is missing in all four gates."""
    columns = noise(recurrent=0.5).drop_recurrent(torch.ones(40, 100))
    assert (columns == columns[:1]).all()
    assert 20 < int((columns[0] == 0).sum()) < 80


def test_units_and_weights_are_dropped_independently() -> None:
    both = noise(recurrent=0.5, weight=0.5).drop_recurrent(torch.ones(100, 100))
    gone = (both == 0).all(dim=0)
    assert 20 < int(gone.sum()) < 80
    share = float((both[:, ~gone] == 0).float().mean())
    assert share == pytest.approx(0.5, abs=0.05)
    assert set(both.unique().tolist()) == {0.0, 4.0}


@pytest.mark.parametrize("backend", ["auto", "vendor", "reference"])
@pytest.mark.parametrize("arch", ["lstm:5", "gru:5", "elman:5", "elman:5,tanh", "scrn:5+2", "lstm:5/3"])
def test_dropped_weights_are_dropped_in_every_window_anew_and_the_raw_ones_learn(arch: str, backend: str) -> None:
    """A trap of torch's modules: a weight that is put in once stays, and what is learnt goes astray."""
    network = Recurrent([build_cell(parse_arch(arch), 3)]).double()
    network.plan(backend)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    x = torch.randn(4, 2, 3, generator=generator, dtype=torch.float64)
    raw = network.layers[0].get_parameter("weight_hh")
    before = raw.detach().clone()

    def gradient(seed: int) -> Tensor:
        raw.grad = None
        h, _ = network.run(x, network.state0(2), noise=noise(seed, weight=0.5))
        h.square().sum().backward()
        assert raw.grad is not None
        return raw.grad

    first, second = gradient(1), gradient(2)
    for seed, learnt in ((1, first), (2, second)):
        mask = noise(seed, weight=0.5).drop_recurrent(torch.ones_like(raw))
        assert not learnt[mask == 0].any()
        assert (learnt[mask != 0] != 0).all()
    assert not torch.equal(first, second)
    assert torch.equal(raw, before)
    assert torch.equal(gradient(1), first)


def test_without_noise_no_random_number_is_drawn() -> None:
    silent = noise()
    state = silent.generator.get_state()
    network = Recurrent([build_cell(parse_arch("lstm:5"), 3)]).double()
    with torch.no_grad():
        network.layers[0].init(silent.generator.clone_state())  # type: ignore[operator]
        network.run(torch.ones(2, 1, 3, dtype=torch.float64), network.state0(1), noise=silent)
    assert torch.equal(silent.generator.get_state(), state)
