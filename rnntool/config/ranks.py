"""Which of the processes that train one network together this one is."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Ranks:
    """One of several processes, each of which sees a part of every batch.

    Args:
        rank: number of this one, from 0; the first one writes.
        size: how many there are.
        local_rank: number of this one on its machine.
        local_size: how many there are on its machine.
        crowd: how many of them share the processors that this one may use.
        meeting: where they find each other, as torch spells it: `env://`, `tcp://HOST:PORT` or `file://PATH`.
        patience: seconds to wait for the others in one exchange before they are taken for lost.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    local_size: int = 1
    crowd: int = 1
    meeting: str = ""
    patience: float = 300.0


ALONE = Ranks()
