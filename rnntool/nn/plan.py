"""How a cell is driven over time: chosen from the cell and the device, printable, overridable.

A plan changes speed, never the result beyond rounding.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from rnntool.errors import OptionError
from rnntool.nn.cells.cell import Cell, State
from rnntool.nn.cells.lstm import LSTM
from rnntool.nn.kernels import bptt, reference, scan, unfold, vendor

BACKENDS: dict[str, Callable[..., tuple[Tensor, State]]] = {
    "reference": reference.run,
    "vendor": vendor.run,
    "bptt": bptt.run,
    "scan": scan.run,
    "unfold": unfold.run,
}
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


def choose_plan(cell: Cell, *, backend: str = "auto", device: torch.device | str = "cpu") -> Plan:
    """The plan for `cell` on `device`: the one asked for, else the fastest that has it.

    Raises:
        OptionError: the backend is unknown or cannot drive this cell.
    """
    name = type(cell).__name__
    if backend == "auto":
        return _fastest(cell, torch.device(device).type)
    if backend not in BACKENDS:
        raise OptionError("--backend", f"unknown backend '{backend}'; known are auto, {', '.join(BACKENDS)}")
    if backend == "vendor" and type(cell) not in vendor.RUNS:
        raise OptionError("--backend", f"{name} has no map onto torch's networks", "--backend bptt")
    if backend == "bptt" and type(cell) not in bptt.RUNS:
        raise OptionError("--backend", f"{name} has no way back written by hand", "--backend vendor")
    if backend == "scan" and type(cell) not in scan.RUNS:
        raise OptionError("--backend", f"{name} is not linear in its state", "--backend auto")
    if backend == "unfold" and type(cell) not in unfold.RUNS:
        raise OptionError("--backend", f"{name} remembers more than its last inputs", "--backend auto")
    return Plan(backend, "asked for")


def _fastest(cell: Cell, device_type: str) -> Plan:
    """The plan for `auto`.

    Of torch's networks only the LSTM reaches oneDNN on a processor; the others are driven faster by hand.
    """
    name = type(cell).__name__
    if type(cell) in scan.RUNS:
        return Plan("scan", f"{name} is linear in its state: a product over time, without a loop")
    if type(cell) in unfold.RUNS:
        return Plan("unfold", f"{name} sees its last inputs alone: a product over all windows, without a loop")
    if type(cell) in vendor.RUNS and (isinstance(cell, LSTM) or device_type != "cpu"):
        return Plan("vendor", f"{name} maps exactly onto torch's own network")
    if type(cell) in bptt.RUNS:
        return Plan("bptt", f"{name} has its way back written by hand")
    return Plan("reference", f"{name} has no faster way; one step at a time")
