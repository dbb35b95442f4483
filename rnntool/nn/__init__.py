"""The mathematics: tensors in, tensors out.

Everything over time is time-major: inputs (T, B, ·), hidden states (T, B, H).  A recurrent state is a tuple of tensors
(B, ·), passed in and handed back; nothing is remembered between calls.
"""
