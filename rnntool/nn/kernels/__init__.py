"""Ways to drive a cell over time, all with one signature and one result.

`run(cell, weights, x [T, B, E], state) -> (h [T, B, output_size], state)`.  `reference` is the readable one and the
measure of the others.  `softmax` is apart: a kernel for the output layer, which alone imports triton.
"""
