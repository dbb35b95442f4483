"""The temperature of a distribution: sharper below 1, flatter above.

    P_τ(w | h) = P(w | h)^(1/τ) / Σ_v P(v | h)^(1/τ)

For a softmax this divides the logits by τ; taken of probabilities it is the same for every output layer.  A network that
is too sure of itself on new text is worth more at a temperature above 1, fitted on a text that it was not trained on.
Source: Guo et al. 2017, "On calibration of modern neural networks", §4.2.
"""

from __future__ import annotations

import torch
from torch import Tensor

from rnntool.nn.output.layer import OutputLayer

BLOCK = 1 << 23
"""Largest number of log-probabilities that exist at once."""


def nll_at(output: OutputLayer, h: Tensor, targets: Tensor, temperature: float, starts: Tensor | None = None) -> Tensor:
    """−log P_τ(target) in nats, (N,), for h (N, H), targets (N,) and the starts of direct weights, if there are any."""
    if temperature == 1 or not len(targets):
        return output.nll(h, targets, starts)
    size = max(1, BLOCK // len(output.bias))
    nll = []
    for first in range(0, len(targets), size):
        rows = slice(first, first + size)
        log_probs = output.log_probs(h[rows], None if starts is None else starts[rows])
        nll.append(_nll(log_probs / temperature, targets[rows]))
    return torch.cat(nll)


def _nll(z: Tensor, targets: Tensor) -> Tensor:
    return z.logsumexp(dim=1) - z.gather(1, targets[:, None])[:, 0]
