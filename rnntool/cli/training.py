"""What `rnntool train` does once its command line is understood.

The part of the command that needs torch.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch

from rnntool.checkpoint.model import Model
from rnntool.checkpoint.run import RunDirectory
from rnntool.cli import report
from rnntool.cli.launch import is_supervised
from rnntool.cli.progress import watching
from rnntool.cli.supervisor import LOST
from rnntool.config.ranks import ALONE, Ranks
from rnntool.data.batch import Batches
from rnntool.data.pairs import PairBatches
from rnntool.errors import Diverged, Lost, Stopped
from rnntool.models.parts import plans
from rnntool.nn.precision import product_dtype
from rnntool.train import job as jobs
from rnntool.train.job import Job, Texts
from rnntool.train.judge import Judge
from rnntool.train.loop import Trainer
from rnntool.train.progress import Observer, Silent, StopRequest
from rnntool.train.spending import Stopwatch, expect
from rnntool.train.team import Team, join
from rnntool.train.tensorboard import Board


@dataclass(frozen=True)
class Manner:
    """How a run is carried out: what changes nothing that it computes.

    Args:
        device: where.
        max_time: seconds until it stops, to be queued again; None for no limit.
        save_every: seconds between states outside validations.
        watch: whether validations measure the gradient by lag.
        graph: whether a GPU records an update and replays it.
        explain: whether to say how the network is computed.
        force: whether another run in the directory is removed.
        environment: where it takes place, for the record.
        tensorboard: directory for TensorBoard's event files; None for none.
    """

    device: torch.device
    max_time: float | None
    save_every: float
    watch: bool
    graph: bool
    explain: bool
    force: bool
    environment: Mapping[str, Any]
    tensorboard: str | None


def run(job: Job, manner: Manner, stop: StopRequest, ranks: Ranks = ALONE) -> None:
    """Train, or go on training, or say that it is done; with others, if this is one of several processes."""
    if ranks.rank > 0:
        report.manner.program += f": rank {ranks.rank}"
    try:
        team = join(ranks, manner.device)
        try:
            (_lead if team.is_leader else _follow)(job, manner, stop, team)
        except (Stopped, Diverged) as error:  # all ranks alike
            team.leave()
            if team.is_leader:
                raise
            raise SystemExit(error.status) from None
        team.leave()
    except Lost:
        if is_supervised():
            raise SystemExit(LOST) from None
        raise


def _lead(job: Job, manner: Manner, stop: StopRequest, team: Team) -> None:
    """All of a run that one process does, and this one's part of the rest."""
    directory = jobs.open_run(job, force=manner.force)
    try:
        if directory.finished and not manner.force:
            team.tell(lambda: {"is_open": False})
            directory.drop_corpus()  # a kill may have come in between
            directory.check_models()
            report.say(f"already finished: {directory.finished}; {directory.best}")
            return
        model = jobs.load_network(job)
        texts = jobs.open_texts(job, model, directory)
        jobs.begin(job, directory, force=manner.force)
        team.tell(lambda: {"is_open": True})
        job, model, batches = _ready(job, model, texts, manner)
        judge = jobs.build_judge(job, model)
        _introduce(job, model, texts, batches)
        if team.size > 1:
            report.say(f"processes {team.size}, each with a part of every batch of {job.training.batch_size}")
        if manner.explain:
            _explain(job, model, texts, batches.num_batches, manner.device)
        with _watched(job, manner) as view:
            trainer = _trainer(job, model, texts, batches, directory, manner, stop, team, view, judge)
            reason = trainer.train()
        directory.drop_corpus()
        directory.check_models()
        if manner.explain:
            _account(trainer.stopwatch)
        best = f"perplexity {math.exp(trainer.schedule.best):.2f}"
        if judge is not None:
            best = f"{judge.metric} {100 - trainer.schedule.best:.2f}"
        report.say(f"finished: {reason}; validation {best}; {directory.best}")
    finally:
        if not directory.has_run:
            directory.abandon()
        directory.release()


@contextlib.contextmanager
def _watched(job: Job, manner: Manner) -> Iterator[Observer]:
    """Whoever watches the run: a person, and TensorBoard if it is asked for."""
    with watching(job.training.max_epochs) as view:
        if manner.tensorboard is None:
            yield view
            return
        with contextlib.closing(Board(manner.tensorboard, view)) as board:
            yield board


def _follow(job: Job, manner: Manner, stop: StopRequest, team: Team) -> None:
    """Another process's part of a run: nothing is written, and nothing said but errors."""
    report.manner.quiet = True
    if not team.tell(dict)["is_open"]:
        return
    directory = RunDirectory(job.directory)
    model = jobs.load_network(job)
    texts = jobs.open_texts(job, model, directory, are_there=True)
    job, model, batches = _ready(job, model, texts, manner)
    _trainer(job, model, texts, batches, directory, manner, stop, team, Silent()).train()


def _ready(job: Job, model: Model, texts: Texts, manner: Manner) -> tuple[Job, Model, Batches]:
    """What follows from the texts: settings that depend on their size, where the model comes from, batches."""
    job = jobs.settled(job, model.network, texts.train)
    model = replace(model, provenance=_provenance(job, texts))
    model.network.to(manner.device)
    return job, model, _batches(job, model, texts, manner)


def _trainer(
    job: Job,
    model: Model,
    texts: Texts,
    batches: Batches,
    directory: RunDirectory,
    manner: Manner,
    stop: StopRequest,
    team: Team,
    observer: Observer,
    judge: Judge | None = None,
) -> Trainer:
    return Trainer(
        model,
        job.training,
        batches=batches,
        valid=texts.valid,
        valid_source=texts.valid_source,
        judge=judge,
        run=directory,
        device=manner.device,
        precision=job.precision,
        save_every=manner.save_every,
        max_time=manner.max_time,
        watch=manner.watch,
        graph=manner.graph,
        observer=observer,
        stop=stop,
        team=team,
        environment=manner.environment,
    )


def rehearse(job: Job, manner: Manner) -> None:
    """Say what would be trained; write nothing."""
    import tempfile

    model = jobs.load_network(job, without_weights=True)
    with tempfile.TemporaryDirectory(prefix="rnntool-") as place:
        texts = jobs.open_texts(job, model, RunDirectory(place))
        job = jobs.settled(job, model.network, texts.train)
        batches = _batches(job, model, texts, manner)
        num_batches = batches.num_batches
        _introduce(job, model, texts, batches)
        if manner.explain:
            _explain(job, model, texts, num_batches, manner.device)
    size, config = model.network.num_parameters, job.training
    num_direct = model.network.num_direct
    adam = 3 + bool(config.beta1)
    copies = {"sgd": 2 + bool(config.momentum), "adagrad": 3, "rmsprop": 3, "adam": adam, "adamw": adam}
    numbers = (size - num_direct) * copies[config.optimizer] + 2 * num_direct + size * (config.average != "none")
    steps = num_batches // config.accumulate * config.max_epochs
    report.say(f"weights, gradients and optimiser {4 * numbers / 2**20:.1f} MiB; {steps} updates at most")


def _batches(job: Job, model: Model, texts: Texts, manner: Manner) -> Batches:
    eos_id = model.vocabulary.eos_id
    return jobs.build_batches(
        job.training,
        model.config.context,
        texts.train,
        eos_id,
        manner.device,
        texts.train_source,
        (model.source_vocabulary, model.vocabulary),
    )


def _introduce(job: Job, model: Model, texts: Texts, batches: Batches) -> None:
    """One line on the network, one on the data, and one on what is left out, if there is any."""
    config, train, valid = model.config, texts.train, texts.valid
    source = "" if config.encoder == "none" else f"encoder {config.encoder} link {config.link} "
    report.say(
        f"network {config.arch} {source}parameters {model.network.num_parameters} vocabulary {len(model.vocabulary)} "
        f"context {config.context} dropout {job.training.dropout:g}"
    )
    report.say(
        f"training {train.num_tokens} tokens {train.num_lines} lines {batches.num_batches} "
        f"{'windows' if texts.train_source is None else 'batches'} an epoch; "
        f"validation {valid.num_tokens} tokens {valid.num_lines} lines"
    )
    if isinstance(batches, PairBatches) and (left_out := batches.num_left_out):
        longest = job.training.max_length
        report.say(f"left out {left_out} pairs with a side of more than {longest} tokens; --max-length 0 takes all")


def _explain(job: Job, model: Model, texts: Texts, num_batches: int, device: torch.device) -> None:
    """How each layer is driven, and why so; and what an update is expected to cost."""
    network, config = model.network, job.training
    for name, plan in plans(network, device).items():
        report.say(f"{name}: {plan.backend}: {plan.reason}")
    dtype = product_dtype(job.precision, device)
    lowest = "bfloat16" if dtype is torch.bfloat16 else "float32"
    report.say(f"output: {model.config.output}, fused with the loss, in blocks; evaluation in float32")
    if (direct := model.config.parsed_direct) is not None:
        what = f"{direct.size} weights of n-grams up to {direct.order}, in plain steps of {config.direct_lr:g} a token"
        report.say(f"direct: {what}")
    source_tokens = 0.0
    tokens: float = config.batch_size * (config.bptt_every or config.bptt) * config.accumulate
    if texts.train_source is not None:
        tokens = texts.train.num_tokens / num_batches * config.accumulate
        source_tokens = texts.train_source.num_tokens / num_batches * config.accumulate
    cost = expect(
        network,
        model.vocabulary.counts,
        num_tokens=tokens,
        num_source_tokens=source_tokens,
        dtype=dtype,
        device=device,
    )
    parts = {"source": cost.source_gflop, "layers": cost.layers_gflop, "output layer": cost.output_gflop}
    for part, gflop in parts.items():
        if not gflop:
            continue
        share = gflop / sum(parts.values())
        milliseconds = 1000 * gflop / cost.gflops
        report.say(f"expected an update: {part}: {gflop:.3g} GFLOP, {share:.0%}, {milliseconds:.3g} ms at full speed")
    report.say(f"full speed: {cost.gflops:.0f} GFLOP/s, products of {lowest} measured just now")


def _account(stopwatch: Stopwatch) -> None:
    """What the run's time was spent on."""
    for part, seconds, share in stopwatch.shares():
        report.say(f"spent: {part}: {seconds:.3g} s, {share:.0%}")


def _provenance(job: Job, texts: Texts) -> dict[str, object]:
    """What the model file says of where it comes from: settings, versions, data."""
    data = jobs.data_facts("train", texts.train) + jobs.data_facts("valid", texts.valid)
    data += jobs.data_facts("train source", texts.train_source) + jobs.data_facts("valid source", texts.valid_source)
    settings = {**job.settings, "dropout": job.training.dropout}
    return {"settings": settings, "torch": torch.__version__, "data": data}
