"""A recorded update against the loop's own, and that there is nothing in it that cannot be recorded."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from rnntool.config.network import NetworkConfig
from rnntool.config.training import TrainingConfig
from rnntool.data.batch import Batch, Position
from rnntool.errors import RnntoolWarning
from rnntool.models.network import build_network
from rnntool.nn.cells.cell import State
from rnntool.train.loop import Trainer
from rnntool.train.optimizer import build_optimizer, takes_rows
from rnntool.train.recording import WARM_UP, Recorder, Recording, shape_of, working_stream
from rnntool.train.step import noise_of
from tests.train.conftest import Sit

CLOSE = {"rtol": 1e-5, "atol": 1e-7}


def replaying(trainer: Trainer) -> Trainer:
    """The trainer with its updates done as a recording does them."""
    trainer._recorder._is_wanted = True
    trainer.windows.sparse = False
    return trainer


@pytest.fixture(autouse=True)
def _no_graph(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a GPU nothing is recorded, and a recording does its work as it stands."""
    if not torch.cuda.is_available():
        monkeypatch.setattr(Recording, "record", lambda self: None)


@pytest.mark.parametrize(
    "options",
    [
        {"optimizer": "adam", "dropout": 0.2},
        {"optimizer": "adam", "beta1": 0.9, "clip": 0.01},
        {"optimizer": "adamw", "weight_decay": 0.01},
        {"optimizer": "sgd", "clip_value": 0.001, "clip": 0},
        {"arch": "gru:4", "tied": True, "average": "ema"},
        {"arch": "elman:4", "bptt_every": 2},
    ],
    ids=lambda options: " ".join(map(str, options.values())),
)
def test_a_run_of_recorded_updates_is_the_run_without(options: dict[str, object], sit: Sit) -> None:
    plain = sit(name="plain", max_epochs=6, **options)
    replayed = replaying(sit(name="replayed", max_epochs=6, **options))
    for trainer in (plain, replayed):
        trainer.train()
    assert replayed._recorder._recording is not None
    for name, weight in plain.network.named_parameters():
        torch.testing.assert_close(replayed.network.get_parameter(name), weight, **CLOSE)
    for ours, theirs in zip(plain.optimizer.memory.values(), replayed.optimizer.memory.values(), strict=True):
        for key in ours:
            torch.testing.assert_close(theirs[key], ours[key], **CLOSE)


def window_of(num_steps: int, *, masked: bool = False) -> Batch:
    ids = torch.arange(num_steps * 3).reshape(num_steps, 3)
    mask = torch.ones(num_steps, 3, dtype=torch.bool) if masked else None
    return Batch(ids, ids, False, None, mask, None, num_steps * 3, Position(), 0.5)


@pytest.mark.parametrize("arch", ["elman:8", "gru:8", "gru-before:8", "lstm:2x8", "lstm:8/4", "scrn:8+4", "trace:8"])
def test_an_update_asks_the_device_nothing(arch: str) -> None:
    """Tensors without values cannot answer, so whatever asks fails here as it would while a graph is recorded."""
    config = TrainingConfig(optimizer="sgd", dropout=0)  # torch's kernel for Adam has no form without values
    with torch.device("meta"):
        network = build_network(NetworkConfig(arch), 20)
        state = network.state0(3)
        ids = torch.empty(5, 3, dtype=torch.long)
        window = replace(window_of(5), inputs=ids, targets=ids)
    optimizer = build_optimizer(config, network.parameters())
    noise = noise_of(config, torch.Generator())
    recording = Recording(network, config, optimizer, noise=noise, dtype=torch.float32, window=window, state=state)
    recording.work()
    assert optimizer.is_recordable
    assert network.output.is_recordable


class Pretended:
    """Stands for a recording; can fail to be recorded."""

    def __init__(self, window: Batch, error: str = "") -> None:
        self.shape = shape_of(window)
        self.error = error

    def record(self) -> None:
        if self.error:
            raise RuntimeError(self.error)

    def fits(self, window: Batch) -> bool:
        return shape_of(window) == self.shape


def recorder(*, error: str = "", wanted: bool = True) -> Recorder:
    def build(window: Batch, state: State) -> Recording:
        return Pretended(window, error)  # type: ignore[return-value]

    return Recorder(wanted, build)


def test_a_shape_is_recorded_once_it_has_come_up_often_enough() -> None:
    choice = recorder()
    answers = [choice.recording_of([window_of(5)], ()) for _ in range(WARM_UP + 2)]
    assert [answer is not None for answer in answers] == [False] * WARM_UP + [True] * 2


def test_other_shapes_and_groups_and_masked_windows_are_not_replayed() -> None:
    choice = recorder()
    for _ in range(WARM_UP + 1):
        choice.recording_of([window_of(5)], ())
    assert choice.recording_of([window_of(4)], ()) is None
    assert choice.recording_of([window_of(5, masked=True)], ()) is None
    assert choice.recording_of([window_of(5)] * 2, ()) is None
    assert choice.recording_of([window_of(5)], ()) is not None


def test_what_is_not_wanted_is_not_recorded() -> None:
    choice = recorder(wanted=False)
    assert [choice.recording_of([window_of(5)], ()) for _ in range(WARM_UP + 2)] == [None] * (WARM_UP + 2)


def test_what_cannot_be_recorded_is_said_once_and_done_without() -> None:
    choice = recorder(error="operation not permitted when stream is capturing\nmore")
    with pytest.warns(RnntoolWarning, match="kernel by kernel: operation not permitted when stream is capturing$"):
        answers = [choice.recording_of([window_of(5)], ()) for _ in range(WARM_UP + 1)]
    assert answers == [None] * (WARM_UP + 1)
    assert choice.recording_of([window_of(5)], ()) is None


@pytest.mark.gpu
@pytest.mark.parametrize("arch", ["lstm:2x64", "gru:64", "elman:64", "scrn:64+8"])
def test_a_graph_replays_what_is_done_without_it(arch: str) -> None:
    """On the GPU itself: six windows, dropout among them, replayed and not."""
    device = torch.device("cuda")
    config = TrainingConfig(dropout=0.2)
    found = []
    for is_recorded in (False, True):
        network = build_network(NetworkConfig(arch), 100).to(device)
        network.init(torch.Generator(device).manual_seed(1))
        rows = [network.embedding] if takes_rows(config, network) else []
        optimizer = build_optimizer(config, network.parameters(), rows)
        noise = noise_of(config, torch.Generator(device))
        ids = torch.randint(100, (7, 8, 4), device=device, generator=torch.Generator(device).manual_seed(2))
        windows = [Batch(w[:-1], w[1:], False, None, None, None, 28, Position(), 0.5) for w in ids]
        state = network.state0(4)
        recording = Recording(
            network, config, optimizer, noise=noise, dtype=torch.float32, window=windows[0], state=state
        )
        with working_stream(device):
            for number, window in enumerate(windows):
                if is_recorded and number == WARM_UP:
                    recording.record()
                noise.generator.manual_seed(number)
                result, state = recording(window, state, 0.01)
        torch.cuda.synchronize()
        found.append([result.cpu(), *(p.detach().cpu() for p in network.parameters())])
    for plain, replayed in zip(*found, strict=True):
        torch.testing.assert_close(replayed, plain, rtol=1e-4, atol=1e-3)  # a tenth of Adam's step, and of few alone:
        assert float((replayed - plain).abs().mean()) < 1e-5  # it divides by how large gradients are, be they rounding
