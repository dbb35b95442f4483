"""Where a run's time goes: what is to be expected of each part, and what was measured."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from rnntool.models.network import Network
from rnntool.models.parts import recurrent_layers

PROBE = 512
"""Rows and columns of the products that tell how fast the device multiplies."""


class Stopwatch:
    """Seconds by part; every moment after the start belongs to one."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._since = time.perf_counter()

    def start(self) -> None:
        """Forget the time since the last lap."""
        self._since = time.perf_counter()

    def lap(self, part: str) -> None:
        """The time since the last lap, or the start, was spent on `part`."""
        now = time.perf_counter()
        self.seconds[part] = self.seconds.get(part, 0.0) + now - self._since
        self._since = now

    def shares(self) -> list[tuple[str, float, float]]:
        """Part, seconds, and share of all, the largest first."""
        total = sum(self.seconds.values()) or 1.0
        ordered = sorted(self.seconds.items(), key=lambda item: -item[1])
        return [(part, seconds, seconds / total) for part, seconds in ordered]


@dataclass(frozen=True)
class Expectation:
    """What an update costs in matrix products, forward and back.

    Args:
        layers_gflop: of the recurrent layers, and of the link before them.
        output_gflop: of the output layer, if words occur as often as the vocabulary says.
        gflops: GFLOP/s of a square product on the device, in the dtype of training.
        source_gflop: of what reads sources.
    """

    layers_gflop: float
    output_gflop: float
    gflops: float
    source_gflop: float = 0.0


def expect(
    network: Network,
    counts: Sequence[float],
    *,
    num_tokens: float,
    num_source_tokens: float = 0,
    dtype: torch.dtype,
    device: torch.device,
) -> Expectation:
    """What one update of so many tokens, and so many of their sources, is expected to cost.

    Every weight that a token is multiplied with takes two operations forward and four back.
    """
    layers = source = 0
    for name, layer in recurrent_layers(network):
        size = sum(shape[0] * shape[1] for shape in _matrices(layer.cell.shapes))
        layers, source = (layers, source + size) if name.startswith("encoder") else (layers + size, source)
    if network.link is not None:
        for name, weight in network.link.named_parameters():
            if name == "attention.weight_memory":  # once for each position
                source += weight.numel()
            elif name in ("weight_out", "attention.weight_query"):
                layers += weight.numel()
    output = network.output.rows_computed(counts) * network.decoder.output_size
    scale, source_scale = 6 * num_tokens / 1e9, 6 * num_source_tokens / 1e9
    return Expectation(scale * layers, scale * output, product_rate(device, dtype), source_scale * source)


def product_rate(device: torch.device, dtype: torch.dtype) -> float:
    """GFLOP/s of a square product, the fastest of five."""
    a = torch.ones(PROBE, PROBE, device=device).to(dtype)
    fastest = float("inf")
    for _ in range(6):
        start = time.perf_counter()
        float((a @ a)[0, 0])
        fastest = min(fastest, time.perf_counter() - start)
    return 2 * PROBE**3 / fastest / 1e9


def _matrices(shapes: dict[str, tuple[int, ...]]) -> list[tuple[int, ...]]:
    return [shape for shape in shapes.values() if len(shape) == 2]
