"""The adaptive softmax: frequent words at once, the others in two steps.

The vocabulary, sorted by count, is cut into a head and K groups.  The head is a softmax over its words and one entry for
each group; a group is a softmax over its words alone:

    P(w | h) = P_head(w | h)                      w in the head
    P(w | h) = P_head(group k | h) · P_k(w | h)   w in group k

Most targets are in the head, so most rows never meet the large groups.  Every word keeps a whole weight row.
Source: Grave, Joulin et al. 2017, "Efficient softmax approximation for GPUs".
Differs: the groups' weights are as wide as the head's; there they are narrower, through a projection for each group.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from rnntool.config.output import frequencies
from rnntool.nn.output import fused
from rnntool.nn.output.direct import Runs
from rnntool.nn.output.layer import ExactLayer


class AdaptiveSoftmax(ExactLayer):
    """One weight row and one bias per word, and one per group.

    Args:
        input_size: H, width of h.
        vocab_size: V; words are sorted by count, the most frequent first.
        cuts: where the head and each group but the last end, rising, below V.
        weight: the embedding (V, H), if tied; else the layer has its own.
    """

    def __init__(
        self, input_size: int, vocab_size: int, cuts: Sequence[int], weight: nn.Parameter | None = None
    ) -> None:
        super().__init__(input_size, vocab_size, weight)
        self.cuts = tuple(cuts)
        self.group_weight = nn.Parameter(torch.empty(len(self.cuts), input_size))
        self.group_bias = nn.Parameter(torch.empty(len(self.cuts)))
        first, num_groups = self.cuts[0], len(self.cuts)
        words = torch.arange(vocab_size, device="cpu")
        groups = torch.arange(first, first + num_groups, device="cpu")
        self._places: Tensor  # the head's words, the groups, the other words
        places = torch.cat([torch.where(words < first, words, words + num_groups), groups])
        self.register_buffer("_places", places, persistent=False)

    def init(self, p: Tensor) -> None:
        """As `OutputLayer.init`: a group is as likely as its words together."""
        super().init(p)
        masses = [p[words].sum() for words in _groups(self.cuts, len(p))]
        self.group_bias.copy_(torch.stack(masses).log())

    @property
    def _head(self) -> tuple[Tensor, Tensor]:
        """Weights and biases of the head's words, then of the groups."""
        return _head(self.weight, self.bias, self.group_weight, self.group_bias, self.cuts)

    @property
    def rows(self) -> tuple[Tensor, Tensor]:
        """As `OutputLayer.rows`: one for every word, then one for every group."""
        return torch.cat([self.weight, self.group_weight]), torch.cat([self.bias, self.group_bias])

    @property
    def places(self) -> Tensor:
        """As `OutputLayer.places`: what is chosen from together stands together."""
        return self._places

    def rows_computed(self, counts: Sequence[float]) -> float:
        """As `OutputLayer.rows_computed`: the head, and a group as often as it has the target."""
        weights = frequencies(counts)
        groups = _groups(self.cuts, len(self.bias))
        sizes = sum((words.stop - words.start) * sum(weights[words]) for words in groups)
        return float(self.cuts[0] + len(self.cuts) + sizes / sum(weights))

    def normalize(self, z: Tensor) -> Tensor:
        """As `OutputLayer.normalize`."""
        first, vocab_size = self.cuts[0], len(self.bias)
        head = fused.log_softmax(torch.cat([z[:, :first], z[:, vocab_size:]], dim=1))
        parts = [head[:, :first]]
        for number, words in enumerate(_groups(self.cuts, vocab_size), first):
            parts.append(fused.log_softmax(z[:, words]) + head[:, number, None])
        return torch.cat(parts, dim=1)

    def nll(self, h: Tensor, targets: Tensor, starts: Tensor | None = None) -> Tensor:
        """As `OutputLayer.nll`; of the groups, only the target's is computed."""
        group, runs = _group_of(targets, self.cuts), self._runs(starts)
        nll = fused.softmax_nll(h, *self._head, _head_targets(targets, group, self.cuts), runs)
        for number, words in enumerate(_groups(self.cuts, len(self.bias)), 1):
            rows = (group == number).nonzero()[:, 0]
            if len(rows):
                U, b, inside = self.weight[words], self.bias[words], targets[rows] - words.start
                own = fused.softmax_nll(h[rows], U, b, inside, self._of_group(runs, rows, words))
                nll = nll.index_add(0, rows, own)
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
        """As `ExactLayer.differentiate`; each of the two choices is smoothed over what is chosen from."""
        U, b, group_U, group_b = parameters
        dU, db = torch.empty_like(U), torch.empty_like(b)
        group, first = _group_of(targets, self.cuts), self.cuts[0]
        head_U, head_b = _head(U, b, group_U, group_b, self.cuts)
        head_dU, head_db = torch.empty_like(head_U), torch.empty_like(head_b)
        loss, nll, dh = fused.softmax_loss(
            h,
            head_U,
            head_b,
            _head_targets(targets, group, self.cuts),
            weights=weights,
            smoothing=smoothing,
            dtype=dtype,
            dU=head_dU,
            db=head_db,
            runs=runs,
        )
        dU[:first], db[:first] = head_dU[:first], head_db[:first]
        for number, words in enumerate(_groups(self.cuts, len(b)), 1):
            rows = (group == number).nonzero()[:, 0]
            own_loss, own_nll, own_dh = fused.softmax_loss(
                h[rows],
                U[words],
                b[words],
                targets[rows] - words.start,
                weights=None if weights is None else weights[rows],
                smoothing=smoothing,
                dtype=dtype,
                dU=dU[words],
                db=db[words],
                runs=self._of_group(runs, rows, words),
            )
            loss, nll = loss + own_loss, nll + own_nll
            dh.index_add_(0, rows, own_dh)
        return loss, nll, [dh, dU, db, head_dU[first:].clone(), head_db[first:].clone()]

    def loss_reference(
        self,
        h: Tensor,
        targets: Tensor,
        *,
        starts: Tensor | None = None,
        weights: Tensor | None = None,
        smoothing: float = 0.0,
    ) -> tuple[Tensor, Tensor]:
        """Both choices for every row, then sums over those that were made."""
        group = _group_of(targets, self.cuts)
        U, b = self.rows
        z = self.add_direct(torch.addmm(b, h, U.T), starts)
        first, vocab_size = self.cuts[0], len(self.bias)
        head = fused.log_softmax(torch.cat([z[:, :first], z[:, vocab_size:]], dim=1))
        picked = head.gather(1, _head_targets(targets, group, self.cuts)[:, None])[:, 0]
        nll, spread = -picked, -head.mean(dim=1)
        for number, words in enumerate(_groups(self.cuts, len(self.bias)), 1):
            within = fused.log_softmax(z[:, words])
            inside = (targets - words.start).clamp(0, within.shape[1] - 1)
            chosen = group == number
            nll = nll - chosen * within.gather(1, inside[:, None])[:, 0]
            spread = spread - chosen * within.mean(dim=1)
        each = (1 - smoothing) * nll + smoothing * spread
        return (each if weights is None else each * weights).sum(), nll.sum().detach()

    def _of_group(self, runs: Runs | None, rows: Tensor, words: slice) -> Runs | None:
        """The direct weights of a group's words after some rows."""
        return None if runs is None else runs.at(rows, words.start + len(self.cuts))


def _groups(cuts: Sequence[int], vocab_size: int) -> Iterator[slice]:
    """The words of each group."""
    for first, end in zip(cuts, [*cuts[1:], vocab_size], strict=True):
        yield slice(first, end)


def _group_of(targets: Tensor, cuts: Sequence[int]) -> Tensor:
    """The number of each target's group, from 1; 0 for the head."""
    return torch.bucketize(targets, torch.tensor(cuts, device=targets.device), right=True)


def _head(U: Tensor, b: Tensor, group_U: Tensor, group_b: Tensor, cuts: Sequence[int]) -> tuple[Tensor, Tensor]:
    return torch.cat([U[: cuts[0]], group_U]), torch.cat([b[: cuts[0]], group_b])


def _head_targets(targets: Tensor, group: Tensor, cuts: Sequence[int]) -> Tensor:
    """What the head has to predict: the word, or its group."""
    return torch.where(group == 0, targets, cuts[0] + group - 1)
