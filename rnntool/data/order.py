"""Orders of lines that are functions of a seed, computed where they are needed.

A shuffled order of n lines is a Feistel network on the smallest square power of two that holds n, applied again wherever
it leads outside (cycle walking): any place of it costs the same, and nothing is stored.
Source: Black and Rogaway 2002, "Ciphers with Arbitrary Finite Domains".
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

ROUNDS = 4

Index = NDArray[np.int64]


Whole = NDArray[np.uint64]


def mix(*numbers: int) -> int:
    """One well-spread 63-bit seed from several numbers, the same everywhere (SplitMix64, Steele et al. 2014)."""
    return int(_mixed(numbers))


def mix_each(*numbers: int | Whole) -> Whole:
    """As `mix`, of the elements of arrays, which are broadcast."""
    return np.asarray(_mixed(numbers), dtype=np.uint64)


def _mixed(numbers: Iterable[Any]) -> Any:
    """Python's whole numbers, or arrays of numpy's that wrap around by themselves."""
    state: Any = 0
    for number in numbers:
        state = (state + number + 0x9E3779B97F4A7C15) & 0xFFFFFFFFFFFFFFFF
        state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & 0xFFFFFFFFFFFFFFFF
        state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & 0xFFFFFFFFFFFFFFFF
        state ^= state >> 31
    return state >> 1


def permute(places: Index, size: int, seed: int) -> Index:
    """Which of `size` things stands at each of `places` in the order that `seed` names.

    Args:
        places: int64, each in [0, size).
        size: how many things there are.
        seed: any integer; equal ones give equal orders.
    """
    half = max(1, ((size - 1).bit_length() + 1) // 2)
    keys = [np.uint64(mix(seed, round_)) for round_ in range(ROUNDS)]
    values = _feistel(places.astype(np.uint64), half, keys)
    while (outside := values >= size).any():
        values[outside] = _feistel(values[outside], half, keys)
    return values.astype(np.int64)


def _feistel(values: NDArray[np.uint64], half: int, keys: list[np.uint64]) -> NDArray[np.uint64]:
    bits, low = np.uint64(half), np.uint64((1 << half) - 1)
    left, right = values >> bits, values & low
    for key in keys:
        mixed = (right + key) * np.uint64(0x9E3779B97F4A7C15)  # wraps, as hashes do
        mixed ^= mixed >> np.uint64(29)
        mixed *= np.uint64(0xBF58476D1CE4E5B9)
        left, right = right, left ^ ((mixed >> np.uint64(32)) & low)
    return (left << bits) | right
