"""One draw from a distribution."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rnntool.search.drawing import Bend, draw, largest, uniform, uniform_each

P = torch.tensor([[0.1, 0.4, 0.2, 0.3]], dtype=torch.float64)


def drawn(u: float, **bend: object) -> int:
    return int(draw(P.log(), torch.tensor([u], dtype=torch.float64), Bend(**bend)))  # type: ignore[arg-type]


def shares(**bend: object) -> list[float]:
    """How often each word is drawn by a thousand evenly spread numbers."""
    numbers = (torch.arange(1000, dtype=torch.float64) + 0.5) / 1000
    chosen = draw(P.log().expand(1000, 4), numbers, Bend(**bend))  # type: ignore[arg-type]
    return (torch.bincount(chosen, minlength=4) / 1000).tolist()


@pytest.mark.parametrize(
    ("u", "word"), [(0.0, 0), (0.0999, 0), (0.1001, 1), (0.4999, 1), (0.5001, 2), (0.7001, 3), (1 - 2**-49, 3)]
)
def test_a_word_is_drawn_where_its_share_lies(u: float, word: int) -> None:
    assert drawn(u) == word


def test_words_are_drawn_as_often_as_they_are_likely() -> None:
    assert shares() == pytest.approx([0.1, 0.4, 0.2, 0.3])


def test_temperature_sharpens_and_flattens() -> None:
    squares = [p * p / 0.3 for p in (0.1, 0.4, 0.2, 0.3)]  # temperature ½: p² / Σ p²
    assert shares(temperature=0.5) == pytest.approx(squares, abs=1e-3)
    assert shares(temperature=1e9) == pytest.approx([0.25] * 4, abs=1e-3)


@pytest.mark.parametrize("temperature", [0.0, 1e-6])
def test_without_temperature_the_likeliest_word_is_taken(temperature: float) -> None:
    assert shares(temperature=temperature) == [0, 1, 0, 0]


def test_top_k_leaves_the_likeliest_words() -> None:
    assert shares(top_k=2) == pytest.approx([0, 4 / 7, 0, 3 / 7], abs=1e-3)
    assert shares(top_k=99) == pytest.approx(shares())


@pytest.mark.parametrize(
    ("top_p", "expected"),
    [(0.01, [0, 1, 0, 0]), (0.39, [0, 1, 0, 0]), (0.5, [0, 4 / 7, 0, 3 / 7]), (0.71, [0, 4 / 9, 2 / 9, 3 / 9])],
)
def test_top_p_leaves_the_fewest_words_of_that_probability(top_p: float, expected: list[float]) -> None:
    assert shares(top_p=top_p) == pytest.approx(expected, abs=1e-3)


def test_top_p_is_taken_of_what_top_k_leaves() -> None:
    assert shares(top_k=2, top_p=0.5) == [0, 1, 0, 0]


def test_a_banned_word_is_never_drawn() -> None:
    assert shares(banned=(1, 3)) == pytest.approx([1 / 3, 0, 2 / 3, 0], abs=1e-3)
    assert shares(banned=(1,), temperature=0) == [0, 0, 0, 1]


def test_an_impossible_word_is_never_drawn() -> None:
    log_probs = torch.tensor([[-math.inf, math.log(0.5), math.log(0.5), -math.inf]], dtype=torch.float64)
    assert {int(draw(log_probs, torch.tensor([u]).double(), Bend())) for u in (0.0, 0.5)} == {1, 2}


def test_uniform_numbers_are_a_function_of_their_key() -> None:
    numbers = [
        uniform(1, prompt, sample, place) for prompt in range(10) for sample in range(10) for place in range(100)
    ]
    assert numbers[:2] == [uniform(1, 0, 0, 0), uniform(1, 0, 0, 1)]
    assert len(set(numbers)) == 10_000
    assert sum(numbers) / 10_000 == pytest.approx(0.5, abs=0.01)
    assert sum(number < 0.1 for number in numbers) == pytest.approx(1000, abs=100)


@pytest.mark.parametrize("seed", [0, 1, 2**63 + 5])
def test_of_arrays_each_element_has_its_number(seed: int) -> None:
    keys = np.array([[0, 3, 7], [2, 0, 1]], dtype=np.uint64)
    found = uniform_each(seed, keys[0], keys[1][:, None])
    expected = [[uniform(seed, first, second) for first in (0, 3, 7)] for second in (2, 0, 1)]
    assert found.tolist() == expected


@given(st.integers(0, 2**63 - 1), st.integers(0, 2**40))
def test_uniform_numbers_lie_strictly_between_zero_and_one(seed: int, place: int) -> None:
    assert 0 < uniform(seed, 0, 0, place) < 1


@pytest.mark.parametrize("width", [5, 8, 47, 48, 1000, 1003])
@pytest.mark.parametrize("number", [1, 3, 5])
def test_the_largest_are_those_that_sorting_finds(width: int, number: int) -> None:
    """Folded or not, with a rest past the last fold or none; and where some are forbidden."""
    scores = torch.randn(7, width, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    scores[:, 1] = -math.inf
    values, places = largest(scores, number)
    expected = scores.sort(dim=1, descending=True)
    assert torch.equal(values, expected.values[:, :number])
    assert torch.equal(places, expected.indices[:, :number])
