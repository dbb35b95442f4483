"""The parts of a network by name: how many weights each has, and how it is driven."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from rnntool.models.network import Network
from rnntool.nn.encoder import RecurrentEncoder
from rnntool.nn.plan import Plan, choose_plan
from rnntool.nn.recurrent import Layer


def recurrent_layers(network: Network) -> Iterator[tuple[str, Layer]]:
    """The recurrent layers of the encoder, each direction for itself; of what reads words; then those of the decoder."""
    encoder = None if network.reader is None else network.reader.encoder
    if isinstance(encoder, RecurrentEncoder):
        for number, stacks in enumerate(encoder.directions, 1):
            for stack, direction in zip(stacks, ("", " backward"), strict=False):
                for layer in stack.stack:
                    yield f"encoder {number}{direction}", layer
    if network.word_level is not None:
        for number, layer in enumerate(network.word_level.recurrent.stack, 1):
            yield f"words {number}", layer
    for number, layer in enumerate(network.decoder.stack, 1):
        yield f"layer {number}", layer


def parameters(network: Network) -> dict[str, int]:
    """How many numbers training sets in each part, and in total; what two parts share counts in the first."""
    counts = {"embedding": network.embedding.numel()}
    if network.reader is not None and not network.reader.is_shared:
        counts["source embedding"] = network.reader.embedding.numel()
    if network.word_level is not None:
        counts["words"] = network.word_level.table.numel()
    for name, layer in recurrent_layers(network):
        counts[name] = sum(p.numel() for p in layer.parameters())
    if network.link is not None:
        counts["link"] = sum(p.numel() for p in network.link.parameters())
    if network.num_direct:
        counts["direct"] = network.num_direct
    total = network.num_parameters
    return {**counts, "output": total - sum(counts.values()), "total": total}


def plans(network: Network, device: torch.device | None = None) -> dict[str, Plan]:
    """How each part with a recurrence, or a loop, is driven in training.

    Args:
        network: the network.
        device: where it will be; None for where it is.
    """
    found: dict[str, Plan] = {}
    for name, layer in recurrent_layers(network):
        place = network.embedding.device if device is None else device
        found[name] = choose_plan(layer.cell, backend=layer.backend, device=place)
    if network.link is None:
        return found
    backend = "window"
    if network.link.is_stepwise:
        backend = "bptt" if network.link.is_by_hand(network.decoder) else "reference"
        for number in range(1, 1 + len(network.decoder.stack)):
            found[f"layer {number}"] = Plan(backend, "the link takes it word by word")
    return {**found, "link": Plan(backend, network.link.reason)}
