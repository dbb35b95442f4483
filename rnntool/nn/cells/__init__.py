"""One recurrent cell per file: its equation, its source, its step.

A cell is a recurrence, state' = f(x, state).  The steps here are plain torch, right in float64, and the measure of
every faster path in `rnntool.nn.kernels`.
"""
