"""Model files: all that using a network needs, and nothing that a hostile one could use."""

from __future__ import annotations

import itertools
import os
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from rnntool.checkpoint.container import write_container
from rnntool.checkpoint.model import VOCABULARY, WEIGHTS, Model, load_model, save_model
from rnntool.config.network import NetworkConfig
from rnntool.errors import ModelError
from rnntool.models.network import build_network
from rnntool.text.counting import build, count
from rnntool.text.vocabulary import Vocabulary


def vocabulary() -> Vocabulary:
    return build(count([b"the cat sat on the mat\n"], "word"), "word")


def model(arch: str = "lstm:3", **options: Any) -> Model:
    config = NetworkConfig(arch, **options)
    words = vocabulary()
    network = build_network(config, len(words))
    network.init(torch.Generator().manual_seed(1))
    return Model(network, config, words, {"settings": {"arch": arch}}, {"valid_ppl": 12.5})


CONFIGS = [
    NetworkConfig("lstm:2x4/3", residual=True),
    NetworkConfig("lstm:3", tied=True),
    NetworkConfig("gru:3", tied=True, layer_norm=True),
    NetworkConfig("scrn:3+2@0.9,learn", context="reset"),
    NetworkConfig("scrn:3+0"),
    NetworkConfig("trace:3", embed_size=5),
]


@pytest.mark.parametrize("config", CONFIGS, ids=str)
def test_a_model_comes_back_as_it_was(config: NetworkConfig, tmp_path: Path) -> None:
    path = str(tmp_path / "m.rnn")
    one = model(**asdict(config))
    save_model(path, one)
    other = load_model(path)
    assert (other.config, other.vocabulary, other.provenance, other.metrics, other.name) == (
        (config, one.vocabulary, one.provenance, one.metrics, path)
    )
    ours, theirs = dict(one.network.named_parameters()), dict(other.network.named_parameters())
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert all(p.requires_grad and p.device.type == "cpu" for p in theirs.values())
    assert (other.network.output.weight is other.network.embedding) == config.tied
    ids = torch.tensor([[1], [3]])
    with torch.no_grad():
        assert torch.equal(
            one.network.nll(ids, ids, one.network.state0(1))[0], other.network.nll(ids, ids, other.network.state0(1))[0]
        )


def test_a_model_is_the_same_bytes_twice(tmp_path: Path) -> None:
    save_model(str(tmp_path / "one"), model())
    save_model(str(tmp_path / "two"), model())
    save_model(str(tmp_path / "three"), load_model(str(tmp_path / "one")))
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes() == (tmp_path / "three").read_bytes()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_a_model_that_is_no_number_is_not_written(value: float, tmp_path: Path) -> None:
    broken = model()
    with torch.no_grad():
        broken.network.embedding[0, 0] = value
    with pytest.raises(ModelError, match="'embedding' holds a value that is not a finite number"):
        save_model(str(tmp_path / "m"), broken)
    assert os.listdir(tmp_path) == []


def test_a_model_is_read_from_a_pipe(tmp_path: Path) -> None:
    save_model(str(tmp_path / "m"), model())
    reading, writing = os.pipe()
    try:
        os.write(writing, (tmp_path / "m").read_bytes())
        os.close(writing)
        assert load_model(f"/dev/fd/{reading}").config == model().config
    finally:
        os.close(reading)


def test_damage_anywhere_is_noticed(tmp_path: Path) -> None:
    """Every 37th byte, and all lengths up to the first weights."""
    path = tmp_path / "m"
    save_model(str(path), model())
    data = path.read_bytes()
    damaged = (data[:n] + bytes([data[n] ^ 16]) + data[n + 1 :] for n in range(0, len(data), 37))
    cut = (data[:n] for n in range(0, len(data), 41))
    for bad in itertools.chain(damaged, cut):
        path.write_bytes(bad)
        with pytest.raises(ModelError):
            load_model(str(path))


def parts() -> tuple[dict[str, Any], dict[str, Tensor]]:
    """What a file of ours holds, to be changed and written with a hash that is right."""
    one = model()
    facts = {"config": asdict(one.config), "vocabulary": one.vocabulary.digest, "provenance": {}, "metrics": {}}
    tensors = {WEIGHTS + name: tensor for name, tensor in one.network.named_parameters()}
    return facts, tensors | {VOCABULARY: torch.from_numpy(np.frombuffer(one.vocabulary.to_bytes(), np.uint8).copy())}


def refusal(path: Path, facts: dict[str, Any], tensors: dict[str, Tensor]) -> str:
    write_container(str(path), "model", facts, tensors)
    began = time.process_time()
    with pytest.raises(ModelError) as refused:
        load_model(str(path))
    assert time.process_time() - began < 5
    assert refused.value.where == str(path)
    return refused.value.what


def test_the_parts_are_a_model(tmp_path: Path) -> None:
    write_container(str(tmp_path / "m"), "model", *parts())
    load_model(str(tmp_path / "m"))


@pytest.mark.parametrize(
    "config",
    [
        {"arch": "lstm:999999999"},
        {"arch": "lstm:2x999999999/999999999"},
        {"arch": "gru:999999"},
        {"arch": "lstm:9999x3"},
        {"embed_size": 10**18},
        {"embed_size": -1},
        {"arch": "transformer:3"},
        {"arch": 5},
        {"arch": None},
        {"tied": "yes"},
        {"output": "tree"},
        {"context": "keep"},
        {"embed_size": 1.0},
        {"layers": 2},
    ],
    ids=str,
)
def test_a_configuration_that_does_not_fit_the_weights_is_refused_without_memory(
    config: dict[str, Any], tmp_path: Path
) -> None:
    facts, tensors = parts()
    facts["config"] |= config
    assert refusal(tmp_path / "m", facts, tensors).startswith("damaged: ")


@pytest.mark.parametrize("config", [None, [], "lstm:3", 5, {}])
def test_a_configuration_that_is_none_is_refused(config: object, tmp_path: Path) -> None:
    facts, tensors = parts()
    assert refusal(tmp_path / "m", facts | {"config": config}, tensors).startswith("damaged: ")


@pytest.mark.parametrize("key", ["provenance", "metrics"])
@pytest.mark.parametrize("value", [None, [], 5, "x"])
def test_facts_that_are_no_table_are_refused(key: str, value: object, tmp_path: Path) -> None:
    facts, tensors = parts()
    assert refusal(tmp_path / "m", facts | {key: value}, tensors).startswith("damaged: ")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"weights.output.bias": None}, "damaged: 'output.bias' is missing"),
        ({"weights.more": torch.ones(1)}, "damaged: 'more' is one weight too many"),
        (
            {"weights.output.bias": torch.ones(6)},
            "damaged: 'output.bias' is (6,) of torch.float32, the network has (7,)",
        ),
        (
            {"weights.output.bias": torch.ones(7, dtype=torch.float64)},
            "damaged: 'output.bias' is (7,) of torch.float64, the network has (7,)",
        ),
        ({VOCABULARY: None}, "damaged: its configuration does not describe a network"),
        ({VOCABULARY: torch.tensor([1.5])}, None),
        ({VOCABULARY: torch.tensor([1.5], dtype=torch.bfloat16)}, None),
        ({VOCABULARY: torch.empty(0, dtype=torch.uint8)}, None),
        ({VOCABULARY: torch.zeros(100, dtype=torch.uint8)}, None),
        (
            {"weights.output.bias": torch.full((7,), float("nan"))},
            "damaged: 'output.bias' holds a value that is not a finite number",
        ),
    ],
    ids=repr,
)
def test_parts_that_do_not_fit_each_other_are_named(
    change: dict[str, Tensor | None], message: str | None, tmp_path: Path
) -> None:
    facts, tensors = parts()
    changed = {name: tensor for name, tensor in (tensors | change).items() if tensor is not None}
    what = refusal(tmp_path / "m", facts, changed)
    assert what.startswith("damaged: ")
    assert message is None or what == message


def test_a_vocabulary_that_is_not_the_one_that_the_facts_name_is_refused(tmp_path: Path) -> None:
    """Seven other words would fit the weights, and every score would be of another word."""
    facts, tensors = parts()
    other = build(count([b"a dog lay on the rug\n"], "word"), "word")
    tensors[VOCABULARY] = torch.from_numpy(np.frombuffer(other.to_bytes(), np.uint8).copy())
    if len(other) == len(vocabulary()):
        assert refusal(tmp_path / "m", facts, tensors).startswith("damaged: ")


def test_saving_does_not_change_the_network(tmp_path: Path) -> None:
    one = model()
    before = [p.clone() for p in one.network.parameters()]
    save_model(str(tmp_path / "m"), replace(one, name="other"))
    assert all(torch.equal(p, q) for p, q in zip(one.network.parameters(), before, strict=True))
