"""How often words occur, as tensors."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from rnntool.config.output import frequencies

LEAST = 0.5
"""Count of a word that does not occur: something of it must be left, for its logarithm and for being drawn."""


def unigram(counts: Sequence[float], *, power: float = 1.0) -> Tensor:
    """Probabilities in proportion to a power of the counts, float64, (V,).

    Args:
        counts: by id; all zero where they are not known, and word r is taken to occur in proportion to 1/r.
        power: 1 for the counts as they are, 0 for words all alike.
    """
    seen = torch.tensor([max(count, LEAST) for count in frequencies(counts)], dtype=torch.float64, device="cpu")
    raised = seen**power
    return raised / raised.sum()
