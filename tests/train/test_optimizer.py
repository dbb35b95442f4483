"""The optimisers against their formulas, written out, in float64."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import nn

from rnntool.config.training import OPTIMIZERS, TrainingConfig
from rnntool.train.optimizer import build_optimizer, measure_gradients

GRADIENTS = [0.5, -2.0, 1.0, 0.25, 3.0]
START = 1.5


def ours(**settings: object) -> list[float]:
    parameter = nn.Parameter(torch.tensor([START], dtype=torch.float64))
    optimizer = build_optimizer(TrainingConfig(**settings), [parameter])  # type: ignore[arg-type]
    course = []
    for gradient in GRADIENTS:
        parameter.grad = torch.tensor([4 * gradient], dtype=torch.float64)  # summed over four tokens
        _, divisor = measure_gradients([parameter], tokens=4, norm=0, value=0)
        optimizer.step(divisor)
        course.append(parameter.item())
    return course


def written_out(rule: Callable[[float, float, int], float]) -> list[float]:
    """rule(weight, gradient, number of the step from 1) -> weight."""
    weight, course = START, []
    for number, gradient in enumerate(GRADIENTS, 1):
        weight = rule(weight, gradient, number)
        course.append(weight)
    return course


def test_sgd() -> None:
    assert ours(optimizer="sgd", lr=0.1) == pytest.approx(written_out(lambda w, g, _: w - 0.1 * g), rel=1e-14)


def test_sgd_with_weight_decay() -> None:
    expected = written_out(lambda w, g, _: w - 0.1 * (g + 0.01 * w))
    assert ours(optimizer="sgd", lr=0.1, weight_decay=0.01) == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize("nesterov", [False, True])
def test_sgd_with_momentum(nesterov: bool) -> None:
    """v = μ v + g, w −= η v; looking ahead, w −= η (g + μ v)."""
    v = 0.0

    def rule(w: float, g: float, _: int) -> float:
        nonlocal v
        v = 0.9 * v + g
        return w - 0.1 * (g + 0.9 * v if nesterov else v)

    assert ours(optimizer="sgd", lr=0.1, momentum=0.9, nesterov=nesterov) == pytest.approx(written_out(rule), rel=1e-13)


def test_adagrad() -> None:
    """Duchi et al. 2011: w −= η g / (√Σ g² + 1e-10)."""
    squares = 0.0

    def rule(w: float, g: float, _: int) -> float:
        nonlocal squares
        squares += g * g
        return w - 0.1 * g / (math.sqrt(squares) + 1e-10)

    assert ours(optimizer="adagrad", lr=0.1) == pytest.approx(written_out(rule), rel=1e-13)


def test_rmsprop_with_momentum() -> None:
    """Tieleman and Hinton 2012: m = β m + (1 − β) g²; v = μ v + g / (√m + 1e-8); w −= η v."""
    m = v = 0.0

    def rule(w: float, g: float, _: int) -> float:
        nonlocal m, v
        m = 0.95 * m + 0.05 * g * g
        v = 0.5 * v + g / (math.sqrt(m) + 1e-8)
        return w - 0.1 * v

    assert ours(optimizer="rmsprop", lr=0.1, beta2=0.95, momentum=0.5) == pytest.approx(written_out(rule), rel=1e-13)


@pytest.mark.parametrize("optimizer", ["adam", "adamw"])
def test_adam_and_adamw(optimizer: str) -> None:
    """Kingma and Ba 2015; Loshchilov and Hutter 2019: adam adds the pull to the gradient, adamw to the step."""
    m = v = 0.0

    def rule(w: float, g: float, t: int) -> float:
        nonlocal m, v
        if optimizer == "adam":
            g += 0.01 * w
        else:
            w -= 0.1 * 0.01 * w
        m = 0.8 * m + 0.2 * g
        v = 0.95 * v + 0.05 * g * g
        return w - 0.1 * (m / (1 - 0.8**t)) / (math.sqrt(v / (1 - 0.95**t)) + 1e-8)

    found = ours(optimizer=optimizer, lr=0.1, beta1=0.8, beta2=0.95, weight_decay=0.01)
    assert found == pytest.approx(written_out(rule), rel=1e-12)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimiser_begins_at_its_rate(name: str) -> None:
    parameter = nn.Parameter(torch.zeros(1))
    assert build_optimizer(TrainingConfig(optimizer=name), [parameter]).lr == (TrainingConfig(optimizer=name).rate)


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_direct_weights_take_plain_steps_beside_the_others(optimizer: str) -> None:
    """θ −= 0.3 g of the sum, undivided; halved with the others' rate.  The others are as they are alone."""
    config = TrainingConfig(optimizer=optimizer, direct_lr=0.3)
    alone, beside, table = (nn.Parameter(torch.tensor([START], dtype=torch.float64)) for _ in range(3))
    optimizers = build_optimizer(config, [alone]), build_optimizer(config, [beside, table], direct=table)
    for share in (1.0, 0.5):
        for each, weights in zip(optimizers, ([alone], [beside, table]), strict=True):
            each.zero_grad()
            assert all(weight.grad is None for weight in weights)
            for weight in weights:
                weight.grad = torch.tensor([4.0], dtype=torch.float64)
            assert each.parameters == weights[:1]
            each.lr = share * config.rate
            each.step(8.0)
    assert beside.item() == alone.item() != START
    assert table.item() == pytest.approx(START - 0.3 * 4 - 0.15 * 4, rel=1e-14)
    optimizers[1].recall(optimizers[0].memory)
    assert len(optimizers[1].memory) == len(optimizers[0].memory)


def test_a_sparse_gradient_moves_its_rows_as_a_dense_one_does() -> None:
    gradients = torch.randn(3, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    words = torch.tensor([[1, 4, 1]])
    moved = []
    for sparse in (True, False):
        weight = nn.Parameter(torch.ones(5, 2, dtype=torch.float64))
        gradient = torch.sparse_coo_tensor(words, gradients, (5, 2), check_invariants=True)
        weight.grad = gradient if sparse else gradient.to_dense()
        _, divisor = measure_gradients([weight], tokens=3, norm=0.5, value=0.4)
        optimizer = build_optimizer(TrainingConfig(optimizer="sgd", lr=0.1), [weight])
        optimizer.step(divisor)
        moved.append(weight.detach())
    torch.testing.assert_close(moved[0], moved[1], rtol=1e-14, atol=0)
    assert (moved[0] == 1).all(dim=1).tolist() == [True, False, True, True, False]


@pytest.mark.parametrize("beta1", [0.0, 0.8])
def test_in_a_sparse_gradient_adam_gives_every_row_a_clock_of_its_own(beta1: float) -> None:
    """Row 1 at steps 1 and 3, row 4 at step 2 alone: each course is that of a weight with just these gradients."""
    config = TrainingConfig(optimizer="adam", lr=0.1, beta1=beta1, beta2=0.95)
    gradients = torch.tensor([[0.5, -2.0], [1.0, 0.25], [3.0, -0.5]], dtype=torch.float64)
    weight = nn.Parameter(torch.ones(5, 2, dtype=torch.float64))
    optimizer = build_optimizer(config, [weight])
    for row, gradient in zip((1, 4, 1), gradients, strict=True):
        weight.grad = torch.sparse_coo_tensor([[row]], 3 * gradient[None], (5, 2), check_invariants=True)
        optimizer.step(3)
    for row, own in ((1, gradients[[0, 2]]), (4, gradients[[1]])):
        alone = nn.Parameter(torch.ones(2, dtype=torch.float64))
        dense = build_optimizer(config, [alone])
        for gradient in own:
            alone.grad = gradient.clone()
            dense.step(1)
        torch.testing.assert_close(weight[row], alone, rtol=1e-12, atol=0)
    assert (weight == 1).all(dim=1).tolist() == [True, False, True, True, False]


def test_adam_without_a_mean_stores_none() -> None:
    for beta1, names in ((0.0, {"steps", "exp_avg_sq"}), (0.9, {"steps", "exp_avg", "exp_avg_sq"})):
        weight = nn.Parameter(torch.ones(2))
        optimizer = build_optimizer(TrainingConfig(beta1=beta1), [weight])
        weight.grad = torch.ones(2)
        optimizer.step(1)
        assert optimizer.memory[0].keys() == names


def test_a_memory_of_another_kind_is_refused() -> None:
    optimizer = build_optimizer(TrainingConfig(beta1=0.9), [nn.Parameter(torch.ones(2))])
    with pytest.raises(
        ValueError, match=r"a memory of \['exp_avg_sq', 'steps'\], not \['exp_avg', 'exp_avg_sq', 'steps'\]"
    ):
        optimizer.recall({0: {"steps": torch.zeros(()), "exp_avg_sq": torch.zeros(2)}})
