"""The differentiated softmax: the rarer a word, the fewer of the hidden units it is predicted from.

The vocabulary, sorted by count, is cut into bands, and h into as many blocks; band k sees block k alone, and one softmax
normalises all:

    z_w = u_w · h_k + b_w      w in band k, h = [h_1; h_2; …]

Each block is half as wide as the one before.
Source: Chen, Grangier and Auli 2015, "Strategies for training large vocabulary neural language models", §2.3.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from rnntool.nn.output import fused
from rnntool.nn.output.direct import Runs
from rnntool.nn.output.layer import ExactLayer


class DifferentiatedSoftmax(ExactLayer):
    """One bias per word, one weight row of its band's width; `weight` holds those of the first band.

    Args:
        input_size: H, width of h, at least the number of bands.
        vocab_size: V; words are sorted by count, the most frequent first.
        cuts: where each band but the last ends, rising, below V.
    """

    def __init__(self, input_size: int, vocab_size: int, cuts: Sequence[int]) -> None:
        widths = block_widths(input_size, len(cuts) + 1)
        super().__init__(widths[0], cuts[0], None, num_biases=vocab_size)
        ends = [*cuts, vocab_size]
        self.bands = [slice(first, end) for first, end in zip([0, *cuts], ends, strict=True)]
        first = [sum(widths[:number]) for number in range(len(widths))]
        self.blocks = [slice(start, start + width) for start, width in zip(first, widths, strict=True)]
        sizes = [band.stop - band.start for band in self.bands]
        self.rarer = nn.ParameterList(
            torch.empty(size, width) for size, width in zip(sizes[1:], widths[1:], strict=True)
        )
        self.input_size = input_size

    @property
    def rows(self) -> tuple[Tensor, Tensor]:
        """As `OutputLayer.rows`: one for every word, zero where its band does not look."""
        U = self.bias.new_zeros(len(self.bias), self.input_size)
        for weight, band, block in zip([self.weight, *self.rarer], self.bands, self.blocks, strict=True):
            U[band, block] = weight
        return U, self.bias

    def rows_computed(self, counts: Sequence[float]) -> float:
        """As `OutputLayer.rows_computed`: all, each for the share of h that it sees."""
        del counts
        return sum(
            (band.stop - band.start) * (block.stop - block.start) / self.input_size
            for band, block in zip(self.bands, self.blocks, strict=True)
        )

    def normalize(self, z: Tensor) -> Tensor:
        """As `OutputLayer.normalize`."""
        return fused.log_softmax(z)

    def nll(self, h: Tensor, targets: Tensor, starts: Tensor | None = None) -> Tensor:
        """As `OutputLayer.nll`."""
        del starts
        size = fused.rows_of_a_block(len(self.bias), h.element_size())
        weights = [self.weight, *self.rarer]
        blocks = zip(torch.split(h, size), torch.split(targets, size), strict=True)
        return torch.cat([fused.nll_of_logits(self._logits(part, weights, self.bias), y) for part, y in blocks])

    def differentiate(
        self,
        h: Tensor,
        parameters: Sequence[Tensor],
        targets: Tensor,
        *,
        weights: Tensor | None,
        smoothing: float,
        dtype: torch.dtype,
        runs: Runs | None = None,
    ) -> tuple[Tensor, Tensor, list[Tensor]]:
        """As `ExactLayer.differentiate`."""
        assert runs is None
        first, b, *rarer = parameters
        bands = [first, *rarer]
        low = [U.to(dtype) for U in bands]
        dh, db = torch.empty_like(h), torch.zeros_like(b)
        dU = [torch.zeros_like(U) for U in bands]
        losses, nll = h.new_empty(len(h)), h.new_empty(len(h))
        size = fused.rows_of_a_block(len(b), h.element_size())
        for start in range(0, len(h), size):
            rows = slice(start, start + size)
            low_h, right = h[rows].to(dtype), targets[rows][:, None]
            z = self._logits(low_h, low, b)
            log_z = z.logsumexp(dim=1, keepdim=True)
            nll[rows] = (log_z - z.gather(1, right))[:, 0]
            losses[rows] = (1 - smoothing) * nll[rows] + smoothing * (log_z[:, 0] - z.mean(dim=1))
            dz = z.sub_(log_z).exp_()
            dz.scatter_add_(1, right, dz.new_full(right.shape, smoothing - 1))
            if smoothing:
                dz -= smoothing / dz.shape[1]
            if weights is not None:
                dz *= weights[rows][:, None]
            db += dz.sum(dim=0)
            low_dz = dz.to(dtype)
            for number, (band, block) in enumerate(zip(self.bands, self.blocks, strict=True)):
                dh[rows, block] = (low_dz[:, band] @ low[number]).to(h.dtype)
                dU[number] += low_dz[:, band].T @ low_h[:, block]
        loss = losses.sum() if weights is None else losses @ weights
        return loss, nll.sum(), [dh, dU[0], db, *dU[1:]]

    def _logits(self, h: Tensor, weights: Sequence[Tensor], b: Tensor) -> Tensor:
        """All logits, (N, V), of the precision of b."""
        parts = [h[:, block] @ U.T for U, block in zip(weights, self.blocks, strict=True)]
        return torch.cat(parts, dim=1).to(b.dtype) + b


def block_widths(input_size: int, num_blocks: int) -> list[int]:
    """Widths that sum to H, each about half the one before, at least 1."""
    shares = [2.0 ** -(number + 1) for number in range(num_blocks)]
    widths = [max(1, round(input_size * share / sum(shares))) for share in shares]
    widths[0] += input_size - sum(widths)
    return widths
