"""What every output layer answers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from rnntool.config.direct import Direct
from rnntool.nn.output.direct import DirectWeights, Runs, TableGradient


class OutputLayer(nn.Module, ABC):
    """A distribution over V words for every hidden state; all its methods treat rows of h independently.

    Attributes:
        weight: one row for every word, (V, H), unless the layer says otherwise; the embedding itself, if tied.
        bias: one number for every word, (V,).
        is_recordable: whether the loss asks the device nothing (which rows are of which part), so that a GPU can replay it.
        is_self_normalized: whether U h + b is meant to be a log-probability without being normalised.
    """

    is_recordable = False
    is_self_normalized = False

    weight: nn.Parameter
    bias: nn.Parameter

    def __init__(
        self, input_size: int, num_rows: int, weight: nn.Parameter | None, *, num_biases: int | None = None
    ) -> None:
        super().__init__()
        self.is_tied = weight is not None
        self.weight = nn.Parameter(torch.empty(num_rows, input_size)) if weight is None else weight
        self.bias = nn.Parameter(torch.empty(num_rows if num_biases is None else num_biases))
        self.direct: DirectWeights | None = None

    @property
    @abstractmethod
    def rows(self) -> tuple[Tensor, Tensor]:
        """U (R, H) and b (R,), with which logits U h + b are all that `normalize` needs."""

    @abstractmethod
    def rows_computed(self, counts: Sequence[float]) -> float:
        """How many rows of U a hidden state is multiplied with in training, on average over words by their counts (V,).

        All counts zero: word r occurs in proportion to 1/r.
        """

    @abstractmethod
    def normalize(self, z: Tensor) -> Tensor:
        """Natural log-probabilities of all words, (N, V), for logits z (N, R), which may be overwritten."""

    @property
    def places(self) -> Tensor | None:
        """Of each of `rows`, where among a history's direct weights its own is, (R,); None if they have the same order."""
        return None

    def connect(self, direct: Direct) -> None:
        """Add direct weights.

        Raises:
            OptionError: the table is too small.
        """
        num_rows = len(self.rows[1])
        direct.check(num_rows)
        self.direct = DirectWeights(direct.size, direct.order, num_rows)

    def log_probs(self, h: Tensor, starts: Tensor | None = None) -> Tensor:
        """Natural log-probabilities of all words, (N, V), for h (N, H) and the starts of direct weights, if it has any."""
        U, b = self.rows
        return self.normalize(self.add_direct(torch.addmm(b, h, U.T), starts))

    def add_direct(self, z: Tensor, starts: Tensor | None) -> Tensor:
        """Logits (N, R) and, if it has any, their direct weights, which begin at `starts` (N, ·)."""
        runs = self._runs(starts)
        if runs is None:
            return z
        sums = runs.sums(z.shape[1])
        return z + (sums if self.places is None else sums[:, self.places])

    def _runs(self, starts: Tensor | None) -> Runs | None:
        """The direct weights that begin there."""
        if self.direct is None:
            return None
        assert starts is not None
        return Runs(self.direct.table, starts)

    @abstractmethod
    def nll(self, h: Tensor, targets: Tensor, starts: Tensor | None = None) -> Tensor:
        """−log P(target) in nats, (N,), for h (N, H), targets (N,) and the starts of direct weights, if it has any."""

    @abstractmethod
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
        """What training minimises.

        Args:
            h: hidden states, (N, H).
            targets: ids, (N,).
            starts: where the direct weights of each row begin, (N, ·), if it has any.
            weights: of each row in the sum, (N,); None for ones.
            smoothing: share of each target's probability that is spread evenly over what it is chosen from.
            dtype: of the products.
            generator: draws words, where the layer is trained with such; None for torch's own.

        Returns:
            The weighted sum of the (smoothed) losses, differentiable; and the plain sum of −log P(target), not: as far as
            it is known, else what is minimised in its place.
        """

    def init(self, p: Tensor) -> None:
        """Set to where training starts: an own weight at zero, so that whatever h is the words are as likely as they occur.

        Args:
            p: the words' probabilities, (V,).
        """
        for parameter in self.parameters():
            if not (self.is_tied and parameter is self.weight):
                parameter.zero_()
        self.bias.copy_(p.log())


class ExactLayer(OutputLayer):
    """One that is trained with every word, or every choice that leads to the target."""

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
        """As `OutputLayer.loss`."""
        del generator
        if not torch.is_grad_enabled():
            return self.loss_reference(h, targets, starts=starts, weights=weights, smoothing=smoothing)
        how = partial(self.differentiate, targets=targets, weights=weights, smoothing=smoothing, dtype=dtype)
        if self.direct is not None:
            assert starts is not None
            how = partial(_with_table, how, starts)
        loss, nll = FusedLoss.apply(how, h, *self.parameters())  # type: ignore[no-untyped-call]
        return loss, nll

    @abstractmethod
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
        """The two results of `loss`, and the gradients of the first with respect to h and all parameters, in one pass.

        Args:
            h: hidden states, (N, H).
            parameters: what stands for `self.parameters()`, in their order, but for the table of direct weights.
            targets: ids, (N,).
            weights: of each row in the sum, (N,); None for ones.
            smoothing: as for `loss`.
            dtype: of the products.
            runs: direct weights, if it has any; their gradient is added to that of the table.
        """

    def loss_reference(
        self,
        h: Tensor,
        targets: Tensor,
        *,
        starts: Tensor | None = None,
        weights: Tensor | None = None,
        smoothing: float = 0.0,
    ) -> tuple[Tensor, Tensor]:
        """The readable twin of `loss`: log-probabilities of everything, then sums."""
        log_probs = self.log_probs(h, starts)
        nll = -log_probs.gather(1, targets[:, None])[:, 0]
        each = (1 - smoothing) * nll - smoothing * log_probs.mean(dim=1)
        return (each if weights is None else each * weights).sum(), nll.sum().detach()


Differentiated = tuple[Tensor, Tensor, list[Tensor]]


def _with_table(
    differentiate: Callable[..., Differentiated], starts: Tensor, h: Tensor, parameters: Sequence[Tensor]
) -> Differentiated:
    """As `ExactLayer.differentiate` of a layer with direct weights, whose table is the last of the parameters."""
    *own, table = parameters
    gradient = TableGradient(table)
    loss, nll, gradients = differentiate(h, own, runs=Runs(table, starts, gradient))
    return loss, nll, [*gradients, gradient.result()]


class FusedLoss(torch.autograd.Function):
    """A loss that takes all its gradients on the way forward."""

    @staticmethod
    def forward(
        ctx: Any,
        differentiate: Callable[[Tensor, Sequence[Tensor]], tuple[Tensor, Tensor, list[Tensor]]],
        h: Tensor,
        *parameters: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """What `differentiate` makes of h and the parameters: loss, plain sum, and gradients, which are kept."""
        loss, nll, gradients = differentiate(h, parameters)
        ctx.save_for_backward(*gradients)
        ctx.mark_non_differentiable(nll)
        return loss, nll

    @staticmethod
    def backward(ctx: Any, grad: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        """The gradients, times what reached the loss: one, where nothing but a sum was done with it."""
        gradients = ctx.saved_tensors
        if not (grad.device.type == "cpu" and float(grad) == 1):
            gradients = tuple(gradient * grad for gradient in gradients)
        return None, *gradients
