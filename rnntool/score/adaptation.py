"""Scorers that adapt: which goes around which.

    network → dynamic evaluation → temperature → pointer → mixture with other models → caches

What needs a network is done to every network of a mixture; other models are left as they are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rnntool.config.adaptation import Adaptation
from rnntool.errors import OptionError
from rnntool.score.cache import CacheScorer
from rnntool.score.mixture import Mixture
from rnntool.score.scorer import Scorer

if TYPE_CHECKING:
    from rnntool.score.network import NetworkScorer, PassageScorer


def adapted(scorer: Scorer, adaptation: Adaptation) -> Scorer:
    """A scorer that adapts as it is told to.

    Args:
        scorer: a model, or a mixture of several.
        adaptation: nothing in it is yet to be found.

    Raises:
        OptionError: it is for networks, and there is none.
    """
    if adaptation.needs_network:
        scorer = _with_networks(scorer, adaptation)
    for cache in adaptation.caches:
        scorer = CacheScorer(scorer, cache)
    return scorer


def _with_networks(scorer: Scorer, adaptation: Adaptation) -> Scorer:
    from rnntool.score.network import NetworkScorer  # torch, which caches of n-grams can do without

    parts = scorer.scorers if isinstance(scorer, Mixture) else (scorer,)
    if not any(isinstance(part, NetworkScorer) for part in parts):
        raise OptionError(f"--{adaptation.parts[0][0]}", "it is done to networks, and no model is one")
    new = [_network(part, adaptation) if isinstance(part, NetworkScorer) else part for part in parts]
    return Mixture(new, scorer.weights.tolist(), scorer.names) if isinstance(scorer, Mixture) else new[0]


def _network(scorer: NetworkScorer, adaptation: Adaptation) -> Scorer:
    from rnntool.score.dynamic import DynamicScorer
    from rnntool.score.network import NetworkScorer
    from rnntool.score.pointer import PointerScorer

    network, vocabulary, context = scorer.network, scorer.vocabulary, scorer.context
    temperature = 1.0 if adaptation.temperature is None else adaptation.temperature
    inner: PassageScorer
    if adaptation.dynamic:
        inner = DynamicScorer(network, vocabulary, context, adaptation.dynamic, temperature=temperature)
    else:
        inner = NetworkScorer(network, vocabulary, context, batch_size=scorer.batch_size, temperature=temperature)
    return PointerScorer(inner, adaptation.pointer) if adaptation.pointer else inner
