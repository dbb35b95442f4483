"""Dynamic evaluation: a network that goes on learning from what it has just been asked to predict.

The text is a sequence of segments of n tokens.  Each is predicted with the weights θ as they are; then, with g the gradient
of 1/n Σ −log P over the segment, back to its beginning,

    sgd    θ ← θ + λ (θ₀ − θ) − η g
    rms    θ ← θ + λ r/r̄ (θ₀ − θ) − η g / (r + ε)

θ₀ are the trained weights; r is the usual size of each weight's gradient, the root of its mean square, r̄ the mean of all r;
λ r/r̄ is at most 1.  Where the context is carried, segments go over line ends, and what is left of the last waits for the
next lines; where it is reset, a line's last segment is as short as it is.  How lines are grouped changes nothing.

Source: Krause et al. 2018, "Dynamic evaluation of neural sequence models".
Differs: there the squares are averaged over the training text, which is not here; here over text that the network writes
itself (`usual_sizes`).  On the Penn Treebank both did alike.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from rnntool.config.adaptation import Dynamic
from rnntool.errors import TrainingError
from rnntool.models.network import Network
from rnntool.nn.cells.cell import State
from rnntool.nn.precision import exact_products
from rnntool.score.network import Passage, by_line, stream_of
from rnntool.score.scorer import LogProbs
from rnntool.score.temperature import nll_at
from rnntool.text.vocabulary import Vocabulary

EPSILON = 0.3
"""ε, as a multiple of r̄: with less, the few weights that hardly ever have a gradient make the rest diverge."""

STREAMS, SEGMENTS = 20, 5
"""How much a network writes to learn how large its gradients are: that many texts of that many segments."""


class Learned(NamedTuple):
    """What is carried on."""

    weights: tuple[Tensor, ...] | None
    """θ; None for those that were trained."""
    before: State
    """The recurrent state before the segment that is not yet full."""
    segment: tuple[int, ...]
    """The token before that segment, and its tokens so far."""


class DynamicScorer:
    """Scores lines under a network that learns from them.

    Args:
        network: with the trained weights, on its device; left as it is.
        vocabulary: what its ids are.
        context: `carry` or `reset`.
        dynamic: how it learns.
        temperature: of the distributions, see `temperature`; what is learned from is not changed by it.
    """

    def __init__(
        self, network: Network, vocabulary: Vocabulary, context: str, dynamic: Dynamic, *, temperature: float = 1.0
    ) -> None:
        self.vocabulary = vocabulary
        self.context = context
        self.dynamic = dynamic
        self.temperature = temperature
        self._trained = tuple(parameter.detach() for parameter in _learning(network))
        self._network = copy.deepcopy(network).requires_grad_()  # its weights are those of whatever state is asked for
        self._weights = _learning(self._network)
        self._steps, self._returns = _rates(network, vocabulary.eos_id, dynamic)

    def state0(self) -> Learned:
        """The trained weights, and nothing read but a `</s>`."""
        return Learned(None, self._network.state0(1), (self.vocabulary.eos_id,))

    def score(self, lines: Sequence[Sequence[int]], state: Learned) -> tuple[list[LogProbs], Learned]:
        """As `Scorer.score`.

        Raises:
            TrainingError: the weights are no numbers any more.
        """
        if not lines:
            return [], state
        return by_line(lines, ((passage.log_probs, after) for passage, after in self.passages(lines, state)))

    def passages(self, lines: Sequence[Sequence[int]], state: Learned) -> Iterator[tuple[Passage, Learned | None]]:
        """As `PassageScorer.passages`; a passage is a segment, or the rest of one."""
        with torch.no_grad():
            for weight, value in zip(self._weights, state.weights or self._trained, strict=True):
                weight.copy_(value)
        if self.context == "carry":
            yield from self._segments(lines, state.before, state.segment, is_last=True)
            return
        _, before, segment = self.state0()
        for number, line in enumerate(lines, 1):
            yield from self._segments([line], before, segment, is_last=number == len(lines))

    def _segments(
        self, lines: Sequence[Sequence[int]], before: State, begun: Sequence[int], *, is_last: bool
    ) -> Iterator[tuple[Passage, Learned | None]]:
        """Lines that follow each other.

        Args:
            lines: at least one.
            before: the recurrent state before the first segment.
            begun: the token before it, and those of its tokens that were answered earlier.
            is_last: whether what is carried on from the end is wanted.
        """
        stream = stream_of(lines, self.vocabulary.eos_id)[1:]
        ids = torch.cat([torch.tensor(begun), stream]).to(self._weights[0].device)
        num_known, size = len(begun) - 1, self.dynamic.bptt
        for first in range(0, len(ids) - 1, size):
            segment = ids[first : first + size + 1]
            is_over = len(segment) > size or self.context == "reset"
            passage, after = self._predict(segment, before, learns=is_over)
            if is_over:
                before, segment = after, segment[-1:]
            carried = None
            if is_last and first + size >= len(ids) - 1:
                weights = tuple(weight.detach().clone() for weight in self._weights)
                carried = Learned(weights, before, tuple(segment.tolist()))
            yield Passage(*(part[num_known:] for part in passage)), carried
            num_known = 0

    def _predict(self, ids: Tensor, before: State, *, learns: bool) -> tuple[Passage, State]:
        """Predict all tokens but the first, then learn from them if that is to be."""
        with torch.set_grad_enabled(learns), exact_products():
            h, after = self._network.run(ids[:-1, None], before)
            rows, targets, starts = h[:, 0], ids[1:], self._network.starts(ids[:-1, None], before)[:, 0]
            with torch.no_grad():
                nll = nll_at(self._network.output, rows, targets, self.temperature, starts).double().cpu()
            if not bool(nll.isfinite().all()):
                what = f"with lr {self.dynamic.lr:g} the weights are no numbers any more"
                raise TrainingError("--dynamic", what, "a smaller lr")
            if learns:
                gradients = _gradients(self._network, rows, targets, starts, self.dynamic.bptt)
                with torch.no_grad():
                    self._learn(gradients)
        return Passage(rows.detach(), targets, -nll), tuple(part.detach() for part in after)

    def _learn(self, gradients: Sequence[Tensor]) -> None:
        """Take a step."""
        parts = zip(self._weights, self._trained, self._returns, gradients, self._steps, strict=True)
        for weight, trained, back, gradient, step in parts:
            if self.dynamic.decay:
                weight.lerp_(trained, back)
            weight.addcmul_(gradient, step, value=-1)


def _learning(network: Network) -> tuple[nn.Parameter, ...]:
    """The weights that learn: all but direct ones, of which a text meets too few to tell how large their gradients are."""
    return tuple(parameter for parameter in network.parameters() if parameter is not network.direct_table)


def _gradients(network: Network, h: Tensor, targets: Tensor, starts: Tensor, size: int) -> tuple[Tensor, ...]:
    """g, of each parameter, for a segment that would have `size` tokens if it were full."""
    loss, _ = network.output.loss(h, targets, starts=starts)
    return torch.autograd.grad(loss / size, _learning(network), materialize_grads=True)


def _rates(network: Network, eos_id: int, dynamic: Dynamic) -> tuple[list[Tensor], list[Tensor]]:
    """What each parameter's gradient is multiplied with, and the share of the way back that it goes."""
    parameters = _learning(network)
    if dynamic.rule == "sgd":
        like = parameters[0].detach()
        return [like.new_tensor(dynamic.lr)] * len(parameters), [like.new_tensor(dynamic.decay)] * len(parameters)
    sizes = usual_sizes(network, eos_id, dynamic.bptt)
    mean = sum(float(size.sum()) for size in sizes) / sum(size.numel() for size in sizes)
    steps = [dynamic.lr / (size + EPSILON * mean) for size in sizes]
    return steps, [(dynamic.decay / mean * size).clamp(max=1) for size in sizes]


def usual_sizes(network: Network, eos_id: int, segment_size: int) -> list[Tensor]:
    """r: the root mean square of each parameter's gradient, over segments that the network writes itself.

    Drawn in float64 on the CPU and always from the same seed, so that they are the same everywhere.

    Args:
        network: with its weights.
        eos_id: the token after which a text begins.
        segment_size: tokens of each segment.
    """
    network = copy.deepcopy(network).requires_grad_()
    writer = copy.deepcopy(network).cpu().double()
    generator = torch.Generator().manual_seed(1)
    squares = [torch.zeros_like(parameter) for parameter in _learning(network)]
    tokens, state = torch.full((STREAMS,), eos_id), writer.state0(STREAMS)
    for _ in range(SEGMENTS):
        written = [tokens]
        before = tuple(part.to(squares[0] if part.is_floating_point() else squares[0].device) for part in state)
        for _ in range(segment_size):
            with torch.no_grad():
                log_probs, state = writer.step(tokens, state)
            tokens = torch.multinomial(log_probs.exp(), 1, generator=generator)[:, 0]
            written.append(tokens)
        for stream, ids in enumerate(torch.stack(written, dim=1).to(squares[0].device)):  # (n + 1,)
            own = tuple(part[stream : stream + 1] for part in before)
            with exact_products():
                h, _ = network.run(ids[:-1, None], own)
                starts = network.starts(ids[:-1, None], own)[:, 0]
                gradients = _gradients(network, h[:, 0], ids[1:], starts, segment_size)
            for square, gradient in zip(squares, gradients, strict=True):
                square.addcmul_(gradient, gradient, value=1 / (STREAMS * SEGMENTS))
    return [square.sqrt() for square in squares]
