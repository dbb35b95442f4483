"""Lines drawn from a model, many side by side, or one running text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import NamedTuple

from rnntool.search.continuation import Continuation
from rnntool.search.drawing import Bend, draw, uniform
from rnntool.search.predictor import Predictor, Prefixes, together


class Wish(NamedTuple):
    """A line to be drawn."""

    prefix: Prefixes
    """Its beginning, one row."""

    prompt: int
    """Number of the prompt; with that of the sample, what makes its random numbers its own."""

    sample: int
    """Number of the sample among those of its prompt."""


@dataclass
class _Row:
    """A line in the making."""

    number: int
    wish: Wish
    ids: list[int] = field(default_factory=list)
    logprob: float = 0.0


def sample_lines(
    predictor: Predictor, wishes: Iterable[Wish], *, bend: Bend, max_tokens: int, batch_size: int, seed: int
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
    """
    waiting = enumerate(wishes)
    rows: list[_Row] = []
    prefixes: list[Prefixes] = []  # of all rows: one part, and one for each new row
    done: dict[int, Continuation] = {}
    next_out = 0
    while True:
        for number, wish in islice(waiting, batch_size - len(rows)):
            rows.append(_Row(number, wish))
            prefixes.append(wish.prefix)
        if not rows:
            return
        log_probs, state = predictor.step(together(prefixes))
        uniforms = [uniform(seed, row.wish.prompt, row.wish.sample, len(row.ids)) for row in rows]
        chosen = draw(log_probs, uniforms, bend)
        gains = log_probs.gather(1, chosen[:, None])[:, 0].tolist()
        going_on = []
        for index, (row, id_, gain) in enumerate(zip(rows, chosen.tolist(), gains, strict=True)):
            row.logprob += gain
            has_ended = id_ == predictor.eos_id
            if not has_ended:
                row.ids.append(id_)
            if has_ended or len(row.ids) == max_tokens:
                done[row.number] = Continuation(tuple(row.ids), row.logprob, has_ended)
            else:
                going_on.append(index)
        after = Prefixes(chosen, state)
        prefixes = [after if len(going_on) == len(rows) else after.at(going_on)]
        rows = [rows[index] for index in going_on]
        while next_out in done:
            yield done.pop(next_out)
            next_out += 1


def sample_stream(
    predictor: Predictor, *, bend: Bend, num_tokens: int, carry: bool, seed: int
) -> Iterator[Continuation]:
    """Draw a running text of so many tokens, `</s>` counted, line after line; the last one ends where the tokens do.

    Args:
        predictor: the model.
        bend: what is done to each distribution.
        num_tokens: length of the text.
        carry: whether a line's end leaves the state as it is; otherwise the next line begins anew.
        seed: of all draws.
    """
    prefix = predictor.begin(())
    ids: list[int] = []
    logprob = 0.0
    for position in range(num_tokens):
        log_probs, state = predictor.step(prefix)
        chosen = draw(log_probs, [uniform(seed, 0, 0, position)], bend)
        id_ = int(chosen)
        logprob += float(log_probs[0, id_])
        prefix = Prefixes(chosen, state)
        if id_ != predictor.eos_id:
            ids.append(id_)
            continue
        yield Continuation(tuple(ids), logprob, has_ended=True)
        ids, logprob = [], 0.0
        if not carry:
            prefix = predictor.begin(())
    if ids:
        yield Continuation(tuple(ids), logprob, has_ended=False)
