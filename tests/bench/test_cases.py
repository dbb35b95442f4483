"""What is measured is what it is called: the baselines compute the same, and wrong gradients are never timed."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
import torch

from rnntool.bench import cases, gate
from rnntool.bench.stock import StockModel, StockTrainer, StockWriter, descend
from rnntool.bench.stock_pairs import BEGIN, StockTranslator
from rnntool.bench.workload import Workload, batch_of
from rnntool.config.arch import parse_arch
from rnntool.config.network import NetworkConfig
from rnntool.config.training import TrainingConfig
from rnntool.errors import OptionError, TrainingError
from rnntool.nn.cells.build import build_cell
from rnntool.nn.kernels import reference

CPU = torch.device("cpu")


def workload(arch: str = "lstm:6", output: str = "full", V: int = 30, **training: object) -> Workload:
    counts = tuple(V / rank for rank in range(1, V + 1))
    config = TrainingConfig(batch_size=4, bptt=5, optimizer="sgd", dropout=0.0, **training)  # type: ignore[arg-type]
    return Workload(NetworkConfig(arch, output=output), config, counts)


def test_windows_follow_each_other_and_frequent_words_are_frequent() -> None:
    windows = workload(V=100).windows(CPU)
    assert all(window.shape == (6, 4) for window in windows)
    for one, other in pairwise(windows):
        assert torch.equal(one[-1], other[0])
    words = torch.cat(windows)
    assert (words < 10).sum() > (words >= 50).sum()


@pytest.mark.parametrize("arch", ["elman:6", "gru:2x6", "lstm:6", "scrn:6+3", "trace:6", "jordan:6", "gru-before:6"])
@pytest.mark.parametrize("output", ["full", "adaptive"])
def test_gradients_are_right_in_float32(arch: str, output: str) -> None:
    assert gate.gradient_error(workload(arch, output), CPU, torch.float32) < gate.LIMITS[torch.float32]


def test_wrong_gradients_are_not_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cases, "gradient_error", lambda *_: 0.5)
    with pytest.raises(TrainingError) as refused:
        list(cases.train(workload(), CPU, torch.float32, 1))
    assert str(refused.value) == "gradients are off by 0.5 of their norm, more than 2e-05"


def test_what_is_no_number_is_wrong_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cases, "gradient_error", lambda *_: float("nan"))
    with pytest.raises(TrainingError):
        list(cases.train(workload(), CPU, torch.float32, 1))


def test_the_baseline_of_scrn_is_that_network() -> None:
    """The loop everyone writes against the cell's own steps, with the same weights."""
    stock = StockModel(parse_arch("scrn:6+3@0.9"), 30)
    cell = build_cell(parse_arch("scrn:6+3@0.9"), 9)
    loop = stock.network
    weights = {
        "weight_is": loop.B.weight,
        "weight_ih": loop.A.weight,
        "weight_hh": loop.R.weight,
        "weight_sh": loop.P.weight,
        "bias": loop.A.bias,
    }
    x = torch.randn(5, 4, 9)
    ours, _ = reference.run(cell, weights, x, cell.state0(4, x))
    theirs, _ = loop(x, None)
    torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("arch", ["elman:6", "elman:6,relu", "gru:2x6", "lstm:6", "scrn:6+3"])
def test_baselines_learn(arch: str) -> None:
    """Ten passes over the same windows bring the loss down from ln 30 by more than a tenth of a nat."""
    stock = StockTrainer(StockModel(parse_arch(arch), 30), lr=2.0)
    course = [stock.step(window[:-1], window[1:]) for _ in range(10) for window in workload().windows(CPU)]
    assert sum(course[-20:]) / 20 < sum(course[:20]) / 20 - 0.1


def pair_workload(arch: str) -> Workload:
    """Pairs, with attention and input feeding."""
    network = NetworkConfig(
        arch,
        output="full",
        context="reset",
        encoder=f"bi-{arch}",
        link="attention:mlp",
        attend_with="cur",
        input_feeding=True,
    )
    return replace(workload(), network=network)


@pytest.mark.parametrize("arch", ["gru:6", "lstm:6"])
def test_gradients_of_pairs_are_right_in_float32(arch: str) -> None:
    assert gate.gradient_error(pair_workload(arch), CPU, torch.float32) < gate.LIMITS[torch.float32]


@pytest.mark.parametrize("arch", ["gru:6", "lstm:6"])
def test_the_baseline_learns_to_copy(arch: str) -> None:
    model = StockTranslator(parse_arch(arch), 30)
    batches = pair_workload(arch).batches(CPU)
    course = []
    for batch in batches * 10:
        assert batch.source is not None
        course.append(descend(model, model(batch.source.ids, batch.inputs), batch.targets, lr=2.0))
    assert sum(course[-20:]) / 20 < sum(course[:20]) / 20 - 0.1


def test_the_baselines_search_finds_what_trying_everything_finds() -> None:
    """The likeliest two words of all pairs of words, where the beam is wide enough to keep every first one."""
    torch.manual_seed(3)
    model = StockTranslator(parse_arch("gru:6"), 7)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_()
        source = torch.randint(7, (5, 3))
        found = model.translate(source, 7, 2)
        for row in range(3):
            first = torch.arange(7)
            inputs = torch.stack([torch.full((7,), BEGIN), first])
            log_probs = model(source[:, [row] * 7], inputs).log_softmax(dim=2)
            total = log_probs[0, 0][:, None] + log_probs[1]
            assert found[row].tolist() == [int(total.argmax()) // 7, int(total.argmax()) % 7]


def test_a_network_without_a_baseline_is_named() -> None:
    with pytest.raises(OptionError) as refused:
        StockModel(parse_arch("jordan:6"), 30)
    assert str(refused.value) == "--arch: jordan:6@0.5 has no baseline; lstm, gru, elman and scrn of one layer have"


def test_the_baseline_writes_every_stream() -> None:
    text = StockWriter(StockModel(parse_arch("gru:6"), 30), 3).write(7)
    assert [len(row) for row in text] == [3] * 7
    assert all(0 <= word < 30 for row in text for word in row)


def test_our_step_is_the_training_loops() -> None:
    """One step from the same weights and windows gives the loss of the network on that window, and moves weights."""
    work = workload()
    ours = cases._Ours(work, CPU, torch.float32)
    before = [p.detach().clone() for p in ours.network.parameters()]
    ours.step()
    assert all(not torch.equal(old, new) for old, new in zip(before, ours.network.parameters(), strict=True))
    window = work.windows(CPU)[0]
    assert batch_of(window).num_tokens == 20
    assert torch.equal(next(ours.batches).targets, work.windows(CPU)[1][1:])


@pytest.mark.parametrize("output", ["full", "adaptive"])
def test_records_of_every_case_hold_what_is_promised(output: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cases, "STREAMS", 3)
    work = replace(workload(output=output), seed=3)
    for name, case in cases.CASES.items():
        if name == "translate":
            continue
        records = list(case(work, CPU, torch.float32, 2))
        assert {record["case"] for record in records} == {name}
        for record in records:
            assert record["seconds_median"] >= record["seconds_min"] > 0
            assert record["tokens_per_second"] > 0
            assert record["rounds"] == 2
            assert (record["arch"], record["vocab_size"], record["threads"]) == ("lstm:6", 30, torch.get_num_threads())
        if name != "head":
            ours = [record for record in records if record["who"] == "rnntool"]
            assert all(record["speedup"] > 0 for record in ours)


def test_words_are_drawn_by_sums_in_double_precision() -> None:
    """Of 100,000 words float32 would draw others than float64, and the gate compare what cannot be compared."""
    for dtype in (torch.float32, torch.float64):
        network = workload(output="sampled:5").build(CPU, dtype)
        assert dict(network.named_buffers())["output._sums"].dtype == torch.float64
        assert {parameter.dtype for parameter in network.parameters()} == {dtype}
