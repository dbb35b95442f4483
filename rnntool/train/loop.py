"""The training loop: batches in, updates of a network, and a run directory from which it can be taken up again.

Everything that the next update depends on is in a state file (`rnntool.train.state`): weights, the optimiser's and the
average's tensors, the carried hidden state, the place in the data, what the schedule remembers, the sums of the current
report.  Noise and order are functions of the seed and the place.  A run that was killed anywhere ends with the same bytes.
"""

from __future__ import annotations

import contextlib
import math
import time
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from rnntool.checkpoint.model import Model, save_model
from rnntool.checkpoint.run import Metrics, RunDirectory
from rnntool.config.training import TrainingConfig
from rnntool.data.batch import Batch, Batches, Position
from rnntool.errors import Diverged, ModelError, OutputError, RnntoolWarning, Stopped
from rnntool.nn.precision import product_dtype
from rnntool.text.corpus import Corpus
from rnntool.train.average import Average
from rnntool.train.judge import Judge
from rnntool.train.optimizer import build_optimizer, measure_gradients, plan_rows, takes_rows
from rnntool.train.progress import GivenUp, Observer, StopRequest
from rnntool.train.recording import build_recorder, working_stream
from rnntool.train.schedule import Schedule
from rnntool.train.spending import Stopwatch
from rnntool.train.state import Place, Sums, load_state, save_state
from rnntool.train.team import Alone, Team
from rnntool.train.validation import Validation
from rnntool.train.watch import gradient_by_lag
from rnntool.train.windows import Windows

REPORTS_PER_EPOCH = 20

DIVERGED = 20.0
"""A mean loss so many nats above that of guessing evenly among all words will not come back."""

FAILED_SAVES = 3
"""So many saves between validations may fail, one after the other, before the run gives up."""


@dataclass(frozen=True)
class Wish:
    """What is to be done after an update.

    Args:
        status: of a stop, None if the run is to go on.
        reason: of the stop.
        save: whether it is time to.
    """

    status: int | None = None
    reason: str = ""
    save: bool = False


class Trainer:
    """One run.

    Args:
        model: the network to train, with its configuration, vocabulary and provenance.
        config: the settings.
        batches: the training data.
        valid: the validation text as ids.
        valid_source: what its lines are conditioned on; None for a language model.
        judge: what scores translations of the validation text; None where perplexity decides.
        run: where everything goes; created and locked, by the team's leader.
        device: where the network is.
        precision: of products, one of `rnntool.nn.precision.PRECISIONS`.
        save_every: seconds between states outside validations.
        max_time: seconds after which this sitting ends, as one that is to be queued again; None for no limit.
        watch: whether every validation measures the gradient by lag.
        graph: whether a GPU records an update and replays it.
        observer: who is told.
        stop: who may ask for an end.
        team: the processes that train together; None for this one alone.
        environment: where the run takes place, for the record.
    """

    def __init__(
        self,
        model: Model,
        config: TrainingConfig,
        *,
        batches: Batches,
        valid: Corpus,
        valid_source: Corpus | None = None,
        judge: Judge | None = None,
        run: RunDirectory,
        device: torch.device,
        precision: str = "auto",
        save_every: float = 600.0,
        max_time: float | None = None,
        watch: bool = False,
        graph: bool = True,
        observer: Observer,
        stop: StopRequest,
        team: Team | None = None,
        environment: Mapping[str, Any] | None = None,
    ) -> None:
        self.model = model
        self.network = model.network
        self.config = config
        self.batches = batches
        self.validation = Validation(model, config, valid, valid_source, judge, observer=observer, stop=stop)
        self.run = run
        self.save_every = save_every
        self.max_time = max_time
        self.watch = watch
        self.observer = observer
        self.stop = stop
        self.team = team or Alone()
        self.environment = dict(environment or {})

        self.parameters = dict(self.network.named_parameters())
        rows, is_sparse = plan_rows(config, self.network)
        self.optimizer = build_optimizer(config, self.parameters.values(), rows, self.network.direct_table)
        self.schedule = Schedule(config)
        self.average = Average(config, self.parameters)
        self.best_weights: dict[str, Tensor] = {}
        self.place = Place()

        self.stopwatch = Stopwatch()
        self.windows = Windows(
            self.network,
            config,
            device=device,
            dtype=product_dtype(precision, device),
            sparse=is_sparse and takes_rows(config, self.network),
            stopwatch=self.stopwatch,
        )
        can_record = graph and self.team.size == 1
        self._recorder = build_recorder(
            self.network,
            config,
            self.optimizer,
            noise=self.windows.noise,
            dtype=self.windows.dtype,
            is_wanted=can_record,
        )
        self._report_every = max(1, batches.num_batches // config.accumulate // REPORTS_PER_EPOCH)
        self.kept: dict[str, str] = {}  # the hashes of the models that were written
        self._failed_saves = 0
        self._agreed = Wish()  # what all ranks have heard of

    # --- the loop ----------------------------------------------------------------------------------------------------

    def train(self) -> str:
        """Train to the end and return why it ended.

        Raises:
            Stopped: the run was asked to stop, or its time is up; everything is saved.
            TrainingError: it diverged or ran out of memory; the last good state and model are kept.
        """
        is_resumed = load_state(self)
        if not self.place.finished:
            if not self.team.is_leader:
                self._train(is_resumed)
                return self.place.finished
            self._metrics = Metrics(self.run.metrics)
            try:
                self._train(is_resumed)
            finally:
                self._metrics.close()
        return self.place.finished

    def _train(self, is_resumed: bool) -> None:
        """From where the run is to its end."""
        self.observer.began(resumed_at=self.place.step if is_resumed else None)
        if not is_resumed:
            self._save()
        self._began = self._tick = self._saved = time.monotonic()
        self.stop.is_heard = True
        self.stopwatch.start()
        with working_stream(self.network.embedding.device):
            if self.place.is_due:  # a validation that was given up
                self._settle()
            while not self._is_over:
                before = self.place.step
                self._epoch()
                if self.place.step == before:
                    what = "its state names a place that is not in the text"
                    raise ModelError(self.run.path, what, "--force, to begin again")

    @property
    def _is_over(self) -> bool:
        return bool(self.place.finished)

    def _epoch(self) -> None:
        """The rest of the current epoch."""
        group: list[Batch] = []
        for batch in self.batches.batches(self.place.position):
            group.append(self.team.share(batch))
            if len(group) < self.config.accumulate and not batch.ends_epoch:
                continue
            before = self.place.progress
            self.stopwatch.lap("data")
            self._update(group)
            group = []
            marks = self.config.validations
            self.place.is_due = int(self.place.progress * marks) > int(before * marks)
            self._settle()
            if self._is_over:
                return

    def _settle(self) -> None:
        """Between two updates: validate or report where that is due; then stop if asked to, or save if it is time."""
        if self.place.is_due:
            with contextlib.suppress(GivenUp):  # somebody wishes to stop
                self._validate()
        elif self.place.sums.updates >= self._report_every:
            self._write(self._record())
        if not self._is_over:
            self._pause()
        self.stopwatch.lap("validation and saving")

    def _update(self, group: list[Batch]) -> None:
        """One update from a group of windows."""
        config, place = self.config, self.place
        lr = self.schedule.rate(progress=place.progress, step=place.step)
        if config.bptt_random:
            lr *= sum(len(batch.targets) for batch in group) / len(group) / config.bptt  # Merity et al. 2018, §5
        self.optimizer.lr = lr
        tokens = sum(batch.num_tokens for batch in group)
        nll, norm, divisor = self._gradients(group, tokens, lr)
        self._check_sound(nll / tokens, norm, lr)
        if divisor is not None:
            self.optimizer.step(divisor)
        self.average.update()
        self.stopwatch.lap("update")

        seconds = self._elapse()
        place.step += 1
        place.windows += len(group)
        place.tokens += tokens
        place.position = group[-1].then
        place.progress = place.position.epoch + (0.0 if group[-1].ends_epoch else group[-1].progress)
        sums = place.sums
        sums.nll += nll
        sums.tokens += tokens
        sums.updates += 1
        sums.clipped += int(bool(config.clip) and norm > config.clip)
        sums.grad_norm += norm
        sums.seconds += seconds
        sums.lr = lr
        self.observer.stepped(progress=place.progress, loss=sums.nll / sums.tokens, tokens_per_second=sums.speed, lr=lr)

    def _gradients(self, group: list[Batch], tokens: int, lr: float) -> tuple[float, float, Tensor | None]:
        """Take the gradients of a group of windows: its Σ −log P, their norm, and what they are to be divided by.

        None if a recording has made the whole update.
        """
        windows, first = self.windows, self.place.windows
        windows.begin(group[0])
        recording = self._recorder.recording_of(group, windows.carried) if windows.num_parts == 1 else None
        if recording:
            windows.seed(first)
            found, windows.carried = recording(group[0], windows.carried, lr)
            nll, norm = found.tolist()
            return nll, norm, None
        nll = windows.backward_all(group, first, self.run.path, self.place.step + 1)
        if self.team.size > 1:
            nll = nll.new_tensor(self._add_up(float(nll)))
        norm, divisor = measure_gradients(
            self.optimizer.parameters, tokens=tokens, norm=self.config.clip, value=self.config.clip_value
        )
        return *torch.stack([nll, norm]).tolist(), divisor

    def _add_up(self, nll: float) -> float:
        """Make the gradients those of all ranks, agree on what comes next, and return the sum of all −log P."""
        own = self._wish()
        found = self.team.add_up(self.parameters.values(), [nll, float(own.save), float(own.status or 0)])
        status, rank = max((int(status), rank) for rank, (_, _, status) in enumerate(found))
        reason = own.reason or f"rank {rank} was asked to"
        self._agreed = Wish(status or None, reason, save=bool(found[0][1]))
        return sum(nll for nll, _, _ in found)

    # --- validations and reports -------------------------------------------------------------------------------------

    def _validate(self) -> None:
        """Validate, keep what is best, decide how to go on, and save.

        Raises:
            GivenUp: the run is asked to stop before the figures are known; nothing has changed, and it is still due.
        """
        with self.average.in_place():
            found = self.team.tell(self._judged)
            if "given_up" in found:
                if self.team.size > 1:
                    self._agreed = Wish(found["given_up"], self.stop.reason or "rank 0 was asked to")
                raise GivenUp
            nll = found["valid_nll"]
            if not self._is_sound(nll):
                raise self._diverged(f"validation loss is {nll:.4g} after update {self.place.step}", nll)
            error = nll if self.config.metric == "ppl" else 100 - found[f"valid_{self.config.metric}"]
            self._elapse()
            verdict = self.schedule.observe(nll, error)
            self._keep(found, verdict.is_best)
        self.average.observe(error)
        self._remember_best(verdict.is_best, verdict.roll_back)
        self.place.is_due = False
        if verdict.stop:
            self.place.finished = verdict.stop
        elif self.place.position.epoch >= self.config.max_epochs:
            self.place.finished = (
                f"{self.config.max_epochs} epoch{'s are' if self.config.max_epochs > 1 else ' is'} done"
            )
        self._save()
        self._elapse()

    def _judged(self) -> dict[str, Any]:
        """What the validation text says of the weights, as metrics.jsonl and model files name it.

        If it is given up, the status of the stop that was asked for instead.
        """
        try:
            tally = self.validation.tally()
            judged = self.validation.judged() if self._is_sound(tally.nll_per_token) else {}
        except GivenUp:
            return {"given_up": self.stop.status}
        return {"valid_nll": tally.nll_per_token, **self.validation.facts(tally), **judged}

    def _keep(self, found: dict[str, Any], is_best: bool) -> None:
        """Report a validation, and write its models, if this is the one that writes."""
        if not self.team.is_leader:
            self.place.sums = Sums()
            return
        counted = ("valid_tokens", "valid_sentences", "valid_unk")
        record = self._record() | {name: value for name, value in found.items() if name not in counted}
        record["best"] = is_best
        if self.watch:
            first = next(iter(self.batches.batches(Position())))
            record["grad_by_lag"] = gradient_by_lag(self.network, first.inputs, first.targets)
        self._write(record)
        model = replace(self.model, metrics=self._metrics_of(found))
        if is_best:
            self.kept["best.rnn"] = save_model(self.run.best, model)
        self.kept["last.rnn"] = save_model(self.run.last, model)

    def _remember_best(self, is_best: bool, roll_back: bool) -> None:
        """Keep the best weights where the schedule may return to them, and return to them if it does."""
        if self.config.schedule != "newbob":
            return
        if is_best:
            self.best_weights = {name: p.detach().clone() for name, p in self.parameters.items()}
        elif roll_back:
            with torch.no_grad():
                for name, weight in self.best_weights.items():
                    self.parameters[name].copy_(weight)

    def _record(self) -> dict[str, Any]:
        """A line for metrics.jsonl: how far the run is, and means over the updates since the last line."""
        place, sums = self.place, self.place.sums
        return {
            "step": place.step,
            "epoch": round(place.progress, 4),
            "tokens": place.tokens,
            "seconds": round(place.seconds, 3),
            "tokens_per_second": round(sums.speed),
            "lr": sums.lr,
            "train_nll": sums.nll / max(sums.tokens, 1),
            "grad_norm": sums.grad_norm / max(sums.updates, 1),
            "clipped": sums.clipped / max(sums.updates, 1),
        }

    def _write(self, record: dict[str, Any]) -> None:
        if self.team.is_leader:
            self._metrics.write(**record)
            self.observer.reported(record)
        self.place.sums = Sums()

    def _metrics_of(self, found: dict[str, Any]) -> dict[str, Any]:
        """What a model file says of how it did."""
        return {
            "step": self.place.step,
            "epoch": round(self.place.progress, 4),
            "tokens": self.place.tokens,
            **{name: value for name, value in found.items() if name != "valid_nll"},
        }

    def _elapse(self) -> float:
        """Seconds since the last call, which the run's clock counts."""
        now = time.monotonic()
        seconds, self._tick = now - self._tick, now
        self.place.seconds += seconds
        return seconds

    # --- saving and stopping -----------------------------------------------------------------------------------------

    def _save(self) -> None:
        try:
            metrics_length = self._metrics.length if self.team.is_leader else 0
            save_state(self, self.team.whole(self.windows.carried), metrics_length)
        except ModelError as error:  # a weight, or what the optimiser remembers, has become infinite
            raise self._diverged(f"after update {self.place.step} {error.what}", math.nan) from None
        self._saved = time.monotonic()
        self._failed_saves = 0

    def _wish(self) -> Wish:
        """What this process would do now."""
        now = time.monotonic()
        if self.stop.status is None and self.max_time is not None and now - self._began >= self.max_time:
            self.stop.status, self.stop.reason = self.stop.requeue_status, f"--max-time {self.max_time:g} s is up"
        return Wish(self.stop.status, self.stop.reason, save=now - self._saved >= self.save_every)

    def _pause(self) -> None:
        """Stop if asked to, save if it is time; in a team, if all have heard of it."""
        wish = self._wish() if self.team.size == 1 else self._agreed
        if wish.status is not None:
            self._save()
            what = f"stopped after update {self.place.step}: {wish.reason}; everything is saved"
            raise Stopped(self.run.path, what, status=wish.status)
        if wish.save:
            self._saved = time.monotonic()
            try:
                self._save()
            except OutputError as error:
                self._failed_saves += 1
                if self._failed_saves >= FAILED_SAVES:
                    raise
                warnings.warn(
                    RnntoolWarning(error.where, f"{error.what}; the run goes on and tries again"), stacklevel=1
                )
            self._elapse()

    def _check_sound(self, nll: float, norm: float, lr: float) -> None:
        """Raise TrainingError, before the update is applied, if it would spoil the weights."""
        if self._is_sound(nll) and math.isfinite(norm):
            return
        loss = f"loss is {nll:.4g} at update {self.place.step + 1} (lr {lr:.4g}, gradient norm {norm:.4g})"
        raise self._diverged(loss, nll)

    def _is_sound(self, nll: float) -> bool:
        """Whether a mean loss is one that training can come back from."""
        return math.isfinite(nll) and nll <= math.log(self.network.vocab_size) + DIVERGED

    def _diverged(self, loss: str, nll: float) -> Diverged:
        guess = f", guessing evenly has {math.log(self.network.vocab_size):.2f}" if math.isfinite(nll) else ""
        clip = f"--clip {self.config.clip / 4:g}" if self.config.clip else "--clip 1"
        what = f"{loss}{guess}; last good state: {self._newest_state()}"
        return Diverged(self.run.path, what, f"{clip}, or a smaller --lr")

    def _newest_state(self) -> str:
        states = self.run.states()
        return states[0][1] if states else "none"
