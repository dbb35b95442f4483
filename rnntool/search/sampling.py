"""Lines drawn from a model, many side by side, or one running text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import NamedTuple

from rnntool.search.continuation import Continuation
from rnntool.search.drawing import Bend, uniform
from rnntool.search.predictor import Predictor, Prefixes, together
from rnntool.search.stride import Strider


class Wish(NamedTuple):
    """A line to be drawn."""

    prefix: Prefixes
    """Its beginning, one row."""

    prompt: int
    """Number of the prompt; with that of the sample, what makes its random numbers its own."""

    sample: int
    """Number of the sample among those of its prompt."""


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


def sample_lines(
    predictor: Predictor,
    wishes: Iterable[Wish],
    *,
    bend: Bend,
    max_tokens: int,
    batch_size: int,
    seed: int,
    stride: int | None = None,
) -> Iterator[Continuation]:
    """Draw a line for each wish, in their order, each out as soon as it and those before it are done.

    A row that is done makes place for the next wish at once.

    Args:
        predictor: the model.
        wishes: taken as they are needed.
        bend: what is done to each distribution.
        max_tokens: limit of each line's length, `</s>` not counted.
        batch_size: rows computed together; changes speed and memory alone.
        seed: of all draws.
        stride: tokens drawn at once; None for what suits the device; changes speed alone.
    """
    strider = Strider(predictor, bend, batch_size=batch_size, length=stride)
    waiting = enumerate(wishes)
    rows: list[tuple[int, Wish, _Line]] = []
    prefixes: list[Prefixes] = []  # of all rows: one part, and one for each new row
    done: dict[int, Continuation] = {}
    next_out = 0
    while True:
        for number, wish in islice(waiting, batch_size - len(rows)):
            rows.append((number, wish, _Line()))
            prefixes.append(wish.prefix)
        if not rows:
            return
        uniforms = [
            [uniform(seed, wish.prompt, wish.sample, len(line.ids) + ahead) for _, wish, line in rows]
            for ahead in range(strider.length)
        ]
        ids, gains, after = strider.advance(together(prefixes), uniforms)
        going_on = []
        for index, (number, _, line) in enumerate(rows):
            for id_, gain in zip((each[index] for each in ids), (each[index] for each in gains), strict=True):
                if line.take(id_, gain, predictor.eos_id) or len(line.ids) == max_tokens:
                    done[number] = line.made()
                    break
            else:
                going_on.append(index)
        prefixes = [after if len(going_on) == len(rows) else after.at(going_on)]
        rows = [rows[index] for index in going_on]
        while next_out in done:
            yield done.pop(next_out)
            next_out += 1


def sample_stream(
    predictor: Predictor, *, bend: Bend, num_tokens: int, carry: bool, seed: int, stride: int | None = None
) -> Iterator[Continuation]:
    """Draw a running text of so many tokens, `</s>` counted, line after line; the last one ends where the tokens do.

    Args:
        predictor: the model.
        bend: what is done to each distribution.
        num_tokens: length of the text.
        carry: whether a line's end leaves the state as it is; otherwise the next line begins anew.
        seed: of all draws.
        stride: as for `sample_lines`.
    """
    strider = Strider(predictor, bend, batch_size=1, length=stride)
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
