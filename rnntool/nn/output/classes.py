"""The softmax in two steps: first the class, then the word among those of its class.

    P(w | h) = P(c | h) · P(w | c, h)      c the class of w

With C = √V classes of even size a target costs 2 √V products instead of V.
Source: Goodman 2001, "Classes for fast maximum entropy training"; Mikolov et al. 2011, §3.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from rnntool.config.output import frequencies
from rnntool.nn.output import fused
from rnntool.nn.output.direct import Runs
from rnntool.nn.output.layer import ExactLayer
from rnntool.nn.output.ragged import Ragged

BLOCK_NUMBERS = 1 << 20
"""Most logits of words within classes that exist at once."""


class ClassSoftmax(ExactLayer):
    """One weight row and one bias per word, and one per class.

    Args:
        input_size: H, width of h.
        vocab_size: V.
        classes: of each word, (V,), from 0 with none left out.
        weight: the embedding (V, H), if tied; else the layer has its own.
    """

    def __init__(
        self, input_size: int, vocab_size: int, classes: Sequence[int], weight: nn.Parameter | None = None
    ) -> None:
        super().__init__(input_size, vocab_size, weight)
        class_of = torch.tensor(classes, device="cpu")
        order = class_of.argsort(stable=True)  # words class by class
        sizes = class_of.bincount()
        self.sizes: list[int] = sizes.tolist()
        self.class_weight = nn.Parameter(torch.empty(len(self.sizes), input_size))
        self.class_bias = nn.Parameter(torch.empty(len(self.sizes)))
        self.is_sorted = list(classes) == sorted(classes)
        self._class_of: Tensor
        self._order: Tensor
        self._place: Tensor  # of each word within its class
        self.register_buffer("_class_of", class_of, persistent=False)
        self.register_buffer("_order", order, persistent=False)
        first = (sizes.cumsum(0) - sizes)[class_of]
        self.register_buffer("_place", order.argsort() - first, persistent=False)
        self._first: Tensor  # of the words class by class, each class's first
        self.register_buffer("_first", sizes.cumsum(0) - sizes, persistent=False)
        self._sizes: Tensor
        self.register_buffer("_sizes", sizes, persistent=False)

    def init(self, p: Tensor) -> None:
        """As `OutputLayer.init`: a class is as likely as its words together."""
        super().init(p)
        self.class_bias.copy_(p.new_zeros(len(self.sizes)).index_add(0, self._class_of, p).log())

    @property
    def rows(self) -> tuple[Tensor, Tensor]:
        """As `OutputLayer.rows`: one for every word, then one for every class."""
        return torch.cat([self.weight, self.class_weight]), torch.cat([self.bias, self.class_bias])

    @property
    def places(self) -> Tensor:
        """As `OutputLayer.places`: classes, then words class by class."""
        num_classes = len(self.sizes)
        words = num_classes + self._first[self._class_of] + self._place
        return torch.cat([words, torch.arange(num_classes, device=words.device)])

    def rows_computed(self, counts: Sequence[float]) -> float:
        """As `OutputLayer.rows_computed`: all classes, and the words of the target's."""
        weights = frequencies(counts)
        own = sum(weight * self.sizes[c] for weight, c in zip(weights, self._class_of.tolist(), strict=True))
        return float(len(self.sizes) + own / sum(weights))

    def normalize(self, z: Tensor) -> Tensor:
        """As `OutputLayer.normalize`; the sums over classes are taken in one go."""
        vocab_size, num_classes = len(self.bias), len(self.sizes)
        words, classes = z[:, :vocab_size], fused.log_softmax(z[:, vocab_size:])
        index = self._class_of.expand_as(words)
        top = z.new_full((len(z), num_classes), -torch.inf).scatter_reduce(1, index, words, "amax")
        mass = torch.zeros_like(top).scatter_add(1, index, (words - top.gather(1, index)).exp())
        return words + (classes - top - mass.log()).gather(1, index)

    def nll(self, h: Tensor, targets: Tensor, starts: Tensor | None = None) -> Tensor:
        """As `OutputLayer.nll`; of the classes, only the target's is computed."""
        own, runs = self._class_of[targets], self._runs(starts)
        nll = fused.softmax_nll(h, self.class_weight, self.class_bias, own, runs)
        U, b = self._sorted(self.weight), self._sorted(self.bias)
        order = own.argsort(stable=True)
        for part, words in self._parts(own):
            rows = order[part]
            direct = None if runs is None else runs.at(rows, len(self.sizes) + words.start)
            within = fused.softmax_nll(h[rows], U[words], b[words], self._place[targets[rows]], direct)
            nll = nll.index_add(0, rows, within)
        return nll

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
        """As `ExactLayer.differentiate`; each of the two choices is smoothed over what is chosen from.

        Products within classes are too small to gain by a lower precision.
        """
        U, b, class_U, class_b = parameters
        own = self._class_of[targets]
        class_dU, class_db = torch.empty_like(class_U), torch.empty_like(class_b)
        loss, class_nll, dh = fused.softmax_loss(
            h,
            class_U,
            class_b,
            own,
            weights=weights,
            smoothing=smoothing,
            dtype=dtype,
            dU=class_dU,
            db=class_db,
            runs=runs,
        )
        order = own.argsort(stable=True)
        shares = h.new_ones(len(h)) if weights is None else weights.to(h.dtype)
        losses, nll, some_dh, dU, db = self._within(
            h[order],
            self._sorted(U),
            self._sorted(b),
            targets[order],
            shares=shares[order],
            smoothing=smoothing,
            runs=None if runs is None else runs.at(order),
        )
        dh.index_add_(0, order, some_dh)
        gradients = [dh, self._by_id(dU), self._by_id(db), class_dU, class_db]
        return loss + losses @ shares[order], class_nll + nll.sum(), gradients

    def _within(
        self,
        h: Tensor,
        U: Tensor,
        b: Tensor,
        targets: Tensor,
        *,
        shares: Tensor,
        smoothing: float,
        runs: Runs | None,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """The words within each row's class; rows and words class by class.

        Classes are small and many, so that calls count: only the products are made class by class.

        Args:
            h: (N, H).
            U: (V, H).
            b: (V,).
            targets: ids, (N,).
            shares: of each row in the loss, (N,).
            smoothing: as for `loss`.
            runs: direct weights, if there are any.

        Returns:
            The smoothed loss and −log P(target), (N,) each; and the gradients of h, U and b.
        """
        own, place = self._class_of[targets], self._place[targets]
        losses, nll = h.new_empty(len(h)), h.new_empty(len(h))
        dh, dU, db = torch.empty_like(h), torch.zeros_like(U), torch.zeros_like(b)
        # everything of a class is a view, taken for all classes in one call
        upright_U, of_classes = torch.split(U.T, self.sizes, dim=1), torch.split(U, self.sizes)
        dU_of_classes = torch.split(dU, self.sizes)
        for rows, classes, counts in self._blocks(own):
            share = shares[rows]
            lines = Ragged(self._sizes[own[rows]])
            words = self._first[own[rows]][lines.row] + lines.column
            z = b[words]
            if runs is not None:
                places = runs.starts[rows][lines.row] + (len(self.sizes) + words)[:, None]
                z += runs.table[places].sum(dim=1)
            shapes = [(count, self.sizes[c]) for c, count in zip(classes, counts, strict=True)]
            parts = torch.split(z, [count * size for count, size in shapes])
            z_of_classes = [part.view(shape) for part, shape in zip(parts, shapes, strict=True)]
            h_of_classes, dh_of_classes = torch.split(h[rows], counts), torch.split(dh[rows], counts)
            for c, z_c, h_c in zip(classes, z_of_classes, h_of_classes, strict=True):
                z_c.addmm_(h_c, upright_U[c])
            right = lines.first + place[rows]
            aim = right_z = z[right]  # aim: what z is on average under the smoothed target
            if smoothing:
                aim = (1 - smoothing) * right_z + smoothing * lines.sums(z) / lines.widths
            log_z = lines.softmax_(z)
            losses[rows], nll[rows] = log_z - aim, log_z - right_z
            z.mul_(share[lines.row])
            if smoothing:
                z.sub_((smoothing * share / lines.widths)[lines.row])
            z[right] -= (1 - smoothing) * share
            for c, z_c, h_c, dh_c in zip(classes, z_of_classes, h_of_classes, dh_of_classes, strict=True):
                torch.mm(z_c, of_classes[c], out=dh_c)
                dU_of_classes[c].addmm_(z_c.T, h_c)
            db.index_add_(0, words, z)
            if runs is not None and runs.gradient is not None:
                for column in places.unbind(dim=1):
                    runs.gradient.add(column, z)
        return losses, nll, dh, dU, db

    def loss_reference(
        self,
        h: Tensor,
        targets: Tensor,
        *,
        starts: Tensor | None = None,
        weights: Tensor | None = None,
        smoothing: float = 0.0,
    ) -> tuple[Tensor, Tensor]:
        """Both choices with everything there is to choose from, then sums over those that were made."""
        own = self._class_of[targets]
        U, b = self.rows
        z = self.add_direct(torch.addmm(b, h, U.T), starts)
        vocab_size = len(self.bias)
        classes = fused.log_softmax(z[:, vocab_size:])
        is_inside = self._class_of == own[:, None]  # (N, V)
        within = z[:, :vocab_size].masked_fill(~is_inside, -torch.inf).log_softmax(dim=1)
        nll = -classes.gather(1, own[:, None])[:, 0] - within.gather(1, targets[:, None])[:, 0]
        spread = -classes.mean(dim=1) - within.masked_fill(~is_inside, 0).sum(dim=1) / is_inside.sum(dim=1)
        each = (1 - smoothing) * nll + smoothing * spread
        return (each if weights is None else each * weights).sum(), nll.sum().detach()

    def _parts(self, own: Tensor) -> Iterator[tuple[slice, slice]]:
        """For each class among `own` (N,): where its rows and its words are, both class by class."""
        first_row = first_word = 0
        for size, num_rows in zip(self.sizes, torch.bincount(own, minlength=len(self.sizes)).tolist(), strict=True):
            if num_rows:
                yield slice(first_row, first_row + num_rows), slice(first_word, first_word + size)
            first_row, first_word = first_row + num_rows, first_word + size

    def _blocks(self, own: Tensor) -> Iterator[tuple[slice, list[int], list[int]]]:
        """Rows by class, whose classes `own` (N,) are, some at a time, so that their logits are not too many.

        Returns:
            Where the rows are, the classes that they are of, and how many are of each; a class with many may come again.
        """
        classes: list[int] = []
        counts: list[int] = []
        first = numbers = 0
        for c, count in enumerate(torch.bincount(own, minlength=len(self.sizes)).tolist()):
            most = max(1, BLOCK_NUMBERS // self.sizes[c])
            for done in range(0, count, most):
                some = min(most, count - done)
                if classes and numbers + some * self.sizes[c] > BLOCK_NUMBERS:
                    yield slice(first, first + sum(counts)), classes, counts
                    first, numbers, classes, counts = first + sum(counts), 0, [], []
                classes.append(c)
                counts.append(some)
                numbers += some * self.sizes[c]
        if classes:
            yield slice(first, first + sum(counts)), classes, counts

    def _sorted(self, rows: Tensor) -> Tensor:
        """What is one for every word, class by class."""
        return rows if self.is_sorted else rows[self._order]

    def _by_id(self, rows: Tensor) -> Tensor:
        """The inverse."""
        return rows if self.is_sorted else torch.empty_like(rows).index_copy_(0, self._order, rows)
