"""One draw from a distribution over words, bent as the user wishes.

By inversion: the probabilities are summed up, word after word, and the word is taken in whose share a uniform number
falls.  One number per token, and that number a function of (seed, prompt, sample, position), so that what is drawn does not
depend on what else is drawn beside it.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rnntool.data.order import Whole, mix, mix_each

UNIFORM_BITS = 48
"""Few enough that a uniform number below 1 times any sum stays below the sum."""

LINED_UP = 8
"""Rows that a distribution is folded into to find its largest: six of 320 times 6,000 take 2.6 ms, and 3.8 by torch alone;
of 10,000 3.2 and 7.8 (one core with AVX2)."""


@dataclass(frozen=True)
class Bend:
    """What is done to a distribution before drawing from it, in this order.

    Args:
        banned: words that are never drawn.
        temperature: log-probabilities are divided by it: below 1 sharper, above 1 flatter; 0 takes the likeliest word.
        top_k: draw among so many of the likeliest words; 0 for all.
        top_p: draw among the fewest likeliest words that together have this probability (Holtzman et al. 2020).
    """

    banned: tuple[int, ...] = ()
    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0


def allow(log_probs: Tensor, banned: tuple[int, ...]) -> Tensor:
    """log_probs (B, V) with −∞ at the banned words."""
    return log_probs.index_fill(1, _ids(banned, log_probs.device), -math.inf) if banned else log_probs


def largest(scores: Tensor, number: int) -> tuple[Tensor, Tensor]:
    """The largest of each row of scores (B, V), falling, and where they are, (B, `number`)."""
    num_rows, width = scores.shape
    rows = width // LINED_UP
    if scores.device.type != "cpu" or rows < 8 * number:
        found = scores.topk(number)
        return found.values, found.indices
    # the largest stand in columns whose own largest are the largest, and of these there are not so many
    whole = LINED_UP * rows
    columns = scores[:, :whole].reshape(num_rows, LINED_UP, rows)  # (B, LINED_UP, V / LINED_UP)
    best = columns.amax(dim=1).topk(number).indices[:, None]  # (B, 1, number)
    candidates = columns.gather(2, best.expand(-1, LINED_UP, -1)).flatten(1)
    places = (torch.arange(0, whole, rows)[:, None] + best).flatten(1)
    if whole < width:
        candidates = torch.cat([candidates, scores[:, whole:]], dim=1)
        places = torch.cat([places, torch.arange(whole, width).expand(num_rows, -1)], dim=1)
    found = candidates.topk(number)
    return found.values, places.gather(1, found.indices)


@functools.lru_cache(maxsize=8)
def _ids(words: tuple[int, ...], device: torch.device) -> Tensor:
    """Words where they are needed; brought there once."""
    return torch.tensor(words, device=device)


def draw(log_probs: Tensor, uniforms: Tensor, bend: Bend) -> Tensor:
    """One word for each row, (B,), without asking the device.

    Args:
        log_probs: (B, V).
        uniforms: numbers in [0, 1), (B,), of the same dtype.
        bend: what is done to the distribution first.
    """
    scores = allow(log_probs, bend.banned)
    if bend.temperature == 0:
        return scores.argmax(dim=1)
    words = None
    if bend.top_k:
        scores, words = scores.topk(min(bend.top_k, scores.shape[1]))
    elif bend.top_p < 1:
        scores, words = scores.sort(dim=1, descending=True, stable=True)
    p = ((scores - scores.amax(dim=1, keepdim=True)) / bend.temperature).exp()
    mass = p.cumsum(dim=1)
    if bend.top_p < 1:
        is_needed = mass - p < bend.top_p * mass[:, -1:]
        mass = (p * is_needed).cumsum(dim=1)
    targets = mass[:, -1:] * uniforms[:, None]
    chosen = torch.searchsorted(mass, targets, right=True).clamp(max=mass.shape[1] - 1)
    return (chosen if words is None else words.gather(1, chosen))[:, 0]


def uniform(*key: int) -> float:
    """A number in (0, 1) that is a function of its key."""
    return ((mix(*key) >> (63 - UNIFORM_BITS)) + 0.5) / (1 << UNIFORM_BITS)


def uniform_each(*key: int | Whole) -> NDArray[np.float64]:
    """As `uniform`, of the elements of arrays, which are broadcast."""
    bits = mix_each(*key) >> np.uint64(63 - UNIFORM_BITS)
    return (bits.astype(np.float64) + 0.5) / (1 << UNIFORM_BITS)
