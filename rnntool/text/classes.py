"""Classes of tokens for two-level output layers: neighbours by frequency, in bins of equal weight.

    class(w) = the bin that holds w when the tokens stand in the order of their ids and bin k ends as soon as
               Σ f(count) passes (k + 1) / K of the whole;   f(n) = n  or  f(n) = √n

With the counts themselves the first classes hold few tokens and the last ones most; with their roots the classes are
more even, and the time of a step of training is less.

Source: Mikolov et al. 2011, "Extensions of recurrent neural network language model", §3; the root is from his toolkit.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from rnntool.errors import OptionError

METHODS: dict[str, Callable[[float], float]] = {"freq": float, "sqrt": math.sqrt}
"""What each way makes of a count."""


def assign(counts: Sequence[float], num_classes: int, method: str) -> tuple[int, ...]:
    """The class of every token.

    Args:
        counts: by id, the commonest first but for special tokens; not all 0.
        num_classes: K; very common tokens can leave the last classes without tokens, so that there are fewer.
        method: a name of `METHODS`.

    Returns:
        Classes from 0, never falling from one id to the next.

    Raises:
        OptionError: more classes than tokens.
    """
    if num_classes > len(counts):
        raise OptionError("--classes", f"{num_classes} classes for {len(counts)} tokens")
    weights = [METHODS[method](count) for count in counts]
    total = math.fsum(weights)
    classes = []
    current, passed = 0, 0.0
    for weight in weights:
        classes.append(current)
        passed += weight
        if passed * num_classes > (current + 1) * total and current < num_classes - 1:
            current += 1
    return tuple(classes)
