"""From lines of a source to lines of a target: batches, search or draws, what unknown words become, what is aligned.

    score = log P / length^A + B Σ_s log min(Σ_t α_ts, 1)

is what the targets of a line compete by: the length penalty during the search, the coverage penalty, which is low where
words of the source were hardly looked at, among the targets that the search has finished.

Source: Wu et al. 2016, "Google's Neural Machine Translation System", §7.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from rnntool.score.columns import batches_by
from rnntool.score.words import SPACES, word_starts
from rnntool.search.alignment import grouped
from rnntool.search.beam import beam_search
from rnntool.search.continuation import Continuation
from rnntool.search.drawing import Bend
from rnntool.search.predictor import Prefixes
from rnntool.search.sampling import Wish, sample_lines
from rnntool.search.stride import Strider
from rnntool.search.translator import Translator
from rnntool.text.vocabulary import Vocabulary

LONGEST = 1 << 40
"""No limit of a length, in tokens, is larger."""

SPARE = 10
"""Tokens that a target may have beyond its share of the source's, so that short ones have room."""

POSITIONS = 1 << 16
"""Most positions of sources, times hypotheses, that are looked at together; what bounds memory for long lines."""


@dataclass(frozen=True)
class Manner:
    """How targets are found.

    Args:
        beam_size: hypotheses kept side by side.
        num_best: targets wanted of each line; of a search, at most `beam_size`.
        is_distinct: whether of targets with the same text only the best counts.
        length_penalty: A.
        coverage_penalty: B.
        min_length: fewest tokens of a target, as a multiple of its source's.
        max_length: most tokens, likewise, and `SPARE` more.
        max_source: most tokens of a source.
        bend: what is done to the distributions that targets are drawn from; None for a search.
        seed: of the draws.
        replacements: what a word of the source becomes where the target has `<unk>`, itself if it is not among them; None
            to let `<unk>` stand.
        level: what is aligned: `word`, `piece`, or nothing if empty.
        has_features: whether each model's own log-probability is wanted.
    """

    beam_size: int = 5
    num_best: int = 1
    is_distinct: bool = False
    length_penalty: float = 1.0
    coverage_penalty: float = 0.0
    min_length: float = 0.0
    max_length: float = 2.0
    max_source: int = 5000
    bend: Bend | None = None
    seed: int = 1
    replacements: Mapping[str, str] | None = None
    level: str = ""
    has_features: bool = False


@dataclass(frozen=True)
class Line:
    """A line to be translated.

    Args:
        text: of the source.
        number: among all lines; what draws depend on.
        prefix: what its targets begin with.
    """

    text: str
    number: int = 0
    prefix: str = ""


@dataclass(frozen=True)
class Aligned:
    """What looked where.

    Args:
        source: units of the source.
        target: units of the target.
        attention: of each unit of the target on each of the source, and on its end, (J, I + 1).
    """

    source: tuple[str, ...]
    target: tuple[str, ...]
    attention: Tensor


@dataclass(frozen=True)
class Target:
    """A target of a line.

    Args:
        text: of it.
        continuation: its tokens and what they were scored together.
        score: what it competed by.
        log_probs: what each model, language models last, gives it alone; empty if not wanted.
        coverage: Σ_s log min(Σ_t α_ts, 1); None if it does not count.
        aligned: what looked where, if wanted.
    """

    text: str
    continuation: Continuation
    score: float
    log_probs: tuple[float, ...] = ()
    coverage: float | None = None
    aligned: Aligned | None = None

    @property
    def is_refused(self) -> bool:
        """Whether its source was too long to be read."""
        return not self.continuation.num_tokens


@dataclass(frozen=True)
class _Encoded:
    """A line as ids: for each network, and of its prefix."""

    line: Line
    ids: list[list[int]]
    prefix: list[int]


@dataclass
class _Traced:
    """What is learnt by following one target."""

    log_probs: Tensor  # (M,)
    covered: Tensor | None  # (S,) Σ_t α_ts
    rows: list[Tensor] = field(default_factory=list)  # α_t of every token


class Translation:
    """Translates lines.

    Args:
        translator: the models.
        vocabulary: of the targets.
        sources: of each network's sources.
        attending: the networks whose attention is averaged, by weight; they have one vocabulary of sources.
        weights: of all networks.
        batch_size: lines computed side by side; changes speed and memory alone.
        manner: how.
    """

    def __init__(
        self,
        translator: Translator,
        vocabulary: Vocabulary,
        sources: Sequence[Vocabulary],
        *,
        attending: Sequence[int],
        weights: Sequence[float],
        batch_size: int,
        manner: Manner,
    ) -> None:
        self.translator = translator
        self.vocabulary = vocabulary
        self.sources = tuple(sources)
        self.batch_size = batch_size
        self.manner = manner
        total = sum(weights[index] for index in attending)
        self._shares = {index: weights[index] / total for index in attending}

    def targets(self, lines: Sequence[Line]) -> Iterator[list[Target]]:
        """The best targets of each line, at least one, in order; an empty one for a line that is blank or too long."""
        encoded = [self._encode(line) for line in lines]
        is_long = [max(map(len, each.ids)) > self.manner.max_source for each in encoded]
        answers = [[self._nothing(has_ended=not each)] for each in is_long]
        usual = [number for number, each in enumerate(encoded) if each.ids[0] and not is_long[number]]
        for numbers in self._batches(usual, [len(encoded[number].ids[0]) for number in usual]):
            found = self._batch([encoded[number] for number in numbers])
            for number, targets in zip(numbers, found, strict=True):
                answers[number] = targets
        yield from answers

    def _encode(self, line: Line) -> _Encoded:
        ids = [vocabulary.encode(line.text) for vocabulary in self.sources]
        return _Encoded(line, ids, self.vocabulary.encode(line.prefix))

    def _batches(self, numbers: Sequence[int], lengths: Sequence[int]) -> Iterator[list[int]]:
        for places in batches_by(lengths, self.batch_size):
            size = max(1, POSITIONS // (self.manner.beam_size * (lengths[places[-1]] + 1)))
            for first in range(0, len(places), size):
                yield [numbers[place] for place in places[first : first + size]]

    def _nothing(self, *, has_ended: bool) -> Target:
        """An empty target."""
        log_probs = (0.0,) * len(self.translator.models) if self.manner.has_features else ()
        coverage = 0.0 if self.manner.coverage_penalty else None
        aligned = Aligned((), (), torch.empty(0, 1)) if self.manner.level else None
        return Target("", Continuation((), 0.0, has_ended), 0.0, log_probs, coverage, aligned)

    # --- one batch ---------------------------------------------------------------------------------------------------

    def _batch(self, lines: Sequence[_Encoded]) -> list[list[Target]]:
        most = [max(_times(self.manner.max_length, e.ids[0]) + SPARE, len(e.prefix)) for e in lines]
        begun = self.translator.read(
            [[each.ids[index] for each in lines] for index in range(len(self.sources))],
            forced=[each.prefix for each in lines],
            fewest=[_times(self.manner.min_length, each.ids[0]) for each in lines],
            most=most,
        )
        limits = [each + 1 for each in most]  # by which all have ended
        if self.manner.bend is None:
            found = self._searched(begun, limits)
        else:
            found = self._drawn(begun, lines, limits, self.manner.bend)
        flat = [(row, each) for row, some in enumerate(found) for each in some]
        coverages = self._coverages(begun, flat, lines) if self.manner.coverage_penalty else [None] * len(flat)
        ranked: list[list[Target]] = [[] for _ in lines]
        for (row, each), coverage in zip(flat, coverages, strict=True):
            score = each.score(self.manner.length_penalty) + self.manner.coverage_penalty * (coverage or 0.0)
            ranked[row].append(Target(self._text(self.vocabulary.decode(each.ids)), each, score, (), coverage))
        chosen = [(row, each) for row, some in enumerate(ranked) for each in self._chosen(some)]
        traces = self._traced(begun, chosen)
        finished: list[list[Target]] = [[] for _ in lines]
        for (row, target), traced in zip(chosen, traces, strict=True):
            finished[row].append(self._finished(lines[row], target, traced))
        return finished

    def _searched(self, begun: Prefixes, limits: Sequence[int]) -> list[list[Continuation]]:
        is_reordered = self.manner.is_distinct or self.manner.coverage_penalty
        return beam_search(
            self.translator,
            begun,
            beam_size=self.manner.beam_size,
            num_best=self.manner.beam_size if is_reordered else self.manner.num_best,
            max_tokens=limits,
            length_penalty=self.manner.length_penalty,
        )

    def _drawn(
        self, begun: Prefixes, lines: Sequence[_Encoded], limits: Sequence[int], bend: Bend
    ) -> list[list[Continuation]]:
        strider = Strider(self.translator, bend, batch_size=self.batch_size)
        wishes = (
            Wish(begun.at([row]), each.line.number, sample, limit)
            for row, (each, limit) in enumerate(zip(lines, limits, strict=True))
            for sample in range(self.manner.num_best)
        )
        drawn = sample_lines(strider, wishes, max_tokens=max(limits), seed=self.manner.seed)
        return [[next(drawn) for _ in range(self.manner.num_best)] for _ in lines]

    def _chosen(self, targets: list[Target]) -> list[Target]:
        """The best, the best first; drawn ones as they were drawn."""
        if self.manner.bend is None:
            targets = sorted(targets, key=lambda each: -each.score)
        if self.manner.is_distinct:
            first: dict[str, Target] = {}
            for each in targets:
                first.setdefault(each.text, each)
            targets = list(first.values())
        return targets[: self.manner.num_best]

    # --- what following a target shows -------------------------------------------------------------------------------

    def _coverages(
        self, begun: Prefixes, found: Sequence[tuple[int, Continuation]], lines: Sequence[_Encoded]
    ) -> list[float | None]:
        coverages: list[float | None] = []
        for (row, _), traced in zip(found, self._follow(begun, found, keeps=False), strict=True):
            size = len(lines[row].ids[self._first])
            assert traced.covered is not None
            covered = traced.covered[:size].clamp(min=torch.finfo(torch.float64).tiny, max=1)
            coverages.append(float(covered.log().sum()))
        return coverages

    def _traced(self, begun: Prefixes, chosen: Sequence[tuple[int, Target]]) -> list[_Traced | None]:
        """What is learnt of those targets of which something is to be learnt."""
        traces: list[_Traced | None] = [None] * len(chosen)
        places = [place for place, (_, target) in enumerate(chosen) if self._is_traced(target.continuation)]
        found = [(chosen[place][0], chosen[place][1].continuation) for place in places]
        if found:
            keeps = bool(self.manner.level) or self.manner.replacements is not None
            for place, traced in zip(places, self._follow(begun, found, keeps=keeps), strict=True):
                traces[place] = traced
        return traces

    def _is_traced(self, found: Continuation) -> bool:
        replaces = self.manner.replacements is not None and self.vocabulary.unk_id in found.ids
        return bool(self.manner.level) or self.manner.has_features or replaces

    def _follow(self, begun: Prefixes, found: Sequence[tuple[int, Continuation]], *, keeps: bool) -> list[_Traced]:
        ends = [self.translator.eos_id]
        targets = [[*each.ids, *ends * each.has_ended] for _, each in found]
        log_probs = torch.zeros(len(self.translator.models), len(found), dtype=torch.float64)
        covered: Tensor | None = None
        rows: list[Tensor] = []
        for followed in self.translator.followed(begun, [row for row, _ in found], targets):
            log_probs += followed.log_probs.masked_fill(~followed.is_there, 0).cpu()
            if not self._shares:
                continue
            looks = self._mean(followed.looks).masked_fill(~followed.is_there[:, None], 0)
            covered = looks if covered is None else covered + looks
            if keeps:
                rows.append(looks.float().cpu())
        traces = []
        for index, (_, each) in enumerate(found):
            own = None if covered is None else covered[index].double().cpu()
            traces.append(_Traced(log_probs[:, index], own, [row[index] for row in rows[: len(each.ids)]]))
        return traces

    def _mean(self, looks: Sequence[Tensor | None]) -> Tensor:
        parts = []
        for index, share in self._shares.items():
            each = looks[index]
            assert each is not None
            parts.append(share * each)
        return torch.stack(parts).sum(dim=0)

    @property
    def _first(self) -> int:
        """The network in whose units attention is."""
        return next(iter(self._shares))

    # --- what is written ---------------------------------------------------------------------------------------------

    def _finished(self, encoded: _Encoded, target: Target, traced: _Traced | None) -> Target:
        """A target with its text, and all that is wanted beside it."""
        attention = self._attention(encoded, traced)
        pieces, origins = self._pieces(encoded, target.continuation, attention)
        is_changed = pieces != self.vocabulary.spellings(target.continuation.ids)
        text = self._text(self.vocabulary.join(pieces)) if is_changed else target.text
        log_probs = tuple(traced.log_probs.tolist()) if traced is not None and self.manner.has_features else ()
        aligned = None
        if self.manner.level and attention is not None:
            aligned = self._aligned(encoded, target.continuation, attention, pieces, origins)
        return Target(text, target.continuation, target.score, log_probs, target.coverage, aligned)

    def _text(self, text: str) -> str:
        """A target as a line: without the space of a piece that is nothing else, where that is the last."""
        return text.strip(SPACES) if self.vocabulary.unit == "spm" else text

    def _attention(self, encoded: _Encoded, traced: _Traced | None) -> Tensor | None:
        """(J, I + 1)."""
        if traced is None or not self._shares:
            return None
        width = len(encoded.ids[self._first]) + 1
        return torch.stack([row[:width] for row in traced.rows]) if traced.rows else torch.empty(0, width)

    def _pieces(self, encoded: _Encoded, found: Continuation, attention: Tensor | None) -> tuple[list[str], list[int]]:
        """The pieces of a target, as it is written, and the token that each stands for."""
        pieces: list[str] = []
        origins: list[int] = []
        given = self.vocabulary.pieces(encoded.line.prefix) if encoded.prefix else []
        for place, (id_, spelling) in enumerate(zip(found.ids, self.vocabulary.spellings(found.ids), strict=True)):
            written = [spelling]
            if place < len(given):
                written = [given[place]]
            elif id_ == self.vocabulary.unk_id and self.manner.replacements is not None and attention is not None:
                word = self._looked_at(encoded, attention[place])
                written = self.vocabulary.pieces(self.manner.replacements.get(word, word))
            pieces += written
            origins += [place] * len(written)
        return pieces, origins

    def _looked_at(self, encoded: _Encoded, attention: Tensor) -> str:
        """The word of the source that has most of the attention; the token, if targets are characters or bytes."""
        vocabulary = self.sources[self._first]
        pieces = vocabulary.pieces(encoded.line.text)
        starts = list(range(len(pieces)))
        if self.vocabulary.unit in ("word", "spm"):
            starts = word_starts(pieces, vocabulary)
        words = _units(pieces, starts, vocabulary)
        if not words:
            return ""
        return words[int(grouped(attention[None], starts, [0])[0, :-1].argmax())]

    def _aligned(
        self, encoded: _Encoded, found: Continuation, attention: Tensor, pieces: list[str], origins: list[int]
    ) -> Aligned:
        vocabulary = self.sources[self._first]
        source = vocabulary.pieces(encoded.line.text)
        if self.manner.level == "piece":
            target = self.vocabulary.spellings(found.ids)
            return Aligned(tuple(source), tuple(target), attention)
        attention = attention[origins]
        source_starts, target_starts = word_starts(source, vocabulary), word_starts(pieces, self.vocabulary)
        return Aligned(
            tuple(_units(source, source_starts, vocabulary)),
            tuple(_units(pieces, target_starts, self.vocabulary)),
            grouped(attention, source_starts, target_starts),
        )


def _times(factor: float, source: Sequence[int]) -> int:
    """A length as a multiple of a source's."""
    return int(min(factor * len(source), LONGEST))


def _units(pieces: Sequence[str], starts: Sequence[int], vocabulary: Vocabulary) -> list[str]:
    """The parts of a line that begin at some of its pieces, as text."""
    if vocabulary.unit == "word":
        return list(pieces)
    ends = [*starts[1:], len(pieces)]
    begins = [0, *starts[1:]]
    return [
        vocabulary.join(pieces[start:end]).strip(SPACES) for start, end in zip(begins, ends, strict=False) if starts
    ]
