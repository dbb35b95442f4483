"""One window: from ids to gradients."""

from __future__ import annotations

import torch
from torch import Tensor

from rnntool.config.training import TrainingConfig
from rnntool.data.batch import Batch
from rnntool.models.network import Network
from rnntool.nn.cells.cell import State
from rnntool.nn.noise import Noise
from rnntool.nn.source import Source
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
    inputs = batch.inputs
    if config.scheduled_sampling:
        inputs = with_own_words(
            network, inputs, state, source, rate=config.scheduled_sampling, noise=noise, dtype=dtype
        )
    starts = network.starts(inputs, state)
    h, after = network.run(
        inputs,
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
        starts = starts[-len(batch.targets) :]
    dropped = noise.drop(h, noise.output)
    rows, targets = dropped.flatten(0, 1), batch.targets.flatten()
    weights = None if batch.weights is None else batch.weights.flatten()
    starts = starts.flatten(0, 1)
    if batch.mask is not None:
        counts = batch.mask.flatten()
        rows, targets = rows[counts], targets[counts]
        weights = None if weights is None else weights[counts]
        starts = starts[counts]
    loss, nll = network.output.loss(
        rows,
        targets,
        starts=starts,
        weights=weights,
        smoothing=config.label_smoothing,
        dtype=dtype,
        generator=noise.generator,
    )
    if config.ar:
        loss = loss + config.ar * batch.share * batch.num_tokens * dropped.square().mean()
    if config.tar and len(h) > 1:
        loss = loss + config.tar * batch.share * batch.num_tokens * (h[1:] - h[:-1]).square().mean()
    if stopwatch:
        stopwatch.lap("output layer")
    loss.backward()  # type: ignore[no-untyped-call]
    if stopwatch:
        stopwatch.lap("layers back")
    return nll, tuple(s.detach() for s in after) if source is None else ()


@torch.no_grad()
def with_own_words(
    network: Network,
    inputs: Tensor,
    state: State,
    source: Source | None,
    *,
    rate: float,
    noise: Noise,
    dtype: torch.dtype,
) -> Tensor:
    """Inputs of which a share are words that the network itself would have put there.

    All of them are drawn at once, each after the words that the text has before it, so that windows stay whole.
    Source: Bengio et al. 2015, "Scheduled Sampling for Sequence Prediction with Recurrent Neural Networks"; the two passes
    of Duckworth et al. 2019, "Parallel Scheduled Sampling".

    Args:
        network: with its weights.
        inputs: (T, B); the first ones stay, whatever comes before them is not in the window.
        state: before the window.
        source: what the inputs are conditioned on, or None.
        rate: the share.
        noise: whose generator draws; its dropout is left out.
        dtype: lowest that products may have.

    Returns:
        Ids, (T, B).
    """
    generator = noise.generator
    h, _ = network.run(inputs, state, dtype=dtype, source=source)
    is_own = torch.rand(inputs[1:].shape, generator=generator, device=inputs.device) < rate
    starts = network.starts(inputs, state)
    probs = network.output.log_probs(h[:-1][is_own], starts[:-1][is_own]).exp_()
    own = inputs.clone()
    if len(probs):
        own[1:][is_own] = torch.multinomial(probs, 1, generator=generator).squeeze(1)
    return own


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
