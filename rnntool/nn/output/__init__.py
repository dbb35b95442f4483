"""Output layers: from hidden states to a distribution over the vocabulary.

All share one signature: `log_probs(h)`, `nll(h, targets)` and the summed `loss(h, targets)`, which is what training
differentiates.  Rows of h (N, H) are independent of each other.
"""
