"""A recurrent network as a scorer: float32, exact, and whatever its neighbours are.

Beside the log-probabilities it can show the hidden states that they came from, for what needs both (`pointer`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from rnntool.models.network import Network
from rnntool.nn.cells.cell import State
from rnntool.nn.precision import exact_products
from rnntool.score.columns import batches_by, columns
from rnntool.score.scorer import LogProbs, Scorer
from rnntool.score.temperature import nll_at
from rnntool.text.vocabulary import Vocabulary

WINDOW = 512
"""Tokens of a stream that are computed at once; bounds memory, not the history."""


class Passage(NamedTuple):
    """Some tokens that follow each other, and how they were predicted."""

    h: Tensor
    """What entered the output layer before each, (N, O)."""
    targets: Tensor
    """Their ids, (N,)."""
    log_probs: Tensor
    """Of each, (N,), float64, on the CPU."""


class PassageScorer(Scorer, Protocol):
    """A scorer that shows the hidden states behind its answers."""

    def passages(self, lines: Sequence[Sequence[int]], state: Any) -> Iterator[tuple[Passage, Any]]:
        """The answers of `score`, `</s>` among them, in order; with the last, if not before, what is carried on."""
        ...


class NetworkScorer:
    """Scores lines under a network.

    Args:
        network: with its weights, on its device.
        vocabulary: what its ids are.
        context: `carry` (lines are one stream) or `reset` (every line begins anew).
        batch_size: lines computed side by side where the context is reset; changes speed and memory alone.
        temperature: of the distributions, see `temperature`.
        before_window: called before every piece of the work; what it raises ends it.
    """

    def __init__(
        self,
        network: Network,
        vocabulary: Vocabulary,
        context: str,
        *,
        batch_size: int = 64,
        temperature: float = 1.0,
        before_window: Callable[[], None] = lambda: None,
    ) -> None:
        self.network = network
        self.vocabulary = vocabulary
        self.context = context
        self.batch_size = batch_size
        self.temperature = temperature
        self._before_window = before_window
        self._device = network.embedding.device

    def state0(self) -> State:
        """Zeros for one stream."""
        return self.network.state0(1)

    def score(self, lines: Sequence[Sequence[int]], state: State) -> tuple[list[LogProbs], State]:
        """As `Scorer.score`."""
        if not lines:
            return [], state
        if self.context == "reset":
            return self._reset(lines), state
        return by_line(lines, ((passage.log_probs, after) for passage, after in self._windows(lines, state)))

    def passages(self, lines: Sequence[Sequence[int]], state: State) -> Iterator[tuple[Passage, State]]:
        """As `PassageScorer.passages`; where the context is reset, line by line."""
        if self.context == "carry":
            yield from self._windows(lines, state)
            return
        for line in lines:
            for passage, _ in self._windows([line], self.state0()):
                yield passage, state

    def nll(self, h: Tensor, targets: Tensor, starts: Tensor) -> Tensor:
        """−log P(target) in nats, (N,), of rows h (N, O) and the places of their direct weights (N, ·)."""
        return nll_at(self.network.output, h, targets, self.temperature, starts)

    def _windows(self, lines: Sequence[Sequence[int]], state: State) -> Iterator[tuple[Passage, State]]:
        """Lines as one stream, which begins after a `</s>`."""
        ids = stream_of(lines, self.vocabulary.eos_id).to(self._device)
        for first in range(0, len(ids) - 1, WINDOW):
            targets = ids[1:][first : first + WINDOW]
            inputs = ids[:-1][first : first + WINDOW, None]
            self._before_window()
            with torch.no_grad(), exact_products():
                starts = self.network.starts(inputs, state)
                h, state = self.network.run(inputs, state)
                nll = self.nll(h[:, 0], targets, starts[:, 0])
            yield Passage(h[:, 0], targets, -nll.double().cpu()), state

    def _reset(self, lines: Sequence[Sequence[int]]) -> list[LogProbs]:
        """Every line on its own, lines of like length side by side."""
        scores: list[LogProbs] = [np.empty(0)] * len(lines)
        with torch.no_grad(), exact_products():
            for numbers in batches_by(list(map(len, lines)), self.batch_size):
                for number, score in zip(numbers, self._side_by_side([lines[n] for n in numbers]), strict=True):
                    scores[number] = score
        return scores

    def _side_by_side(self, lines: Sequence[Sequence[int]]) -> Iterator[LogProbs]:
        eos = self.vocabulary.eos_id
        read, counted = columns(lines, eos)
        ids = torch.cat([torch.full((1, len(lines)), eos), read]).to(self._device)  # (T + 1, B)
        lengths = counted.to(self._device)
        state = self.network.state0(len(lines))
        scores = torch.zeros(len(ids) - 1, len(lines), dtype=torch.float64)
        for first in range(0, len(scores), WINDOW):
            window = slice(first, first + WINDOW)
            inputs, targets = ids[:-1][window], ids[1:][window]
            self._before_window()
            starts = self.network.starts(inputs, state)
            h, state = self.network.run(inputs, state)
            steps = torch.arange(first, first + len(inputs), device=self._device)
            counts: Tensor = steps[:, None] < lengths  # (T, B)
            nll = self.nll(h[counts], targets[counts], starts[counts])
            scores[window][counts.cpu()] = -nll.double().cpu()
        for column, line in enumerate(lines):
            yield scores[: len(line) + 1, column].numpy()


def stream_of(lines: Sequence[Sequence[int]], eos_id: int) -> Tensor:
    """A `</s>`, then the ids of all lines, each with its own `</s>`."""
    ends = np.cumsum([len(line) + 1 for line in lines])
    stream = np.full(int(ends[-1]) + 1, eos_id, dtype=np.int64)
    for line, end in zip(lines, ends, strict=True):
        stream[end - len(line) : end] = line
    return torch.from_numpy(stream)


def by_line(lines: Sequence[Sequence[int]], answers: Iterable[tuple[Tensor, Any]]) -> tuple[list[LogProbs], Any]:
    """The answers to lines, at least one, that come in pieces, and what is carried on from the last.

    They have one place: small arrays that are kept between large ones would keep the memory of these, too.
    """
    ends = np.cumsum([len(line) + 1 for line in lines])
    log_probs = np.empty(ends[-1])
    num_known, state = 0, None
    for answer, after in answers:
        log_probs[num_known : num_known + len(answer)] = answer
        num_known, state = num_known + len(answer), after
    assert num_known == len(log_probs)
    return np.split(log_probs, ends[:-1]), state
