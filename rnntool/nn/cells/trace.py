"""The exponential trace: a memory that only fades.

    s' = (1 − μ) B x + μ s

Source: Mozer 1989, "A Focused Backpropagation Algorithm for Temporal Pattern Recognition"; the lecture, "Exponential
trace memory".
Differs: B is a learned matrix where Mozer traces the inputs themselves; on one-hot inputs through an embedding the two
reach the same functions.  The equation is that of the SCRN's slow units, and so is the code.
"""

from __future__ import annotations

from rnntool.nn.cells.scrn import SCRN


class Trace(SCRN):
    """Exponential trace of the inputs: an SCRN without fast units.

    Args:
        input_size: E.
        hidden_size: units of the trace.
        decay: μ, in [0, 1].
        learn: whether each unit learns its μ from there.
    """

    def __init__(self, input_size: int, hidden_size: int, *, decay: float = 0.95, learn: bool = False) -> None:
        super().__init__(input_size, 0, hidden_size, decay=decay, learn=learn)
