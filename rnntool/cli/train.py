"""`rnntool train`: from text to a run directory."""

from __future__ import annotations

import os
import re
import sys
from dataclasses import MISSING, fields
from typing import Any

import click
from click.core import ParameterSource

from rnntool.cli import compute, environment, launch, options, supervisor
from rnntool.cli.stopping import stopping
from rnntool.config.network import CONTEXTS, NetworkConfig
from rnntool.config.output import NOT_SMOOTHED
from rnntool.config.presets import FOR_PAIRS, PRESETS
from rnntool.config.ranks import Ranks
from rnntool.config.source import WHENS
from rnntool.config.training import AVERAGES, JUDGEMENTS, OPTIMIZERS, SCHEDULES, UNKNOWNS, TrainingConfig
from rnntool.errors import OptionError
from rnntool.train.progress import REQUEUE, StopRequest

_DEFAULTS = {f.name: f.default for config in (NetworkConfig, TrainingConfig) for f in fields(config)}
DEFAULTS = {"arch": "lstm:200", "output": "auto"}
"""Of a network that is to be trained; a vocabulary settles the second."""
PAIR_DEFAULTS = {
    "arch": "gru:256",
    "encoder": "bi-gru:256",
    "link": "attention",
    "context": "reset",
    "batch_size": 64,
    "output": "full",
}
"""The same of one that is trained on pairs."""
_INERT = (
    "out",
    "force",
    "device",
    "threads",
    "max_time",
    "requeue_status",
    "save_every",
    "dry_run",
    "explain",
    "watch",
    "graph",
    "preset",
    "procs",
    "max_restarts",
    "dist_timeout",
    "tensorboard",
)
"""Parameters that change how a run is carried out, but nothing that it computes."""


def _setting(*names: str, section: str, **attributes: Any) -> options.Decorator:
    """An option for one field of the configuration, whose default stands there; None means not given."""
    field = names[-1].split("/")[0].removeprefix("--").replace("-", "_")
    default = _DEFAULTS[field]
    shown = attributes.pop("shown", None)
    if shown is None and default not in (None, MISSING, "", 0, 0.0, False):
        shown = f"{default:g}" if isinstance(default, float) else str(default)
    if "type" not in attributes and attributes.get("metavar"):
        attributes["type"] = options.Whole(0) if isinstance(default, int) else options.Real(0)
    return options.option(*names, section=section, default=None, show_default=shown or False, **attributes)


def _switch(name: str, *, section: str, help: str) -> options.Decorator:
    return _setting(name, section=section, help=help, is_flag=True)


PAIRS, MODEL, NOISE, UPDATE, RATE, END, RUN = (
    "Pairs",
    "Model",
    "Noise and penalties",
    "Update",
    "Learning rate and averaging",
    "Validation and end",
    "Run",
)


def _pair_files(name: str, *, help: str) -> options.Decorator:
    """An option for one side of pairs: files, in an order."""
    return options.option(name, section=PAIRS, type=options.type_of_file, metavar="FILE", multiple=True, help=help)


class _Duration(click.ParamType):  # type: ignore[type-arg]
    """A time such as 90s, 40m or 1.5h, in seconds."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, int | float):
            return float(value)
        match = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd]?)", str(value))
        if match is None:
            self.fail(f"{value!r} is not a time such as 90s, 40m or 1.5h", param, ctx)
        return float(match[1]) * {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}[match[2]]


@options.command("train")
@options.vocabulary(required=False)
@options.option(
    "--valid", type=options.type_of_file, metavar="FILE", multiple=True, help="Validate on FILE; may be repeated."
)
@_pair_files("--src", help="Sources, one for each line of --tgt; may be repeated.")
@_pair_files("--tgt", help="Targets, in place of TEXT; may be repeated.")
@_pair_files("--tsv", help="Pairs, in place of both: source, tab, target; may be repeated.")
@_pair_files("--valid-src", help="Sources of the validation.")
@_pair_files("--valid-tgt", help="Targets of the validation.")
@_pair_files("--valid-tsv", help="Pairs of the validation, in place of both.")
@options.option(
    "--src-vocab",
    section=PAIRS,
    type=options.type_of_file,
    metavar="FILE",
    help="Vocabulary of the sources; default: that of the targets.",
)
@_setting(
    "--encoder",
    help="What reads sources: bag, ARCH or bi-ARCH.",
    section=PAIRS,
    metavar="ENCODER",
    type=str,
    shown="bi-gru:256",
)
@_setting(
    "--link",
    help="How they reach the decoder: init, each or attention[:KIND].",
    section=PAIRS,
    metavar="LINK",
    type=str,
    shown="attention",
)
@_setting(
    "--attend-with",
    help="Attend with the state before a word (prev) or after (cur); default: by KIND.",
    section=PAIRS,
    metavar="STATE",
    type=click.Choice(WHENS),
)
@_switch("--input-feeding", help="Let the decoder read what the output layer read before.", section=PAIRS)
@_switch("--reverse-source", help="Read sources from their end.", section=PAIRS)
@_switch("--tied-source", help="Use one embedding for source and target.", section=PAIRS)
@_setting("--batch-tokens", help="Pairs in a batch: as many as fit into N tokens.", section=PAIRS, metavar="N")
@_setting(
    "--subword-sampling",
    help="Cut lines into other pieces every epoch; SentencePiece only.",
    section=PAIRS,
    metavar="X",
)
@_setting("--max-length", help="Leave out pairs with a side of more than N tokens.", section=PAIRS, metavar="N")
@options.option(
    "-o",
    "--out",
    type=options.type_of_file,
    metavar="DIR",
    required=True,
    help="Run directory, made or taken up again.",
)
@options.option(
    "--preset",
    type=click.Choice(list(PRESETS)),
    metavar="NAME",
    help=f"Begin from a set of options: {', '.join(PRESETS)}.",
)
@options.option("--init", type=options.type_of_file, metavar="MODEL", help="Start from a model's weights.")
@_setting(
    "--arch",
    help="Recurrent layers, as NAME:[LAYERSx]UNITS; rnntool-arch(5).",
    section=MODEL,
    metavar="ARCH",
    type=str,
    shown="lstm:200",
)
@_setting("--embed-size", help="Width of the embeddings; default: that of the layers.", section=MODEL, metavar="N")
@_setting(
    "--output",
    help="Output layer: auto, full, adaptive, class, tree, dsoftmax, sampled, target, nce, selfnorm.",
    section=MODEL,
    metavar="LAYER",
    type=str,
    shown="auto",
)
@_setting(
    "--direct",
    help="Add hashed weights of n-grams, as SIZE[:ORDER], such as 10M:3.",
    section=MODEL,
    metavar="SIZE[:ORDER]",
    type=str,
)
@_setting(
    "--word-arch",
    help="Read whole words beside characters, as NAME:UNITS, such as gru:100.",
    section=MODEL,
    metavar="ARCH",
    type=str,
)
@_switch("--tied", help="Use the embedding as the output layer's weight, too.", section=MODEL)
@_switch("--residual", help="Add each layer's input to its output.", section=MODEL)
@_switch("--layer-norm", help="Normalise each layer's output.", section=MODEL)
@_setting(
    "--context",
    help="At a line end, carry or reset the hidden state.",
    section=MODEL,
    metavar="HOW",
    type=click.Choice(CONTEXTS),
)
@_setting(
    "--dropout", help="Rate of dropout; default: by the sizes of network and text.", section=NOISE, metavar="RATE"
)
@_setting("--dropout-embed", help="Rate for whole words.", section=NOISE, metavar="RATE")
@_setting(
    "--dropout-input",
    help="Rate for the embeddings; default: --dropout.",
    section=NOISE,
    metavar="RATE",
    type=options.Real(0),
)
@_setting(
    "--dropout-layer",
    help="Rate for what passes between layers; default: --dropout.",
    section=NOISE,
    metavar="RATE",
    type=options.Real(0),
)
@_setting(
    "--dropout-output",
    help="Rate for what enters the output layer; default: --dropout.",
    section=NOISE,
    metavar="RATE",
    type=options.Real(0),
)
@_setting("--dropout-recurrent", help="Rate for units read by recurrent products.", section=NOISE, metavar="RATE")
@_setting("--dropout-weight", help="Rate for single recurrent weights.", section=NOISE, metavar="RATE")
@_switch("--locked", help="Hold the masks of dropout over a window's tokens.", section=NOISE)
@_setting("--label-smoothing", help="Share of the target spread over all words.", section=NOISE, metavar="RATE")
@_setting(
    "--scheduled-sampling",
    help="Share of the inputs that the network draws itself.",
    section=NOISE,
    metavar="RATE",
)
@_setting("--ar", help="Penalty on the size of the last layer's output.", section=NOISE, metavar="X")
@_setting("--tar", help="Penalty on its change from token to token.", section=NOISE, metavar="X")
@_setting(
    "-b", "--batch-size", help="Streams, or lines, side by side.", section=UPDATE, metavar="N", type=options.Whole(1)
)
@_setting("--bptt", help="Tokens that gradients reach back.", section=UPDATE, metavar="N", type=options.Whole(1))
@_setting("--bptt-every", help="Update every N tokens; default: every window.", section=UPDATE, metavar="N")
@_switch("--bptt-random", help="Draw the lengths of windows around --bptt.", section=UPDATE)
@_setting("--accumulate", help="Windows in one update.", section=UPDATE, metavar="N", type=options.Whole(1))
@_setting(
    "--shuffle/--no-shuffle",
    help="Draw lines in a new order every epoch; default: if the context is reset.",
    section=UPDATE,
)
@_setting(
    "--optimizer",
    help="sgd, adagrad, rmsprop, adam or adamw.",
    section=UPDATE,
    metavar="NAME",
    type=click.Choice(OPTIMIZERS),
)
@_setting("--momentum", help="Momentum of sgd and rmsprop.", section=UPDATE, metavar="X")
@_switch("--nesterov", help="Let the momentum of sgd look ahead.", section=UPDATE)
@_setting("--beta1", help="Decay of adam's mean gradient.", section=UPDATE, metavar="X")
@_setting(
    "--beta2",
    help="Decay of adam's and rmsprop's mean square; default: 0.999 and 0.99.",
    section=UPDATE,
    metavar="X",
    type=options.Real(0),
)
@_setting("--weight-decay", help="Pull of weights towards zero.", section=UPDATE, metavar="X")
@_setting("--clip", help="Longest gradient; 0 for no limit.", section=UPDATE, metavar="NORM")
@_setting("--clip-value", help="Largest element of a gradient.", section=UPDATE, metavar="X")
@_setting("--clip-step", help="Longest gradient of one step's state (slow).", section=UPDATE, metavar="NORM")
@_setting(
    "--lr",
    help="Learning rate; default: by optimizer.",
    section=RATE,
    metavar="X",
    type=options.Real(0, min_open=True),
)
@_setting("--direct-lr", help="Learning rate of --direct.", section=RATE, metavar="X", type=options.Real(0))
@_setting(
    "--schedule",
    help="constant, newbob, plateau, linear or cosine.",
    section=RATE,
    metavar="NAME",
    type=click.Choice(SCHEDULES),
)
@_setting("--warmup", help="Updates over which the rate rises.", section=RATE, metavar="N")
@_setting("--lr-factor", help="What newbob and plateau multiply the rate by.", section=RATE, metavar="X")
@_setting("--min-improvement", help="Ratio of entropies that newbob and plateau ask for.", section=RATE, metavar="X")
@_setting(
    "--average",
    help="Average weights over updates: none, ema or asgd.",
    section=RATE,
    metavar="NAME",
    type=click.Choice(AVERAGES),
)
@_setting("--average-decay", help="Share that an update leaves of ema's average.", section=RATE, metavar="X")
@_setting("--average-patience", help="Poor validations that start asgd's average.", section=RATE, metavar="N")
@_setting("--max-epochs", help="Passes over the text.", section=END, metavar="N", type=options.Whole(1))
@_setting("--validations", help="Validations an epoch.", section=END, metavar="N", type=options.Whole(1))
@_setting("--patience", help="Stop after N epochs without a better validation.", section=END, metavar="N")
@_setting("--target-ppl", help="Stop at a validation perplexity of X.", section=END, metavar="X")
@_setting(
    "--metric",
    help="Judge validations by ppl, or translations by bleu or chrf.",
    section=END,
    metavar="NAME",
    type=click.Choice(JUDGEMENTS),
)
@_setting(
    "--unk",
    help="Unknown words in the validation: count them as <unk>, or skip them.",
    section=END,
    metavar="HOW",
    type=click.Choice(UNKNOWNS),
)
@_setting("--hold-out", help="Validate on the last share of each TEXT.", section=END, metavar="RATE")
@_setting(
    "-s", "--seed", help="Seed of all random numbers.", section=RUN, metavar="N", type=options.Whole(0, 2**63 - 1)
)
@_setting("--init-range", help="Draw first weights from ±X; default: as suits each layer.", section=RUN, metavar="X")
@options.option(
    "--backend",
    section=RUN,
    type=click.Choice(["auto", "reference", "vendor", "bptt", "scan", "unfold"]),
    metavar="NAME",
    default="auto",
    help="How cells are driven: auto, reference, vendor, bptt, scan or unfold.",
)
@options.under(RUN, options.training_precision)
@options.option(
    "--deterministic", section=RUN, is_flag=True, help="On a GPU, take ways that give the same bits every time."
)
@options.option(
    "--graph/--no-graph", section=RUN, default=True, help="On a GPU, record an update once and replay it; as a rule."
)
@options.option(
    "--max-time", section=RUN, type=_Duration(), metavar="TIME", help="Save and stop after TIME (90s, 40m, 2h)."
)
@options.option(
    "--requeue-status",
    section=RUN,
    type=options.Whole(1, 255),
    metavar="N",
    default=REQUEUE,
    help="Status after --max-time, USR1 or USR2.",
)
@options.option(
    "--save-every", section=RUN, type=_Duration(), metavar="TIME", default="10m", help="Save between validations, too."
)
@options.option(
    "--procs", section=RUN, type=options.Whole(1, 1024), metavar="N", default=1, help="Train with N processes here."
)
@options.option(
    "--max-restarts",
    section=RUN,
    type=options.Whole(0),
    metavar="N",
    default=3,
    help="How often --procs begins again from the last state if one dies.",
)
@options.option(
    "--dist-timeout",
    section=RUN,
    type=_Duration(),
    metavar="TIME",
    default="5m",
    help="Give up other processes that do not answer for TIME.",
)
@options.option("--watch", section=RUN, is_flag=True, help="Measure the gradient by lag at validations.")
@options.option(
    "--tensorboard",
    section=RUN,
    type=options.type_of_file,
    metavar="LOGDIR",
    help="Write the course for TensorBoard into LOGDIR, too.",
)
@options.option("--explain", section=RUN, is_flag=True, help="Say how the network is computed.")
@options.option("--dry-run", section=RUN, is_flag=True, help="Say what would be trained, and stop.")
@options.option("--force", section=RUN, is_flag=True, help="Begin again in place of another run.")
@options.device
@options.threads
@options.config
@options.quiet
@options.verbose
@options.color
@options.text
def command(**given: Any) -> int | None:
    """Train a recurrent language model on TEXT, one sentence per line.

    Writes a run directory: best.rnn and last.rnn, models; metrics.jsonl, the course of the run; config.toml, all settings;
    and states from which the same command goes on after any interruption.  TEXT may be FILE@WEIGHT:FRACTION: each token
    counts WEIGHT times, each epoch draws FRACTION of the lines.  Memory grows with the network and the window, not with
    TEXT, which is kept on disk as ids.

    Examples:
      rnntool train -V words.tsv --valid valid.txt -o run train.txt
      rnntool train -V words.tsv --hold-out 0.1 --arch gru:100 -o run news.gz
    """
    _check_pairs(given)
    settings, network, training = _resolve(given)
    given = _with_sides(given)
    if given["src"]:
        given = {**given, "text": given["tgt"], "valid": given["valid_tgt"]}
    if not given["valid"] and not training.hold_out:
        name, text = ("--valid-tgt", "--tgt") if given["src"] else ("--valid", "TEXT")
        if given["tsv"]:
            name, text = "--valid-tsv", "--tsv"
        raise OptionError(name, "a validation text is needed", f"--hold-out 0.05, to take it from the end of {text}")
    if given["valid"] and training.hold_out:
        raise OptionError("--hold-out", f"{given['valid'][0]} is the validation text already; leave out one of them")
    inputs = [*given["text"], *given["valid"], given["vocab"], given["src_vocab"]]
    for name in ("", "valid_"):
        if not given[f"{name}tsv"]:  # which is both sides
            inputs += given[f"{name}src"]
    if inputs.count("-") > 1:
        raise OptionError("", "the standard input can be read only once, as TEXT, --valid or --vocab")
    if given["vocab"] is None and given["init"] is None:
        raise OptionError("--vocab", "a vocabulary is needed", "rnntool vocab -o words.tsv TEXT")
    if training.init_range and given["init"] is not None:
        raise OptionError("--init-range", f"the first weights are those of {given['init']}")
    is_set = training.direct_lr != _DEFAULTS["direct_lr"]
    if is_set and network.parsed_direct is None and given["init"] is None:
        raise OptionError("--direct-lr", "there are no direct weights", "--direct 10M:3")
    if training.label_smoothing and network.parsed_output.kind in NOT_SMOOTHED:
        raise OptionError("--label-smoothing", f"--output {network.output} does not meet the other words in training")
    ranks = _ranks(given, training)
    if given["procs"] > ranks.size and not given["dry_run"]:
        command = [sys.executable, "-m", "rnntool", *click.get_current_context().find_root().obj]
        limits = {name: given[name] for name in ("procs", "max_restarts")}
        return supervisor.supervise(command, given["out"], **limits)
    with stopping(given["out"], given["requeue_status"]) as stop:
        _carry_out(given, settings, network, training, stop, ranks)
    return None


def _ranks(given: dict[str, Any], training: TrainingConfig) -> Ranks:
    """Which of several processes this is, if there are, or will be, several."""
    ranks = launch.ranks_of(os.environ, patience=given["dist_timeout"])
    size = max(given["procs"], ranks.size)
    if ranks.size > 1 and given["procs"] not in (1, ranks.size):
        raise OptionError("--procs", f"{given['procs']}, and this is one of {ranks.size} processes already")
    if size == 1:
        return ranks
    if training.batch_size < size and not training.batch_tokens:
        what = f"{training.batch_size} columns cannot be divided among {size} processes"
        raise OptionError("--batch-size", what, f"--batch-size {size}, or fewer processes")
    for name in ("vocab", "src_vocab", "init"):
        if given[name] == "-":
            raise OptionError(
                f"--{name.replace('_', '-')}", "every process reads it; the standard input has one", "a file"
            )
    return ranks


def _check_pairs(given: dict[str, Any]) -> None:
    """Refuse options of pairs that contradict each other, or of which a part is missing."""
    is_judged = given["metric"] in ("bleu", "chrf")
    for both in ("tsv", "valid_tsv"):
        for name in (both.replace("tsv", "src"), both.replace("tsv", "tgt")):
            if given[both] and given[name]:
                spelled = [f"--{each.replace('_', '-')}" for each in (name, both)]
                raise OptionError(spelled[0], f"{spelled[1]} has both sides; leave out one of them")
    if not _has_sources(given):
        for name in ("tgt", "valid_src", "valid_tgt", "valid_tsv", "src_vocab"):
            if given[name]:
                raise OptionError(
                    f"--{name.replace('_', '-')}", "is for pairs, whose sources are not named", "--src FILE"
                )
        if given["encoder"] not in (None, "none"):
            raise OptionError("--encoder", "there is nothing to read", "--src FILE --tgt FILE")
        if given["preset"] in FOR_PAIRS:
            raise OptionError("--preset", f"{given['preset']} is for pairs", "--src FILE --tgt FILE")
        if is_judged:
            raise OptionError("--metric", f"{given['metric']} is of translations; language models have ppl")
        if given["subword_sampling"]:
            raise OptionError(
                "--subword-sampling", "is for pairs", "rnntool encode --sample, for a language model's text"
            )
        return
    if given["text"] != ("-",):
        raise OptionError(
            "--tsv" if given["tsv"] else "--src", "pairs have their targets in --tgt; TEXT is for language models"
        )
    if given["valid"]:
        raise OptionError("--valid", "pairs are validated on pairs", "--valid-src FILE --valid-tgt FILE")
    for sources, targets in (("src", "tgt"), ("valid_src", "valid_tgt")):
        if len(given[sources]) != len(given[targets]):
            names = (f"--{name.replace('_', '-')}" for name in (sources, targets))
            raise OptionError(" and ".join(names), f"{len(given[sources])} files and {len(given[targets])}")
    if given["encoder"] == "none":
        raise OptionError("--encoder", "somebody must read --src")
    if is_judged:
        for name in ("valid_tsv", "valid_src", "valid_tgt"):
            if "-" in given[name]:
                what = (
                    f"its lines are compared by --metric {given['metric']}, and must be there again for a resumed run"
                )
                raise OptionError(f"--{name.replace('_', '-')}", what, "a file")
        if not given["valid_tsv"] and not given["valid_tgt"]:
            what = f"{given['metric']} compares with a validation text of its own"
            raise OptionError("--metric", what, "--valid-src FILE --valid-tgt FILE")
    unfit = {**{name: given[name] for name in ("clip_step", "bptt_every", "watch")}, "unk": given["unk"] == "skip"}
    for name, is_asked in unfit.items():
        if is_asked:
            raise OptionError(f"--{name.replace('_', '-')}", "is for language models; leave it out with --src")


def _with_sides(given: dict[str, Any]) -> dict[str, Any]:
    """The same, where files of pairs stand for either side."""
    sides = dict(given)
    for name in ("", "valid_"):
        if given[f"{name}tsv"]:
            sides[f"{name}src"] = sides[f"{name}tgt"] = given[f"{name}tsv"]
    return sides


def _has_sources(given: dict[str, Any]) -> bool:
    """Whether what is trained on are pairs."""
    return bool(given["src"] or given["tsv"])


def _carry_out(
    given: dict[str, Any],
    settings: dict[str, Any],
    network: NetworkConfig,
    training: TrainingConfig,
    stop: StopRequest,
    ranks: Ranks,
) -> None:
    """Import torch and train, or rehearse it."""
    supervisor.follow_leash()
    device = compute.prepare(given["threads"], given["device"], deterministic=given["deterministic"], ranks=ranks)
    from rnntool.cli import training as carry_out
    from rnntool.train.job import Job

    job = Job(
        directory=given["out"],
        texts=given["text"],
        valid=given["valid"],
        vocabulary=given["vocab"],
        sources=given["src"],
        valid_sources=given["valid_src"],
        source_vocabulary=given["src_vocab"],
        has_pairs=bool(given["tsv"]),
        valid_has_pairs=bool(given["valid_tsv"]),
        init=given["init"],
        network=network,
        fixed=tuple(f.name for f in fields(NetworkConfig) if given[f.name] is not None),
        training=training,
        settings=settings,
        backend=given["backend"],
        precision=given["precision"],
    )
    manner = carry_out.Manner(
        device=device,
        max_time=given["max_time"],
        save_every=given["save_every"],
        watch=given["watch"],
        graph=given["graph"],
        explain=given["explain"],
        force=given["force"] and not launch.restarts_of(os.environ),  # which is for the first start
        environment=environment.describe(os.environ, ranks, str(device)),
        tensorboard=given["tensorboard"],
    )
    if given["dry_run"]:
        carry_out.rehearse(job, manner)
    else:
        carry_out.run(job, manner, stop, ranks)


def _resolve(given: dict[str, Any]) -> tuple[dict[str, Any], NetworkConfig, TrainingConfig]:
    """What is in force: the command line, then the preset, then the defaults of the configuration.

    A preset is as strong as where it is named: typed beside a configuration file, it is stronger than the file.

    Returns:
        The settings as config.toml spells them, and the two configurations.
    """
    preset = PRESETS[given["preset"]] if given["preset"] else {}
    defaults = PAIR_DEFAULTS if _has_sources(given) else DEFAULTS
    source = click.get_current_context().get_parameter_source
    is_typed = source("preset") is ParameterSource.COMMANDLINE
    values: dict[str, Any] = {}
    for name, default in _DEFAULTS.items():
        chosen = given.get(name)
        if is_typed and name in preset and source(name) is ParameterSource.DEFAULT_MAP:
            chosen = None
        if chosen is None:
            chosen = preset.get(name, defaults.get(name, default))
        values[name] = chosen
    if given["attend_with"] is None and not values["link"].startswith("attention"):
        values["attend_with"] = ""  # a preset's, which nobody asks for
    network = NetworkConfig(**{f.name: values[f.name] for f in fields(NetworkConfig)})
    training = TrainingConfig(**{f.name: values[f.name] for f in fields(TrainingConfig)})
    network.check()
    training.check()
    if given["init"] is not None:  # the network is the model's, whatever the defaults are
        for field in fields(NetworkConfig):
            if given[field.name] is None:
                del values[field.name]
    others = {name: given[name] for name in sorted(given) if name not in _DEFAULTS and name not in _INERT}
    keys = {**others, **values, "lr": training.rate}
    settings = {name.replace("_", "-"): value for name, value in keys.items() if value not in (None, "")}
    return settings, network, training
