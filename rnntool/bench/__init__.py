"""What a machine does with these networks: measurements, and the same written the way everyone writes it.

Ratios are of times taken in turns in one process, so that whatever else the machine does slows both.
"""
