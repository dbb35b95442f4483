"""What a network is: everything that must be known to build it and to use it, and nothing about how it was trained."""

from __future__ import annotations

from dataclasses import dataclass

from rnntool.config.arch import Arch, parse_arch
from rnntool.errors import OptionError

CONTEXTS = ("carry", "reset")
"""What happens to the recurrent state at a line end: carried on to the next line, or begun anew."""

OUTPUTS = ("full",)
"""Output layers, by name."""


@dataclass(frozen=True)
class NetworkConfig:
    """A network: embedding, recurrent stack, output layer."""

    arch: str
    """The recurrent stack, as in rnntool-arch(5); `Arch` is the parsed form."""

    embed_size: int = 0
    """E, width of the embeddings; 0 stands for the width of the stack's output."""

    output: str = "full"
    """The output layer, a key of `OUTPUTS`."""

    tied: bool = False
    """Whether the output layer's weight is the embedding itself (Inan et al. 2017, Press and Wolf 2017)."""

    residual: bool = False
    """Whether every layer after the first adds its input to its output."""

    layer_norm: bool = False
    """Whether every layer's output is normalised to mean 0 and variance 1 over its units, with learned gain and bias."""

    context: str = "carry"
    """One of `CONTEXTS`; fixed in training and honoured by every later use of the model."""

    @property
    def parsed_arch(self) -> Arch:
        """`arch`, parsed."""
        return parse_arch(self.arch)

    def check(self) -> None:
        """Raise OptionError if two settings contradict each other."""
        arch = self.parsed_arch
        width = output_size(arch)
        if self.output not in OUTPUTS:
            raise OptionError("--output", f"unknown output layer '{self.output}'; known are {', '.join(OUTPUTS)}")
        if self.context not in CONTEXTS:
            raise OptionError("--context", f"unknown context '{self.context}'; known are {', '.join(CONTEXTS)}")
        if self.tied and self.embed_size not in (0, width):
            raise OptionError(
                "--tied",
                f"the embedding has {self.embed_size} columns and {self.arch} gives {width}; tied, they are one",
            )


def output_size(arch: Arch) -> int:
    """Width of what one layer hands upwards: H, or P where it projects, or H + C where slow units stand beside."""
    if arch.cell == "lstm" and arch.second_size:
        return arch.second_size
    return arch.hidden_size + arch.second_size
