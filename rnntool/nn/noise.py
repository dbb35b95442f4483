"""Dropout of every kind, as a value that is passed in.

A network has no training mode: who wants noise hands it a `Noise`, whose generator is seeded by the step, so that a run
that is resumed draws what it would have drawn.  Every mask keeps the expectation: what stays is scaled by 1 / (1 − rate).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass
class Noise:
    """Rates of dropout and the generator that draws the masks.

    Args:
        generator: on the device of the tensors.
        embed: rate for whole rows of the embedding, drawn once per window.
        input: rate for the first layer's inputs.
        layer: rate between layers.
        output: rate for what enters the output layer.
        recurrent: rate for the units that recurrent products read, drawn once per window for all streams.
        weight: rate for single weights of the recurrent matrices, drawn once per window.
        locked: whether the masks of input, layer and output are held over time.
        columns: which columns of how many x has, as the first one and the number; None for all.  Masks are drawn for all,
            so that columns have the same ones wherever they are computed.
    """

    generator: torch.Generator
    embed: float = 0.0
    input: float = 0.0
    layer: float = 0.0
    output: float = 0.0
    recurrent: float = 0.0
    weight: float = 0.0
    locked: bool = False
    columns: tuple[int, int] | None = None

    def drop(self, x: Tensor, rate: float) -> Tensor:
        """x (T, B, ·) with a share of its elements zero; the same ones at every t if locked."""
        if not rate:
            return x
        num_steps, num_columns = 1 if self.locked else len(x), x.shape[1]
        if self.columns is None:
            return x * self._mask((num_steps, *x.shape[1:]), rate, x)
        first, number = self.columns
        return x * self._mask((num_steps, number, *x.shape[2:]), rate, x)[:, first : first + num_columns]

    def drop_words(self, x: Tensor, words: Tensor, vocab_size: int) -> Tensor:
        """Embeddings x (T, B, E) of `words` (T, B), zero wherever one of a share of the vocabulary stands."""
        return x * self._mask((vocab_size, 1), self.embed, x)[words] if self.embed else x

    def drop_recurrent(self, weight: Tensor) -> Tensor:
        """A recurrent matrix (·, H) with columns, then single weights, zero.

        Source: Wan et al. 2013 (weights, DropConnect); Gal and Ghahramani 2016 (units).
        Differs: the units are drawn for all streams together, which makes them columns of the matrix, so that the fast
        paths stay open; Gal and Ghahramani draw them for each sequence.
        """
        if self.recurrent:
            weight = weight * self._mask((1, weight.shape[1]), self.recurrent, weight)
        return weight * self._mask(weight.shape, self.weight, weight) if self.weight else weight

    def _mask(self, shape: tuple[int, ...], rate: float, like: Tensor) -> Tensor:
        keep = 1 - rate
        if like.device.type == "cpu":
            return _kept(shape, keep, self.generator).to(like.dtype).div_(keep)
        return like.new_empty(shape).bernoulli_(keep, generator=self.generator).div_(keep)


def _kept(shape: tuple[int, ...], keep: float, generator: torch.Generator) -> Tensor:
    """True with probability `keep`, to 1/65536; four from each 64 random bits, in a quarter of the time of bernoulli_."""
    size = math.prod(shape)
    words = torch.empty(-(-size // 4), dtype=torch.int64).random_(-(2**63), None, generator=generator)
    threshold = min(max(round(keep * 65536), 1), 65535) - 32768
    return (words.view(torch.int16)[:size] < threshold).view(shape)
