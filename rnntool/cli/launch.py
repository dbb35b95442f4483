"""Several processes that train together: which one this is, as whoever started it says, and how to start them here.

| started by | says so in |
|---|---|
| torchrun and its like | RANK, WORLD_SIZE, LOCAL_RANK, LOCAL_WORLD_SIZE, MASTER_ADDR, MASTER_PORT |
| srun | SLURM_PROCID, SLURM_STEP_NUM_TASKS, SLURM_LOCALID, SLURM_STEP_TASKS_PER_NODE, SLURM_STEP_NODELIST |
| `rnntool train --procs N` | the first four, and RNNTOOL_MEETING, a file |
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import replace

from rnntool.config.ranks import ALONE, Ranks
from rnntool.errors import OptionError

FIRST_PORT, NUM_PORTS = 20000, 12000
"""Where jobs of srun meet, by their number, below the ports that Linux hands out by itself."""


def ranks_of(environment: Mapping[str, str], *, patience: float) -> Ranks:
    """Which of several processes this is; `ALONE` if nobody says that there are others.

    Args:
        environment: of this process.
        patience: seconds to wait for the others in one exchange.

    Raises:
        OptionError: a variable does not hold what it should.
    """
    if environment.get("WORLD_SIZE", "1") != "1":
        ranks = _of_torch(environment)
    elif environment.get("SLURM_STEP_NUM_TASKS", "1") != "1" and "SLURM_PROCID" in environment:
        ranks = _of_slurm(environment)
    else:
        return ALONE
    if ranks.rank >= ranks.size or ranks.local_rank >= ranks.local_size:
        here = f"{ranks.local_rank} of {ranks.local_size} on its machine"
        what = f"process {ranks.rank} of {ranks.size}, {here}: the environment contradicts itself"
        raise OptionError("", what, "torchrun, srun, or --procs N")
    return replace(ranks, patience=patience)


def restarts_of(environment: Mapping[str, str]) -> int:
    """How often this process, or its job, has been started anew after it was lost."""
    names = ("RNNTOOL_RESTART", "TORCHELASTIC_RESTART_COUNT", "SLURM_RESTART_COUNT")
    return max(_number(environment, name, 0) for name in names)


def _of_torch(environment: Mapping[str, str]) -> Ranks:
    """As torchrun or `--procs` says; all are on one machine if they do not say otherwise."""
    rank, size = _number(environment, "RANK"), _number(environment, "WORLD_SIZE")
    local_rank, local_size = _number(environment, "LOCAL_RANK", rank), _number(environment, "LOCAL_WORLD_SIZE", size)
    meeting = environment.get("RNNTOOL_MEETING", "env://")
    for name in ("MASTER_ADDR", "MASTER_PORT") if meeting == "env://" else ():
        if not environment.get(name):
            raise OptionError(name, "is not set, although WORLD_SIZE is", "torchrun, or rnntool train --procs N")
    return Ranks(rank, size, local_rank, local_size, crowd=local_size, meeting=meeting)


def _of_slurm(environment: Mapping[str, str]) -> Ranks:
    """As srun says, which gives each task processors of its own."""
    size, node = _number(environment, "SLURM_STEP_NUM_TASKS"), _number(environment, "SLURM_NODEID", 0)
    on_nodes = tasks_of_nodes(environment.get("SLURM_STEP_TASKS_PER_NODE", ""))
    host = environment.get("MASTER_ADDR") or first_host(environment.get("SLURM_STEP_NODELIST", ""))
    job = 16 * _number(environment, "SLURM_JOB_ID", 0) + _number(environment, "SLURM_STEP_ID", 0)
    return Ranks(
        _number(environment, "SLURM_PROCID"),
        size,
        _number(environment, "SLURM_LOCALID"),
        on_nodes[node] if node < len(on_nodes) else size,
        meeting=f"tcp://{host}:{_number(environment, 'MASTER_PORT', FIRST_PORT + job % NUM_PORTS)}",
    )


def _number(environment: Mapping[str, str], name: str, default: int | None = None) -> int:
    """A variable as a whole number."""
    value = environment.get(name)
    if value is None:
        if default is None:
            raise OptionError(name, "is not set, although there are several processes", "torchrun, srun, or --procs N")
        return default
    if not value.isascii() or not value.isdecimal():
        raise OptionError(name, f"{value!r} is not a number")
    return int(value)


def tasks_of_nodes(text: str) -> list[int]:
    """How many tasks each node has, from Slurm's `4(x2),1`: 4, 4, 1; as far as it can be read."""
    found: list[int] = []
    for part in text.split(","):
        match = re.fullmatch(r"(\d+)(?:\(x(\d+)\))?", part)
        if match is None:
            return found
        found += [int(match[1])] * int(match[2] or 1)
    return found


def first_host(nodes: str) -> str:
    """The first host of Slurm's list: `gpu[07-09,11],login` begins with gpu07.

    Raises:
        OptionError: there is none.
    """
    match = re.match(r"([^\[\],\s]+)(?:\[(\w+)[^\]]*\]([^\[\],\s]*))?", nodes)
    if match is None:
        raise OptionError("SLURM_STEP_NODELIST", f"{nodes!r} names no host", "MASTER_ADDR=HOST")
    return "".join(part or "" for part in match.groups())


def is_supervised() -> bool:
    """Whether `rnntool train --procs N` started this process."""
    return "RNNTOOL_MEETING" in os.environ
