"""The minimum of a smooth function of very many numbers: L-BFGS with a given diagonal.

From the last few steps s = x' − x, and what they changed in the gradient, y = g' − g, it knows about how the function
bends, and goes where a parabola so bent would have its minimum; half as far, and half of that, where this is too far:

    x ← x − t H g        H the inverse of the second derivatives, as far as it is known; t = 1, 1/2, 1/4, ...

Source: Nocedal and Wright 2006, "Numerical Optimization", algorithm 7.4, with Armijo's condition, (3.4).  H begins from a
diagonal, which makes the difference where the numbers are of very different weight.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

Objective = Callable[[Floats], tuple[float, Floats]]
"""The value at x and the gradient there."""

REMEMBERED = 6
"""Steps that are known; each takes as much memory as x twice."""

SUFFICIENT = 1e-4  # Nocedal and Wright 2006, §3.1
SHORTEST = 1e-10
"""Of a step that is shorter than this share of what was hoped for, nothing is to be gained."""


@dataclass(frozen=True)
class Point:
    """How far it has come.

    Args:
        x: where.
        value: of the function there.
    """

    x: Floats
    value: float


def descend(objective: Objective, x: Floats, diagonal: Floats) -> Iterator[Point]:
    """Points on the way, each lower than the one before; ends where no step leads lower.

    Args:
        objective: convex; its value may be infinite far off.
        x: where to begin, the first point.
        diagonal: about the second derivatives, positive.
    """
    value, gradient = objective(x)
    pairs: deque[tuple[Floats, Floats]] = deque(maxlen=REMEMBERED)
    yield Point(x, value)
    while True:
        step = -_uphill(gradient, pairs, diagonal)
        slope = float(gradient @ step)
        length = 1.0
        while True:
            there = x + length * step
            new_value, new_gradient = objective(there)
            if np.isfinite(new_value) and new_value <= value + SUFFICIENT * length * slope:
                break
            length /= 2
            if length < SHORTEST:
                return
        change, bend = there - x, new_gradient - gradient
        if change @ bend > 0:
            pairs.append((change, bend))
        if not new_value < value:
            return
        x, value, gradient = there, new_value, new_gradient
        yield Point(x, value)


def _uphill(gradient: Floats, pairs: deque[tuple[Floats, Floats]], diagonal: Floats) -> Floats:
    """H g."""
    q = gradient.copy()
    shares = []
    for s, y in reversed(pairs):
        share = (s @ q) / (s @ y)
        q -= share * y
        shares.append(share)
    q /= diagonal
    if pairs:
        s, y = pairs[-1]
        q *= (s @ y) / (y @ (y / diagonal))
    for (s, y), share in zip(pairs, reversed(shares), strict=True):
        q += (share - (y @ q) / (s @ y)) * s
    return q
