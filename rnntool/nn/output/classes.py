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
from rnntool.nn.output.direct import Ragged, Runs
from rnntool.nn.output.layer import ExactLayer


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
        loss, nll, dh = fused.softmax_loss(
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
        ragged = None if runs is None else self._direct_within(runs, own, order)
        direct = None if ragged is None else ragged.sums.clone()
        within = self._within(h[order], self._sorted(U), self._sorted(b), own, order, weights, smoothing, direct)
        log_z, spread, some_dh, dU, db = within
        dh.index_add_(0, order, some_dh)
        dU, db = self._by_id(dU), self._by_id(db)
        # the targets' own part, for all rows at once
        U_y, hit = U[targets], h.new_full((len(h),), 1 - smoothing) if weights is None else (1 - smoothing) * weights
        each = torch.empty_like(log_z).index_copy_(0, order, log_z) - torch.linalg.vecdot(h, U_y) - b[targets]
        if runs is not None and runs.gradient is not None and ragged is not None and direct is not None:
            right = ragged.first + self._place[targets[order]]
            each.index_add_(0, order, ragged.sums[right], alpha=-1)
            direct.index_add_(0, right, hit[order], alpha=-1)
            for places in ragged.places.unbind(dim=1):
                runs.gradient.add(places, direct)
        dh.addcmul_(U_y, hit[:, None], value=-1)
        dU.index_add_(0, targets, h * hit[:, None], alpha=-1)
        db.index_add_(0, targets, hit, alpha=-1)
        losses = (1 - smoothing) * each + smoothing * torch.empty_like(spread).index_copy_(0, order, spread)
        loss = loss + (losses.sum() if weights is None else losses @ weights)
        return loss, nll + each.sum(), [dh, dU, db, class_dU, class_db]

    def _within(
        self,
        h: Tensor,
        U: Tensor,
        b: Tensor,
        own: Tensor,
        order: Tensor,
        weights: Tensor | None,
        smoothing: float,
        direct: Tensor | None,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """The words within each row's class, all but what falls to the target; rows and words class by class.

        What `direct` adds to the logits, row after row, is overwritten by the gradient of these.

        Returns:
            log Σ exp z and that less the mean of z, (N,) each; and the gradients of h, U and b.
        """
        column = (len(h), 1)
        top, sums, spread = h.new_empty(column), h.new_empty(column), h.new_zeros(column)
        share = h.new_ones(column) if weights is None else weights[order, None].to(h.dtype)
        dh, dU, db = torch.empty_like(h), torch.zeros_like(U), torch.zeros_like(b)
        parts = list(self._parts(own))
        logits: Iterator[Tensor] | None = None
        if direct is not None:
            shapes = [(rows.stop - rows.start, words.stop - words.start) for rows, words in parts]
            logits = (
                z.view(shape) for z, shape in zip(torch.split(direct, [n * m for n, m in shapes]), shapes, strict=True)
            )
        counts = [rows.stop - rows.start for rows, _ in parts]
        by_row = zip(*(torch.split(each, counts) for each in (h, dh, top, sums, share, spread)), strict=True)
        # Classes are small and many, so that calls count: nothing is called here that can wait for all of them.
        for (h_c, dh_c, top_c, sum_c, share_c, spread_c), (_, words) in zip(by_row, parts, strict=True):
            U_c, b_c, dU_c, db_c = U[words], b[words], dU[words], db[words]
            e = torch.addmm(b_c, h_c, U_c.T)
            if logits is not None:
                e = next(logits).add_(e)
            if smoothing:
                torch.mean(e, dim=1, keepdim=True, out=spread_c)
            torch.amax(e, dim=1, keepdim=True, out=top_c)
            torch.sum(e.sub_(top_c).exp_(), dim=1, keepdim=True, out=sum_c)
            e.mul_(share_c / sum_c)
            if smoothing:
                e.sub_(share_c, alpha=smoothing / e.shape[1])
            torch.mm(e, U_c, out=dh_c)
            torch.mm(e.T, h_c, out=dU_c)
            torch.sum(e, dim=0, out=db_c)
        log_z = (top + sums.log_())[:, 0]
        return log_z, log_z - spread[:, 0], dh, dU, db

    def _direct_within(self, runs: Runs, own: Tensor, order: Tensor) -> Ragged:
        """Direct weights of the words within each row's class; rows class by class."""
        classes = own[order]
        return runs.at(order, len(self.sizes) + self._first[classes, None]).ragged(self._sizes[classes])

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

    def _sorted(self, rows: Tensor) -> Tensor:
        """What is one for every word, class by class."""
        return rows if self.is_sorted else rows[self._order]

    def _by_id(self, rows: Tensor) -> Tensor:
        """The inverse."""
        return rows if self.is_sorted else torch.empty_like(rows).index_copy_(0, self._order, rows)
