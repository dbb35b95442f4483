"""Models of the same shape as one."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch

from rnntool.checkpoint.averaging import averaged
from rnntool.checkpoint.model import Model
from rnntool.config.network import NetworkConfig
from rnntool.errors import ModelError
from rnntool.models.network import build_network
from rnntool.text.vocabulary import Vocabulary

WORDS = Vocabulary("word", ["<unk>", "</s>", "a", "b"])
OTHERS = Vocabulary("word", ["<unk>", "</s>", "b", "a"])


def model(seed: int, vocabulary: Vocabulary = WORDS, source: Vocabulary | None = None, **options: Any) -> Model:
    config = NetworkConfig(**{"arch": "gru:3", "output": "full", **options})
    network = build_network(config, len(vocabulary), len(source or ()))
    network.init(torch.Generator().manual_seed(seed))
    return Model(
        network, config, vocabulary, {"torch": "x"}, {"valid_ppl": 1.0}, f"{seed}.rnn", source_vocabulary=source
    )


def test_every_weight_is_the_weighted_mean() -> None:
    models = [model(seed, tied=True) for seed in (1, 2, 3)]
    before = [{name: p.detach().clone() for name, p in each.network.named_parameters()} for each in models]
    found = averaged(iter(models), [0.5, 0.25, 0.25], ["1", "2", "3"])
    for name, weight in found.network.named_parameters():
        expected = 0.5 * before[0][name] + 0.25 * before[1][name] + 0.25 * before[2][name]
        assert torch.allclose(weight, expected, rtol=0, atol=1e-7)
        assert weight.dtype is torch.float32
    assert found.network.output.weight is found.network.embedding
    assert found.metrics == {}
    assert found.provenance == {"torch": "x", "averaged": ["1", "2", "3"]}


def test_a_model_with_itself_is_itself_to_the_last_bit() -> None:
    before = {name: p.detach().clone() for name, p in model(1).network.named_parameters()}
    thirds = [1 / 3] * 3
    assert math.fsum(thirds) == 1
    found = averaged((model(1) for _ in range(3)), thirds, ["a"] * 3)
    assert all(torch.equal(before[name], weight) for name, weight in found.network.named_parameters())


def test_one_model_is_taken_at_a_time() -> None:
    taken: list[int] = []

    def models() -> Iterator[Model]:
        for seed in range(4):
            taken.append(seed)
            yield model(seed, OTHERS if seed == 2 else WORDS)

    with pytest.raises(ModelError):
        averaged(models(), [0.25] * 4, ["x"] * 4)
    assert taken == [0, 1, 2]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"arch": "gru:4"}, "its --arch is gru:4, that of 1.rnn gru:3"),
        ({"layer_norm": True}, "its --layer-norm is on, that of 1.rnn off"),
        ({"context": "reset"}, "its --context is reset, that of 1.rnn carry"),
        ({"vocabulary": OTHERS}, f"its vocabulary is {OTHERS.digest}, that of 1.rnn {WORDS.digest}"),
    ],
)
def test_models_have_one_shape_and_one_vocabulary(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        averaged([model(1), model(2, **changes)], [0.5, 0.5], ["1", "2"])


def test_models_that_translate_have_one_vocabulary_of_sources() -> None:
    how = {"encoder": "bag", "link": "each", "context": "reset"}
    one, other = (model(seed, WORDS, WORDS, **how) for seed in (1, 2))
    assert averaged([one, other], [0.5, 0.5], ["1", "2"]).source_vocabulary is WORDS
    with pytest.raises(ModelError, match="its source vocabulary is"):
        averaged([one, replace(other, source_vocabulary=OTHERS)], [0.5, 0.5], ["1", "2"])
