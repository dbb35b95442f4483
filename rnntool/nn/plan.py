"""How a cell is driven over time: chosen from the cell, printable, overridable.

A plan changes speed, never the result beyond rounding.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from rnntool.errors import OptionError
from rnntool.nn.cells.cell import Cell, State
from rnntool.nn.kernels import reference, vendor

BACKENDS: dict[str, Callable[..., tuple[Tensor, State]]] = {"reference": reference.run, "vendor": vendor.run}
"""Ways to drive a cell, by the name that `--backend` takes."""


@dataclass(frozen=True)
class Plan:
    """A backend, and why it.

    Args:
        backend: a key of `BACKENDS`.
        reason: one clause for `--explain`.
    """

    backend: str
    reason: str


def choose_plan(cell: Cell, *, backend: str = "auto") -> Plan:
    """The plan for `cell`: the one asked for, else the fastest that has it.

    Raises:
        OptionError: the backend is unknown or cannot drive this cell.
    """
    name = type(cell).__name__
    if backend == "auto":
        if type(cell) in vendor.RUNS:
            return Plan("vendor", f"{name} maps exactly onto torch's own network")
        return Plan("reference", f"{name} has no map onto torch's networks; one step at a time")
    if backend not in BACKENDS:
        raise OptionError("--backend", f"unknown backend '{backend}'; known are auto, {', '.join(BACKENDS)}")
    if backend == "vendor" and type(cell) not in vendor.RUNS:
        raise OptionError("--backend", f"{name} has no map onto torch's networks", "--backend reference")
    return Plan(backend, "asked for")
