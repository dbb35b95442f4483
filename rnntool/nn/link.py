"""Links: how what was read reaches the decoder.

    start     s_0 = tanh(W m̄ + b) for every state of the decoder, m̄ the source's summary     (all links)
    init      nothing more: the source is its first state                                   Sutskever et al. 2014
    each      the mean of the memory enters at every word                                   a bag of words
    prev      c_t from the state before, h_t = f([x_t; c_t], h_{t−1})                       Bahdanau et al. 2015
    cur       h_t = f(x_t, h_{t−1}), c_t from h_t                                           Luong et al. 2015

With a context the output layer reads o_t = tanh(W [h_t; c_t] + b); with input feeding, the decoder reads o_{t−1} beside its
input.  `each` is `prev` with equal weights.  Where no context depends on the state before it, all words of a window are
computed at once; else word by word.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from rnntool.nn.attention import Attention
from rnntool.nn.cells.cell import State, Weights
from rnntool.nn.deferred import Deferred
from rnntool.nn.kernels import attending
from rnntool.nn.noise import Noise
from rnntool.nn.packed import Packed, pack
from rnntool.nn.recurrent import Recurrent
from rnntool.nn.source import Source


class LinkWeights(NamedTuple):
    """What stands in for weights where words are computed one after the other."""

    layers: Sequence[Weights]
    """Of the decoder's layers."""
    query: Tensor | Deferred | Packed | None
    """Of the attention's W; None if it has none."""
    out: Tensor | Deferred | Packed | None
    """Of what makes outputs of h and c; None where nothing does."""


class Link(nn.Module):
    """A link from a source of width D to a decoder.

    Args:
        decoder: the recurrent layers that it drives; held by the network, not by the link.
        source_size: D.
        attention: what makes contexts; None for `init`.
        is_ahead: whether contexts come before the decoder's step (`prev`, `each`).
        feeds: whether the decoder reads the output before beside its input.
    """

    def __init__(
        self, decoder: Recurrent, source_size: int, attention: Attention | None, *, is_ahead: bool, feeds: bool
    ) -> None:
        super().__init__()
        self.attention = attention
        self.is_ahead = is_ahead
        self.feeds = feeds
        self.output_size = decoder.output_size
        sizes = [size for layer in decoder.stack for size in layer.cell.state_sizes]
        self._sizes = sizes
        self.weight_start = nn.Parameter(torch.empty(sum(sizes), source_size))
        self.bias_start = nn.Parameter(torch.empty(sum(sizes)))
        if attention is not None:
            self.weight_out = nn.Parameter(torch.empty(self.output_size, decoder.output_size + source_size))
            self.bias_out = nn.Parameter(torch.empty(self.output_size))

    @property
    def is_stepwise(self) -> bool:
        """Whether the words of a window are computed one after the other, each with what came of the one before."""
        return self.attention is not None and (self.feeds or (self.is_ahead and self.attention.kind != "equal"))

    @property
    def reason(self) -> str:
        """Why so, or why not, in one clause."""
        if self.attention is None:
            return "the source is the first state, and no more"
        if self.feeds:
            return "the decoder reads the output before, word by word"
        if self.is_stepwise:
            return "it attends with the state before each word"
        return "all words have the same context" if self.is_ahead else "it attends when the decoder is through"

    def state0(self, source: Source) -> State:
        """The state before the first word: the decoder's, and with feeding an output of zeros."""
        start = torch.tanh(source.summary @ self.weight_start.T + self.bias_start)
        state = torch.split(start, self._sizes, dim=1)
        return (*state, start.new_zeros(len(start), self.output_size)) if self.feeds else state

    def run(
        self,
        decoder: Recurrent,
        x: Tensor,
        state: State,
        source: Source,
        *,
        noise: Noise | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> tuple[Tensor, State]:
        """The decoder over a window.

        Args:
            decoder: its layers.
            x: embeddings, (T, B, E).
            state: from `state0` or an earlier call.
            source: what the words are conditioned on.
            noise: dropout, or None for none.
            dtype: lowest that products may have.

        Returns:
            What the output layer reads, (T, B, O), and the state after the window.
        """
        if self.attention is None:
            return decoder.run(x, state, noise=noise, dtype=dtype)
        if self.is_stepwise and self.is_by_hand(decoder):
            return self._by_hand(decoder, x, state, source, noise, dtype)
        if self.is_stepwise:
            return self._word_by_word(decoder, x, state, source, noise, dtype)
        if self.is_ahead:
            context, _ = self.attention(x, source)
            h, state = decoder.run(torch.cat([x, context], dim=2), state, noise=noise, dtype=dtype)
        else:
            h, state = decoder.run(x, state, noise=noise, dtype=dtype)
            context, _ = self.attention(h, source)
        return self._output(h, context), state

    def is_by_hand(self, decoder: Recurrent) -> bool:
        """Whether the loop over the decoder's words has its way back written by hand; see `attending`."""
        (top, *others) = decoder.stack
        return (
            self.feeds
            and not self.is_ahead
            and self.attention is not None
            and self.attention.kind == "mlp"
            and not others
            and top.norm is None
            and top.backend in ("auto", "bptt")
            and attending.can_drive(top.cell)
        )

    def _by_hand(
        self,
        decoder: Recurrent,
        x: Tensor,
        state: State,
        source: Source,
        noise: Noise | None,
        dtype: torch.dtype,
    ) -> tuple[Tensor, State]:
        (layer,) = decoder.stack
        assert self.attention is not None
        if noise is not None:
            x = noise.drop(x, noise.input)
        own = attending.AttendingWeights(
            self.attention.weight_query, self.attention.weight_energy, self.weight_out, self.bias_out
        )
        return attending.run(layer.cell, layer.weights(noise), own, x, state, source, dtype=dtype)

    def _word_by_word(
        self,
        decoder: Recurrent,
        x: Tensor,
        state: State,
        source: Source,
        noise: Noise | None,
        dtype: torch.dtype,
    ) -> tuple[Tensor, State]:
        weights = self._weights(decoder, noise, dtype)
        if noise is not None:
            x = noise.drop(x, noise.input)
        outputs, contexts = [], []
        for x_t in x:
            h, context, state, _ = self._advance(decoder, x_t, state, source, weights=weights, noise=noise)
            if self.feeds:
                h = self._output(h, context, weights.out)
                state = (*state[:-1], h)
            outputs.append(h)
            contexts.append(context)
        h = torch.stack(outputs)
        return h if self.feeds else self._output(h, torch.stack(contexts)), state

    def _weights(self, decoder: Recurrent, noise: Noise | None, dtype: torch.dtype) -> LinkWeights:
        """What stands in for all weights of a loop; where gradients are wanted, they are taken after it."""
        layers: list[Weights] = [layer.weights(noise) for layer in decoder.stack]
        query = getattr(self.attention, "weight_query", None)
        if not torch.is_grad_enabled():
            return LinkWeights(layers, query, self.weight_out)
        deferred = [{name: Deferred(w, dtype) if w.dim() == 2 else w for name, w in layer.items()} for layer in layers]
        return LinkWeights(
            deferred,  # type: ignore[arg-type]  # stand-ins
            None if query is None else Deferred(query, dtype),
            Deferred(self.weight_out, dtype) if self.feeds else self.weight_out,
        )

    def packed(self, decoder: Recurrent, packing: str) -> LinkWeights:
        """All matrices that `step` multiplies with, the decoder's, too, in few bits; see `rnntool.nn.packed`.

        Raises:
            OptionError: the device does not compute with them natively.
        """
        query = getattr(self.attention, "weight_query", None)
        return LinkWeights(
            decoder.packed(packing),
            None if query is None else pack(query, packing),
            None if self.attention is None else pack(self.weight_out, packing),
        )

    def step(
        self, decoder: Recurrent, x: Tensor, state: State, source: Source, *, weights: LinkWeights | None = None
    ) -> tuple[Tensor, State, Tensor | None]:
        """One word.

        Args:
            decoder: its layers.
            x: embeddings, (B, E).
            state: from `state0` or an earlier call.
            source: what the word is conditioned on.
            weights: what stands in for the weights, from `packed`; None for themselves.

        Returns:
            What the output layer reads, (B, O); the new state; and where it looked, (B, S), if it did.
        """
        if self.attention is None:
            h, state = decoder.step(x, state, weights=None if weights is None else weights.layers)
            return h, state, None
        h, context, state, alpha = self._advance(decoder, x, state, source, weights=weights)
        out = self._output(h, context, None if weights is None else weights.out)
        return out, (*state[:-1], out) if self.feeds else state, alpha

    def _advance(
        self,
        decoder: Recurrent,
        x: Tensor,
        state: State,
        source: Source,
        *,
        weights: LinkWeights | None = None,
        noise: Noise | None = None,
    ) -> tuple[Tensor, Tensor, State, Tensor]:
        """The decoder's h, c, the state in which what is fed is not yet new, and α."""
        assert self.attention is not None
        own, fed = state[: len(self._sizes)], state[len(self._sizes) :]
        layers, query_weight = (None, None) if weights is None else (weights.layers, weights.query)
        if self.is_ahead:
            top = decoder.stack[-1]
            top_weights = top.weights() if layers is None else layers[-1]
            query = top.cell.output(top_weights, own[len(own) - len(top.cell.state_sizes) :])
            context, alpha = self.attention(query[None], source, weight_query=query_weight)
            h, own = decoder.step(torch.cat([x, context[0], *fed], dim=1), own, weights=layers, noise=noise)
        else:
            h, own = decoder.step(torch.cat([x, *fed], dim=1), own, weights=layers, noise=noise)
            context, alpha = self.attention(h[None], source, weight_query=query_weight)
        return h, context[0], (*own, *fed), alpha[0]

    def _output(self, h: Tensor, context: Tensor, weight: Tensor | Deferred | Packed | None = None) -> Tensor:
        weight = self.weight_out if weight is None else weight
        product: Tensor = torch.cat([h, context], dim=-1) @ weight.T
        return torch.tanh(product + self.bias_out)

    def init(self, generator: torch.Generator) -> None:
        """Set all weights to where training starts: uniform in ±1/√n for n inputs, biases zero."""
        if self.attention is not None:
            self.attention.init(generator)
        for name, weight in self.named_parameters(recurse=False):
            if name.startswith("bias"):
                weight.zero_()
            else:
                bound = 1 / math.sqrt(weight.shape[1])
                weight.uniform_(-bound, bound, generator=generator)


def input_size(embed_size: int, source_size: int, output_size: int, *, is_ahead: bool, feeds: bool) -> int:
    """What a decoder's first layer reads: an embedding, a context if it comes before, an output if it is fed."""
    return embed_size + source_size * is_ahead + output_size * feeds
