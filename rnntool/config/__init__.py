"""What a network is and what a training run is, as plain values.

Nothing but the standard library: a command line is checked against these before torch is imported.
"""
