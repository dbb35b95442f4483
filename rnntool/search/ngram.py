"""N-grams as a part of a predictor, which asks of them what it asks of a network."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from rnntool.ngram.model import NgramModel
from rnntool.nn.cells.cell import State
from rnntool.score.mixture import translation
from rnntool.text.vocabulary import Vocabulary


class NgramPart:
    """N-grams that are asked for one word after another.

    Their state says for each row where its last word, its last two words, and so on are among the model's n-grams.  What
    comes before the first word of a line is `</s>`, which is read as `<s>`.

    Args:
        model: the n-grams; computed on the processor, in float64.
        vocabulary: of the predictor: the same tokens, whose ids may differ.
    """

    def __init__(self, model: NgramModel, vocabulary: Vocabulary) -> None:
        self.model = model
        self.vocab_size = len(vocabulary)
        ids = translation(vocabulary, model.vocabulary)
        self._ids = torch.arange(self.vocab_size) if ids is None else torch.tensor(ids)
        known = set(model.vocabulary.tokens)
        self._is_missing = torch.tensor([token not in known for token in vocabulary.tokens])  # marks, which never come
        self._read_as = self._ids.clone()
        self._read_as[vocabulary.eos_id] = model.grams.bos_id

    def state0(self, batch_size: int) -> State:
        """What comes before the first token."""
        return (torch.from_numpy(self.model.begin()).repeat(batch_size, 1),)

    def run(self, inputs: Tensor, state: State) -> tuple[None, State]:
        """The state after tokens (T, B)."""
        for tokens in inputs:
            state = self._after(tokens, state)
        return None, state

    def step(self, tokens: Tensor, state: State) -> tuple[Tensor, State]:
        """Log-probabilities (B, V) of the words after `tokens` (B,), and the new state."""
        (contexts,) = after = self._after(tokens, state)
        log_probs = torch.from_numpy(self.model.next_log_probs(contexts.numpy(force=True)))
        return log_probs[:, self._ids].masked_fill(self._is_missing, -math.inf), after

    def _after(self, tokens: Tensor, state: State) -> State:
        words = self._read_as[tokens.cpu()]
        contexts = torch.from_numpy(self.model.after(state[0].numpy(force=True), words.numpy()))
        contexts[words == self.model.grams.bos_id, 1:] = -1  # a line begins; nothing is before it
        return (contexts.to(tokens.device),)
