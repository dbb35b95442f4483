"""Pairs under a network: log P(target | source), float32, exact, and whatever stands beside them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

import numpy as np
import torch

from rnntool.models.network import Network
from rnntool.nn.precision import exact_products
from rnntool.score.columns import Ids, batches_by, columns
from rnntool.score.perplexity import Tally
from rnntool.score.scorer import LogProbs
from rnntool.text.corpus import Corpus

TOGETHER = 2048
"""Pairs that are sorted by length and computed before the next are looked at."""


def score_pairs(
    network: Network, sources: Sequence[Ids], targets: Sequence[Ids], *, ends: tuple[int, int], batch_size: int = 64
) -> list[LogProbs]:
    """The log-probability of every token of each target, then of its `</s>`, given its source.

    Args:
        network: one that reads sources.
        sources: ids, without `</s>`.
        targets: as many.
        ends: ids of `</s>`, of the source and of the target.
        batch_size: pairs computed side by side; changes speed and memory alone.
    """
    lengths = [(len(target), len(source)) for target, source in zip(targets, sources, strict=True)]
    scores: list[LogProbs] = [np.empty(0)] * len(targets)
    with torch.no_grad(), exact_products():
        for numbers in batches_by(lengths, batch_size):
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
    begin = torch.full((1, len(targets)), ends[1])
    nll, _ = network.nll(torch.cat([begin, ids[:-1]]).to(device), ids.to(device), state, source)
    found = -nll.double().cpu()
    for column, count in enumerate(counts.tolist()):
        yield found[:count, column].numpy()


def score_corpora(network: Network, eos_id: int, source: Corpus, target: Corpus) -> Tally:
    """The tally of all pairs of two corpora; chars, bytes and OOV are left at 0."""
    total = Tally()
    pairs = zip(_lines(source), _lines(target), strict=True)
    while some := list(islice(pairs, TOGETHER)):
        read, ids = ([line[:-1] for line in side] for side in zip(*some, strict=True))
        ends = (some[0][0][-1], eos_id)
        for log_probs in score_pairs(network, read, ids, ends=ends):
            total += Tally(sentences=1, tokens=len(log_probs), nll=-float(log_probs.sum()))
    return total


def _lines(corpus: Corpus) -> Iterator[list[int]]:
    """The lines of a corpus, each with its `</s>`."""
    for source in corpus.sources:
        first = source.first_token
        for end in corpus.ends_of(source):
            yield corpus.ids[first : int(end)].tolist()
            first = int(end)
