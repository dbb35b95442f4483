"""From a model and text, or from translations and references, to numbers.

Every model that has a likelihood answers the same question: the log-probability of each token of each line.
"""
