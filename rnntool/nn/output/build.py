"""From an output layer's name to the layer."""

from __future__ import annotations

from torch import nn

from rnntool.config.output import Output
from rnntool.nn.output.adaptive import AdaptiveSoftmax
from rnntool.nn.output.full import FullSoftmax
from rnntool.nn.output.layer import OutputLayer


def build_output(output: Output, input_size: int, vocab_size: int, weight: nn.Parameter | None = None) -> OutputLayer:
    """The layer that `output` describes, its weights not yet set.

    Args:
        output: with its cuts, if it has any.
        input_size: H.
        vocab_size: V.
        weight: the embedding (V, H), if tied.

    Raises:
        OptionError: the kind or the cuts are not settled, or do not fit the vocabulary.
    """
    output.check(vocab_size)
    match output.kind:
        case "full":
            return FullSoftmax(input_size, vocab_size, weight)
        case "adaptive":
            return AdaptiveSoftmax(input_size, vocab_size, output.cuts, weight)
    raise AssertionError(f"{output.kind} is in FORMS and not here")
