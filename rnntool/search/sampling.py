"""Lines drawn from a model, many side by side, or one running text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import NamedTuple

import numpy as np

from rnntool.search.continuation import Continuation
from rnntool.search.drawing import uniform, uniform_each
from rnntool.search.predictor import Prefixes, together
from rnntool.search.stride import Strider


class Wish(NamedTuple):
    """A line to be drawn."""

    prefix: Prefixes
    """Its beginning, one row."""

    prompt: int
    """Number of the prompt; with that of the sample, what makes its random numbers its own."""

    sample: int
    """Number of the sample among those of its prompt."""

    max_tokens: int | None = None
    """Its own limit, if it has one."""


@dataclass
class _Line:
    """A line in the making."""

    ids: list[int] = field(default_factory=list)
    logprob: float = 0.0
    has_ended: bool = False

    def take(self, id_: int, gain: float, eos_id: int) -> bool:
        """One more token; whether it ends the line."""
        self.logprob += gain
        self.has_ended = id_ == eos_id
        if not self.has_ended:
            self.ids.append(id_)
        return self.has_ended

    def made(self) -> Continuation:
        return Continuation(tuple(self.ids), self.logprob, self.has_ended)


def sample_lines(strider: Strider, wishes: Iterable[Wish], *, max_tokens: int, seed: int) -> Iterator[Continuation]:
    """Draw a line for each wish, in their order, each out as soon as it and those before it are done.

    A row that is done makes place for the next wish at once.

    Args:
        strider: draws the tokens; how many rows and how many at once changes speed and memory alone.
        wishes: taken as they are needed.
        max_tokens: limit of each line's length, `</s>` not counted, where a wish has none of its own.
        seed: of all draws.
    """
    eos_id = strider.predictor.eos_id
    waiting = enumerate(wishes)
    rows: list[tuple[int, Wish, _Line]] = []
    prefixes: list[Prefixes] = []  # of all rows: one part, and one for each new row
    done: dict[int, Continuation] = {}
    next_out = 0
    ahead = np.arange(strider.length, dtype=np.uint64)[:, None]
    while True:
        for number, wish in islice(waiting, strider.batch_size - len(rows)):
            rows.append((number, wish, _Line()))
            prefixes.append(wish.prefix)
        if not rows:
            return
        keys = np.array([(wish.prompt, wish.sample, len(line.ids)) for _, wish, line in rows], dtype=np.uint64).T
        uniforms = uniform_each(seed, keys[0], keys[1], keys[2] + ahead)
        ids, gains, after = strider.advance(together(prefixes), uniforms)
        going_on = []
        for index, (number, wish, line) in enumerate(rows):
            limit = max_tokens if wish.max_tokens is None else wish.max_tokens
            for id_, gain in zip((each[index] for each in ids), (each[index] for each in gains), strict=True):
                if line.take(id_, gain, eos_id) or len(line.ids) == limit:
                    done[number] = line.made()
                    break
            else:
                going_on.append(index)
        prefixes = [after if len(going_on) == len(rows) else after.at(going_on)]
        rows = [rows[index] for index in going_on]
        while next_out in done:
            yield done.pop(next_out)
            next_out += 1


def sample_stream(strider: Strider, *, num_tokens: int, carry: bool, seed: int) -> Iterator[Continuation]:
    """Draw a running text of so many tokens, `</s>` counted, line after line; the last one ends where the tokens do.

    Args:
        strider: draws the tokens.
        num_tokens: length of the text.
        carry: whether a line's end leaves the state as it is; otherwise the next line begins anew.
        seed: of all draws.
    """
    predictor = strider.predictor
    prefix = predictor.begin(())
    line = _Line()
    position = 0
    while position < num_tokens:
        uniforms = [[uniform(seed, 0, 0, position + ahead)] for ahead in range(strider.length)]
        ids, gains, prefix = strider.advance(prefix, uniforms)
        for (id_,), (gain,) in zip(ids[: num_tokens - position], gains, strict=False):
            position += 1
            if not line.take(id_, gain, predictor.eos_id):
                continue
            yield line.made()
            line = _Line()
            if not carry:
                prefix = predictor.begin(())
                break
    if line.ids:
        yield line.made()
