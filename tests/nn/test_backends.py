"""Every fast path against its readable twin: values and gradients, over a grid."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
import torch
from torch import Tensor

from rnntool.config.arch import parse_arch
from rnntool.nn.cells.build import build_cell
from rnntool.nn.cells.lstm import LSTM
from rnntool.nn.kernels import bptt, gated, reference, scan, unfold, vendor
from rnntool.nn.noise import Noise
from rnntool.nn.plan import BACKENDS
from rnntool.nn.precision import has_bf16
from rnntool.nn.recurrent import Recurrent
from tests.nn.conftest import ARCHS, Draw

FAST = [
    (name, arch)
    for name, runs in (("vendor", vendor.RUNS), ("bptt", bptt.RUNS), ("scan", scan.RUNS), ("unfold", unfold.RUNS))
    for arch in ARCHS
    if type(build_cell(parse_arch(arch), 3)) in runs
]
"""Every fast path that there is."""

LENGTHS = (1, 2, 65, 130)  # 65 and 130 cross one and two edges of the scan's blocks
assert scan.BLOCK == 64

TOLERANCE = {
    torch.float64: 1e-11,  # 130 steps and sums of up to 1e3 products at 1e-16
    torch.float32: 1e-4,  # the same at 6e-8: a step's rounding comes back through up to 130 more
}


def assert_twins(ours: Iterable[Tensor | None], theirs: Iterable[Tensor | None], dtype: torch.dtype) -> None:
    """Equal up to a share of each tensor's largest value."""
    for one, other in zip(ours, theirs, strict=True):
        assert (one is None) == (other is None)
        if one is not None and other is not None and other.numel():
            size = float(other.detach().abs().max())
            torch.testing.assert_close(one, other, rtol=0, atol=TOLERANCE[dtype] * max(size, 1e-3))


def values_and_gradients(outputs: Iterable[Tensor], inputs: list[Tensor]) -> list[Tensor | None]:
    """The outputs, then the gradients of a sum that weighs each of their elements differently."""
    outputs = list(outputs)
    weighed = sum((out * torch.linspace(-1, 1, out.numel(), dtype=out.dtype).view_as(out)).sum() for out in outputs)
    assert isinstance(weighed, Tensor)
    return [*outputs, *torch.autograd.grad(weighed, inputs, allow_unused=True)]


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize("B", [1, 3])
@pytest.mark.parametrize("T", LENGTHS)
@pytest.mark.parametrize(("backend", "arch"), FAST)
def test_a_fast_path_is_its_reference_in_values_and_gradients(
    backend: str, arch: str, T: int, B: int, dtype: torch.dtype, draw: Draw
) -> None:
    cell = build_cell(parse_arch(arch), 3)
    weights, x, state = draw(cell, T=T, B=B, dtype=dtype)
    both = []
    for drive in (BACKENDS[backend], reference.run):
        h, after = drive(cell, weights, x, state)
        both.append(values_and_gradients((h, *after), [x, *weights.values(), *state]))
    assert_twins(*both, dtype)


LOW = [
    ("vendor", "lstm:16"),
    ("bptt", "elman:16"),
    ("bptt", "gru:16"),
    ("bptt", "gru-before:16"),
    ("bptt", "jordan:16"),
    ("bptt", "scrn:16+8"),
    ("bptt", "mrnn:16/3"),
    ("scan", "trace:16"),
    ("unfold", "ngram:4x16"),
]
"""Every path that can compute in bfloat16."""


@pytest.mark.skipif(not has_bf16(torch.device("cpu")), reason="the processor has no bfloat16 of its own")
@pytest.mark.parametrize(("backend", "arch"), LOW)
@pytest.mark.parametrize("low_from", [gated.LOW_FROM, 0], ids=["windows", "steps"])
def test_a_fast_path_in_bfloat16_is_its_reference_within_that_precision(
    backend: str, arch: str, low_from: int, draw: Draw, monkeypatch: pytest.MonkeyPatch
) -> None:
    """bfloat16 has 8 bits: a rounding is 2⁻⁹ of a value, and 20 steps gather some of them."""
    monkeypatch.setattr(gated, "LOW_FROM", low_from)
    cell = build_cell(parse_arch(arch), 8)
    weights, x, state = draw(cell, T=20, B=4, dtype=torch.float32)
    both = []
    for drive in (BACKENDS[backend], reference.run):
        h, after = drive(cell, weights, x, state, dtype=torch.bfloat16)
        both.append(values_and_gradients((h, *after), [x, *weights.values(), *state]))
    for ours, theirs in zip(*both, strict=True):
        assert ours is not None and theirs is not None
        assert ours.dtype == torch.float32
        assert float((ours - theirs).detach().norm() / theirs.detach().norm()) < 0.05
    assert not torch.equal(both[0][0], both[1][0])


@pytest.mark.parametrize(
    ("dtype", "limit"),
    [(torch.float64, 1e-12), (torch.float32, 1e-5), (torch.float16, 5e-3), (torch.bfloat16, 2e-2)],
    ids=str,
)
def test_an_lstm_filled_up_to_whole_tiles_is_the_lstm(dtype: torch.dtype, limit: float, draw: Draw) -> None:
    """What a GPU computes in half precision, here in other dtypes, too: 10 units of 16 or 128, 3 streams of 8."""
    cell = build_cell(parse_arch("lstm:10"), 6)
    assert isinstance(cell, LSTM)
    outside = torch.float64 if dtype is torch.float64 else torch.float32
    weights, x, state = draw(cell, T=7, B=3, dtype=outside)
    filled, filled_state = vendor.lstm_filled(cell, weights, x, state, dtype=dtype)
    plain, plain_state = reference.run(cell, weights, x, state)
    inputs = [x, *weights.values(), *state]
    ours = values_and_gradients((filled, *filled_state), inputs)
    theirs = values_and_gradients((plain, *plain_state), inputs)
    for one, other in zip(ours, theirs, strict=True):
        assert one is not None and other is not None
        assert one.dtype == outside
        assert float((one - other).detach().norm() / other.detach().norm()) < limit


def test_an_lstm_is_filled_up_to_sizes_that_have_a_persistent_kernel() -> None:
    for units, streams, expected in ((100, 20, True), (650, 20, True), (1024, 128, True), (1500, 20, False)):
        cell = build_cell(parse_arch(f"lstm:{units}"), 8)
        assert isinstance(cell, LSTM)
        assert vendor.is_persistent(cell, streams) is expected
    assert not vendor.is_persistent(cell, 129)


def stack(arch: str, **options: bool) -> Recurrent:
    """Two layers in float64, their weights drawn."""
    parsed = parse_arch(arch)
    first = build_cell(parsed, 3)
    network = Recurrent([first, build_cell(parsed, first.output_size)], **options).double()
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) / 2)
    return network


def both_backends(
    network: Recurrent, fast: str, *, T: int = 7, keep: int | None = None, noisy: bool = False
) -> list[list[Tensor | None]]:
    """Values and gradients of all, by `fast` and by reference, with noise of the same seed."""
    generator = torch.Generator().manual_seed(4)
    x = torch.randn(T, 2, 3, generator=generator, dtype=torch.float64, requires_grad=True)
    state = tuple(
        torch.randn(s.shape, generator=generator, dtype=s.dtype, requires_grad=True) for s in network.state0(2)
    )
    both = []
    for backend in (fast, "reference"):
        network.plan(backend)
        generator.manual_seed(5)
        noise = Noise(generator, input=0.2, layer=0.3, recurrent=0.2, weight=0.3) if noisy else None
        h, after = network.run(x, state, noise=noise, keep=keep)
        both.append(values_and_gradients((h, *after), [x, *network.parameters(), *state]))
    return both


@pytest.mark.parametrize("keep", [None, 0, 3, 6, 7])
@pytest.mark.parametrize(("backend", "arch"), FAST)
def test_a_fast_path_is_its_reference_wherever_the_state_is_kept(backend: str, arch: str, keep: int | None) -> None:
    assert_twins(*both_backends(stack(arch), backend, keep=keep), torch.float64)


@pytest.mark.parametrize(("backend", "arch"), FAST)
def test_a_fast_path_is_its_reference_with_dropped_weights_norms_and_residuals(backend: str, arch: str) -> None:
    network = stack(arch, layer_norm=True, residual=True)
    assert_twins(*both_backends(network, backend, keep=3, noisy=True), torch.float64)


@pytest.mark.parametrize(("backend", "arch"), FAST)
def test_every_path_without_gradients_gives_the_same(backend: str, arch: str, draw: Draw) -> None:
    """Evaluations take torch's inference code, which is another."""
    cell = build_cell(parse_arch(arch), 3)
    weights, x, state = draw(cell, T=9, dtype=torch.float32)
    learning = BACKENDS[backend](cell, weights, x, state)
    with torch.no_grad():
        scoring = BACKENDS[backend](cell, weights, x, state)
    assert_twins((scoring[0], *scoring[1]), (learning[0], *learning[1]), torch.float32)
