"""How many threads a command starts, and on which device it computes."""

from __future__ import annotations

import math
import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from rnntool.cli import compute
from rnntool.errors import DeviceError


@pytest.fixture(autouse=True)
def as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Leave threads and environment as they were."""
    import torch

    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OMP_WAIT_POLICY"):
        monkeypatch.setenv(name, os.environ.get(name, ""))
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


def count(monkeypatch: pytest.MonkeyPatch, *, affinity: int, quota: float = math.inf, share: str | None = None) -> int:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(affinity)), raising=False)
    monkeypatch.setattr(compute, "_quota", lambda: quota)
    if share is None:
        monkeypatch.delenv("SLURM_CPUS_PER_TASK", raising=False)
    else:
        monkeypatch.setenv("SLURM_CPUS_PER_TASK", share)
    return compute.allotted_threads()


def test_threads_are_the_least_of_what_is_allotted(monkeypatch: pytest.MonkeyPatch) -> None:
    assert count(monkeypatch, affinity=64) == 64
    assert count(monkeypatch, affinity=64, share="8") == 8
    assert count(monkeypatch, affinity=64, share="8", quota=3.5) == 3
    assert count(monkeypatch, affinity=2, share="8", quota=3.5) == 2
    assert count(monkeypatch, affinity=2, quota=0.5) == 1
    assert count(monkeypatch, affinity=2, share="many") == 2


def test_the_quota_of_any_control_group_above_counts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "job" / "step").mkdir(parents=True)
    (tmp_path / "job" / "step" / "cpu.max").write_text("max 100000\n")
    (tmp_path / "job" / "cpu.max").write_text("250000 100000\n")
    words = compute._words
    monkeypatch.setattr(compute, "CGROUP", str(tmp_path))
    monkeypatch.setattr(compute, "_words", lambda path: ["0::/job/step"] if path.startswith("/proc") else words(path))
    assert compute._quota() == 2.5


@pytest.mark.parametrize("unlimited", [["max", "100000"], ["-1", "100000"], ["1"], []])
def test_no_quota_is_no_limit(unlimited: list[str]) -> None:
    assert compute._ratio(unlimited) == math.inf


PROBE = """\
import os, sys
from rnntool.cli.compute import prepare
prepare(int(sys.argv[1]) if len(sys.argv) > 1 else None, "cpu")
import torch
print(torch.get_num_threads(), os.environ["OMP_NUM_THREADS"], os.environ["OMP_WAIT_POLICY"])
"""


@pytest.mark.parametrize(
    ("words", "environment", "expected"),
    [
        (["1"], {"OMP_NUM_THREADS": "2"}, "1 1 passive"),
        ([], {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "active"}, "1 1 active"),
    ],
)
def test_threads_are_set_before_torch_is_loaded(words: list[str], environment: dict[str, str], expected: str) -> None:
    environment = {**{key: os.environ[key] for key in os.environ if not key.startswith("OMP_")}, **environment}
    command = [sys.executable, "-c", PROBE, *words]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    assert done.stdout.strip() == expected


def test_devices_are_named_as_torch_names_them() -> None:
    assert str(compute.prepare(1, "cpu")) == "cpu"
    with pytest.raises(DeviceError) as raised:
        compute.prepare(1, "cuda:99")
    assert raised.value.where == "--device"
    assert raised.value.what.startswith("no cuda:99 here; present: cpu")


@pytest.mark.gpu
def test_auto_is_the_first_gpu() -> None:
    assert str(compute.prepare(1, "auto")) == str(compute.prepare(1, "cuda")) == "cuda:0"


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library")
def test_memory_that_is_freed_is_kept() -> None:
    """Twenty times four tensors of 20 MB: 20,000 pages each time, 390,000 in all, if the system were asked every time."""
    program = (
        "from rnntool.cli.compute import prepare; prepare(1, 'cpu'); import resource, torch\n"
        "for _ in range(20): [torch.ones(5_000_000) for _ in range(4)]\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt)"
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=environment)
    assert int(done.stdout) < 200_000
