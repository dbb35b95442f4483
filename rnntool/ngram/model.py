"""A back-off model of n-grams: how likely is a word after the words before it?

    P(w | h) = p(h w)                 if the n-gram h w is in the model
               b(h) P(w | h')         else; h' is h without its first word, and b(h) is 1 where h is not in the model

ending with P(w), which every word has.  This is what an ARPA file says, whatever smoothing it came from.  Many words are
asked for at once; what was before a word is a value: where the n-grams are that end just before it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rnntool.ngram.grams import NOWHERE, Grams, Places
from rnntool.ngram.histories import streamed
from rnntool.text.vocabulary import Vocabulary

LN10 = math.log(10)

ZERO = -99.0
"""The logarithm of 0 to base 10, as ARPA files have it."""

Contexts = Places
"""(B, N − 1) for each of B histories, where its last word is among the 1-grams, its last two among the 2-grams, ..."""


@dataclass(frozen=True)
class NgramModel:
    """N-grams with their probabilities.

    Args:
        vocabulary: what words are; `<s>` is none of them, but `grams.bos_id`.
        grams: which there are.
        log10_probs: log₁₀ p of each, by order from 1 on; of `<s>` it is never looked at.
        log10_backoffs: log₁₀ b of each, by order from 1 to N − 1.
    """

    vocabulary: Vocabulary
    grams: Grams
    log10_probs: tuple[NDArray[np.float64], ...]
    log10_backoffs: tuple[NDArray[np.float64], ...]

    @property
    def order(self) -> int:
        """N."""
        return self.grams.order

    def log_probs(self, lines: Sequence[Sequence[int] | Places]) -> list[NDArray[np.float64]]:
        """Natural log-probabilities of the tokens of each line, then of its `</s>`.

        Args:
            lines: ids, without `</s>`; each begins after `<s>`.
        """
        if not lines:
            return []
        stream = streamed(lines, eos_id=self.vocabulary.eos_id, bos_id=self.grams.bos_id)
        scores = self._stream_log10_probs(stream.ids, stream.is_bos)[~stream.is_bos] * LN10
        return stream.split(scores)

    def _stream_log10_probs(self, stream: Places, is_bos: NDArray[np.bool_]) -> NDArray[np.float64]:
        """log₁₀ P of each word of a stream after those before it, as far as the `<s>` of its line."""
        ending = stream  # the n-gram of length n that ends with each word
        found = self.log10_probs[0][stream]
        for n in range(2, self.order + 1):
            ending, found = self._longer(n, _shifted(ending, is_bos), stream, found)
        return found

    def trust(self, stream: Places, is_bos: NDArray[np.bool_]) -> tuple[Places, NDArray[np.float64]]:
        """Of each place of a stream, the longest n-gram below the highest order that ends there and has a back-off weight.

        Returns:
            how long it is, 0 for none, and log₁₀ b of it.
        """
        lengths, found = np.zeros_like(stream), np.zeros(len(stream))
        ending = stream
        for n in range(1, self.order):
            if n > 1:
                ending = self.grams.find(n, _shifted(ending, is_bos), stream)
            weights = _at(self._backoffs(n), ending, np.zeros(len(stream)))
            lengths[weights != 0] = n
            found[weights != 0] = weights[weights != 0]
        return lengths, found

    def _longer(
        self, n: int, histories: Places, words: Places, shorter: NDArray[np.float64]
    ) -> tuple[Places, NDArray[np.float64]]:
        """Where the n-grams are, and log₁₀ P of their last words after histories of n − 1 words.

        Args:
            n: the order.
            histories: where they are.
            words: what comes after them.
            shorter: log₁₀ P of the same words after histories of n − 2 words.
        """
        places = self.grams.find(n, histories, words)
        backed_off = shorter + _at(self._backoffs(n - 1), histories, np.zeros_like(shorter))
        return places, _at(self.log10_probs[n - 1], places, backed_off)

    def _backoffs(self, order: int) -> NDArray[np.float64]:
        return self.log10_backoffs[order - 1]

    # --- one word after another ---------------------------------------------------------------------------------------

    def begin(self) -> Contexts:
        """One history: the beginning of a line."""
        contexts = np.full((1, max(1, self.order - 1)), NOWHERE, np.int64)
        contexts[:, 0] = self.grams.bos_id
        return contexts

    def after(self, contexts: Contexts, words: Places) -> Contexts:
        """The histories, each one word longer."""
        longer = np.empty_like(contexts)
        longer[:, 0] = words
        for n in range(2, self.order):
            longer[:, n - 1] = self.grams.find(n, contexts[:, n - 2], words)
        return longer

    def next_log_probs(self, contexts: Contexts) -> NDArray[np.float64]:
        """Natural log-probabilities (B, V) of all words after each history."""
        found = np.repeat(self.log10_probs[0][None], len(contexts), axis=0)  # (B, V + 1)
        for n in range(2, self.order + 1):
            (rows,) = (contexts[:, n - 2] != NOWHERE).nonzero()
            histories = contexts[rows, n - 2]
            found[rows] += self._backoffs(n - 1)[histories, None]
            starts, ends = self.grams.spans(n, histories)
            lengths = ends - starts
            places = np.arange(lengths.sum()) + np.repeat(starts - (np.cumsum(lengths) - lengths), lengths)
            found[np.repeat(rows, lengths), self.grams.keys[n - 2][places] % self.grams.stride] = self.log10_probs[
                n - 1
            ][places]
        return found[:, : self.grams.vocab_size] * LN10


def _shifted(ending: Places, is_bos: NDArray[np.bool_]) -> Places:
    """Of the n-grams that end at each place, those that end at the place before."""
    before = np.full_like(ending, NOWHERE)
    before[1:] = ending[:-1]
    before[is_bos] = NOWHERE
    return before


def _at(values: NDArray[np.float64], places: Places, otherwise: NDArray[np.float64]) -> NDArray[np.float64]:
    """The values at places, and other ones for what is nowhere."""
    is_there = places != NOWHERE
    otherwise[is_there] = values[places[is_there]]
    return otherwise
