"""From what the command line asks for to a run that can begin, or go on where it stopped."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields, replace
from typing import Any

import torch

from rnntool.checkpoint.model import Model, load_model, words_of
from rnntool.checkpoint.run import RunDirectory, find_model
from rnntool.checkpoint.settings import Settings, read_settings, write_settings
from rnntool.config.network import NetworkConfig
from rnntool.config.output import settle_output
from rnntool.config.training import TrainingConfig, default_dropout
from rnntool.data.batch import Batches
from rnntool.data.lines import LineBatches
from rnntool.data.pairs import PairBatches
from rnntool.data.stream import StreamBatches
from rnntool.errors import InputError, ModelError, OptionError, RnntoolError, RnntoolWarning, TrainingError
from rnntool.models.network import Network, build_network
from rnntool.text.corpus import (
    FACTS,
    Corpus,
    CorpusSource,
    hold_out,
    open_corpus,
    parse_source,
    verify_corpus,
    write_corpus,
    write_pairs,
)
from rnntool.text.cutting import Cutter
from rnntool.text.files import read_lines, shown
from rnntool.text.vocabulary import Vocabulary, read_vocabulary
from rnntool.train.judge import Judge

_DEFAULTS = {
    field.name.replace("_", "-"): field.default
    for config in (NetworkConfig, TrainingConfig)
    for field in fields(config)
    if field.default is not MISSING
}
"""Of settings, as config.toml spells them."""


VERIFIED = 1 << 30
"""Bytes of ids up to which a corpus is read to its end before a run goes on with it; that takes a second at most."""


@dataclass(frozen=True)
class Job:
    """A run, as it was asked for.

    Args:
        directory: the run directory.
        texts: the training texts, `FILE[@WEIGHT[:FRACTION]]` each.
        valid: the validation texts; none if a part of the training texts is held out.
        vocabulary: path of the vocabulary; None to take that of `init`.
        sources: what the training texts are conditioned on, one for each, line by line; none for a language model.
        valid_sources: the same for the validation texts.
        source_vocabulary: path of the sources' vocabulary; None for that of the texts.
        has_pairs: whether the training texts are pairs, `source⇥target`, so that `sources` are the same files.
        valid_has_pairs: the same of the validation texts.
        init: a model to start from; None for random weights.
        network: what is trained; with `init`, that model's own.
        fixed: fields of `network` that were asked for by name; those of `init` must agree with them.
        training: how.
        settings: everything above as config.toml spells it.
        backend: how cells are driven.
        precision: of products in training, one of `rnntool.nn.precision.PRECISIONS`.
    """

    directory: str
    texts: tuple[str, ...]
    valid: tuple[str, ...]
    vocabulary: str | None
    init: str | None
    network: NetworkConfig
    fixed: tuple[str, ...]
    training: TrainingConfig
    settings: Mapping[str, Any]
    backend: str = "auto"
    precision: str = "auto"
    sources: tuple[str, ...] = ()
    valid_sources: tuple[str, ...] = ()
    source_vocabulary: str | None = None
    has_pairs: bool = False
    valid_has_pairs: bool = False


def open_run(job: Job, *, force: bool) -> RunDirectory:
    """The run directory, created or found, locked, its settings those of the job.

    Args:
        job: the run.
        force: whether any run may be there; `begin` will remove it.

    Raises:
        TrainingError: another run is there, or another process at work.
        OutputError: the directory cannot be made.
    """
    run = RunDirectory(job.directory)
    run.create()
    try:
        if run.has_run and not force:
            _check_settings(run, job)
    except BaseException:
        run.release()
        raise
    return run


def _check_settings(run: RunDirectory, job: Job) -> None:
    """Raise TrainingError if another run is there.

    Where config.toml says so, or cannot be read, and the newest state says that it is this one, it is written anew.
    """
    trouble: RnntoolError | None = None
    try:
        if different := differences(read_settings(run.config), job.settings):
            what = f"holds another run: {'; '.join(different)}"
            hint = f"--config {run.config}, to go on with that one; --force, to begin again in its place"
            trouble = TrainingError(run.path, what, hint)
    except InputError as error:
        trouble = InputError(error.where, error.what, "--force, to begin again in its place")
    if trouble is None:
        return
    state, known = run.settings
    if known and job.settings.get("dropout") is None:  # which has been settled since
        known.pop("dropout", None)
    if not known or differences(known, job.settings):
        raise trouble
    what = f"damaged: not the settings that {state} was written with; written anew"
    warnings.warn(RnntoolWarning(run.config, what), stacklevel=2)
    _write_settings(run, job)


def _write_settings(run: RunDirectory, job: Job) -> None:
    write_settings(run.config, job.settings, "rnntool train --config FILE repeats this run")


def differences(old: Settings, new: Mapping[str, Any]) -> list[str]:
    """How two sets of settings differ, one clause for each; what an older version did not know was as it is by default."""
    said = []
    for key in dict.fromkeys([*old, *new]):
        before, now = old.get(key, _DEFAULTS.get(key)), new.get(key)
        now = list(now) if isinstance(now, tuple) else now
        if before != now:
            said.append(f"--{key} was {_shown(before)}, is {_shown(now)}")
    return said


def load_network(job: Job, *, without_weights: bool = False) -> Model:
    """The network at the start of the run, on the CPU, with its vocabulary.

    Args:
        job: the run.
        without_weights: whether a network that begins at random has shapes alone, and takes no memory.

    Raises:
        InputError, ModelError: a file cannot be read.
        OptionError: neither a vocabulary nor a model to start from is named, or the latter is not what is asked for.
    """
    if job.init is not None:
        model = load_model(find_model(job.init))
        if bool(job.sources) != (model.source_vocabulary is not None):
            what = "reads sources, and there are none" if not job.sources else "a language model, which reads no --src"
            raise ModelError(job.init, what)
        asked = _settle_output(job.network, model.vocabulary)
        for name in job.fixed:
            have, want = getattr(model.config, name), getattr(asked, name)
            if have != want:
                raise OptionError(f"--{name.replace('_', '-')}", f"{want} is asked for, {job.init} has {have}")
        if job.vocabulary is not None and read_vocabulary(job.vocabulary) != model.vocabulary:
            raise ModelError(job.init, f"its vocabulary is {model.vocabulary.digest}, not that of {job.vocabulary}")
        model.network.plan(job.backend)
        return model
    if job.vocabulary is None:
        raise OptionError("--vocab", "a vocabulary is needed", "rnntool vocab -o words.tsv TEXT")
    vocabulary = read_vocabulary(job.vocabulary)
    config = _settle_output(job.network, vocabulary)
    source_vocabulary = None
    if config.encoder != "none":
        source_vocabulary = vocabulary if job.source_vocabulary is None else read_vocabulary(job.source_vocabulary)
        if config.tied_source and source_vocabulary != vocabulary:
            raise OptionError("--tied-source", "source and target have vocabularies of their own", "one joint --vocab")
    with torch.device("meta" if without_weights else "cpu"):
        network = build_network(config, words_of(vocabulary), len(source_vocabulary or ()))
    if not without_weights:
        network.init(torch.Generator().manual_seed(job.training.seed), bound=job.training.init_range)
    network.plan(job.backend)
    return Model(network, config, vocabulary, source_vocabulary=source_vocabulary)


@dataclass(frozen=True)
class Texts:
    """A job's texts as ids.

    Args:
        train: what is trained on.
        valid: what is validated on.
        train_source: what `train` is conditioned on, line by line; None for a language model.
        valid_source: what `valid` is conditioned on.
    """

    train: Corpus
    valid: Corpus
    train_source: Corpus | None = None
    valid_source: Corpus | None = None


def open_texts(job: Job, model: Model, run: RunDirectory, *, are_there: bool = False) -> Texts:
    """The texts as ids in the run directory; read only if they are not there already.

    Args:
        job: the run.
        model: with the vocabularies.
        run: its directory.
        are_there: whether another process has just put them there.

    Raises:
        ModelError: another process has, but they cannot be seen from here.
        InputError: a text cannot be read, or holds nothing, or has another number of lines than its source.
    """
    train, train_source = _sides(
        job.texts, job.sources, model, run, "train", are_pairs=job.has_pairs, are_there=are_there
    )
    valid_source = None
    if not job.valid:
        train, valid = hold_out(train, job.training.hold_out)
        if train_source is not None:
            train_source, valid_source = hold_out(train_source, job.training.hold_out)
        return Texts(train, valid, train_source, valid_source)
    valid, valid_source = _sides(
        job.valid, job.valid_sources, model, run, "valid", are_pairs=job.valid_has_pairs, are_there=are_there
    )
    return Texts(train, valid, train_source, valid_source)


def _sides(
    texts: tuple[str, ...],
    sources: tuple[str, ...],
    model: Model,
    run: RunDirectory,
    name: str,
    *,
    are_pairs: bool,
    are_there: bool,
) -> tuple[Corpus, Corpus | None]:
    """Some texts, and what they are conditioned on, if there is anything."""
    directory, source_directory = (os.path.join(run.corpus, each) for each in (name, f"{name}-source"))
    if are_there:
        return open_corpus(directory), None if model.source_vocabulary is None else open_corpus(source_directory)
    if model.source_vocabulary is None:
        return _corpus(texts, model.vocabulary, directory), None
    if are_pairs:
        kept = _kept(texts, model.vocabulary, directory), _kept(texts, model.source_vocabulary, source_directory)
        if kept[0] is not None and kept[1] is not None:
            return kept[0], kept[1]
        vocabularies = (model.source_vocabulary, model.vocabulary)
        source, target = write_pairs(list(map(parse_source, texts)), vocabularies, (source_directory, directory))
        return target, source
    target = _corpus(texts, model.vocabulary, directory)
    source = _corpus(sources, model.source_vocabulary, source_directory)
    _check_pairs(source, target)
    return target, source


def _check_pairs(source: Corpus, target: Corpus) -> None:
    """Raise InputError if a text has another number of lines than its source."""
    for one, other in zip(source.sources, target.sources, strict=True):
        if one.num_lines != other.num_lines:
            what = f"{one.num_lines} lines, and {shown(other.path)} has {other.num_lines}; line n answers line n"
            raise InputError(shown(one.path), what)


def begin(job: Job, run: RunDirectory, *, force: bool = False) -> None:
    """Write the settings: from here on there is a run.

    Args:
        job: the run, whose texts have been read.
        run: its directory.
        force: whether a run that is there is removed; not before now, so that a mistyped name costs nobody a run.
    """
    if force:
        run.clear(keep_corpus=True)
    if not run.has_run:
        _write_settings(run, job)


def build_batches(
    config: TrainingConfig,
    context: str,
    train: Corpus,
    begin_id: int,
    device: torch.device,
    source: Corpus | None = None,
    vocabularies: tuple[Vocabulary | None, Vocabulary | None] = (None, None),
) -> Batches:
    """The training text cut into batches as the context, or a source, wants it.

    Args:
        config: the settings.
        context: of the network.
        train: the text.
        begin_id: id of `</s>`.
        device: where the batches go.
        source: what the text is conditioned on; None for a language model.
        vocabularies: of source and text, for cutting their lines anew.

    Raises:
        OptionError: lines are to be cut anew, and no vocabulary is SentencePiece's.
    """
    if source is not None:
        source_cutter, cutter = (_cutter(config, each) for each in vocabularies)
        if config.subword_sampling and source_cutter is cutter is None:
            raise OptionError("--subword-sampling", "neither side is cut by SentencePiece", "rnntool vocab -u spm")
        return PairBatches(
            train,
            source,
            begin_id=begin_id,
            batch_size=config.batch_size,
            batch_tokens=config.batch_tokens,
            max_length=config.max_length,
            shuffle=config.shuffle is not False,
            seed=config.seed,
            device=device,
            cutters=(source_cutter, cutter),
        )
    shuffle = config.shuffle if config.shuffle is not None else context == "reset"
    if context == "carry":
        return StreamBatches(
            train,
            begin_id=begin_id,
            batch_size=config.batch_size,
            bptt=config.bptt,
            random=config.bptt_random,
            every=config.bptt_every,
            shuffle=shuffle,
            seed=config.seed,
            device=device,
        )
    return LineBatches(
        train,
        begin_id=begin_id,
        batch_size=config.batch_size,
        bptt=config.bptt,
        shuffle=shuffle,
        seed=config.seed,
        device=device,
    )


def _cutter(config: TrainingConfig, vocabulary: Vocabulary | None) -> Cutter | None:
    """What cuts a side's lines anew, if that is wanted and it has several ways."""
    if not config.subword_sampling or vocabulary is None or vocabulary.unit != "spm":
        return None
    return Cutter(vocabulary, config.subword_sampling)


def build_judge(job: Job, model: Model) -> Judge | None:
    """What scores translations of the validation text; None where perplexity decides.

    Raises:
        InputError: the text cannot be read.
    """
    if job.training.metric == "ppl":
        return None
    assert model.source_vocabulary is not None
    paths = [parse_source(text).path for text in job.valid]
    if job.valid_has_pairs:
        pairs = [line.split("\t") for path in paths for line in read_lines(path)]
        sources, references = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    else:
        sources = [line for text in job.valid_sources for line in read_lines(parse_source(text).path)]
        references = [line for path in paths for line in read_lines(path)]
    return Judge(
        job.training.metric,
        sources,
        references,
        source_vocabulary=model.source_vocabulary,
        vocabulary=model.vocabulary,
    )


def settled(job: Job, network: Network, train: Corpus) -> Job:
    """The job, with the settings put in that depend on the sizes of network and text."""
    if job.training.dropout is not None:
        return job
    size = network.num_parameters - network.num_direct
    return replace(job, training=replace(job.training, dropout=default_dropout(size, train.num_tokens)))


def data_facts(role: str, corpus: Corpus | None) -> list[dict[str, Any]]:
    """What a model file says of the texts: names as they were typed, hashes, sizes."""
    return [{"role": role, **_source_facts(source)} for source in (corpus.sources if corpus else ())]


def _settle_output(config: NetworkConfig, vocabulary: Vocabulary) -> NetworkConfig:
    """The configuration with what its output layer takes from the vocabulary."""
    output = str(settle_output(config.parsed_output, words_of(vocabulary)))
    word_arch = str(config.parsed_word_arch or "none")
    return replace(config, output=output, direct=str(config.parsed_direct or "none"), word_arch=word_arch)


def _source_facts(source: CorpusSource) -> dict[str, Any]:
    names = ("path", "sha256", "num_lines", "num_tokens", "num_oov", "weight", "fraction")
    return {name: getattr(source, name) for name in names}


def _corpus(texts: tuple[str, ...], vocabulary: Vocabulary, directory: str) -> Corpus:
    return _kept(texts, vocabulary, directory) or write_corpus(list(map(parse_source, texts)), vocabulary, directory)


def _kept(texts: tuple[str, ...], vocabulary: Vocabulary, directory: str) -> Corpus | None:
    """The corpus that is there, if it is that of the texts as they are."""
    sources = [parse_source(text) for text in texts]
    if not os.path.exists(os.path.join(directory, FACTS)):
        return None
    try:
        corpus = open_corpus(directory)
        if corpus.ids.nbytes <= VERIFIED:
            verify_corpus(directory)
    except ModelError as error:
        warnings.warn(RnntoolWarning(error.where, f"{error.what}; the text is read again"), stacklevel=2)
        return None
    same = [(s.path, s.weight, s.fraction) for s in corpus.sources] == [(s.path, s.weight, s.fraction) for s in sources]
    return corpus if same and corpus.vocabulary_digest == vocabulary.digest and corpus.unchanged() else None


def _shown(value: Any) -> str:
    return "not given" if value is None else str(value)
