"""Where a run takes place, for its records: the machine, the versions, and of the environment what is on a list."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from typing import Any

from rnntool import __version__
from rnntool.config.ranks import Ranks

VARIABLES = (
    "CUDA_VISIBLE_DEVICES",
    "OMP_NUM_THREADS",
    "SLURM_ARRAY_JOB_ID",
    "SLURM_ARRAY_TASK_ID",
    "SLURM_CPUS_PER_TASK",
    "SLURM_JOB_ID",
    "SLURM_JOB_PARTITION",
    "SLURM_RESTART_COUNT",
    "SLURM_STEP_NODELIST",
    "TORCHELASTIC_RESTART_COUNT",
)
"""Variables that are recorded; any other may be a secret."""


def describe(environment: Mapping[str, str], ranks: Ranks, device: str) -> dict[str, Any]:
    """What is worth knowing when two runs differ that should not.

    Args:
        environment: the variables of this process.
        ranks: which of several processes this is.
        device: what the network is on.
    """
    return {
        "host": platform.node(),
        "platform": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "rnntool": __version__,
        "device": device,
        "processes": ranks.size,
        **{name: environment[name] for name in VARIABLES if name in environment},
    }
