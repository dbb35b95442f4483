"""A network over a vocabulary: P(target | source) as encoder → link → decoder → output layer.

A language model has neither encoder nor link.  Knows ids, not spellings.
The recurrent state is a value: passed in, handed back, indexed by whoever searches.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rnntool.config.direct import Direct
from rnntool.config.network import NetworkConfig, embed_size, is_direct, layers
from rnntool.config.output import Output, Words
from rnntool.config.source import EncoderArch, LinkKind
from rnntool.errors import OptionError
from rnntool.models.reader import Reader
from rnntool.nn.attention import Attention
from rnntool.nn.cells.build import build_cell
from rnntool.nn.cells.cell import Cell, State
from rnntool.nn.encoder import Bag, Encoder, RecurrentEncoder
from rnntool.nn.link import Link, input_size
from rnntool.nn.noise import Noise
from rnntool.nn.output.build import build_output
from rnntool.nn.output.unigram import unigram
from rnntool.nn.recurrent import Recurrent
from rnntool.nn.source import Source
from rnntool.nn.word_level import WordLevel

EMBED_BOUND = 0.1  # Zaremba et al. 2014, §4.1: "uniform in [−0.1, 0.1]" for the small network


class Network(nn.Module):
    """Embedding → recurrent layers → output layer; and beside them, if there is a source, what reads it and links it.

    Args:
        words: the vocabulary.
        embed_size: E.
        cells: the recurrent layers; the first reads E.
        output: the output layer.
        word_level: what reads whole words beside characters, or None; the first layer reads what it gives, too.
        direct: the table of direct weights, or None for none.
        tied: whether the output layer's weight is the embedding.
        residual: see `Recurrent`.
        layer_norm: see `Recurrent`.
        is_direct: whether the embedding is the first layer's input matrix; see `Recurrent`.

    Attributes:
        reader: what reads sources; None in a language model.
        link: how what was read reaches the decoder; None in a language model.
    """

    reader: Reader | None
    link: Link | None

    def __init__(
        self,
        *,
        words: Words,
        embed_size: int,
        cells: list[Cell],
        output: Output,
        word_level: WordLevel | None = None,
        direct: Direct | None = None,
        tied: bool = False,
        residual: bool = False,
        layer_norm: bool = False,
        is_direct: bool = False,
    ) -> None:
        super().__init__()
        self.embedding = nn.Parameter(torch.empty(len(words.counts), embed_size))
        self.decoder = Recurrent(cells, residual=residual, layer_norm=layer_norm, is_direct=is_direct)
        self.word_level = word_level
        self.output = build_output(output, self.decoder.output_size, words, self.embedding if tied else None)
        if direct is not None:
            self.output.connect(direct)
        self.tied = tied
        self._counts = words.counts
        self.reader = self.link = None

    def condition(self, reader: Reader, link: Link) -> None:
        """Condition the decoder, whose first layer reads what the link gives it, on sources."""
        self.reader, self.link = reader, link

    @property
    def vocab_size(self) -> int:
        """V."""
        return len(self.embedding)

    @property
    def num_parameters(self) -> int:
        """How many numbers training sets; tied ones count once."""
        return sum(p.numel() for p in self.parameters())

    @property
    def direct_table(self) -> nn.Parameter | None:
        """The direct weights, if there are any."""
        return None if self.output.direct is None else self.output.direct.table

    @property
    def num_direct(self) -> int:
        """How many of the parameters are direct weights."""
        return 0 if self.direct_table is None else self.direct_table.numel()

    @property
    def attends(self) -> bool:
        """Whether it learns where to look in a source."""
        attention = None if self.link is None else self.link.attention
        return attention is not None and attention.kind != "equal"

    @property
    def num_states(self) -> int:
        """How many tensors a state has."""
        own = sum(len(layer.cell.state_sizes) for layer in self.decoder.stack)
        return own + (self.link is not None and self.link.feeds)

    def plan(self, backend: str) -> None:
        """Drive every recurrent layer by `backend`; see `Recurrent.plan`."""
        stacks = [self.decoder] if self.word_level is None else [self.decoder, self.word_level.recurrent]
        if self.reader is not None and isinstance(self.reader.encoder, RecurrentEncoder):
            stacks += self.reader.encoder.stacks
        for stack in stacks:
            stack.plan(backend)

    def state0(self, batch_size: int) -> State:
        """The state before the first token of `batch_size` streams, which have no source.

        After that of the recurrent layers comes that of the network over words, if there is one; where there are direct
        weights, the last tensor is the words that their n-grams begin with.
        """
        direct, level = self.output.direct, self.word_level
        state = self.decoder.state0(batch_size) + (() if level is None else level.state0(batch_size))
        return state + (() if direct is None else (direct.state0(batch_size),))

    def read(
        self, ids: Tensor, lengths: Tensor, *, noise: Noise | None = None, dtype: torch.dtype = torch.float32
    ) -> tuple[Source, State]:
        """Read B sources.

        Args:
            ids: (S, B), filled up with any id.
            lengths: (B,), at least 1.
            noise: dropout, or None for none.
            dtype: lowest that products may have.

        Returns:
            What the decoder sees of them, and the state before the first token of each target.
        """
        assert self.reader is not None and self.link is not None
        memory, mask, summary = self.reader.run(ids, lengths, noise=noise, dtype=dtype)
        attention = self.link.attention
        source = Source(memory, mask, summary, memory if attention is None else attention.keys(memory))
        return source, self.link.state0(source)

    def run(
        self,
        inputs: Tensor,
        state: State,
        *,
        noise: Noise | None = None,
        keep: int | None = None,
        clip_step: float = 0.0,
        dtype: torch.dtype = torch.float32,
        sparse: bool = False,
        source: Source | None = None,
    ) -> tuple[Tensor, State]:
        """Hidden states over a window.

        Args:
            inputs: ids, (T, B).
            state: the state before the window.
            noise: dropout, or None for none.
            keep: after how many tokens the returned state is taken; None: after the last.
            clip_step: see `Recurrent.run`.
            dtype: see `Recurrent.run`.
            sparse: whether the embedding's gradient is that of the rows read alone; not if it is tied.
            source: what the tokens are conditioned on, from `read`; None in a language model.

        Returns:
            What enters the output layer, (T, B, O), before its dropout; and the state.  Where in a table of direct weights
            it looks beside that, is said by `starts`.
        """
        x = F.embedding(inputs, self.embedding, sparse=sparse)
        if noise is not None:
            x = noise.drop_words(x, inputs, self.vocab_size)
        if self.link is not None:
            assert source is not None and keep is None and not clip_step
            return self.link.run(self.decoder, x, state, source, noise=noise, dtype=dtype)
        own, level, words = self.split(state)
        x, level = self.beside(x, inputs, level, keep=keep, dtype=dtype)
        h, own = self.decoder.run(x, own, noise=noise, keep=keep, clip_step=clip_step, dtype=dtype)
        return h, own + level + self.follow(inputs, words, keep)[1]

    def split(self, state: State) -> tuple[State, State, State]:
        """A state's parts: of the recurrent layers, of what reads words, of direct weights; empty where there is none."""
        end = len(state) - (self.output.direct is not None)
        start = end - (0 if self.word_level is None else self.word_level.num_states)
        return state[:start], state[start:end], state[end:]

    def beside(
        self, x: Tensor, inputs: Tensor, level: State, *, keep: int | None = None, dtype: torch.dtype = torch.float32
    ) -> tuple[Tensor, State]:
        """What the recurrent layers read: embeddings x (T, B, E) of `inputs`, and what reads words has to say to each.

        Args:
            x: the embeddings.
            inputs: ids, (T, B).
            level: the part of the state of what reads words, which is empty if nothing does.
            keep: after how many tokens the returned state is taken; None: after the last.
            dtype: lowest that products may have.
        """
        if self.word_level is None:
            return x, ()
        g, level = self.word_level.read(inputs, level, keep=keep, dtype=dtype)
        return torch.cat([x, g], dim=2), level

    def follow(self, inputs: Tensor, words: State, keep: int | None = None) -> tuple[Tensor, State]:
        """What direct weights make of a window.

        Args:
            inputs: ids, (T, B).
            words: their part of the state before it.
            keep: after how many tokens the returned state is taken; None: after the last.

        Returns:
            Where in the table the weights after each token begin, (T, B, ·), and their part of the state; both are empty
            if there are no such weights.
        """
        if self.output.direct is None:
            return inputs.new_empty(*inputs.shape, 0), ()
        starts, after = self.output.direct.read(inputs, words[0], keep)
        return starts, (after,)

    def starts(self, inputs: Tensor, state: State) -> Tensor:
        """Where in the table the direct weights after each input (T, B), from `state` on, begin: (T, B, ·)."""
        return self.follow(inputs, self.split(state)[2])[0]

    def step(self, tokens: Tensor, state: State) -> tuple[Tensor, State]:
        """Log-probabilities (B, V) of the words after `tokens` (B,), and the new state."""
        own, level, words = self.split(state)
        starts, words = self.follow(tokens[None], words)
        x, level = self.beside(F.embedding(tokens[None], self.embedding), tokens[None], level)
        h, own = self.decoder.step(x[0], own)
        return self.output.log_probs(h, starts[0]), own + level + words

    def step_with(self, tokens: Tensor, state: State, source: Source) -> tuple[Tensor, State, Tensor | None]:
        """The same for B targets with sources; and where each looked, (B, S), if there is attention."""
        assert self.link is not None
        x = F.embedding(tokens, self.embedding)
        h, state, alpha = self.link.step(self.decoder, x, state, source)
        return self.output.log_probs(h), state, alpha

    def nll(self, inputs: Tensor, targets: Tensor, state: State, source: Source | None = None) -> tuple[Tensor, State]:
        """−log P of each target (T, B) in nats, after inputs (T, B) from `state`; and the new state."""
        starts = self.starts(inputs, state)
        h, state = self.run(inputs, state, source=source)
        nll = self.output.nll(h.flatten(0, 1), targets.flatten(), starts.flatten(0, 1))
        return nll.view_as(targets), state

    @torch.no_grad()
    def init(self, generator: torch.Generator, *, bound: float = 0.0) -> None:
        """Set all weights to where training starts.

        Args:
            generator: draws them.
            bound: matrices are uniform between its negative and itself; 0: each layer's as suits it.
        """
        power = 1.0 if any(self._counts) else 0.0  # words all alike where nothing is known of them
        self.output.init(unigram(self._counts, power=power).to(self.embedding))
        self.embedding.uniform_(-EMBED_BOUND, EMBED_BOUND, generator=generator)
        for layer in self.decoder.stack:
            layer.init(generator)
        if self.word_level is not None:
            self.word_level.init(generator)
        if self.reader is not None and self.link is not None:
            if not self.reader.is_shared:
                self.reader.embedding.uniform_(-EMBED_BOUND, EMBED_BOUND, generator=generator)
            self.reader.encoder.init(generator)
            self.link.init(generator)
        if bound:
            for weight in self.parameters():
                if weight.dim() == 2:
                    weight.uniform_(-bound, bound, generator=generator)


def build_network(config: NetworkConfig, words: Words | int, source_vocab_size: int = 0) -> Network:
    """The network that `config` describes, its weights not yet set.

    Build it under `torch.device("meta")` to learn its sizes without allocating them.

    Args:
        config: what it is.
        words: the vocabulary, or only V.
        source_vocab_size: V of the source, if there is one.
    """
    words = Words((0,) * words) if isinstance(words, int) else words
    encoder, link = config.parsed_encoder, config.parsed_link
    cells: list[Cell] = []
    width = embed_size(config)
    if encoder is not None and link is not None:
        memory, output = encoder.output_size(width), layers(config)[-1].output_size
        width = input_size(width, memory, output, is_ahead=link.is_ahead, feeds=config.input_feeding)
    word_level = _build_word_level(config, words)
    if word_level is not None:
        width += word_level.output_size
    for arch in layers(config):
        cells.append(build_cell(arch, width))
        width = cells[-1].output_size
    network = Network(
        words=words,
        embed_size=embed_size(config),
        cells=cells,
        output=config.parsed_output,
        word_level=word_level,
        direct=config.parsed_direct,
        tied=config.tied,
        residual=config.residual,
        layer_norm=config.layer_norm,
        is_direct=is_direct(config),
    )
    if encoder is not None and link is not None:
        reader = _build_reader(config, encoder, source_vocab_size, network.embedding)
        network.condition(reader, _build_link(config, link, network.decoder, reader.encoder.output_size))
    return network


def _build_word_level(config: NetworkConfig, words: Words) -> WordLevel | None:
    arch = config.parsed_word_arch
    if arch is None:
        return None
    if not words.ends:
        raise OptionError("--word-arch", "reads words beside characters or bytes", "rnntool vocab -u char")
    return WordLevel(build_cell(arch, arch.output_size), words.ends, len(words.counts))


def _build_reader(config: NetworkConfig, encoder: EncoderArch, vocab_size: int, embedding: nn.Parameter) -> Reader:
    width = embed_size(config)
    built: Encoder = Bag(width)
    if encoder.arch is not None:
        cells = []
        size = width
        for _ in range(encoder.arch.num_layers):
            cells.append([build_cell(encoder.arch, size) for _ in range(1 + encoder.is_both)])
            size = encoder.output_size(width)
        built = RecurrentEncoder(cells, residual=config.residual, layer_norm=config.layer_norm)
    shared = embedding if config.tied_source else None
    return Reader(vocab_size, width, built, shared=shared, is_reversed=config.reverse_source)


def _build_link(config: NetworkConfig, link: LinkKind, decoder: Recurrent, memory_size: int) -> Link:
    attention = None
    if link.attention:
        attention = Attention(link.attention, decoder.output_size, memory_size, decoder.output_size)
    return Link(decoder, memory_size, attention, is_ahead=link.is_ahead, feeds=config.input_feeding)
