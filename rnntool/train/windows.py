"""Gradients of windows, one after the other: the noise that is theirs, the state carried from each to the next.

Where memory does not suffice, a window's columns are computed in parts, one after the other: each part sees the noise that
it would have seen beside the others, so that the sums are the same but for their rounding.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import torch
from torch import Tensor

from rnntool.config.training import TrainingConfig
from rnntool.data.batch import Batch
from rnntool.data.order import mix
from rnntool.errors import RnntoolWarning, TrainingError, is_out_of_memory
from rnntool.models.network import Network
from rnntool.nn.cells.cell import State
from rnntool.train.spending import Stopwatch
from rnntool.train.step import backward, noise_of


class Windows:
    """What is computed of a run's windows.

    Args:
        network: with its weights, to whose gradients is added.
        config: the run's settings.
        device: where the network is.
        dtype: lowest that products may have.
        sparse: whether the embedding's gradient is that of the rows read alone.
        stopwatch: what tells the parts' times apart.
    """

    def __init__(
        self,
        network: Network,
        config: TrainingConfig,
        *,
        device: torch.device,
        dtype: torch.dtype,
        sparse: bool,
        stopwatch: Stopwatch,
    ) -> None:
        self.network = network
        self.config = config
        self.dtype = dtype
        self.sparse = sparse
        self.noise = noise_of(config, torch.Generator(device))
        self.carried: State = ()
        self.num_parts = 1
        self._stopwatch = stopwatch

    def begin(self, batch: Batch) -> None:
        """Begin the state anew, where the window asks for it; that of a target follows from its source."""
        if batch.fresh:
            self.carried = () if batch.source is not None else self.network.state0(batch.inputs.shape[1])

    def seed(self, number: int) -> None:
        """The noise of a window is a function of the seed and of its number."""
        self.noise.generator.manual_seed(mix(self.config.seed, number))

    def backward_all(self, group: Sequence[Batch], first: int, where: str, update: int) -> Tensor:
        """Take the gradients of some windows, within the memory there is.

        Args:
            group: the windows, which follow each other.
            first: number of the first one.
            where: the run, for messages.
            update: number of the update, for messages.

        Returns:
            Σ −log P of the targets that count, in nats, ().

        Raises:
            TrainingError: not even single columns fit into memory.
        """
        before = self.carried
        while True:
            try:
                self.network.zero_grad()
                return torch.stack([self.backward(batch, first + n) for n, batch in enumerate(group)]).sum()
            except RuntimeError as error:
                if not is_out_of_memory(error):
                    raise
                if self.num_parts >= max(batch.inputs.shape[1] for batch in group):
                    raise _explained(error, group[-1], where, update) from error
            self._divide(group[-1], where, update)  # now that the exception has let go of what was computed
            self.carried = before

    def backward(self, batch: Batch, number: int) -> Tensor:
        """Add one window's gradients and return its Σ −log P."""
        self.begin(batch)
        total, after = self.network.embedding.new_zeros(()), []
        for columns in _divided(batch.inputs.shape[1], self.num_parts):
            part = batch if self.num_parts == 1 else batch.part(columns.start, columns.stop)
            self.noise.columns = None if part.num_columns is None else (part.first_column, part.num_columns)
            self.seed(number)
            nll, state = backward(
                self.network,
                part,
                tuple(s[columns] for s in self.carried),
                self.config,
                noise=self.noise,
                dtype=self.dtype,
                sparse=self.sparse,
                stopwatch=self._stopwatch,
            )
            total += nll
            after.append(state)
        if after:
            self.carried = after[0] if len(after) == 1 else tuple(map(torch.cat, zip(*after, strict=True)))
        return total

    def _divide(self, batch: Batch, where: str, update: int) -> None:
        """Compute windows in twice as many parts from here on."""
        self.num_parts *= 2
        if self.network.embedding.device.type == "cuda":
            torch.cuda.empty_cache()
        tokens, streams = batch.inputs.shape
        size = f"batch {streams} × {tokens} tokens"
        what = f"from here on it is computed in {self.num_parts} parts, to the same result in more time"
        warnings.warn(RnntoolWarning(where, f"out of memory at update {update}: {size}; {what}"), stacklevel=1)


def _explained(error: RuntimeError, batch: Batch, where: str, update: int) -> TrainingError:
    tokens, streams = batch.inputs.shape
    text = str(error).partition("\n")[0]
    what = f"out of memory at update {update}: batch {streams} × {tokens} tokens, column by column: {text}"
    return TrainingError(where, what, "a smaller --bptt or a smaller network")


def _divided(number: int, parts: int) -> list[slice]:
    """So many columns in so many parts, without the empty ones."""
    slices = [slice(number * n // parts, number * (n + 1) // parts) for n in range(parts)]
    return [each for each in slices if each.stop > each.start]
