"""A small text, the models that KenLM makes of it, and the way from lines to a model."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from random import Random

import numpy as np
from numpy.typing import NDArray

from rnntool.errors import RnntoolWarning
from rnntool.ngram.arpa import read_arpa, write_arpa
from rnntool.ngram.counts import Counts, count
from rnntool.ngram.estimation import Estimate, estimate
from rnntool.ngram.model import NgramModel
from rnntool.ngram.pruning import thresholds
from rnntool.ngram.reading import Spool, read_closed, read_open
from rnntool.ngram.smoothing import Smoothing
from rnntool.text.vocabulary import Vocabulary
from tests.conftest import ROOT

GOLDEN = ROOT / "tests" / "golden" / "ngram"
"""A text and KenLM's models of it; README.md there says how they were made."""

LINES = (GOLDEN / "text.txt").read_text().splitlines()

Table = dict[tuple[str, ...], tuple[float, float]]
"""log₁₀ of the probability and the back-off weight of n-grams."""


@dataclass(frozen=True)
class Read:
    """A text as ids, whose files are closed."""

    vocabulary: Vocabulary
    ids: NDArray[np.uint32]
    appearance: NDArray[np.int64] | None


def read(lines: Iterable[str], vocabulary: Vocabulary | None = None) -> Read:
    block = "".join(f"{line}\n" for line in lines).encode()
    with Spool(1 << 20) as spool:
        text = (
            read_open([block], "text", spool) if vocabulary is None else read_closed([block], "text", vocabulary, spool)
        )
        return Read(text.vocabulary, np.concatenate(list(text.blocks())), text.appearance)


def counted(text: Read, order: int) -> Counts:
    vocabulary = text.vocabulary
    return count([text.ids], order, vocab_size=len(vocabulary), eos_id=vocabulary.eos_id, memory=1 << 20)


def estimated(
    lines: Iterable[str],
    smoothing: Smoothing,
    order: int,
    *,
    prune: Sequence[int] = (),
    vocabulary: Vocabulary | None = None,
    interpolate_unigrams: bool = True,
) -> Estimate:
    """A model of lines; that discounts had to be invented for them is no matter."""
    text = read(lines, vocabulary)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RnntoolWarning)
        return estimate(
            counted(text, order),
            text.vocabulary,
            smoothing,
            thresholds=thresholds(prune, order),
            interpolate_unigrams=interpolate_unigrams,
            appearance=text.appearance,
        )


def parsed(text: str, name: str = "m.arpa") -> NgramModel:
    return read_arpa([text.encode()], name)


def written(model: NgramModel) -> str:
    return "".join(write_arpa(model))


def tables(model: NgramModel) -> list[Table]:
    """All there is in a model, by order and by words."""
    tokens = [*model.vocabulary.tokens, "<s>"]
    found = []
    for order in range(1, model.order + 1):
        places = np.arange(model.grams.size(order))
        words = zip(*(column.tolist() for column in model.grams.words(order, places)), strict=True)
        probs = model.log10_probs[order - 1].tolist()
        backoffs = model.log10_backoffs[order - 1].tolist() if order < model.order else [0.0] * len(probs)
        rows = zip(words, probs, backoffs, strict=True)
        found.append({tuple(map(tokens.__getitem__, ids)): (prob, backoff) for ids, prob, backoff in rows})
    return found


def prob(model: NgramModel, words: str) -> float:
    """P of the last of some words after the others, of which the first may be `<s>`."""
    ids = [*map(model.vocabulary.tokens.index, words.replace("<s> ", "").split())]
    contexts = model.begin()
    if not words.startswith("<s> "):
        contexts[:] = -1
    for word in ids[:-1]:
        contexts = model.after(contexts, np.array([word]))
    return float(np.exp(model.next_log_probs(contexts)[0, ids[-1]]))


def random_lines(seed: int, *, num_types: int = 9, number: int = 60) -> list[str]:
    """Lines of 0 to 7 words, the first words the likeliest."""
    random = Random(seed)
    words = list(chain.from_iterable([f"w{n}"] * (num_types - n) ** 2 for n in range(num_types)))
    return [" ".join(random.choices(words, k=random.randrange(8))) for _ in range(number)]
