"""A recurrent network as a scorer: float32, exact, and whatever its neighbours are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from rnntool.models.network import Network
from rnntool.nn.cells.cell import State
from rnntool.nn.precision import exact_products
from rnntool.score.scorer import LogProbs
from rnntool.text.vocabulary import Vocabulary

WINDOW = 512
"""Tokens of a stream that are computed at once; bounds memory, not the history."""


class NetworkScorer:
    """Scores lines under a network.

    Args:
        network: with its weights, on its device.
        vocabulary: what its ids are.
        context: `carry` (lines are one stream) or `reset` (every line begins anew).
        batch_size: lines computed side by side where the context is reset; changes speed and memory alone.
    """

    def __init__(self, network: Network, vocabulary: Vocabulary, context: str, *, batch_size: int = 64) -> None:
        self.network = network
        self.vocabulary = vocabulary
        self.context = context
        self.batch_size = batch_size
        self._device = network.embedding.device

    def state0(self) -> State:
        """Zeros for one stream."""
        return self.network.state0(1)

    def score(self, lines: Sequence[Sequence[int]], state: State) -> tuple[list[LogProbs], State]:
        """As `Scorer.score`."""
        if not lines:
            return [], state
        with torch.no_grad(), exact_products():
            return self._carried(lines, state) if self.context == "carry" else (self._reset(lines), state)

    def _carried(self, lines: Sequence[Sequence[int]], state: State) -> tuple[list[LogProbs], State]:
        """All lines as one stream, which begins after a `</s>`."""
        eos = self.vocabulary.eos_id
        ends = np.cumsum([len(line) + 1 for line in lines])
        stream = np.full(int(ends[-1]) + 1, eos, dtype=np.int64)
        for line, end in zip(lines, ends, strict=True):
            stream[end - len(line) : end] = line
        ids = torch.from_numpy(stream).to(self._device)[:, None]  # (N + 1, 1): a `</s>`, then the lines
        # One place for all scores: small tensors that are kept between large ones would keep their memory, too.
        log_probs = torch.empty(len(ids) - 1, dtype=torch.float64)
        for first in range(0, len(log_probs), WINDOW):
            window = slice(first, first + WINDOW)
            nll, state = self.network.nll(ids[:-1][window], ids[1:][window], state)
            log_probs[window] = -nll[:, 0]
        return np.split(log_probs.numpy(), ends[:-1]), state

    def _reset(self, lines: Sequence[Sequence[int]]) -> list[LogProbs]:
        """Every line on its own, lines of like length side by side."""
        order = sorted(range(len(lines)), key=lambda number: len(lines[number]))
        scores: list[LogProbs] = [np.empty(0)] * len(lines)
        for first in range(0, len(order), self.batch_size):
            numbers = order[first : first + self.batch_size]
            for number, score in zip(numbers, self._side_by_side([lines[n] for n in numbers]), strict=True):
                scores[number] = score
        return scores

    def _side_by_side(self, lines: Sequence[Sequence[int]]) -> Iterator[LogProbs]:
        eos = self.vocabulary.eos_id
        lengths = torch.tensor([len(line) + 1 for line in lines], device=self._device)
        ids = torch.full((int(lengths.max()) + 1, len(lines)), eos, device=self._device)  # (T + 1, B)
        for column, line in enumerate(lines):
            ids[1 : len(line) + 1, column] = torch.tensor(line, dtype=torch.long)
        state = self.network.state0(len(lines))
        scores = torch.zeros(len(ids) - 1, len(lines), dtype=torch.float64)
        for first in range(0, len(scores), WINDOW):
            window = slice(first, first + WINDOW)
            inputs, targets = ids[:-1][window], ids[1:][window]
            h, state = self.network.run(inputs, state)
            steps = torch.arange(first, first + len(inputs), device=self._device)
            counts: Tensor = steps[:, None] < lengths  # (T, B)
            scores[window][counts.cpu()] = -self.network.output.nll(h[counts], targets[counts]).double().cpu()
        for column, line in enumerate(lines):
            yield scores[: len(line) + 1, column].numpy()
