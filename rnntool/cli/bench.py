"""`rnntool bench`: how fast this machine trains and writes, as ratios."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial

import click

from rnntool.cli import compute, figure, options, report
from rnntool.config.network import NetworkConfig
from rnntool.config.training import OPTIMIZERS, TrainingConfig
from rnntool.errors import OptionError

CASES = ("train", "head", "generate", "batch", "translate")
FOR_TEXTS = ("train", "head", "generate", "batch")
FOR_PAIRS = ("train", "head", "translate")

SHAPE = "Shape"


@options.command("bench")
@options.option("--arch", section=SHAPE, metavar="ARCH", default="lstm:200", help="Recurrent layers; rnntool-arch(5).")
@options.option(
    "--encoder", section=SHAPE, metavar="ENCODER", default="none", help="What reads sources, as in rnntool train."
)
@options.option("--output", section=SHAPE, metavar="LAYER", default="full", help="Output layer, as in rnntool train.")
@options.option(
    "--vocab-size",
    section=SHAPE,
    type=options.Whole(3),
    metavar="N",
    default=10_000,
    help="Words; the r-th occurs in proportion to 1/r.",
)
@options.under(SHAPE, options.batch_size(20, help="Streams side by side in training."))
@options.option("--bptt", section=SHAPE, type=options.Whole(1), metavar="N", default=35, help="Tokens of a window.")
@options.option(
    "--optimizer",
    section=SHAPE,
    type=click.Choice(OPTIMIZERS),
    metavar="NAME",
    default="sgd",
    help="As in rnntool train.",
)
@options.under(SHAPE, options.training_precision)
@options.under(SHAPE, options.vocabulary(required=False, help="Words and counts of a vocabulary."))
@options.option("--plot", type=options.type_of_file, metavar="FILE", help="Draw the speeds: .png, .svg or .pdf.")
@options.option("--rounds", type=options.Whole(1), metavar="N", default=7, help="Times that each is measured.")
@options.seed(1)
@options.device
@options.threads
@options.quiet
@options.verbose
@options.color
@click.argument("case", nargs=-1, type=click.Choice(CASES), metavar="[CASE]...")
def command(
    arch: str,
    encoder: str,
    output: str,
    vocab_size: int,
    batch_size: int,
    bptt: int,
    optimizer: str,
    precision: str,
    vocab: str | None,
    plot: str | None,
    rounds: int,
    seed: int,
    device: str,
    threads: int | None,
    case: tuple[str, ...],
) -> None:
    """Measure how fast networks are trained and used here.

    CASE is train (a training step, against stock torch), head (the loss, against its three products), generate (one text,
    against stock torch) or batch (64 texts); all without one.  With --encoder, train is a step on pairs, with attention and
    input feeding, and translate (greedily, and with a beam) stands in place of the last two.  Writes one JSON object for
    each measurement.  What is compared takes turns.  Quiet machines measure well: on one thread the time is the
    processor's, else the clock's.

    Examples:
      rnntool bench -j 1 --arch lstm:200 train
      rnntool bench --arch gru:200 train head | jq .speedup
    """
    figure.check_name("--plot", plot)
    network = NetworkConfig(arch, output=output)
    if encoder != "none":
        network = replace(
            network, encoder=encoder, link="attention:mlp", attend_with="cur", input_feeding=True, context="reset"
        )
    network.check()
    fit = FOR_TEXTS if encoder == "none" else FOR_PAIRS
    for name in case:
        if name not in fit:
            what = "needs something that reads sources" if name in FOR_PAIRS else "is for networks without an encoder"
            raise OptionError("--encoder", f"{name} {what}", *(["--encoder bi-gru:256"] if name in FOR_PAIRS else []))
    counts = _counts(vocab, vocab_size)
    training = TrainingConfig(batch_size=batch_size, bptt=bptt, optimizer=optimizer, dropout=0.0, seed=seed)
    place = compute.prepare(threads, device)
    from rnntool.bench.cases import CASES as functions
    from rnntool.bench.workload import Workload
    from rnntool.nn.precision import product_dtype

    workload = Workload(network, training, counts, seed)
    dtype = product_dtype(precision, place)
    records = []
    with report.output() as out:
        for name in case or fit:
            for record in functions[name](workload, place, dtype, rounds):
                records.append(record)
                out.write(json.dumps(record) + "\n")
                out.flush()
    if plot is not None:
        figure.write_figure(partial(figure.bars, records), plot, option="--plot", otherwise="no --plot")


def _counts(vocabulary: str | None, vocab_size: int) -> tuple[float, ...]:
    """How often each word occurs: as a vocabulary says, else as Zipf's law does."""
    if vocabulary is None:
        return tuple(vocab_size / rank for rank in range(1, vocab_size + 1))
    from rnntool.text.vocabulary import read_vocabulary

    counts = read_vocabulary(vocabulary).counts
    if not any(counts):
        raise OptionError("--vocab", f"{vocabulary} does not say how often its words occur", "--vocab-size")
    return tuple(float(count) for count in counts)
