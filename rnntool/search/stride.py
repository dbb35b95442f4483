"""Several tokens at once: each drawn on the device and read there, none looked at before the last.

On a processor a stride is one token, and so it is with n-grams, which are computed there.  On a GPU the kernels of one
token are over before the next can be started, so a longer stride is recorded as a CUDA graph, once, and replayed; what is
drawn after a line's end is thrown away.  A draw is a function of its number alone, so that strides change nothing but
speed.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rnntool.search.drawing import Bend, draw
from rnntool.search.predictor import Predictor, Prefixes

GPU_STRIDE = 16
"""Tokens of a stride on a GPU; on average half of them are drawn after a line's end, once a line."""


class Strider:
    """Draws tokens after prefixes.

    Args:
        predictor: the model.
        bend: what is done to each distribution.
        batch_size: most rows.
        length: tokens of a stride; None for what suits the device.
    """

    def __init__(self, predictor: Predictor, bend: Bend, *, batch_size: int, length: int | None = None) -> None:
        is_recorded = predictor.device.type == "cuda" and predictor.is_recordable
        self.length = length or (GPU_STRIDE if is_recorded else 1)
        self.predictor = predictor
        self.batch_size = batch_size
        self._bend = bend
        self._recording = _Recording(self, batch_size) if is_recorded else None

    def advance(
        self, prefixes: Prefixes, uniforms: Sequence[Sequence[float]] | NDArray[np.float64]
    ) -> tuple[list[list[int]], list[list[float]], Prefixes]:
        """One stride.

        Args:
            prefixes: B rows.
            uniforms: for each token of the stride B numbers in [0, 1).

        Returns:
            For each token of the stride B ids, and their B log-probabilities; and the prefixes with all but the last read.
        """
        numbers = torch.as_tensor(uniforms, dtype=torch.float64).to(self.predictor.log_weights)  # (K, B)
        work = self.work if self._recording is None else self._recording.replay
        ids, gains, after = work(prefixes, numbers)
        return ids.tolist(), gains.tolist(), after

    @torch.no_grad()
    def work(self, prefixes: Prefixes, uniforms: Tensor) -> tuple[Tensor, Tensor, Prefixes]:
        """As `advance`, in tensors: uniforms, ids and log-probabilities are (K, B)."""
        ids, gains = [], []
        for numbers in uniforms:
            log_probs, state = self.predictor.step(prefixes)
            chosen = draw(log_probs, numbers, self._bend)
            ids.append(chosen)
            gains.append(log_probs.gather(1, chosen[:, None])[:, 0])
            prefixes = Prefixes(chosen, state)
        return torch.stack(ids), torch.stack(gains), prefixes


class _Recording:
    """A stride of a fixed number of rows as a CUDA graph, from fixed places to fixed places; fewer rows leave some idle."""

    def __init__(self, strider: Strider, num_rows: int) -> None:
        self._strider = strider
        self._num_rows = num_rows
        self._graph: torch.cuda.CUDAGraph | None = None

    def replay(self, prefixes: Prefixes, uniforms: Tensor) -> tuple[Tensor, Tensor, Prefixes]:
        """As `Strider.work`."""
        num_rows = len(prefixes)
        if self._graph is None:
            self._record(prefixes, uniforms)
        assert self._graph is not None
        for place, given in zip(self._places, (prefixes.last, *prefixes.state), strict=True):
            place[:num_rows].copy_(given)
        self._uniforms[:, :num_rows].copy_(uniforms)
        self._graph.replay()
        ids, gains, after = self._results
        # the next replay writes in the same places
        last, *state = (t[:num_rows].clone() for t in (after.last, *after.state))
        return ids[:, :num_rows], gains[:, :num_rows], Prefixes(last, tuple(state))

    def _record(self, prefixes: Prefixes, uniforms: Tensor) -> None:
        given = (prefixes.last, *prefixes.state)
        self._places = [t[:1].expand(self._num_rows, *t.shape[1:]).contiguous() for t in given]
        self._uniforms = uniforms.new_zeros(len(uniforms), self._num_rows)
        rows = Prefixes(self._places[0], tuple(self._places[1:]))
        stream = torch.cuda.Stream(prefixes.last.device)  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream(prefixes.last.device))
        with torch.cuda.stream(stream):
            self._strider.work(rows, self._uniforms)  # libraries allocate and choose their algorithms
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph, stream=stream):
            self._results = self._strider.work(rows, self._uniforms)
