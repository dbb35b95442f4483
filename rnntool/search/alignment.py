"""Which words of a source a target's words were looked up at, in the forms that programs exchange.

    hard    `i-j …`    word j of the target looked at word i of the source more than at any other
    by a threshold     the same, for every i with at least so much of the attention
    soft    `x,x,… …`  for every word of the target the attention on each word of the source, and on its end

Numbers are from 0, ordered by target, as in Pharaoh and Marian.  A target word that looked at the source's end most is
aligned with nothing.  A word of several tokens looks where they look on average, and is looked at as much as they are in
sum.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

DIGITS = 4
"""After the point, of soft alignments."""


def grouped(attention: Tensor, source_starts: Sequence[int], target_starts: Sequence[int]) -> Tensor:
    """Attention of words on words.

    Args:
        attention: of J tokens on I tokens and the end of the source, (J, I + 1).
        source_starts: where each word of the source begins, rising; what is before the first is part of it.
        target_starts: the same of the target.

    Returns:
        A row for each word of the target; a column for each word of the source, and one for its end.
    """
    num_targets, columns = attention.shape
    by_source = [
        attention[:, start:end].sum(dim=1)
        for start, end in [*_spans(source_starts, columns - 1), (columns - 1, columns)]
    ]
    rows = attention.new_empty(len(target_starts), len(by_source))
    for word, (start, end) in enumerate(_spans(target_starts, num_targets)):
        for column, each in enumerate(by_source):
            rows[word, column] = each[start:end].mean()
    return rows


def _spans(starts: Sequence[int], size: int) -> list[tuple[int, int]]:
    """The parts, one after another, of what has so many tokens."""
    if not starts:
        return []
    return list(zip([0, *starts[1:]], [*starts[1:], size], strict=True))


def links(attention: Tensor, threshold: float | None) -> list[tuple[int, int]]:
    """Pairs of a place in the source and one in the target.

    Args:
        attention: (J, I + 1), its last column that of the source's end.
        threshold: least attention of a pair; None for the place that is looked at most.
    """
    if not attention.numel():
        return []
    if threshold is not None:
        return [(i, j) for j, i in (attention[:, :-1] >= threshold).nonzero().tolist()]
    end = attention.shape[1] - 1
    return [(i, j) for j, i in enumerate(attention.argmax(dim=1).tolist()) if i != end]


def hard_form(pairs: Sequence[tuple[int, int]]) -> str:
    """`i-j …`."""
    return " ".join(f"{i}-{j}" for i, j in pairs)


def soft_form(attention: Tensor) -> str:
    """`x,x,… …`."""
    return " ".join(",".join(f"{weight:.{DIGITS}f}" for weight in row) for row in attention.tolist())
