"""The settings of metrics are sacreBLEU's, under its names and with its defaults."""

from __future__ import annotations

import inspect
from dataclasses import fields

import sacrebleu
from sacrebleu.metrics import METRICS as THEIRS

from rnntool.config.metrics import METRICS, SMOOTHINGS, TOKENIZERS, MetricConfig


def test_the_names_are_theirs() -> None:
    assert {name.upper() for name in METRICS} == set(THEIRS)
    assert set(sacrebleu.BLEU.TOKENIZERS) <= {*TOKENIZERS, "spm"}, "older versions have fewer"
    assert set(SMOOTHINGS) == set(sacrebleu.BLEU.SMOOTH_DEFAULTS)


def test_the_defaults_are_theirs() -> None:
    config = MetricConfig()
    for field in fields(config):
        metric, _, parameter = field.name.partition("_")
        if metric in ("chrf", "ter"):
            theirs = inspect.signature(THEIRS[metric.upper()]).parameters[parameter].default
        elif field.name == "tokenize":
            theirs = sacrebleu.BLEU.TOKENIZER_DEFAULT
        else:
            name = "smooth_method" if field.name == "smooth" else field.name
            theirs = inspect.signature(sacrebleu.BLEU).parameters[name].default
        assert getattr(config, field.name) == theirs, field.name
