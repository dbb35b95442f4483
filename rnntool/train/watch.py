"""How far back a network's gradient reaches, measured.

    g_k = ‖∂L_T / ∂h_{T−k}‖, k = 0, 1, …

where L_T is the loss of a window's last token alone.  A gradient that vanishes shows as a falling line, one that explodes
as a rising one.
"""

from __future__ import annotations

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
    state = network.state0(inputs.shape[1])
    states = []
    with torch.enable_grad():
        x = torch.nn.functional.embedding(inputs, network.embedding.detach())
        for x_t in x:
            h, state = network.decoder.step(x_t, state)
            for s in state:
                s.requires_grad_(True)
            states.append(state)
        loss, _ = network.output.loss_reference(h, targets[-1])
        gradients = torch.autograd.grad(loss, [s for each in states for s in each], allow_unused=True)
    width = len(state)
    norms = []
    for first in range(0, len(gradients), width):
        squares = [g.square().sum() for g in gradients[first : first + width] if g is not None]
        norms.append(float((torch.stack(squares).sum() / inputs.shape[1]).sqrt()) if squares else 0.0)
    return norms[::-1]
