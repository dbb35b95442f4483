"""How much a recurrent matrix can stretch a state, measured on its own weights.

    ρ(R) = max |eigenvalue|        what a linear network multiplies by in the long run
    ‖R‖ · max f'                   the largest singular value times the nonlinearity's steepest slope: a bound for one step

The lecture says "max eigenvalue < 1" of vanishing; that is the rule of a linear network.  A sigmoid's slope is at most ¼,
so ‖R‖ must exceed 4 before a gradient can grow through it at all (necessary, not sufficient).
Source: Bengio et al. 1994; Pascanu et al. 2013, "On the difficulty of training recurrent neural networks", §2.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from rnntool.nn.cells.cell import Cell, Weights
from rnntool.nn.cells.gru import GRU
from rnntool.nn.cells.gru_before import GRUBefore
from rnntool.nn.cells.jordan import Jordan
from rnntool.nn.cells.lstm import LSTM
from rnntool.nn.cells.mrnn import MRNN
from rnntool.nn.cells.ngram import NGram
from rnntool.nn.cells.scrn import SCRN

LARGEST_EXACT = 400
"""Units up to which eigenvalues and singular values are computed; beyond, ρ and ‖R‖ are taken from powers."""

SIGMOID, TANH = 0.25, 1.0  # largest slopes

GATES: dict[type[Cell], dict[str, float]] = {
    LSTM: {"i": SIGMOID, "f": SIGMOID, "g": TANH, "o": SIGMOID},
    GRU: {"r": SIGMOID, "z": SIGMOID, "n": TANH},
    GRUBefore: {"r": SIGMOID, "z": SIGMOID, "n": TANH},
}
"""The gates of a cell whose recurrent matrix holds several, in the order of its rows, and their slopes."""


@dataclass(frozen=True)
class Stretch:
    """What one recurrent matrix does to a state.

    Args:
        name: of the weight, as the cell names it.
        gate: whose rows these are; empty where the matrix is one.
        radius: ρ, the largest absolute value of an eigenvalue.
        norm: the largest singular value.
        slope: the steepest slope of the nonlinearity around the product.
    """

    name: str
    gate: str
    radius: float
    norm: float
    slope: float

    @property
    def growth(self) -> float:
        """‖R‖ · max f': gradients through this matrix alone cannot grow in a step if it is at most 1."""
        return self.norm * self.slope


def stretches(cell: Cell, w: Weights) -> Iterator[Stretch]:
    """The recurrent matrices of a cell, gate by gate, each measured when it is asked for.

    A decaying state is a matrix too: α on the diagonal, and no nonlinearity around it; so is a window that shifts, whose
    powers are zero in the end.  Where the output is projected, the matrix is that of a whole step, projection included;
    where the state goes through factors, that of a step whose input multiplies them by one.
    """
    for name in cell.recurrent:
        gates = GATES.get(type(cell), {"": cell.slope})
        for (gate, slope), block in zip(gates.items(), w[name].chunk(len(gates)), strict=True):
            yield Stretch(name, gate, *_measure(_square(cell, w, block)), slope)
    decay = _decay(cell, w)
    if decay is not None:
        yield Stretch("decay", "", decay, decay, 1.0)
    if isinstance(cell, NGram):
        yield Stretch("shift", "", 0.0, float(cell.order > 2), 1.0)


def _square(cell: Cell, w: Weights, block: Tensor) -> Tensor:
    """The matrix of a whole step in which `block` multiplies the state."""
    if isinstance(cell, MRNN):
        return w["weight_fh"] @ block
    return w["weight_hr"] @ block if "weight_hr" in w else block


def _measure(matrix: Tensor) -> tuple[float, float]:
    """Spectral radius and norm of a square matrix; not a number where a weight is none."""
    exact = matrix.detach().cpu().double()
    if not exact.isfinite().all():
        return math.nan, math.nan
    if len(exact) > LARGEST_EXACT:
        return _radius_of_powers(exact), math.sqrt(_radius_of_powers(exact.T @ exact))
    return float(torch.linalg.eigvals(exact).abs().max()), float(torch.linalg.matrix_norm(exact, 2))


def _radius_of_powers(matrix: Tensor) -> float:
    """ρ(A) = lim ‖Aᵏ‖^(1/k) (Gelfand 1941), for k = 2¹² by squaring twelve times; too large by less than 1 %.

    ‖Aᵏ‖ is at most n ρᵏ times what A is from normal; the k-th root of 1500 and of 10¹² beside it is 1.0085.
    """
    log_norm, power = 0.0, 1.0
    for _ in range(12):
        norm = float(torch.linalg.matrix_norm(matrix))
        if norm == 0:
            return 0.0
        log_norm += math.log(norm) / power
        matrix = matrix / norm
        matrix = matrix @ matrix
        power *= 2
    norm = float(torch.linalg.matrix_norm(matrix))
    return math.exp(log_norm + math.log(norm) / power) if norm else 0.0


def _decay(cell: Cell, w: Weights) -> float | None:
    """The largest decay of a slow state; None where there is none."""
    match cell:
        case Jordan():
            return cell.decay
        case SCRN() if cell.context_size:
            alpha = cell.alpha(w)
            return float(alpha.detach().max()) if isinstance(alpha, Tensor) else alpha
    return None
