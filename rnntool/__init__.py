"""rnntool: recurrent neural networks as Unix filters.

Nothing happens on import but the naming of the version.
"""

__version__ = "0.1.0"
