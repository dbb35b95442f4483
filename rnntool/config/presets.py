"""Presets: plain named sets of options, each of which the command line can say and override.

`small`, `medium` and `large` are the sizes of Zaremba et al. 2014 ("Recurrent Neural Network Regularization"), `awd` is
Merity et al. 2018 ("Regularizing and Optimizing LSTM Language Models") for the Penn Treebank.  `small` was tuned on the
Penn Treebank's validation text.  Above `small` the sizes and the dropout are Zaremba's, but trained by Adam and tied.
`medium` has a perplexity of 90.8 on that text; after its first epoch 178, where untied and at 0.0006 it has 228, and at
0.002 has not begun to learn.  `large` has a rate that falls with the width as theirs do, and was not trained.  `pairs` is
for some ten thousand pairs of sentences, tuned on Multi30k's; it adds to what is the default for pairs.  Published rates
for losses that are summed over a window's tokens are as many times larger here, where losses are means.
"""

from __future__ import annotations

from typing import Any

PRESETS: dict[str, dict[str, Any]] = {
    "tiny": {"arch": "lstm:64", "max_epochs": 4},
    "small": {
        "arch": "lstm:2x200",
        "tied": True,
        "dropout": 0.2,
        "bptt": 35,
        "lr": 0.004,
        "max_epochs": 12,
    },
    "medium": {"arch": "lstm:2x650", "tied": True, "dropout": 0.5, "bptt": 35, "lr": 0.001, "max_epochs": 12},
    "large": {"arch": "lstm:2x1500", "tied": True, "dropout": 0.65, "bptt": 35, "lr": 0.0004, "max_epochs": 12},
    "awd": {
        "arch": "lstm:3x1150",
        "embed_size": 400,
        "tied": True,
        "dropout_embed": 0.1,
        "dropout_input": 0.4,
        "dropout_layer": 0.25,
        "dropout_output": 0.4,
        "dropout_weight": 0.5,
        "locked": True,
        "ar": 2.0,
        "tar": 1.0,
        "weight_decay": 1.2e-6,
        "bptt": 70,
        "bptt_random": True,
        "optimizer": "sgd",
        "lr": 30.0,
        "clip": 0.25,
        "schedule": "constant",
        "average": "asgd",
        "max_epochs": 500,
    },
    "pairs": {
        "attend_with": "cur",
        "tied": True,
        "dropout": 0.4,
        "label_smoothing": 0.1,
        "lr": 0.003,
        "max_epochs": 15,
    },
}
"""Name → option (as a keyword) → value."""

FOR_PAIRS = ("pairs",)
"""Those that only pairs can be trained with."""
