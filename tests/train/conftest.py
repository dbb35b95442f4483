"""Small runs: a few lines, a handful of units, one thread, and a disk that need not be waited for."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch

from rnntool.checkpoint.model import Model
from rnntool.checkpoint.run import RunDirectory
from rnntool.config.network import NetworkConfig
from rnntool.config.training import TrainingConfig
from rnntool.models.network import build_network
from rnntool.text.corpus import Corpus, Source, write_corpus
from rnntool.text.counting import build, count
from rnntool.text.vocabulary import Vocabulary
from rnntool.train.job import build_batches
from rnntool.train.loop import Trainer
from rnntool.train.progress import Silent, StopRequest
from rnntool.train.team import Team

CPU = torch.device("cpu")

TRAIN = "the cat sat on the mat\na dog lay on the rug\n\nthe cat and the dog sat\non a mat a cat\nthe rug\n" * 3
MORE = "a cat sat\nthe mat lay on a dog\n" * 4
VALID = "the dog sat on a rug\na cat lay\n"


@pytest.fixture(autouse=True)
def _one_thread_and_no_disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What reaches the disk when is tested elsewhere."""
    monkeypatch.setattr(os, "fsync", lambda _: None)
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@dataclass(frozen=True)
class Texts:
    """A vocabulary, and texts as ids."""

    vocabulary: Vocabulary
    train: Corpus
    two: Corpus
    valid: Corpus


@pytest.fixture(scope="session")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Texts:
    folder = tmp_path_factory.mktemp("texts")
    vocabulary = build(count([TRAIN.encode()], "word"), "word")
    for name, text in (("train", TRAIN), ("more", MORE), ("valid", VALID)):
        (folder / name).write_text(text)
    train, more, valid = (str(folder / name) for name in ("train", "more", "valid"))
    return Texts(
        vocabulary,
        write_corpus([Source(train)], vocabulary, str(folder / "ids-train")),
        write_corpus([Source(train, 0.5), Source(more, 2.0, 0.5)], vocabulary, str(folder / "ids-two")),
        write_corpus([Source(valid)], vocabulary, str(folder / "ids-valid")),
    )


@dataclass
class Watcher(Silent):
    """Remembers what it is told, and asks for an end after so many updates of this sitting."""

    stop: StopRequest
    stop_after: int | None = None
    updates: int = 0
    resumed_at: int | None = None
    records: list[Mapping[str, Any]] = field(default_factory=list)

    def began(self, *, resumed_at: int | None) -> None:
        self.resumed_at = resumed_at

    def stepped(self, *, progress: float, loss: float, tokens_per_second: float, lr: float) -> None:
        self.updates += 1
        if self.updates == self.stop_after:
            self.stop.status, self.stop.reason = 143, "signal SIGTERM"

    def reported(self, record: Mapping[str, Any]) -> None:
        self.records.append(record)


Sit = Callable[..., Trainer]


@pytest.fixture
def sit(texts: Texts, tmp_path: Path) -> Iterator[Sit]:
    """sit(arch="lstm:4", name="run", stop_after=None, …) -> a Trainer for one sitting, not yet begun.

    Options of the network and of the training are told apart by name; `text` chooses the corpus.  Each sitting is as one
    of a new process: a network with weights of its own `init_seed`, a directory that is locked anew.
    """
    open_runs: list[RunDirectory] = []

    def sitting(
        arch: str = "lstm:4",
        *,
        name: str = "run",
        text: str = "train",
        stop_after: int | None = None,
        init_seed: int = 1,
        double: bool = False,
        max_time: float | None = None,
        save_every: float = 1e9,
        watch: bool = False,
        team: Team | None = None,
        **options: Any,
    ) -> Trainer:
        for run in open_runs:
            run.release()
        own = {key: options.pop(key) for key in list(options) if key in NetworkConfig.__dataclass_fields__}
        network_config = NetworkConfig(arch, **own)
        config = TrainingConfig(**({"batch_size": 4, "bptt": 5, "max_epochs": 2} | options))
        network_config.check()
        config.check()
        network = build_network(network_config, len(texts.vocabulary), len(texts.vocabulary))
        network.init(torch.Generator().manual_seed(init_seed))
        if double:
            network.double()
        run = RunDirectory(str(tmp_path / name))
        if team is None or team.is_leader:
            run.create()
            open_runs.append(run)
            if not run.has_run:
                Path(run.config).touch()
        corpus, is_paired = getattr(texts, text), network_config.encoder != "none"
        source = corpus if is_paired else None  # what is learnt from pairs is to copy
        batches = build_batches(config, network_config.context, corpus, texts.vocabulary.eos_id, CPU, source)
        stop = StopRequest()
        trainer = Trainer(
            Model(
                network,
                network_config,
                texts.vocabulary,
                {"data": [text]},
                source_vocabulary=texts.vocabulary if is_paired else None,
            ),
            config,
            batches=batches,
            valid=texts.valid,
            valid_source=texts.valid if is_paired else None,
            run=run,
            device=CPU,
            precision="fp32",
            save_every=save_every,
            max_time=max_time,
            watch=watch,
            observer=Watcher(stop, stop_after),
            stop=stop,
            team=team,
        )
        if double:
            trainer.windows.dtype = torch.float64
        return trainer

    yield sitting
    for run in open_runs:
        run.release()
