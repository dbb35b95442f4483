"""Shuffled orders that are computed, not stored."""

from __future__ import annotations

import time

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from rnntool.data.order import mix, permute


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 5000), st.integers(-(2**63), 2**63))
def test_every_thing_stands_at_one_place(size: int, seed: int) -> None:
    assert np.array_equal(np.sort(permute(np.arange(size), size, seed)), np.arange(size))


@given(st.integers(1, 2**40), st.integers(0, 2**62), st.data())
def test_a_place_does_not_depend_on_which_others_are_asked_for(size: int, seed: int, data: st.DataObject) -> None:
    places = data.draw(st.lists(st.integers(0, size - 1), min_size=1, max_size=20))
    together = permute(np.array(places), size, seed)
    assert ((together >= 0) & (together < size)).all()
    alone = [int(permute(np.array([place]), size, seed)[0]) for place in places]
    assert together.tolist() == alone


def test_any_place_of_a_long_order_costs_the_same() -> None:
    """A million million lines: nothing of that size is stored or walked through."""
    began = time.perf_counter()
    permute(np.arange(1000), 10**12, 1)
    assert time.perf_counter() - began < 1


def test_no_places_are_no_trouble() -> None:
    assert len(permute(np.arange(0), 0, 1)) == 0
    assert permute(np.array([0]), 1, 5).tolist() == [0]


def test_seeds_give_different_orders_that_look_like_chance() -> None:
    """Of 2 × 100 orders of 1000 things: neighbours keep their order half the time, each within 4.5 σ = 0.071."""
    orders = [permute(np.arange(1000), 1000, seed) for seed in range(100)]
    assert len({tuple(order.tolist()) for order in orders}) == 100
    rising = np.array([(np.diff(order) > 0).mean() for order in orders])
    assert abs(rising - 0.5).max() < 0.071
    firsts = np.array([order[0] for order in orders])
    assert 350 < firsts.mean() < 650


def test_numbers_mix_to_the_same_seed_everywhere() -> None:
    """SplitMix64 of state 0 begins with 0xE220A8397B1DCDAF (Vigna's splitmix64.c); ours keeps 63 bits."""
    assert mix(0) == 0xE220A8397B1DCDAF >> 1
    assert len({mix(a, b) for a in range(30) for b in range(30)}) == 900
    assert mix(1, 2) != mix(2, 1)
    assert all(0 <= mix(n, -n) < 2**63 for n in range(100))
