"""Cutting a line into SentencePiece pieces at random, the same way for the same seed on every machine.

SentencePiece draws too, but salts its generator anew in every process, so that a seed repeats nothing.  Here, on its
own pieces, scores and normalised text:

    unigram    P(pieces) ∝ Π p(piece)^α, over all ways to cut the text, drawn by forward filtering and backward
               sampling; or over the N best ways only
    BPE        merges of the highest rank first, each one skipped with probability α

Sources: Kudo 2018, "Subword Regularization: Improving Neural Network Translation Models with Multiple Subword
Candidates"; Provilkov et al. 2020, "BPE-Dropout: Simple and Effective Subword Regularization".
"""

from __future__ import annotations

import heapq
import math
import random
import struct
from collections.abc import Iterator
from dataclasses import dataclass

UNK_PENALTY = 10.0  # SentencePiece's kUnkPenalty: an unknown character scores so much less than the worst piece

UNIGRAM, BPE, WORD, CHAR = 1, 2, 3, 4  # TrainerSpec.ModelType
NORMAL, USER_DEFINED = 1, 4  # ModelProto.SentencePiece.Type


@dataclass(frozen=True)
class Model:
    """What a SentencePiece model file says about its pieces."""

    kind: int
    """`UNIGRAM`, `BPE`, `WORD` or `CHAR`."""
    scores: dict[str, float]
    """Of the pieces that text is cut into: log-probabilities, or for BPE the negative rank of the merge."""
    kept: frozenset[str]
    """Pieces that are never cut, whatever is drawn."""
    longest: int
    """Characters of the longest piece."""
    unk_score: float
    """Of a character that is in no piece."""


def read_model(data: bytes) -> Model:
    """Read the pieces of a model file, a protocol buffer.

    Raises:
        ValueError: it is damaged.
    """
    kind = UNIGRAM
    scores: dict[str, float] = {}
    kept = set()
    for number, value in _fields(data):
        if number == 1 and isinstance(value, bytes):
            fields = dict(_fields(value))
            piece, score, type_ = fields.get(1, b""), fields.get(2, b"\0\0\0\0"), fields.get(3, NORMAL)
            if type_ in (NORMAL, USER_DEFINED) and isinstance(piece, bytes) and isinstance(score, bytes):
                scores[piece.decode()] = struct.unpack("<f", score)[0]
                if type_ == USER_DEFINED:
                    kept.add(piece.decode())
        elif number == 2 and isinstance(value, bytes):
            found = dict(_fields(value)).get(3, UNIGRAM)
            kind = found if isinstance(found, int) else UNIGRAM
    normal = [score for piece, score in scores.items() if piece not in kept]
    # A kept piece beats every way to cut it, as in SentencePiece's unigram model.
    scores.update({piece: len(piece) * max(normal, default=0.0) - 0.1 for piece in kept})
    return Model(
        kind, scores, frozenset(kept), max(map(len, scores), default=1), min(normal, default=0.0) - UNK_PENALTY
    )


def sample_unigram(model: Model, text: str, alpha: float, seed: int) -> list[str]:
    """One way to cut normalised text, out of all.

    Args:
        model: a unigram model.
        text: normalised, with ▁ for spaces.
        alpha: sharpness; 0 draws all ways alike.
        seed: any number.
    """
    draw = random.Random(seed)
    # total[i]: log of the summed weight of all ways to cut text[:i]; ways[i]: the pieces that can end at i
    total = [0.0]
    ways: list[list[tuple[float, int]]] = [[]]
    for end in range(1, len(text) + 1):
        here = []
        for start in range(max(0, end - model.longest), end):
            score = model.scores.get(text[start:end])
            if score is None and start == end - 1:
                score = model.unk_score
            if score is not None:
                here.append((total[start] + alpha * score, start))
        top = max(weight for weight, _ in here)
        total.append(top + math.log(sum(math.exp(weight - top) for weight, _ in here)))
        ways.append(here)
    pieces = []
    end = len(text)
    while end:
        weights = [math.exp(weight - total[end]) for weight, _ in ways[end]]
        ((_, start),) = draw.choices(ways[end], weights)
        pieces.append(text[start:end])
        end = start
    return _joined_unknown(model, pieces[::-1])


def sample_best(model: Model, ways: list[list[str]], alpha: float, seed: int) -> list[str]:
    """One of the best ways to cut a text, with probabilities ∝ exp(α score)."""
    scores = [alpha * sum(model.scores.get(piece, model.unk_score) for piece in way) for way in ways]
    top = max(scores)
    return random.Random(seed).choices(ways, [math.exp(score - top) for score in scores])[0]


def sample_bpe(model: Model, text: str, alpha: float, seed: int) -> list[str]:
    """One way to cut normalised text: byte-pair merges, each skipped with probability `alpha`."""
    draw = random.Random(seed)
    symbols = list(_symbols(model, text))
    before, after = list(range(-1, len(symbols) - 1)), [*range(1, len(symbols)), -1]
    agenda: list[tuple[float, int, int, int]] = []

    def propose(left: int, right: int) -> None:
        if left < 0 or right < 0 or symbols[left] in model.kept or symbols[right] in model.kept:
            return
        merged = symbols[left] + symbols[right]
        score = model.scores.get(merged)
        if score is not None and merged not in model.kept:
            heapq.heappush(agenda, (-score, left, right, len(merged)))

    for left in range(len(symbols) - 1):
        propose(left, left + 1)
    while agenda:
        _, left, right, length = heapq.heappop(agenda)
        is_stale = not symbols[left] or not symbols[right] or len(symbols[left]) + len(symbols[right]) != length
        if is_stale or draw.random() < alpha:
            continue
        symbols[left] += symbols[right]
        symbols[right] = ""
        after[left] = after[right]
        if after[left] >= 0:
            before[after[left]] = left
        propose(before[left], left)
        propose(left, after[left])
    return _joined_unknown(model, list(filter(None, symbols)))


def _symbols(model: Model, text: str) -> Iterator[str]:
    """Characters, and kept pieces whole, the longest where several begin."""
    longest = max(map(len, model.kept), default=0)
    start = 0
    while start < len(text):
        ends = range(min(len(text), start + longest), start, -1)
        end = next((end for end in ends if text[start:end] in model.kept), start + 1)
        yield text[start:end]
        start = end


def _joined_unknown(model: Model, pieces: list[str]) -> list[str]:
    """Unknown characters in a row as one piece, as SentencePiece gives them."""
    joined: list[str] = []
    was_known = True
    for piece in pieces:
        is_known = piece in model.scores
        if is_known or was_known:
            joined.append(piece)
        else:
            joined[-1] += piece
        was_known = is_known
    return joined


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """The fields of a protocol buffer: their numbers and values, those of fixed width as bytes."""
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        match tag & 7:
            case 0:
                value, at = _varint(data, at)
                yield tag >> 3, value
                continue
            case 1:
                length = 8
            case 2:
                length, at = _varint(data, at)
            case 5:
                length = 4
            case other:
                raise ValueError(f"wire type {other}")
        if at + length > len(data):
            raise ValueError("cut off")
        yield tag >> 3, data[at : at + length]
        at += length


def _varint(data: bytes, at: int) -> tuple[int, int]:
    number = 0
    for place, byte in enumerate(data[at : at + 10]):
        number |= (byte & 0x7F) << 7 * place
        if byte < 0x80:
            return number, at + place + 1
    raise ValueError("cut off")
