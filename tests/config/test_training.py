"""The settings of a run: which are refused, and with which words."""

from __future__ import annotations

import dataclasses
import math

import pytest

from rnntool.config.training import DEFAULT_LR, OPTIMIZERS, TrainingConfig, default_dropout
from rnntool.errors import OptionError


def refusal(**settings: object) -> str:
    with pytest.raises(OptionError) as refused:
        TrainingConfig(**settings).check()  # type: ignore[arg-type]
    return str(refused.value)


def test_the_defaults_are_in_order() -> None:
    TrainingConfig().check()


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_every_optimiser_has_a_rate_of_its_own_unless_one_is_given(optimizer: str) -> None:
    assert TrainingConfig(optimizer=optimizer).rate == DEFAULT_LR[optimizer]
    assert TrainingConfig(optimizer=optimizer, lr=0.25).rate == 0.25


@pytest.mark.parametrize("option", ["optimizer", "schedule", "average"])
def test_unknown_names_are_refused_with_the_known_ones(option: str) -> None:
    assert refusal(**{option: "magic"}).startswith(f"--{option}: unknown name 'magic'; known are ")


@pytest.mark.parametrize("field", [f.name for f in dataclasses.fields(TrainingConfig) if f.type not in ("str", "bool")])
def test_no_number_may_be_negative_or_none_at_all(field: str) -> None:
    option = "--" + field.replace("_", "-")
    if field == "shuffle":
        return
    assert refusal(**{field: -1}).startswith(option)
    assert refusal(**{field: math.nan}).startswith(option)
    assert refusal(**{field: math.inf}).startswith(option)


@pytest.mark.parametrize("rate", ["dropout", "dropout_embed", "dropout_input", "dropout_weight"])
def test_a_rate_of_dropout_is_less_than_one(rate: str) -> None:
    assert refusal(**{rate: 1.0}) == f"--{rate.replace('_', '-')}: a rate of dropout lies in [0, 1), not at 1"


@pytest.mark.parametrize(
    "settings",
    [
        {"batch_size": 0},
        {"bptt": 0},
        {"accumulate": 0},
        {"max_epochs": 0},
        {"validations": 0},
        {"beta1": 1.0},
        {"beta2": 1.0},
        {"label_smoothing": 1.0},
        {"average_decay": 1.1},
        {"hold_out": 1.0},
        {"bptt": 5, "bptt_every": 6},
        {"bptt_every": 5, "bptt_random": True},
        {"nesterov": True},
        {"nesterov": True, "optimizer": "sgd"},
        {"nesterov": True, "optimizer": "adam", "momentum": 0.9},
    ],
    ids=str,
)
def test_what_cannot_be_trained_is_refused(settings: dict[str, object]) -> None:
    refusal(**settings)


def test_overlapping_windows_name_both_lengths() -> None:
    message = refusal(bptt=5, bptt_every=6)
    assert message == "--bptt-every: 6 tokens cannot be learnt from in windows of 5"


def test_the_default_dropout_is_near_what_zaremba_found_best() -> None:
    """Zaremba et al. 2014 took 0.5 and 0.65 for 19.8 and 66 million parameters on 929,589 tokens.

    0.1 log₂(1 + 19.7752 / 0.929589) = 0.1 log₂ 22.27 = 0.448, 0.1 log₂(1 + 66.022 / 0.929589) = 0.1 log₂ 72.02 = 0.617.
    """
    assert default_dropout(19_775_200, 929_589) == 0.45
    assert default_dropout(66_022_000, 929_589) == 0.62


def test_the_default_dropout_is_none_for_a_large_text_and_never_most_of_a_network() -> None:
    assert default_dropout(10**6, 10**10) == 0
    assert default_dropout(10**9, 100) == 0.7
