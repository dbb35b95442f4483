"""The processor or GPU a command computes on, readied before torch is imported.

How many threads OpenMP starts, and whether they spin while they wait, is read once, when torch is loaded.  Threads that
spin on a processor shared with others make small matrix products up to twenty times slower, so they are told to sleep,
and their number follows what this process may use, not what the machine has.
"""

from __future__ import annotations

import ctypes
import math
import os
import sys
from typing import TYPE_CHECKING

from rnntool.cli import report
from rnntool.config.ranks import ALONE, Ranks
from rnntool.errors import DeviceError, OptionError

if TYPE_CHECKING:
    import torch

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # glibc, malloc.h

KEPT = 256 << 20
"""Bytes of freed memory that the process keeps for itself."""

CGROUP = "/sys/fs/cgroup"
"""Where Linux shows its control groups."""


def prepare(threads: int | None, device: str, *, deterministic: bool = False, ranks: Ranks = ALONE) -> torch.device:
    """Import torch with the right number of threads and find the device.

    Args:
        threads: how many to compute with; None for OMP_NUM_THREADS, else as many as `allotted_threads` finds.
        device: `auto` (the first CUDA device, else the CPU), `cpu`, `cuda`, `cuda:N` or `mps`.
        deterministic: whether a GPU is to give the same bits every time; a processor always does.
        ranks: which of several processes this is: they divide the processors that they share, and take a GPU each.

    Raises:
        DeviceError: the device is not there; says which are.
        OptionError: several processes want the same GPU.
    """
    _keep_freed_memory()
    if deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # what torch asks for; read when cuBLAS starts
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    if threads is None:
        asked = os.environ.get("OMP_NUM_THREADS", "")
        threads = int(asked) if asked.isdecimal() and int(asked) > 0 else max(1, allotted_threads() // ranks.crowd)
    os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = str(threads)

    import torch

    torch.set_num_threads(threads)
    present = _devices_present()
    num_gpus = sum(each.startswith("cuda") for each in present)
    if device == "auto":
        device = "cuda" if num_gpus else "cpu"
    if device.startswith("cuda:") and ranks.local_size > 1:
        raise OptionError("--device", f"{device} cannot be that of {ranks.local_size} processes", "--device cuda")
    if device == "cuda":
        # a task of srun's may see nothing but its own
        device = f"cuda:{0 if num_gpus == 1 and ranks.crowd == 1 else ranks.local_rank}"
    if device not in present:
        raise DeviceError("--device", f"no {device} here; present: {', '.join(present)}", "--device auto")
    if deterministic and device.startswith("cuda"):
        torch.use_deterministic_algorithms(True)
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    report.detail(f"device {device} threads {threads}")
    return torch.device(device)


def _keep_freed_memory() -> None:
    """Let glibc keep what is freed, where its own rules would give it back to the system and ask for it again at each step.

    Whether they do depends on how the heap happens to lie; where they did, training an LSTM of 128 took 42 s instead of 32,
    ten of them in the system.  MALLOC_* in the environment stands.
    """
    if sys.platform != "linux" or any(name.startswith("MALLOC_") for name in os.environ):
        return
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # another C library
        return
    mallopt(M_MMAP_THRESHOLD, 32 << 20)  # the most that it takes
    mallopt(M_TRIM_THRESHOLD, KEPT)


def _devices_present() -> list[str]:
    """The devices torch can use now, the CPU first."""
    import torch

    cuda = [f"cuda:{index}" for index in range(torch.cuda.device_count())] if torch.cuda.is_available() else []
    return ["cpu", *cuda, *(["mps"] if torch.backends.mps.is_available() else [])]


def allotted_threads() -> int:
    """How many processors this process may use, by its affinity, its job's share and its control group's quota."""
    # macOS has no affinity.
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    share = os.environ.get("SLURM_CPUS_PER_TASK", "")
    if share.isdecimal():
        processors = min(processors, int(share))
    return max(1, math.floor(min(processors, _quota())))


def _quota() -> float:
    """The smallest processor quota of this process's control groups, in processors; infinite if there is none."""
    quotas = [_ratio(_words(os.path.join(group, "cpu.max"))) for group in _control_groups()]
    version_1 = os.path.join(CGROUP, "cpu", "cpu.cfs_")
    return min(*quotas, _ratio(_words(f"{version_1}quota_us") + _words(f"{version_1}period_us")))


def _control_groups() -> list[str]:
    """The group of this process and those above it: from the line `0::/job/step`, the root, job and job/step."""
    named = [word.removeprefix("0::") for word in _words("/proc/self/cgroup") if word.startswith("0::")]
    groups = [CGROUP]
    for name in "".join(named[:1]).split("/"):
        if name:
            groups.append(os.path.join(groups[-1], name))
    return groups


def _ratio(quota_and_period: list[str]) -> float:
    """Quota over period, both in microseconds; infinite for `max`, -1 and anything unreadable."""
    match quota_and_period:
        case [quota, period] if quota.isdecimal() and period.isdecimal() and int(period) > 0:
            return int(quota) / int(period)
        case _:
            return math.inf


def _words(path: str) -> list[str]:
    """The words of a small file of the system; none if it cannot be read."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read().split()
    except OSError:
        return []
