"""Cutting lines into SentencePiece pieces at random, compared with SentencePiece's own ways."""

from __future__ import annotations

import math
from collections import Counter
from functools import cache

import pytest
import sentencepiece

from rnntool.text.pieces import train
from rnntool.text.sampling import read_model
from rnntool.text.vocabulary import Vocabulary

LINES = ["the cat sat on the mat", "a dog sat there that day", "cats and dogs chat", "thou hast sated the cat"] * 5
KINDS = pytest.mark.parametrize("kind", ["unigram", "bpe"])


@cache
def model(kind: str) -> Vocabulary:
    return Vocabulary.from_bytes(
        train(LINES, size={"unigram": 29, "bpe": 38}[kind], model_type=kind, specials=["<2de>"]), kind
    )


@KINDS
def test_the_same_seed_draws_the_same_and_others_differ(kind: str) -> None:
    draws = [model(kind).sample("the cat sat there", alpha=0.3, seed=seed) for seed in range(50)]
    assert draws == [model(kind).sample("the cat sat there", alpha=0.3, seed=seed) for seed in range(50)]
    assert len(set(map(tuple, draws))) > 5


@KINDS
def test_every_draw_is_a_way_to_write_the_line(kind: str) -> None:
    for nbest in (-1, 4):
        for seed in range(30):
            for line in ("the cat <2de> sat", "", "  ", "那 cat é"):
                pieces = model(kind).sample_pieces(line, alpha=0.2, nbest=nbest, seed=seed)
                assert "".join(pieces) == "".join(model(kind).pieces(line))
                assert line.count("<2de>") == pieces.count("<2de>"), "a special token is never cut"


@KINDS
def test_without_chance_the_best_way_is_drawn(kind: str) -> None:
    for line in [*LINES, "unseen 那 words <2de> here"]:
        drawn = model(kind).sample_pieces(line, alpha=500.0 if kind == "unigram" else 0.0)
        assert drawn == model(kind).pieces(line)


def test_unigram_probabilities_are_the_models_own() -> None:
    """Of 4000 draws each way comes within five standard deviations of its share among all ways, summed by hand."""
    facts = read_model(model("unigram").to_bytes())
    text, alpha, draws = "▁that", 0.5, 4000

    def ways(rest: str) -> list[tuple[str, ...]]:
        if not rest:
            return [()]
        heads = (rest[:n] for n in range(1, len(rest) + 1) if rest[:n] in facts.scores)
        return [(head, *tail) for head in heads for tail in ways(rest[len(head) :])]

    weights = {way: math.exp(alpha * sum(facts.scores[piece] for piece in way)) for way in ways(text)}
    total = sum(weights.values())
    found = Counter(tuple(model("unigram").sample_pieces("that", alpha=alpha, seed=seed)) for seed in range(draws))
    assert set(found) <= set(weights)
    for way, weight in weights.items():
        share = weight / total
        assert abs(found[way] - draws * share) <= 5 * math.sqrt(draws * share * (1 - share)) + 1


@KINDS
@pytest.mark.parametrize("nbest", [-1, 3])
def test_draws_are_distributed_as_sentencepieces_own(kind: str, nbest: int) -> None:
    processor = sentencepiece.SentencePieceProcessor()
    processor.LoadFromSerializedProto(model(kind).to_bytes())
    draws = 3000
    ours = Counter(
        tuple(model(kind).sample_pieces("the cats", alpha=0.3, nbest=nbest, seed=seed)) for seed in range(draws)
    )
    theirs = Counter(
        tuple(processor.encode("the cats", out_type=str, enable_sampling=True, alpha=0.3, nbest_size=nbest))
        for _ in range(draws)
    )
    for way in {*ours, *theirs}:
        spread = math.sqrt(ours[way] + theirs[way])
        assert abs(ours[way] - theirs[way]) <= 6 * spread


def test_models_are_read_as_sentencepiece_reads_them() -> None:
    for kind in ("unigram", "bpe"):
        processor = sentencepiece.SentencePieceProcessor()
        processor.LoadFromSerializedProto(model(kind).to_bytes())
        facts = read_model(model(kind).to_bytes())
        assert facts.kept == {"<2de>"}
        for piece, score in facts.scores.items():
            if piece not in facts.kept:
                assert processor.get_score(processor.piece_to_id(piece)) == score
        assert len(facts.scores) == processor.get_piece_size() - 2


@pytest.mark.parametrize("data", [b"\n", b"\x0a\xff", b"\x07", b"\x80" * 20, b"\x0d\x00"])
def test_a_damaged_model_is_a_value_error(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"cut off|wire type"):
        read_model(data)
