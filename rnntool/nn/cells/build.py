"""From an architecture string's parts to a cell."""

from __future__ import annotations

from rnntool.config.arch import Arch
from rnntool.nn.cells.cell import Cell
from rnntool.nn.cells.elman import Elman
from rnntool.nn.cells.gru import GRU
from rnntool.nn.cells.gru_before import GRUBefore
from rnntool.nn.cells.jordan import Jordan
from rnntool.nn.cells.lstm import LSTM
from rnntool.nn.cells.mrnn import MRNN
from rnntool.nn.cells.ngram import NGram
from rnntool.nn.cells.scrn import SCRN
from rnntool.nn.cells.trace import Trace


def build_cell(arch: Arch, input_size: int) -> Cell:
    """The cell of one layer of `arch` that reads inputs of width `input_size`."""
    E, H = input_size, arch.hidden_size
    decay = 0.0 if arch.decay is None else arch.decay
    match arch.cell:
        case "ngram":
            return NGram(E, H, arch.order, activation=arch.function, direct="direct" in arch.words)
        case "elman":
            return Elman(E, H, arch.function)
        case "lstm":
            return LSTM(E, H, arch.second_size)
        case "gru":
            return GRU(E, H)
        case "gru-before":
            return GRUBefore(E, H)
        case "scrn":
            learn, previous = "learn" in arch.words, "prev" in arch.words
            return SCRN(E, H, arch.second_size, decay=decay, learn=learn, previous=previous)
        case "trace":
            return Trace(E, H, decay=decay, learn="learn" in arch.words)
        case "jordan":
            return Jordan(E, H, decay=decay, activation=arch.function)
        case "mrnn":
            return MRNN(E, H, arch.second_size)
    raise AssertionError(f"{arch.cell} is in FORMS and not here")
