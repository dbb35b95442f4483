"""`-m MODEL[:WEIGHT] …` as one scorer: a model file, a run directory, an ARPA file, a forest, or a mixture of several."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import click

from rnntool.cli import compute, options, report
from rnntool.errors import ModelError, OptionError

if TYPE_CHECKING:
    import torch

    from rnntool.checkpoint.model import Model
    from rnntool.models.network import Network
    from rnntool.ngram.forest import Forest
    from rnntool.ngram.model import NgramModel
    from rnntool.score.scorer import Scorer
    from rnntool.score.unnormalized import Moments
    from rnntool.search.ngram import NgramPart
    from rnntool.search.translator import Companion
    from rnntool.text.vocabulary import Vocabulary


@dataclass(frozen=True)
class Opened:
    """Models that were opened together.

    Args:
        scorer: all of them as one.
        models: each, in the order of the command line.
        shares: their weights, summing to one.
        device: where networks are; None if there is none.
    """

    scorer: Scorer
    models: tuple[Model | NgramModel | Forest, ...]
    shares: tuple[float, ...]
    device: torch.device | None


class Begun(NamedTuple):
    """A file that has been opened to see what it is."""

    path: str
    """As it was named."""

    head: bytes
    """Its beginning, decompressed; empty for a directory."""

    rest: Iterator[bytes]
    """What follows."""

    @property
    def is_arpa(self) -> bool:
        """Whether it holds n-grams alone."""
        from rnntool.ngram.recognition import is_arpa

        return is_arpa(self.head)

    @property
    def is_forest(self) -> bool:
        """Whether it holds a random forest; what is neither is a network, or nothing."""
        from rnntool.ngram.recognition import is_forest

        return is_forest(self.head)


def begin(path: str) -> Begun:
    """Open what `-m` names, to see what it is.

    Raises:
        InputError: it cannot be read.
    """
    if os.path.isdir(path):
        return Begun(path, b"", iter(()))
    from rnntool.ngram.recognition import take_head
    from rnntool.text.files import read_chunks

    chunks = read_chunks(path)
    return Begun(path, take_head(chunks), chunks)


def read_ngrams(begun: Begun) -> NgramModel:
    """The n-grams of a file that holds some.

    Raises:
        ModelError: with the line that is wrong.
    """
    import itertools

    from rnntool.ngram.arpa import read_arpa
    from rnntool.text.files import shown

    return read_arpa(itertools.chain((begun.head,), begun.rest), shown(begun.path))


def load_forest(begun: Begun) -> Forest:
    """The random forest of a file that holds one.

    Raises:
        ModelError: it is damaged.
    """
    from rnntool.checkpoint.forest import load_forest
    from rnntool.text.files import shown

    return load_forest(shown(begun.path), b"".join((begun.head, *begun.rest)))


def load_network(begun: Begun, place: torch.device | None = None) -> Model:
    """The network of a file or run directory.

    Raises:
        ModelError: there is none, or it is damaged.
    """
    if begun.is_forest:
        raise ModelError(begun.path, "a random forest of n-grams, which scores and does nothing else", "rnntool score")
    from rnntool.checkpoint.container import is_begun
    from rnntool.checkpoint.model import load_model
    from rnntool.checkpoint.run import find_model
    from rnntool.text.files import is_regular

    path = find_model(begun.path)
    if os.path.isdir(begun.path) or (is_regular(begun.path) and begun.path != "-"):
        return load_model(path, place)
    data = begun.head + (b"".join(begun.rest) if is_begun(begun.head) else b"")  # a pipe cannot be read again
    return load_model(path, place, data)


def open_models(
    named: Sequence[options.Model],
    *,
    threads: int | None,
    device: str,
    context: str | None = None,
    batch_size: int = 64,
    hint: str = "rnntool translate",
) -> Opened:
    """Open what `-m` names; torch is imported if there is a network among it.

    Args:
        named: at least one model.
        threads: for `compute.prepare`.
        device: for `compute.prepare`.
        context: `carry` or `reset` against what networks were trained for; None for what they were.
        batch_size: lines computed side by side.
        hint: what models that translate are for.

    Raises:
        ModelError: a file is no model, or two do not go together.
        OptionError: n-grams alone are asked to carry a context.
    """
    shares = options.shares(named)
    begun = [begin(model.path) for model in named]
    place = None if all(each.is_arpa or each.is_forest for each in begun) else compute.prepare(threads, device)
    models = tuple(_open(each, place) for each in begun)
    if place is None and context == "carry":
        raise OptionError("--context", "n-grams do not reach over the end of a line; they can only reset")
    scorers = _scorers(models, context, batch_size, hint)
    names = [getattr(model, "name", each.path) for model, each in zip(models, begun, strict=True)]
    for name, model in zip(names, models, strict=True):
        report.detail(f"{name} {_described(model)}")
    if len(scorers) == 1:
        return Opened(scorers[0], models, shares, place)
    from rnntool.score.mixture import Mixture

    return Opened(Mixture(scorers, shares, names), models, shares, place)


def _open(begun: Begun, place: torch.device | None) -> Model | NgramModel | Forest:
    if begun.is_arpa:
        return read_ngrams(begun)
    return load_forest(begun) if begun.is_forest else load_network(begun, place)


def _scorers(
    models: Sequence[Model | NgramModel | Forest], context: str | None, batch_size: int, hint: str
) -> list[Scorer]:
    """One for each model; n-grams bear the context of the first network beside them.

    Raises:
        ModelError: a network is no language model.
    """
    from rnntool.ngram.forest import Forest
    from rnntool.ngram.model import NgramModel
    from rnntool.score.ngram import NgramScorer

    contexts = [context or model.config.context for model in models if not isinstance(model, NgramModel | Forest)]
    scorers: list[Scorer] = []
    for model in models:
        if isinstance(model, NgramModel | Forest):
            scorers.append(NgramScorer(model, *contexts[:1]))
            continue
        from rnntool.score.network import NetworkScorer

        if model.source_vocabulary is not None:
            raise ModelError(model.name, "it reads a source, and is no language model", hint)
        how = context or model.config.context
        scorers.append(NetworkScorer(model.network, model.vocabulary, how, batch_size=batch_size))
    return scorers


def _described(model: Model | NgramModel | Forest) -> str:
    """A model in a few words."""
    from rnntool.ngram.forest import Forest
    from rnntool.ngram.model import NgramModel

    if isinstance(model, Forest):
        return f"{len(model.trees)} trees {_described(model.ngrams)}"
    if isinstance(model, NgramModel):
        return f"{model.order}-grams {sum(map(model.grams.size, range(1, model.order + 1))) - 1}"
    return f"{model.config.arch} {model.network.num_parameters} parameters"


class Translating(NamedTuple):
    """A model that translates."""

    network: Network
    source: Vocabulary
    vocabulary: Vocabulary
    name: str


def open_translators(
    named: Sequence[options.Model], *, threads: int | None, device: str, hint: str = "rnntool generate"
) -> tuple[Translating, ...]:
    """Open what `-m` names, models that translate into one vocabulary; torch is imported here.

    Args:
        named: at least one model.
        threads: for `compute.prepare`.
        device: for `compute.prepare`.
        hint: what language models are for.

    Raises:
        ModelError: a file is no model, or one that does not translate, or two do not go together.
    """
    place = compute.prepare(threads, device)
    opened: list[Translating] = []
    for each in named:
        begun = begin(each.path)
        if begun.is_arpa:
            raise ModelError(each.path, "an n-gram model, which reads no source", hint)
        model = load_network(begun, place)
        if model.source_vocabulary is None:
            raise ModelError(model.name, "a language model, which reads no source", hint)
        if opened and opened[0].vocabulary.tokens != model.vocabulary.tokens:
            what = f"its targets' vocabulary is {model.vocabulary.digest}, not {opened[0].vocabulary.digest}"
            raise ModelError(model.name, f"{what}; probabilities of different tokens cannot be mixed")
        report.detail(f"{model.name} {model.config.arch} {model.network.num_parameters} parameters")
        opened.append(Translating(model.network, model.source_vocabulary, model.vocabulary, model.name))
    return tuple(opened)


def open_companions(named: Sequence[options.Model], beside: Translating) -> tuple[Companion, ...]:
    """Open language models that judge, beside a model that translates, what it writes.

    Raises:
        ModelError: a file is no model, reads a source, or has another vocabulary than the targets.
        OptionError: a model has no weight.
    """
    from rnntool.score.mixture import difference_of
    from rnntool.search.ngram import NgramPart
    from rnntool.search.translator import Companion

    opened: list[Companion] = []
    for each in named:
        if each.weight is None:
            raise OptionError("--lm", f"no weight for {each.path}", f"--lm {each.path}:0.2")
        begun = begin(each.path)
        part: Network | NgramPart
        if begun.is_arpa:
            ngrams = read_ngrams(begun)
            difference = difference_of(ngrams.vocabulary, beside.vocabulary, beside.name)
            if difference:
                raise ModelError(each.path, f"{difference}; it cannot judge what that one writes")
            part = NgramPart(ngrams, beside.vocabulary)
        else:
            model = load_network(begun, beside.network.embedding.device)
            if model.source_vocabulary is not None:
                raise ModelError(model.name, "it reads a source, and is no language model", "-m, for an ensemble")
            if model.vocabulary.tokens != beside.vocabulary.tokens:
                what = f"its vocabulary is {model.vocabulary.digest}, that of targets {beside.vocabulary.digest}"
                raise ModelError(model.name, f"{what}; it cannot judge what {beside.name} writes")
            part = model.network
        report.detail(f"{each.path} beside, {each.weight:g} times")
        opened.append(Companion(part, each.weight))
    return tuple(opened)


def unnormalize(opened: Opened, *, adapts: bool, log_z: Moments | None = None) -> Scorer:
    """The scorer of the one network that was opened, its scores taken for log-probabilities as they are.

    Args:
        opened: the model.
        adapts: whether anything is asked for that needs probabilities.
        log_z: gets log Z of every token, if that is to be measured.

    Raises:
        OptionError: the model has no such scores, or more is asked for than they can do.
    """
    from rnntool.ngram.forest import Forest
    from rnntool.ngram.model import NgramModel

    model = opened.models[0]
    if len(opened.models) > 1 or adapts:
        what = "mixed" if len(opened.models) > 1 else "adapted"
        raise OptionError(UNNORMALIZED, f"only probabilities are {what}")
    if isinstance(model, NgramModel | Forest) or not model.network.output.is_self_normalized:
        layer = "n-grams" if isinstance(model, NgramModel | Forest) else f"--output {model.config.output}"
        raise OptionError(UNNORMALIZED, f"{layer} did not learn to do without", "a model trained with nce or selfnorm")
    from rnntool.score.network import NetworkScorer
    from rnntool.score.unnormalized import UnnormalizedScorer

    scorer = opened.scorer
    assert isinstance(scorer, NetworkScorer)
    return UnnormalizedScorer(
        scorer.network, scorer.vocabulary, scorer.context, batch_size=scorer.batch_size, log_z=log_z
    )


UNNORMALIZED = "--unnormalized"

unnormalized = options.option(
    UNNORMALIZED, is_flag=True, help="Take the scores of nce and selfnorm for log-probabilities as they are."
)
"""--unnormalized: for `unnormalize`."""

context = options.option(
    "--context",
    type=click.Choice(["carry", "reset"]),
    metavar="HOW",
    help="At a line end, carry or reset the history; default: as trained.",
)
"""--context HOW: for `open_models`; None if not given."""
