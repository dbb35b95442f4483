"""Output layers that are trained with few of the words, and are full softmaxes wherever they are used.

    sampled    the target is told from K words drawn by their counts, all logits less log q: which of the K + 1 is the one
               that was not drawn?                                        Jean et al. 2015, Ma and Collins 2018
    target     all targets of the window and K words drawn evenly share the probability, all logits less log of how likely
               a word is to be among them                                 Jean et al. 2015, Chen et al. 2015
    nce        the target is told from K words of noise, each by a yes or no:  Gutmann and Hyvärinen 2010, Mnih and Teh 2012
               log σ(s(y) − log K q(y)) + Σ_k log σ(log K q(w_k) − s(w_k))

One draw serves all rows of a window, so that their products are one.  q is the unigram distribution, for noise flattened by
the power ¾.  With `nce` the logits s learn to be log-probabilities by themselves.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rnntool.nn.output import fused
from rnntool.nn.output.layer import FusedLoss, OutputLayer
from rnntool.nn.output.unigram import unigram

NOISE_POWER = 0.75
"""Of the unigram probabilities from which noise is drawn; Mikolov et al. 2013, §2.2."""


class DrawnLayer(OutputLayer):
    """One weight row and one bias per word.

    Args:
        input_size: H, width of h.
        counts: of the words, (V,); all zero where they are not known.
        num_drawn: K.
        weight: the embedding (V, H), if tied; else the layer has its own.

    Attributes:
        is_sparse: whether the gradient of an own weight is that of the rows met alone.
    """

    power = 1.0
    """Of the counts, in what words are drawn in proportion to."""

    def __init__(
        self, input_size: int, counts: Sequence[float], num_drawn: int, weight: nn.Parameter | None = None
    ) -> None:
        super().__init__(input_size, len(counts), weight)
        self.num_drawn = num_drawn
        self.is_sparse = False
        q = unigram(counts, power=self.power)
        self._sums: Tensor  # of q over the words up to each, (V,)
        self._log_expected: Tensor  # log K q, (V,)
        self.register_buffer("_sums", q.cumsum(0), persistent=False)
        self.register_buffer("_log_expected", (num_drawn * q).log().float(), persistent=False)

    @property
    def rows(self) -> tuple[Tensor, Tensor]:
        """As `OutputLayer.rows`: one for every word."""
        return self.weight, self.bias

    def normalize(self, z: Tensor) -> Tensor:
        """As `OutputLayer.normalize`."""
        return fused.log_softmax(z)

    def nll(self, h: Tensor, targets: Tensor, starts: Tensor | None = None) -> Tensor:
        """As `OutputLayer.nll`."""
        del starts
        return fused.softmax_nll(h, self.weight, self.bias, targets)

    def rows_computed(self, counts: Sequence[float]) -> float:
        """As `OutputLayer.rows_computed`: the target's, and those drawn."""
        del counts
        return float(1 + self.num_drawn)

    def loss(
        self,
        h: Tensor,
        targets: Tensor,
        *,
        starts: Tensor | None = None,
        weights: Tensor | None = None,
        smoothing: float = 0.0,
        dtype: torch.dtype = torch.float32,
        generator: torch.Generator | None = None,
    ) -> tuple[Tensor, Tensor]:
        """As `OutputLayer.loss`, without smoothing; the plain sum is that of the loss."""
        assert not smoothing
        drawn = self.draw(generator)
        if not torch.is_grad_enabled():
            return self.loss_reference(h, targets, drawn, weights=weights)
        how = partial(self.differentiate, targets=targets, drawn=drawn, weights=weights, dtype=dtype)
        loss, nll = FusedLoss.apply(how, h, *self.parameters())  # type: ignore[no-untyped-call]
        return loss, nll

    def draw(self, generator: torch.Generator | None) -> Tensor:
        """K words, (K,), some of them perhaps the same."""
        numbers = torch.rand(self.num_drawn, dtype=torch.float64, generator=generator, device=self._sums.device)
        return torch.searchsorted(self._sums, numbers * self._sums[-1]).clamp_(max=len(self._sums) - 1)

    @abstractmethod
    def differentiate(
        self,
        h: Tensor,
        parameters: Sequence[Tensor],
        targets: Tensor,
        drawn: Tensor,
        *,
        weights: Tensor | None,
        dtype: torch.dtype,
    ) -> tuple[Tensor, Tensor, list[Tensor]]:
        """The two results of `loss` with the words that were drawn, and the gradients of the first."""

    @abstractmethod
    def loss_reference(
        self, h: Tensor, targets: Tensor, drawn: Tensor, *, weights: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """The readable twin of `loss`."""

    def _logits(
        self, h: Tensor, U: Tensor, b: Tensor, targets: Tensor, drawn: Tensor, dtype: torch.dtype
    ) -> tuple[Tensor, Tensor]:
        """Logits less log K q: of each row's target, (N, 1), and of the words drawn, (N, K)."""
        lowered = b - self._log_expected.to(b.dtype)
        right = torch.linalg.vecdot(h, U[targets]) + lowered[targets]
        others = (h.to(dtype) @ U[drawn].T.to(dtype)).to(b.dtype) + lowered[drawn]
        return right[:, None], others

    def _gradients(
        self, h: Tensor, U: Tensor, b: Tensor, targets: Tensor, drawn: Tensor, dz: Tensor, dtype: torch.dtype
    ) -> list[Tensor]:
        """Of h, U and b, from those of the logits of targets and drawn words, (N, 1 + K)."""
        right, others = dz[:, :1], dz[:, 1:]
        low = others.to(dtype)
        dh = (low @ U[drawn].to(dtype)).to(h.dtype).addcmul_(U[targets], right)
        met = torch.cat([targets, drawn])
        values = torch.cat([h * right, (low.T @ h.to(dtype)).to(h.dtype)])
        db = torch.zeros_like(b).index_add_(0, met, torch.cat([right[:, 0], others.sum(dim=0)]))
        return [dh, _rows_gradient(U, met, values, is_sparse=self.is_sparse and not self.is_tied), db]


class SampledSoftmax(DrawnLayer):
    """`sampled`."""

    def differentiate(
        self,
        h: Tensor,
        parameters: Sequence[Tensor],
        targets: Tensor,
        drawn: Tensor,
        *,
        weights: Tensor | None,
        dtype: torch.dtype,
    ) -> tuple[Tensor, Tensor, list[Tensor]]:
        """As `DrawnLayer.differentiate`."""
        U, b = parameters
        right, others = self._logits(h, U, b, targets, drawn, dtype)
        z = torch.cat([right, others], dim=1)
        log_z = z.logsumexp(dim=1, keepdim=True)
        nll = (log_z - right)[:, 0]
        dz = z.sub_(log_z).exp_()
        dz[:, 0] -= 1
        if weights is not None:
            dz *= weights[:, None]
        loss = nll.sum() if weights is None else nll @ weights
        return loss, nll.sum(), self._gradients(h, U, b, targets, drawn, dz, dtype)

    def loss_reference(
        self, h: Tensor, targets: Tensor, drawn: Tensor, *, weights: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """A cross entropy among the target and the words drawn."""
        right, others = self._logits(h, self.weight, self.bias, targets, drawn, h.dtype)
        first = torch.zeros_like(targets)
        nll = F.cross_entropy(torch.cat([right, others], dim=1), first, reduction="none")
        return (nll if weights is None else nll * weights).sum(), nll.sum().detach()


class TargetSoftmax(DrawnLayer):
    """`target`."""

    power = 0.0

    def __init__(
        self, input_size: int, counts: Sequence[float], num_drawn: int, weight: nn.Parameter | None = None
    ) -> None:
        super().__init__(input_size, counts, num_drawn, weight)
        self._unigram: Tensor
        self.register_buffer("_unigram", unigram(counts), persistent=False)

    def differentiate(
        self,
        h: Tensor,
        parameters: Sequence[Tensor],
        targets: Tensor,
        drawn: Tensor,
        *,
        weights: Tensor | None,
        dtype: torch.dtype,
    ) -> tuple[Tensor, Tensor, list[Tensor]]:
        """As `DrawnLayer.differentiate`."""
        U, b = parameters
        words, places = torch.unique(torch.cat([targets, drawn]), return_inverse=True)
        some_U, some_b = U[words], (b - self._log_inclusion(len(targets)).to(b.dtype))[words]
        dU, some_db = torch.empty_like(some_U), torch.empty_like(some_b)
        loss, nll, dh = fused.softmax_loss(
            h,
            some_U,
            some_b,
            places[: len(targets)],
            weights=weights,
            smoothing=0.0,
            dtype=dtype,
            dU=dU,
            db=some_db,
        )
        db = torch.zeros_like(b).index_add_(0, words, some_db)
        return loss, nll, [dh, _rows_gradient(U, words, dU, is_sparse=self.is_sparse and not self.is_tied), db]

    def loss_reference(
        self, h: Tensor, targets: Tensor, drawn: Tensor, *, weights: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """A cross entropy among the words that were met."""
        is_met = torch.zeros(len(self.bias), dtype=torch.bool, device=h.device)
        is_met[torch.cat([targets, drawn])] = True
        lowered = self.bias - self._log_inclusion(len(targets)).to(self.bias.dtype)
        z = torch.addmm(lowered, h, self.weight.T).masked_fill(~is_met, -torch.inf)
        nll = F.cross_entropy(z, targets, reduction="none")
        return (nll if weights is None else nll * weights).sum(), nll.sum().detach()

    def _log_inclusion(self, num_targets: int) -> Tensor:
        """Log of how likely each word is to be a target or to be drawn, (V,)."""
        missed = num_targets * torch.log1p(-self._unigram) + self.num_drawn * math.log1p(-1 / len(self._unigram))
        return torch.log(-torch.expm1(missed))


class NoiseContrast(DrawnLayer):
    """`nce`."""

    power = NOISE_POWER
    is_self_normalized = True

    def differentiate(
        self,
        h: Tensor,
        parameters: Sequence[Tensor],
        targets: Tensor,
        drawn: Tensor,
        *,
        weights: Tensor | None,
        dtype: torch.dtype,
    ) -> tuple[Tensor, Tensor, list[Tensor]]:
        """As `DrawnLayer.differentiate`."""
        U, b = parameters
        right, others = self._logits(h, U, b, targets, drawn, dtype)
        losses = F.softplus(-right[:, 0]) + F.softplus(others).sum(dim=1)
        dz = torch.cat([-torch.sigmoid(-right), torch.sigmoid(others)], dim=1)
        if weights is not None:
            dz *= weights[:, None]
        loss = losses.sum() if weights is None else losses @ weights
        return loss, losses.sum(), self._gradients(h, U, b, targets, drawn, dz, dtype)

    def loss_reference(
        self, h: Tensor, targets: Tensor, drawn: Tensor, *, weights: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """The logarithms of the formula."""
        right, others = self._logits(h, self.weight, self.bias, targets, drawn, h.dtype)
        losses = -F.logsigmoid(right[:, 0]) - F.logsigmoid(-others).sum(dim=1)
        return (losses if weights is None else losses * weights).sum(), losses.sum().detach()


def _rows_gradient(weight: Tensor, rows: Tensor, values: Tensor, *, is_sparse: bool) -> Tensor:
    """A gradient of `weight` that is zero but for these rows; a row that stands there twice has the sum."""
    if is_sparse:
        return torch.sparse_coo_tensor(rows[None], values, weight.shape, check_invariants=False)
    return torch.zeros_like(weight).index_add_(0, rows, values)
