"""How far back a network's gradient reaches, measured.

    g_k = ‖∂L_T / ∂h_{T−k}‖, k = 0, 1, …

where L_T is the loss of a window's last token alone.  A gradient that vanishes shows as a falling line, one that explodes
as a rising one.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from rnntool.models.network import Network

LARGEST_LAG = 50


def gradient_by_lag(network: Network, inputs: Tensor, targets: Tensor) -> list[float]:
    """Norms of the last token's gradient with respect to the states before it, the newest first.

    Args:
        network: with its weights, without noise.
        inputs: ids, (T, B).
        targets: ids, (S, B); the last row counts.

    Returns:
        g_0 .. g_K, K at most `LARGEST_LAG`; root mean squares over the streams, all tensors of a state together.
    """
    inputs = inputs[-LARGEST_LAG - 1 :]
    begun = network.state0(inputs.shape[1])
    state, level, _ = network.split(begun)
    starts = network.starts(inputs, begun)
    widths = [s.shape[1] for s in state]
    top = network.decoder.stack[-1]
    moments: list[Tensor] = []
    with torch.enable_grad():
        x, _ = network.beside(torch.nn.functional.embedding(inputs, network.embedding), inputs, level)
        for x_t in x:
            h, after = network.decoder.step(x_t, state)
            # All that follows reads the state from one tensor, so that nothing is counted twice.
            moments.append(torch.cat(after, dim=1))
            state = torch.split(moments[-1], widths, dim=1)
        seen = top.cell.output(top.weights(), state[-len(top.cell.state_sizes) :])
        if top.norm is not None:
            seen = top.norm(seen)
        loss = network.output.nll(seen + (h - seen).detach(), targets[-1], starts[-1]).sum()
        gradients = torch.autograd.grad(loss, moments, allow_unused=True)
    squares = [0.0 if g is None else float(g.square().sum()) / inputs.shape[1] for g in gradients]
    return [math.sqrt(square) for square in reversed(squares)]
