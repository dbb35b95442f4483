"""An update recorded once and replayed: the kernels of a GPU started by one call instead of hundreds.

A small network's kernels take microseconds each, and starting them one after the other takes longer than they run.  A CUDA
graph starts all of them at once, but may not ask the device anything while it runs: how long the gradient is, what it is
divided by and which rows of the embedding were read stay tensors, and the learning rate is one.  The graph reads and writes
the same places at every replay, into which a window is copied before and from which the results are taken after.

Without a graph the same work is done as it stands, on any device.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import torch
from torch import Tensor, nn

from rnntool.config.training import TrainingConfig
from rnntool.data.batch import Batch
from rnntool.errors import RnntoolWarning
from rnntool.models.network import Network
from rnntool.nn.cells.cell import State
from rnntool.nn.noise import Noise
from rnntool.train.optimizer import Optimizer, measure_gradients
from rnntool.train.step import backward

WARM_UP = 3
"""Updates of a shape before it is recorded: libraries allocate and choose their algorithms in the first ones."""


class Recording:
    """An update from one window of a fixed shape.

    Args:
        network: with its weights, which stay where they are.
        config: the run's settings.
        optimizer: one that `is_recordable`, its memory in place.
        noise: dropout; its generator is seeded before every call.
        dtype: lowest that products may have.
        window: of the shape.
        state: of the shape.
    """

    def __init__(
        self,
        network: Network,
        config: TrainingConfig,
        optimizer: Optimizer,
        *,
        noise: Noise,
        dtype: torch.dtype,
        window: Batch,
        state: State,
    ) -> None:
        self.network = network
        self.config = config
        self.optimizer = optimizer
        self.noise = noise
        self.dtype = dtype
        self._weights: Sequence[nn.Parameter] = list(network.parameters())
        self._window = replace(window, inputs=window.inputs.clone(), targets=window.targets.clone())
        self._state = tuple(s.clone() for s in state)
        self._lr = torch.zeros((), device=window.inputs.device)
        self._found = torch.zeros(2, device=window.inputs.device)  # Σ −log P, and the norm of the gradient
        self._graph: torch.cuda.CUDAGraph | None = None

    def fits(self, window: Batch) -> bool:
        """Whether a window has the shape."""
        return is_plain(window) and shape_of(window) == shape_of(self._window)

    def record(self) -> None:
        """Record the work, which is not done meanwhile, on the current stream, where earlier updates were done.

        Raises:
            RuntimeError: something in it cannot be recorded.
        """
        graph = torch.cuda.CUDAGraph()
        graph.register_generator_state(self.noise.generator)
        with torch.cuda.graph(graph, stream=torch.cuda.current_stream()):
            self.work()
        self._graph = graph

    def __call__(self, window: Batch, state: State, lr: float) -> tuple[Tensor, State]:
        """Update the weights.

        Args:
            window: one that fits.
            state: before it.
            lr: the learning rate.

        Returns:
            Σ −log P of its targets and the norm of the mean loss's gradient, (2,); and the state after the window.  Both
            are overwritten by the next call.
        """
        self._window.inputs.copy_(window.inputs)
        self._window.targets.copy_(window.targets)
        for own, given in zip(self._state, state, strict=True):
            if own is not given:
                own.copy_(given)
        self._lr.fill_(lr)
        if self._graph is None:
            self.work()
        else:
            self._graph.replay()
        return self._found, self._state

    def work(self) -> None:
        """The update, from fixed places to fixed places."""
        self.optimizer.zero_grad()
        nll, after = backward(
            self.network, self._window, self._state, self.config, noise=self.noise, dtype=self.dtype, sparse=False
        )
        norm, divisor = measure_gradients(
            self._weights, tokens=self._window.num_tokens, norm=self.config.clip, value=self.config.clip_value
        )
        lr, self.optimizer.lr = self.optimizer.lr, self._lr
        self.optimizer.step(divisor)
        self.optimizer.lr = lr
        for own, new in zip(self._state, after, strict=True):
            own.copy_(new)
        self._found.copy_(torch.stack([nll, norm]))


class Recorder:
    """Decides which updates are replayed.

    The first shape that has come up often enough is recorded, and only this one: a text in windows has one for all but the
    last window of an epoch.  If it cannot be recorded, a warning says so and the run goes on without.

    Args:
        is_wanted: whether anything is to be recorded at all.
        build: makes the recording of a window's shape and a state's.
    """

    def __init__(self, is_wanted: bool, build: Callable[[Batch, State], Recording]) -> None:
        self._is_wanted = is_wanted
        self._build = build
        self._seen: Counter[tuple[object, ...]] = Counter()
        self._recording: Recording | None = None

    def recording_of(self, group: Sequence[Batch], state: State) -> Recording | None:
        """What is to be replayed for an update from these windows, if it is; `state` is what precedes the first."""
        window = group[0]
        if not self._is_wanted or len(group) > 1 or not is_plain(window):
            return None
        if self._recording is None:
            shape = shape_of(window)
            self._seen[shape] += 1
            if self._seen[shape] > WARM_UP:
                self._record(window, state)
        return self._recording if self._recording is not None and self._recording.fits(window) else None

    def _record(self, window: Batch, state: State) -> None:
        recording = self._build(window, state)
        try:
            recording.record()
        except RuntimeError as error:
            self._is_wanted = False
            what = f"an update cannot be recorded, and is started kernel by kernel: {str(error).splitlines()[0]}"
            warnings.warn(RnntoolWarning("", what), stacklevel=1)
            return
        self._recording = recording


def build_recorder(
    network: Network,
    config: TrainingConfig,
    optimizer: Optimizer,
    *,
    noise: Noise,
    dtype: torch.dtype,
    is_wanted: bool = True,
) -> Recorder:
    """What records updates of a network on a GPU, where all that they are made of can be recorded.

    Args:
        network: with its weights.
        config: the run's settings.
        optimizer: its optimiser.
        noise: dropout.
        dtype: lowest that products may have.
        is_wanted: whether anything is to be recorded at all.
    """
    can_record = network.embedding.device.type == "cuda" and optimizer.is_recordable and network.output.is_recordable
    can_record = can_record and not config.scheduled_sampling  # whose rows are others in every window
    can_record = can_record and network.output.direct is None and network.word_level is None

    def build(window: Batch, state: State) -> Recording:
        return Recording(network, config, optimizer, noise=noise, dtype=dtype, window=window, state=state)

    return Recorder(is_wanted and can_record, build)


def is_plain(window: Batch) -> bool:
    """Whether a window has no source, and all its targets count alike: else their number is a question to the device."""
    return window.mask is None and window.weights is None and window.source is None


def shape_of(window: Batch) -> tuple[object, ...]:
    """What two windows have in common that are computed by the same kernels."""
    return (*window.inputs.shape, len(window.targets), window.keep)


@contextmanager
def working_stream(device: torch.device) -> Iterator[None]:
    """Where updates are done: on a GPU a stream beside the default one, on which nothing can be recorded."""
    if device.type != "cuda":
        yield
        return
    stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
    stream.wait_stream(torch.cuda.current_stream(device))
    with torch.cuda.stream(stream):
        yield
    torch.cuda.current_stream(device).wait_stream(stream)
