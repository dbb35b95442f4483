"""What a network is: contradictions are refused before anything is built."""

from __future__ import annotations

import pytest

from rnntool.config.network import NetworkConfig
from rnntool.config.output import FORMS
from rnntool.config.presets import FOR_PAIRS, PRESETS
from rnntool.config.training import TrainingConfig
from rnntool.errors import OptionError


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (
            NetworkConfig("gru:4", output="trie"),
            f"--output: unknown output layer 'trie'; known are {', '.join(FORMS)}",
        ),
        (NetworkConfig("gru:4", context="keep"), "--context: unknown context 'keep'; known are carry, reset"),
        (
            NetworkConfig("gru:4", tied=True, embed_size=3),
            "--tied: the embedding has 3 columns and gru:4 gives 4; tied, they are one",
        ),
        (
            NetworkConfig("lstm:4/2", tied=True, embed_size=4),
            "--tied: the embedding has 4 columns and lstm:4/2 gives 2; tied, they are one",
        ),
        (
            NetworkConfig("ngram:4,direct", tied=True),
            "--tied: ngram:4,direct gives its embeddings, too, and no embedding is as wide as both",
        ),
        (
            NetworkConfig("ngram:4,direct", encoder="gru:4", link="init", context="reset"),
            "--arch: ngram:5x4,direct hands on its embeddings, which is for language models",
        ),
        (
            NetworkConfig("gru:4", encoder="ngram:4,direct", link="init", context="reset"),
            "--encoder: ngram:5x4,direct hands on its embeddings, which is for language models",
        ),
    ],
)
def test_contradictions_are_named(config: NetworkConfig, message: str) -> None:
    with pytest.raises(OptionError) as refused:
        config.check()
    assert str(refused.value) == message


@pytest.mark.parametrize("embed_size", [0, 2])
def test_a_tied_embedding_is_as_wide_as_the_output(embed_size: int) -> None:
    NetworkConfig("lstm:4/2", tied=True, embed_size=embed_size).check()


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_is_made_of_settings_that_are_in_order(name: str) -> None:
    network = {key: value for key, value in PRESETS[name].items() if key in NetworkConfig.__dataclass_fields__}
    training = {key: value for key, value in PRESETS[name].items() if key not in network}
    pairs = {"encoder": "bag", "link": "attention", "context": "reset"} if name in FOR_PAIRS else {}
    NetworkConfig(**{"arch": "gru:8", **pairs, **network}).check()
    TrainingConfig(**training).check()
