"""One window: from ids to gradients."""

from __future__ import annotations

import torch
from torch import Tensor

from rnntool.config.training import TrainingConfig
from rnntool.data.batch import Batch
from rnntool.models.network import Network
from rnntool.nn.cells.cell import State
from rnntool.nn.noise import Noise
from rnntool.train.spending import Stopwatch


def backward(
    network: Network,
    batch: Batch,
    state: State,
    config: TrainingConfig,
    *,
    noise: Noise,
    dtype: torch.dtype,
    sparse: bool,
    stopwatch: Stopwatch | None = None,
) -> tuple[Tensor, State]:
    """Add the gradients of a window's loss, summed over its tokens, to those of the weights.

    Args:
        network: with its weights.
        batch: the window.
        state: before it; of no meaning where there is a source.
        config: smoothing, penalties and the limit of each step's gradient.
        noise: dropout.
        dtype: lowest that products may have.
        sparse: whether the embedding's gradient is that of the rows read alone; not if it is tied.
        stopwatch: what tells the parts' times apart.

    Returns:
        Σ −log P of the targets that count, in nats, (); and the state from which the next window starts.
    """
    source = None
    if batch.source is not None:
        source, state = network.read(batch.source.ids, batch.source.lengths, noise=noise, dtype=dtype)
        if stopwatch:
            stopwatch.lap("source forward")
    h, after = network.run(
        batch.inputs,
        state,
        noise=noise,
        keep=batch.keep,
        clip_step=config.clip_step,
        dtype=dtype,
        sparse=sparse,
        source=source,
    )
    if stopwatch:
        stopwatch.lap("layers forward")
    if len(h) > len(batch.targets):
        h = h[-len(batch.targets) :]  # (S, B, O)
    dropped = noise.drop(h, noise.output)
    rows, targets = dropped.flatten(0, 1), batch.targets.flatten()
    weights = None if batch.weights is None else batch.weights.flatten()
    if batch.mask is not None:
        counts = batch.mask.flatten()
        rows, targets = rows[counts], targets[counts]
        weights = None if weights is None else weights[counts]
    loss, nll = network.output.loss(
        rows, targets, weights=weights, smoothing=config.label_smoothing, dtype=dtype, generator=noise.generator
    )
    if config.ar:
        loss = loss + config.ar * batch.num_tokens * dropped.square().mean()
    if config.tar and len(h) > 1:
        loss = loss + config.tar * batch.num_tokens * (h[1:] - h[:-1]).square().mean()
    if stopwatch:
        stopwatch.lap("output layer")
    loss.backward()  # type: ignore[no-untyped-call]
    if stopwatch:
        stopwatch.lap("layers back")
    return nll, tuple(s.detach() for s in after) if source is None else ()


def noise_of(config: TrainingConfig, generator: torch.Generator) -> Noise:
    """The dropout that the settings ask for, drawn by `generator`."""

    def rate(own: float | None) -> float:
        return (config.dropout or 0.0) if own is None else own

    return Noise(
        generator,
        embed=config.dropout_embed,
        input=rate(config.dropout_input),
        layer=rate(config.dropout_layer),
        output=rate(config.dropout_output),
        recurrent=config.dropout_recurrent,
        weight=config.dropout_weight,
        locked=config.locked,
    )
