"""What a network is: everything that must be known to build it and to use it, and nothing about how it was trained."""

from __future__ import annotations

from dataclasses import dataclass, replace

from rnntool.config.arch import FORMS, Arch, parse_arch
from rnntool.config.direct import Direct, parse_direct
from rnntool.config.output import CONNECTED, NOT_TIED, Output, parse_output
from rnntool.config.source import EncoderArch, LinkKind, parse_encoder, parse_link
from rnntool.errors import OptionError

WORD_CELLS = ("gru", "gru-before", "elman")
"""Cells that `word_arch` may name: those whose state is what they put out."""

CONTEXTS = ("carry", "reset")
"""What happens to the recurrent state at a line end: carried on to the next line, or begun anew."""


@dataclass(frozen=True)
class NetworkConfig:
    """A network: embedding, recurrent stack, output layer."""

    arch: str
    """The recurrent stack, as in rnntool-arch(5); `Arch` is the parsed form."""

    embed_size: int = 0
    """E, width of the embeddings; 0 stands for the width of the stack's output, and for `is_direct` where that is known."""

    output: str = "full"
    """The output layer; `Output` is the parsed form.  In a network that is built, it is settled."""

    direct: str = "none"
    """Weights of n-grams beside the output layer; `Direct` is the parsed form."""

    word_arch: str = "none"
    """What reads whole words beside a network over characters, as `arch`; `none` for nothing."""

    tied: bool = False
    """Whether the output layer's weight is the embedding itself (Inan et al. 2017, Press and Wolf 2017)."""

    residual: bool = False
    """Whether every layer after the first adds its input to its output."""

    layer_norm: bool = False
    """Whether every layer's output is normalised to mean 0 and variance 1 over its units, with learned gain and bias."""

    context: str = "carry"
    """One of `CONTEXTS`; fixed in training and honoured by every later use of the model."""

    encoder: str = "none"
    """What reads a source; `EncoderArch` is the parsed form.  `none` is a language model."""

    link: str = "none"
    """How the source reaches the decoder; `LinkKind` is the parsed form."""

    attend_with: str = ""
    """With which of the decoder's states it attends, `prev` or `cur`; empty for what suits the attention."""

    input_feeding: bool = False
    """Whether the decoder reads what entered the output layer at the word before (Luong et al. 2015, §3.3)."""

    reverse_source: bool = False
    """Whether the source is read from its end (Sutskever et al. 2014, §3.3)."""

    tied_source: bool = False
    """Whether source and target have one embedding; for one vocabulary."""

    @property
    def parsed_arch(self) -> Arch:
        """`arch`, parsed."""
        return parse_arch(self.arch)

    @property
    def parsed_output(self) -> Output:
        """`output`, parsed."""
        return parse_output(self.output)

    @property
    def parsed_direct(self) -> Direct | None:
        """`direct`, parsed."""
        return parse_direct(self.direct)

    @property
    def parsed_word_arch(self) -> Arch | None:
        """`word_arch`, parsed."""
        return None if self.word_arch == "none" else parse_arch(self.word_arch)

    def check(self) -> None:
        """Raise OptionError if two settings contradict each other."""
        arch = self.parsed_arch
        output = parse_output(self.output)
        if self.parsed_direct is not None and output.kind not in CONNECTED:
            what = f"--output {self.output} takes no weights of n-grams; {', '.join(CONNECTED)} do"
            raise OptionError("--direct", what)
        if self.parsed_direct is not None and self.encoder != "none":
            raise OptionError("--direct", "is for language models; leave it out with --src")
        self._check_words()
        self._check_source()
        if self.context not in CONTEXTS:
            raise OptionError("--context", f"unknown context '{self.context}'; known are {', '.join(CONTEXTS)}")
        if self.tied and layers(self)[-1].output_size != embed_size(self):
            raise OptionError(
                "--tied",
                f"the embedding has {self.embed_size} columns and {self.arch} gives {arch.output_size}; tied, they are one",
            )
        if self.tied and self.parsed_output.kind in NOT_TIED:
            raise OptionError("--tied", f"--output {self.output} has no row as wide as h for every word")
        if self.tied and "direct" in arch.words:
            raise OptionError("--tied", f"{self.arch} gives its embeddings, too, and no embedding is as wide as both")

    @property
    def parsed_encoder(self) -> EncoderArch | None:
        """`encoder`, parsed."""
        return parse_encoder(self.encoder)

    @property
    def parsed_link(self) -> LinkKind | None:
        """`link`, parsed."""
        return parse_link(self.link, self.attend_with)

    def _check_words(self) -> None:
        """Raise OptionError if there can be no such network over words."""
        arch = self.parsed_word_arch
        if arch is None:
            return
        if arch.cell not in WORD_CELLS or arch.num_layers > 1:
            what = f"{arch} is not one layer of {' or '.join(WORD_CELLS)}"
            raise OptionError("--word-arch", what, f"--word-arch gru:{arch.hidden_size or 100}")
        if self.encoder != "none":
            raise OptionError("--word-arch", "is for language models; leave it out with --src")

    def _check_source(self) -> None:
        """Raise OptionError if encoder and link do not go together."""
        encoder, link = self.parsed_encoder, self.parsed_link
        if encoder is None and link is not None:
            raise OptionError("--link", f"{self.link} of what no encoder reads", "--encoder")
        if encoder is not None and link is None:
            raise OptionError(
                "--encoder", f"what {self.encoder} reads reaches nobody", "--link init, each or attention"
            )
        if encoder is None:
            for name in ("reverse_source", "tied_source"):
                if getattr(self, name):
                    raise OptionError(f"--{name.replace('_', '-')}", "there is no source", "--encoder")
        if self.input_feeding and (link is None or not link.attention):
            raise OptionError("--input-feeding", f"--link {self.link} makes nothing that is fed", "--link attention")
        parts = {} if encoder is None else {"--arch": self.parsed_arch, "--encoder": encoder.arch}
        for option, part in parts.items():
            if part is not None and "direct" in part.words:
                raise OptionError(option, f"{part} hands on its embeddings, which is for language models")
        if encoder is not None and self.context == "carry":
            raise OptionError("--context", "pairs are independent of each other", "--context reset")
        if link is not None and link.attention == "dot" and encoder is not None:
            memory, query = encoder.output_size(embed_size(self)), layers(self)[-1].output_size
            if memory != query:
                what = f"of {query} units of {self.arch} and {memory} of {self.encoder}, which must be equally many"
                raise OptionError("--link", f"attention:dot is a product {what}", "--link attention:general")


def embed_size(config: NetworkConfig) -> int:
    """E: what was asked for, or the width of the stack's output."""
    return config.embed_size or config.parsed_arch.output_size


def is_direct(config: NetworkConfig) -> bool:
    """Whether the embedding is the first layer's input matrix itself, as in the formulas of the simple networks.

    Their A w_t, w_t one word out of V, is a row of A: there is no matrix between.
    """
    arch = config.parsed_arch
    alone = config.encoder == "none" and config.word_arch == "none"
    return alone and not config.embed_size and arch.hidden_size > 0 and FORMS[arch.cell].is_direct


def layers(config: NetworkConfig) -> list[Arch]:
    """Each layer's own architecture, from the first.

    They are equal, but for one case: where a tied embedding is of another width and there are several layers, the last one
    has as many units as the embedding has columns (Merity et al. 2018).
    """
    arch = config.parsed_arch
    equal = [arch] * arch.num_layers
    if config.tied and arch.num_layers > 1 and not arch.second_size and embed_size(config) != arch.output_size:
        equal[-1] = replace(arch, hidden_size=embed_size(config))
    return equal
