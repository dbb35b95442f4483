"""The full softmax, trained so that it hardly needs to be normalised.

    Σ −log P(y) + A (log Z)²      Z = Σ_v exp z_v

A score z_y is then nearly a log-probability, and can stand for it where only the target's row is to be computed.  log Z
starts at zero, since the biases start as the logarithms of probabilities.
Source: Devlin et al. 2014, "Fast and robust neural network joint models for statistical machine translation", §2.4.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from rnntool.nn.output.full import FullSoftmax


class SelfNormalized(FullSoftmax):
    """One weight row and one bias per word.

    Args:
        input_size: H, width of h.
        vocab_size: V.
        penalty: A.
        weight: the embedding (V, H), if tied; else the layer has its own.
    """

    is_self_normalized = True

    def __init__(self, input_size: int, vocab_size: int, penalty: float, weight: nn.Parameter | None = None) -> None:
        super().__init__(input_size, vocab_size, weight)
        self.penalty = penalty

    def loss_reference(
        self,
        h: Tensor,
        targets: Tensor,
        *,
        starts: Tensor | None = None,
        weights: Tensor | None = None,
        smoothing: float = 0.0,
    ) -> tuple[Tensor, Tensor]:
        """As that of the full softmax, with the penalty."""
        del starts
        loss, nll = super().loss_reference(h, targets, weights=weights, smoothing=smoothing)
        squares = torch.addmm(self.bias, h, self.weight.T).logsumexp(dim=1).square()
        return loss + self.penalty * (squares if weights is None else squares * weights).sum(), nll
