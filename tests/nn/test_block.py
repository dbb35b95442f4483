"""The kernel that normalises a block of logits, by triton's interpreter and on a GPU, against its twin."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from rnntool.nn.output import block, fused

CASES = [(dtype, vocab_size) for dtype in ("float32", "bfloat16") for vocab_size in (1, 7, 4096, 10_001)]

PROGRAM = """
from rnntool.nn.output.block import load_kernel
from tests.nn.test_block import CASES, difference
for dtype, vocab_size in CASES:
    print(difference(load_kernel(), dtype, vocab_size, "cpu"))
"""

COMPILATION = """
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from rnntool.nn.kernels.softmax import kernel
signature = {"weights": "*fp32", "log_z": "*fp32", "vocab_size": "i32", "span": "constexpr"}
for dtype in ("fp32", "bf16"):
    source = ASTSource(kernel, {"z": f"*{dtype}", **signature}, constexprs={"span": 4096})
    print(len(triton.compile(source, target=GPUTarget("cuda", 90, 32)).asm["cubin"]) > 0)
"""


def difference(normalize: block.Normalizer, dtype: str, vocab_size: int, device: str) -> float:
    """How far kernel and twin are apart, in units of what the dtype can tell apart."""
    generator = torch.Generator().manual_seed(1)
    z = (20 * torch.randn(5, vocab_size, generator=generator)).to(device, getattr(torch, dtype))
    z[0, 0] = 90.0
    weights = torch.tensor([1, 0.5, 0, 2, 1], device=device)
    ours, theirs = z.clone(), z.clone()
    log_z, expected = normalize(ours, weights), block.normalize_reference(theirs, weights)
    unit = torch.finfo(z.dtype).eps
    apart = ((ours.float() - theirs.float()) / theirs.float().clamp(min=1e-6)).abs().max() / unit
    return max(float(apart), float((log_z - expected).abs().max()) / 1e-5)


@pytest.fixture(scope="module")
def interpreted() -> list[float]:
    """The differences of all cases; triton decides when it is imported whether it interprets, so another process has to."""
    pytest.importorskip("triton", reason="triton is not installed")
    command = [sys.executable, "-c", PROGRAM]
    environment = {**os.environ, "TRITON_INTERPRET": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    return [float(line) for line in done.stdout.splitlines()]


@pytest.mark.parametrize("number", range(len(CASES)), ids=lambda number: "-".join(map(str, CASES[number])))
def test_kernel_and_twin_agree_in_the_interpreter(number: int, interpreted: list[float]) -> None:
    assert interpreted[number] < 4


def test_the_kernel_compiles_for_a_gpu_that_is_not_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("triton", reason="triton is not installed")
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    done = subprocess.run([sys.executable, "-c", COMPILATION], capture_output=True, text=True, check=True)
    assert done.stdout == "True\nTrue\n"


@pytest.mark.gpu
@pytest.mark.parametrize(("dtype", "vocab_size"), CASES)
def test_kernel_and_twin_agree_on_a_gpu(dtype: str, vocab_size: int) -> None:
    normalize = block.load_kernel()
    if normalize is None:
        pytest.skip("triton is not installed")
    assert difference(normalize, dtype, vocab_size, "cuda") < 16  # exp of -60 with an argument rounded in float32


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_loss_is_the_same_whichever_way_a_block_is_normalised(
    smoothing: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the twin in the kernel's place, the way of a GPU can be taken here, sides filled up and all."""

    def losses() -> list[torch.Tensor]:
        generator = torch.Generator().manual_seed(1)
        h, U = (torch.randn(n, 6, generator=generator, dtype=torch.float64) for n in (21, 50))
        b, weights = (torch.rand(n, generator=generator, dtype=torch.float64) for n in (50, 21))
        targets = torch.randint(50, (21,), generator=generator)
        dU, db = torch.empty_like(U), torch.empty_like(b)
        found = fused.softmax_loss(
            h, U, b, targets, weights=weights, smoothing=smoothing, dtype=torch.float64, dU=dU, db=db
        )
        return [*found, dU, db]

    plain = losses()
    monkeypatch.setattr(fused, "normalizer_for", lambda device: block.normalize_reference)
    monkeypatch.setattr(fused, "_tile", lambda device: fused.TILE)
    for one, other in zip(losses(), plain, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-6)
