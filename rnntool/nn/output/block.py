"""A block of logits turned in place into weighted probabilities.

    z_n ← w_n exp(z_n − log Z_n)      log Z_n = log Σ_v exp z_nv

On a GPU one kernel does it (`rnntool.nn.kernels.softmax`): each row is read twice and written once, where torch's own
operations read and write it several times.  Statistics are float32 whatever the logits are.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import torch
from torch import Tensor

Normalizer = Callable[[Tensor, Tensor], Tensor]
"""From logits (n, V), overwritten, and the weights of the rows (n,), float32, to log Z (n,), float32."""


def normalize_reference(z: Tensor, weights: Tensor) -> Tensor:
    """The readable twin of the kernel."""
    log_z = z.float().logsumexp(dim=1)
    z.copy_((z.float() - log_z[:, None]).exp_() * weights[:, None])
    return log_z


def normalizer_for(device: torch.device) -> Normalizer | None:
    """What normalises a block on the device in one kernel, if anything does."""
    return load_kernel() if device.type == "cuda" else None


@functools.cache
def load_kernel() -> Normalizer | None:
    """The kernel; None where triton, an optional package, is not installed."""
    try:
        from rnntool.nn.kernels.softmax import normalize
    except ImportError:
        return None
    return normalize
