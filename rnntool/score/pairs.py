"""Pairs under a network: log P(target | source), float32, exact, and whatever stands beside them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice

import numpy as np
import torch

from rnntool.models.network import Network
from rnntool.nn.precision import exact_products
from rnntool.score.columns import Ids, batches_by, columns
from rnntool.score.interpolation import linear
from rnntool.score.perplexity import ScoredLine, Tally, oov_flags
from rnntool.score.scorer import LogProbs
from rnntool.text.corpus import Corpus
from rnntool.text.vocabulary import Vocabulary

TOGETHER = 2048
"""Pairs that are sorted by length and computed before the next are looked at."""

WINDOW = 512
"""Tokens of targets that are computed at once."""

POSITIONS = 1 << 16
"""Most positions of sources that are looked at together; with the window, what bounds memory for long lines."""


class PairScorer:
    """Networks that translate, over one vocabulary of targets, as one.

        P(w | h, source) = Σ_i λ_i P_i(w | h, source)

    Args:
        networks: that read sources.
        sources: the vocabulary of each network's sources.
        vocabulary: of the targets.
        weights: λ, positive, summing to one.
        batch_size: pairs computed side by side; changes speed and memory alone.
    """

    def __init__(
        self,
        networks: Sequence[Network],
        sources: Sequence[Vocabulary],
        vocabulary: Vocabulary,
        weights: Sequence[float],
        *,
        batch_size: int = 64,
    ) -> None:
        self.vocabulary = vocabulary
        self._parts = list(zip(networks, sources, strict=True))
        self._weights = np.asarray(weights)
        self._batch_size = batch_size

    def scored(self, sources: Sequence[str], targets: Sequence[str]) -> list[ScoredLine]:
        """The targets with the log-probability of each of their tokens, given their sources."""
        ids = [self.vocabulary.encode(target) for target in targets]
        answers = [
            score_pairs(
                network,
                list(map(own.encode, sources)),
                ids,
                ends=(own.eos_id, self.vocabulary.eos_id),
                batch_size=self._batch_size,
            )
            for network, own in self._parts
        ]
        mixed = answers[0]
        if len(answers) > 1:
            mixed = [linear(np.stack(parts), self._weights) for parts in zip(*answers, strict=True)]
        return [
            ScoredLine(target, own_ids, log_probs, oov_flags(self.vocabulary, target, own_ids))
            for target, own_ids, log_probs in zip(targets, ids, mixed, strict=True)
        ]


def score_pairs(
    network: Network,
    sources: Sequence[Ids],
    targets: Sequence[Ids],
    *,
    ends: tuple[int, int],
    batch_size: int = 64,
    before_batch: Callable[[], None] = lambda: None,
) -> list[LogProbs]:
    """The log-probability of every token of each target, then of its `</s>`, given its source.

    Args:
        network: one that reads sources.
        sources: ids, without `</s>`.
        targets: as many.
        ends: ids of `</s>`, of the source and of the target.
        batch_size: pairs computed side by side; changes speed and memory alone.
        before_batch: called before every batch; what it raises ends the work.
    """
    lengths = [(len(target), len(source)) for target, source in zip(targets, sources, strict=True)]
    scores: list[LogProbs] = [np.empty(0)] * len(targets)
    with torch.no_grad(), exact_products():
        for batch in batches_by(lengths, batch_size):
            size = max(1, POSITIONS // (max(len(sources[n]) for n in batch) + 1))
            for numbers in (batch[first : first + size] for first in range(0, len(batch), size)):
                before_batch()
                part = _side_by_side(network, [sources[n] for n in numbers], [targets[n] for n in numbers], ends)
                for number, score in zip(numbers, part, strict=True):
                    scores[number] = score
    return scores


def _side_by_side(
    network: Network, sources: Sequence[Ids], targets: Sequence[Ids], ends: tuple[int, int]
) -> Iterator[LogProbs]:
    device = network.embedding.device
    read, lengths = columns(sources, ends[0])
    ids, counts = columns(targets, ends[1])
    source, state = network.read(read.to(device), lengths.to(device))
    begun = torch.cat([torch.full((1, len(targets)), ends[1]), ids]).to(device)  # (T + 1, B)
    found = torch.empty(ids.shape, dtype=torch.float64)
    for first in range(0, len(ids), WINDOW):
        inputs, wanted = begun[:-1][first : first + WINDOW], begun[1:][first : first + WINDOW]
        nll, state = network.nll(inputs, wanted, state, source)
        found[first : first + WINDOW] = -nll.double().cpu()
    for column, count in enumerate(counts.tolist()):
        yield found[:count, column].numpy()


def score_corpora(
    network: Network, eos_id: int, source: Corpus, target: Corpus, *, before_batch: Callable[[], None] = lambda: None
) -> Tally:
    """The tally of all pairs of two corpora; chars, bytes and OOV are left at 0.  `before_batch` is as in `score_pairs`."""
    total = Tally()
    pairs = zip(_lines(source), _lines(target), strict=True)
    while some := list(islice(pairs, TOGETHER)):
        read, ids = ([line[:-1] for line in side] for side in zip(*some, strict=True))
        ends = (some[0][0][-1], eos_id)
        for log_probs in score_pairs(network, read, ids, ends=ends, before_batch=before_batch):
            total += Tally(sentences=1, tokens=len(log_probs), nll=-float(log_probs.sum()))
    return total


def _lines(corpus: Corpus) -> Iterator[list[int]]:
    """The lines of a corpus, each with its `</s>`."""
    for source in corpus.sources:
        first = source.first_token
        for end in corpus.ends_of(source):
            yield corpus.ids[first : int(end)].tolist()
            first = int(end)
