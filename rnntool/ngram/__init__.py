"""N-gram models: counted in sorted blocks, smoothed, written and read as ARPA files, asked for many words at once.

Beside them may stand trees that group histories, as many as make a random forest.

Words are ids, and arrays run over n-grams.  Probabilities are float64; names say which are logarithms, and to what base.
"""
