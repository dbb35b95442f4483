"""A model file: everything that is needed to use a network, in one container.

Its tensors are the weights, by their names in the network, and `vocabulary`, the vocabulary's own bytes.  Its facts are
the configuration, where the model comes from, and how it did on its validation text.  Nothing in it differs from run to
run of one command: no time, no host, no path but those that were typed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rnntool.checkpoint.container import Facts, read_container, write_container
from rnntool.config.network import NetworkConfig
from rnntool.config.output import Words
from rnntool.errors import ModelError, RnntoolError
from rnntool.models.network import Network, build_network
from rnntool.text.vocabulary import Vocabulary

VOCABULARY = "vocabulary"
SOURCE_VOCABULARY = "source_vocabulary"
WEIGHTS = "weights."


@dataclass(frozen=True)
class Model:
    """A network, its vocabulary, and what is known of it.

    Args:
        network: with its weights.
        config: what the network is.
        vocabulary: what its ids are.
        source_vocabulary: what the ids of its sources are; None for a language model.
        provenance: settings, versions and hashes of the data it was trained on.
        metrics: step, epoch, and the validation's figures with their signature.
        name: where it was read from, for messages.
    """

    network: Network
    config: NetworkConfig
    vocabulary: Vocabulary
    provenance: Facts = field(default_factory=dict)
    metrics: Facts = field(default_factory=dict)
    name: str = ""
    source_vocabulary: Vocabulary | None = None


def save_model(path: str, model: Model) -> str:
    """Write a model file, and return its hash.

    Raises:
        OutputError: the disk does not take it.
        ModelError: a weight is not a finite number; nothing is written.
    """
    weights = dict(model.network.named_parameters())
    check_finite(path, weights, "not written")
    facts = {
        "config": asdict(model.config),
        "vocabulary": model.vocabulary.digest,
        "provenance": model.provenance,
        "metrics": model.metrics,
    }
    tensors: dict[str, Tensor] = {WEIGHTS + name: tensor for name, tensor in weights.items()}
    tensors[VOCABULARY] = _as_tensor(model.vocabulary)
    if model.source_vocabulary is not None:
        facts["source_vocabulary"] = model.source_vocabulary.digest
        if model.source_vocabulary.digest != model.vocabulary.digest:
            tensors[SOURCE_VOCABULARY] = _as_tensor(model.source_vocabulary)
    return write_container(path, "model", facts, tensors)


def load_model(path: str, device: torch.device | None = None, data: bytes | None = None) -> Model:
    """Read a model file.

    The network is first built without memory and its shapes compared with the file's, so that no configuration, however
    it came about, can ask for more than the file holds.

    Args:
        path: where it is.
        device: where the network is to be; None for the CPU.
        data: its bytes, where they have been read already.

    Raises:
        InputError: the file cannot be read.
        ModelError: it is not a model, damaged, or its parts do not fit each other.
    """
    facts, tensors = read_container(path, "model", data)
    try:
        config = NetworkConfig(**_known(facts["config"], NetworkConfig))
        config.check()
        vocabulary = Vocabulary.from_bytes(tensors.pop(VOCABULARY).numpy().tobytes(), path)
        source_vocabulary = None
        if config.encoder != "none":
            source_vocabulary = vocabulary
            if SOURCE_VOCABULARY in tensors:
                source_vocabulary = Vocabulary.from_bytes(tensors.pop(SOURCE_VOCABULARY).numpy().tobytes(), path)
        with torch.device("meta"):
            network = build_network(config, words_of(vocabulary), len(source_vocabulary or ()))
        provenance, metrics = {**facts["provenance"]}, {**facts["metrics"]}
    except RnntoolError as error:
        raise ModelError(path, f"damaged: {error}") from error
    except (AttributeError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise ModelError(path, "damaged: its configuration does not describe a network") from error
    if facts.get("vocabulary") != vocabulary.digest:
        raise ModelError(path, f"damaged: its vocabulary is {vocabulary.digest}, not {facts.get('vocabulary')}")
    if source_vocabulary is not None and facts.get("source_vocabulary") != source_vocabulary.digest:
        what = f"its source's vocabulary is {source_vocabulary.digest}, not {facts.get('source_vocabulary')}"
        raise ModelError(path, f"damaged: {what}")
    fill(network, {name.removeprefix(WEIGHTS): tensor for name, tensor in tensors.items()}, path)
    network.to(device)
    return Model(network, config, vocabulary, provenance, metrics, path, source_vocabulary)


def words_of(vocabulary: Vocabulary) -> Words:
    """What a network knows of a vocabulary."""
    return Words(vocabulary.counts, vocabulary.classes, vocabulary.word_ends)


def _as_tensor(vocabulary: Vocabulary) -> Tensor:
    return torch.from_numpy(np.frombuffer(vocabulary.to_bytes(), dtype=np.uint8).copy())


def fill(network: Network, weights: dict[str, Tensor], path: str) -> None:
    """Give a network that was built without memory the weights of a file.

    Raises:
        ModelError: a name or shape differs, or a weight is no finite number.
    """
    wanted = dict(network.named_parameters())
    if wanted.keys() != weights.keys():
        odd = sorted(wanted.keys() ^ weights.keys())[0]
        raise ModelError(path, f"damaged: '{odd}' is {'missing' if odd in wanted else 'one weight too many'}")
    for name, parameter in wanted.items():
        if parameter.shape != weights[name].shape or weights[name].dtype != torch.float32:
            have, want = tuple(weights[name].shape), tuple(parameter.shape)
            raise ModelError(path, f"damaged: '{name}' is {have} of {weights[name].dtype}, the network has {want}")
    check_finite(path, weights, "damaged")
    network.load_state_dict(weights, strict=False, assign=True)
    if network.tied:
        network.output.weight = network.embedding
    if network.reader is not None and network.reader.is_shared:
        network.reader.embedding = network.embedding


def check_finite(path: str, weights: Mapping[str, Tensor], consequence: str) -> None:
    """Raise ModelError, which begins with `consequence`, if a weight is infinite or not a number."""
    for name, tensor in weights.items():
        if not torch.isfinite(tensor).all():
            raise ModelError(path, f"{consequence}: '{name}' holds a value that is not a finite number")


def _known(values: Any, config: type) -> dict[str, Any]:
    """The values, if every one is a field of `config` and of that field's type."""
    kinds = {f.name: {"str": str, "int": int, "bool": bool, "float": float}[str(f.type)] for f in fields(config)}
    for name, value in values.items():
        if type(value) is not kinds[name]:
            raise TypeError(name)
    return dict(values)
