"""From an output layer's name to the layer."""

from __future__ import annotations

from torch import nn

from rnntool.config.output import Output, Words, frequencies
from rnntool.nn.output.adaptive import AdaptiveSoftmax
from rnntool.nn.output.classes import ClassSoftmax
from rnntool.nn.output.drawn import NoiseContrast, SampledSoftmax, TargetSoftmax
from rnntool.nn.output.dsoftmax import DifferentiatedSoftmax
from rnntool.nn.output.full import FullSoftmax
from rnntool.nn.output.layer import OutputLayer
from rnntool.nn.output.selfnorm import SelfNormalized
from rnntool.nn.output.tree import TreeSoftmax
from rnntool.text.classes import assign

CLASS_METHOD = "sqrt"
"""How words that have no classes get them."""


def build_output(output: Output, input_size: int, words: Words, weight: nn.Parameter | None = None) -> OutputLayer:
    """The layer that `output` describes, its weights not yet set.

    Args:
        output: settled.
        input_size: H.
        words: the vocabulary.
        weight: the embedding (V, H), if tied.

    Raises:
        OptionError: the kind or its numbers are not settled, or do not fit the vocabulary.
    """
    vocab_size = len(words.counts)
    output.check(vocab_size)
    match output.kind:
        case "full":
            return FullSoftmax(input_size, vocab_size, weight)
        case "adaptive":
            return AdaptiveSoftmax(input_size, vocab_size, output.cuts, weight)
        case "class":
            classes = words.classes
            if classes is None:
                classes = assign(frequencies(words.counts), output.size, CLASS_METHOD)
            return ClassSoftmax(input_size, vocab_size, classes, weight)
        case "tree":
            return TreeSoftmax(input_size, words.counts)
        case "dsoftmax":
            return DifferentiatedSoftmax(input_size, vocab_size, output.cuts)
        case "sampled":
            return SampledSoftmax(input_size, words.counts, output.size, weight)
        case "target":
            return TargetSoftmax(input_size, words.counts, output.size, weight)
        case "nce":
            return NoiseContrast(input_size, words.counts, output.size, weight)
        case "selfnorm":
            return SelfNormalized(input_size, vocab_size, output.penalty, weight)
    raise AssertionError(f"{output.kind} is in FORMS and not here")
