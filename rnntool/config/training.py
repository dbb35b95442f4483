"""What a training run is: every setting that changes its result.

The command line's long options, a config file's keys and the fields below are the same names (`--max-epochs`,
`max-epochs`, `max_epochs`), and the defaults stand here alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

from rnntool.errors import OptionError

OPTIMIZERS = ("sgd", "adagrad", "rmsprop", "adam", "adamw")
UNKNOWNS = ("count", "skip")
SCHEDULES = ("constant", "newbob", "plateau", "linear", "cosine")
AVERAGES = ("none", "ema", "asgd")
JUDGEMENTS = ("ppl", "bleu", "chrf")
AT_LEAST_ONE = ("batch_size", "bptt", "accumulate", "max_epochs", "validations")
SHARES = ("label_smoothing", "beta1", "beta2", "average_decay", "hold_out", "scheduled_sampling")


@dataclass(frozen=True)
class TrainingConfig:
    """One training run.  Rates of dropout are shares of what is set to zero; the rest is scaled up by 1 / (1 - rate)."""

    # What one step sees
    batch_size: int = 20
    """B, streams (context carried) or lines (context reset) side by side."""
    batch_tokens: int = 0
    """Of pairs: as many as fit into so many tokens on their longer side, filled up, in place of `batch_size`; 0: not so."""
    max_length: int = 200
    """Of pairs: those with a longer side, in tokens, are left out of training; 0 for no limit."""
    bptt: int = 20
    """T, tokens of each stream in a window; gradients reach back no further."""
    bptt_random: bool = False
    """Draw the length of each window around `bptt` (Merity et al. 2018, §5)."""
    bptt_every: int = 0
    """Update every so many tokens, back through `bptt` of them (Mikolov 2012); 0 stands for `bptt`."""
    accumulate: int = 1
    """Windows whose gradients are summed before an update."""
    shuffle: bool | None = None
    """Whether lines are drawn in a new order every epoch; None: if the context is reset."""

    # Noise
    dropout: float | None = None
    """Rate for the layers' inputs and the last layer's output, where none of the following says otherwise; None:
    `default_dropout` of the network and the text."""
    dropout_embed: float = 0.0
    """Rate for whole words: all occurrences of a type in a window (Gal and Ghahramani 2016)."""
    dropout_input: float | None = None
    """Rate for the embeddings that enter the first layer."""
    dropout_layer: float | None = None
    """Rate between layers."""
    dropout_output: float | None = None
    """Rate for what enters the output layer."""
    dropout_recurrent: float = 0.0
    """Rate for the units that a recurrent product reads, drawn once per window (Gal and Ghahramani 2016)."""
    dropout_weight: float = 0.0
    """Rate for single weights of the recurrent matrices, drawn once per window (Wan et al. 2013, Merity et al. 2018)."""
    locked: bool = False
    """Whether the masks of input, layer and output are drawn once per window and held over its tokens."""
    scheduled_sampling: float = 0.0
    """Share of the inputs that are drawn from the network's own distributions (Bengio et al. 2015)."""
    subword_sampling: float = 0.0
    """Of pairs: sharpness with which SentencePiece's ways to cut a line are drawn, or the rate at which merges of BPE are
    skipped, anew every epoch (Kudo 2018, Provilkov et al. 2020); 0: each line has its one way."""
    label_smoothing: float = 0.0
    """Share of the target's probability that is spread evenly over the vocabulary."""
    ar: float = 0.0
    """Weight of the mean square of the last layer's output, after dropout (Merity et al. 2018, §4.3)."""
    tar: float = 0.0
    """Weight of the mean square of the last layer's change from token to token (ibid.)."""

    # The update
    optimizer: str = "adam"
    """One of `OPTIMIZERS`."""
    lr: float | None = None
    """Learning rate after the warm-up; None: `DEFAULT_LR` of the optimiser."""
    momentum: float = 0.0
    """Momentum of `sgd` and `rmsprop`."""
    nesterov: bool = False
    """Whether the momentum of `sgd` looks ahead."""
    beta1: float = 0.0
    """Decay of the mean gradient of `adam` and `adamw`; 0, as Melis et al. 2018 found best for language models."""
    beta2: float | None = None
    """Decay of the mean square of `adam`, `adamw` and `rmsprop`; None: `DEFAULT_BETA2` of the optimiser."""
    weight_decay: float = 0.0
    """Pull of every weight towards zero, per unit of the learning rate."""
    clip: float = 1.0
    """Largest norm of the whole gradient; longer ones are scaled down to it; 0 for none."""
    clip_value: float = 0.0
    """Largest absolute value of a gradient's element; 0 for none."""
    clip_step: float = 0.0
    """Largest norm of the gradient with respect to each token's hidden state; 0 for none."""

    direct_lr: float = 0.2
    """Learning rate of direct weights, for each token; it falls as the other does.  On the Penn Treebank, an Elman network
    of 100 with classes had a validation perplexity of 313.6 without such weights after one epoch, 277.9 with them at 0.1,
    242.8 at 0.3, 247.6 at 1."""

    # The learning rate over time
    schedule: str = "linear"
    """One of `SCHEDULES`."""
    warmup: int = 0
    """Updates over which the rate rises from zero."""
    lr_factor: float = 0.5
    """What `newbob` and `plateau` multiply the rate by."""
    min_improvement: float = 1.003
    """`newbob` and `plateau`: smallest ratio of the last validation entropy to this one that counts as better."""
    average: str = "none"
    """One of `AVERAGES`: the weights that are validated and stored are an average over updates."""
    average_decay: float = 0.999
    """`ema`: share of the average that an update keeps."""
    average_patience: int = 5
    """`asgd`: averaging begins once so many validations have brought nothing better (Merity et al. 2018, §3)."""

    # The end
    max_epochs: int = 10
    """Passes over the data; `linear` and `cosine` reach zero at their end."""
    patience: int = 0
    """Stop after so many epochs without a better validation; 0: never for this reason."""
    target_ppl: float = 0.0
    """Stop once the validation perplexity is at most this; 0: never for this reason."""
    validations: int = 1
    """Validations an epoch."""
    metric: str = "ppl"
    """One of `JUDGEMENTS`: which validation is the best, and when the rate falls or the run ends for want of a better."""
    unk: str = "count"
    """One of `UNKNOWNS`: what a validation does with words that are not in the vocabulary."""
    init_range: float = 0.0
    """All matrices begin uniform between the negative of this and itself; 0: each layer's as suits it."""
    hold_out: float = 0.0
    """Share of every training text that is held out for validation instead of a validation text."""
    seed: int = 1
    """Of the initial weights, the order of the data and all noise."""

    def check(self) -> None:
        """Raise OptionError if a setting is out of range or two contradict each other."""
        for option, name, known in (
            ("--optimizer", self.optimizer, OPTIMIZERS),
            ("--schedule", self.schedule, SCHEDULES),
            ("--average", self.average, AVERAGES),
            ("--unk", self.unk, UNKNOWNS),
            ("--metric", self.metric, JUDGEMENTS),
        ):
            if name not in known:
                raise OptionError(option, f"unknown name '{name}'; known are {', '.join(known)}")
        for field in fields(self):
            value = getattr(self, field.name)
            option = "--" + field.name.replace("_", "-")
            if field.name.startswith("dropout") and value is not None and not 0 <= value < 1:
                raise OptionError(option, f"a rate of dropout lies in [0, 1), not at {value:g}")
            if isinstance(value, float | int) and not 0 <= value < math.inf:
                raise OptionError(option, f"{value:g} is {'negative' if value < 0 else 'not a finite number'}")
            if field.name in AT_LEAST_ONE and value < 1:
                raise OptionError(option, "must be at least 1")
            if field.name in SHARES and value is not None and value >= 1:
                raise OptionError(option, f"a share lies in [0, 1), not at {value:g}")
        if self.bptt_every > self.bptt:
            raise OptionError(
                "--bptt-every", f"{self.bptt_every} tokens cannot be learnt from in windows of {self.bptt}"
            )
        if self.bptt_every and self.bptt_random:
            raise OptionError("--bptt-every", "windows that overlap have one length; leave out --bptt-random")
        if self.nesterov and not (self.optimizer == "sgd" and self.momentum > 0):
            raise OptionError("--nesterov", "needs --optimizer sgd and a --momentum")

    @property
    def rate(self) -> float:
        """The learning rate in force after the warm-up."""
        return DEFAULT_LR[self.optimizer] if self.lr is None else self.lr

    @property
    def square_decay(self) -> float:
        """The decay in force of the mean square."""
        return DEFAULT_BETA2.get(self.optimizer, 0.0) if self.beta2 is None else self.beta2


DEFAULT_BETA2 = {"rmsprop": 0.99, "adam": 0.999, "adamw": 0.999}
"""Decays of the mean square where none is given: torch's."""


def default_dropout(num_parameters: int, num_tokens: int) -> float:
    """A rate of dropout for a network of so many parameters and a text of so many tokens.

        0.1 · log₂(1 + parameters / tokens), at most 0.7

    It agrees with the rates that Zaremba et al. 2014 found best on the Penn Treebank's 929,589 tokens: 0.45 for their
    medium network (they took 0.5) and 0.62 for the large one (0.65).
    """
    return round(min(0.7, 0.1 * math.log2(1 + num_parameters / num_tokens)), 2)


DEFAULT_LR = {"sgd": 10.0, "adagrad": 0.1, "rmsprop": 0.002, "adam": 0.005, "adamw": 0.005}
"""Learning rates where none is given.  Adam's was chosen on the Penn Treebank's validation text, with LSTM and GRU of 100
units; 0.004 to 0.008 are best for other networks.  The others are customary for losses that are means over tokens."""
