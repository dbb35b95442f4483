"""The arithmetic of perplexity, by hand and as SRILM does it."""

from __future__ import annotations

import math

import numpy as np
import pytest

from rnntool.score import perplexity
from rnntool.score.perplexity import Bootstrap, ScoredLine, Tally, grouped, score_ids, score_lines
from tests.score.conftest import LINES, scorer, words

LN10 = math.log(10)


def test_ppl_and_ppl1_are_srilms() -> None:
    """SRILM's ngram -ppl: "2 sentences, 4 words, 0 OOVs, 0 zeroprobs, logprob= -6 ppl= 10 ppl1= 31.62278".

    ppl = 10^(6 / (4 + 2)) counts line ends; ppl1 = 10^(6 / 4) does not (ngram-discount(7), ngram(1)).
    """
    tally = Tally(sentences=2, tokens=6, nll=6 * LN10)
    assert tally.ppl == pytest.approx(10, rel=1e-12)
    assert tally.ppl1 == pytest.approx(31.6227766, rel=1e-8)
    assert tally.nll_per_token == pytest.approx(LN10, rel=1e-12)


def test_perplexity_without_oov_leaves_out_their_tokens_and_their_share() -> None:
    """KenLM's "Perplexity excluding OOVs": 6 nats of 2 OOV of 8 tokens and 18 nats: exp((18 − 6) / 6) = e²."""
    tally = Tally(sentences=1, tokens=8, oov=2, nll=18, oov_nll=6)
    assert tally.ppl_excl_oov == pytest.approx(math.exp(2))
    assert tally.ppl == pytest.approx(math.exp(18 / 8))


def test_bits_are_of_the_whole_sum() -> None:
    """12 ln 2 nats are 12 bits: 2 a token, 1 a code point, ¾ a byte."""
    tally = Tally(sentences=1, tokens=6, nll=12 * math.log(2), chars=12, bytes=16)
    assert (tally.bits_per_token, tally.bits_per_char, tally.bits_per_byte) == pytest.approx((2, 1, 0.75))


def test_tallies_add_up() -> None:
    total = Tally(1, 2, 1, 3.0, 0.5, 7, 8) + Tally(2, 3, 0, 1.5, 0.0, 1, 1)
    assert total == Tally(3, 5, 1, 4.5, 0.5, 8, 9)


def test_nothing_has_no_perplexity_and_the_impossible_an_infinite_one() -> None:
    assert math.isnan(Tally().ppl)
    assert math.isnan(Tally(sentences=1, tokens=1, nll=1).ppl1)
    assert math.isnan(Tally(sentences=1, tokens=2, nll=1).bits_per_char)
    assert Tally(sentences=1, tokens=1, nll=1e6).ppl == math.inf
    assert Tally(sentences=1, tokens=1, nll=math.inf).ppl == math.inf


@pytest.mark.parametrize("context", ["carry", "reset"])
def test_lines_sum_to_the_tally(context: str) -> None:
    """As `score` and `ppl` see the text, and as a validation sees its ids."""
    lines = [line for group in score_lines(scorer(context), [LINES[:33], LINES[33:]]) for line in group]
    total = sum((line.tally() for line in lines), Tally())
    ids = score_ids(scorer(context), [words().encode(line) for line in LINES])
    assert total.nll == pytest.approx(-sum(float(line.log_probs.sum()) for line in lines), rel=1e-12)
    assert (total.tokens, total.sentences) == (ids.tokens, ids.sentences) == (220 + 80, 80)
    assert ids.nll == pytest.approx(total.nll, rel=1e-6)


def test_a_line_counts_what_it_holds() -> None:
    """`zebra` is not in the vocabulary, `<unk>` is; the line end counts as a token, a code point and a byte."""
    (line,) = next(score_lines(scorer("reset"), [["the zebra <unk> naïve"]]))
    assert list(line.is_oov) == [False, True, False, True]
    tally = line.tally()
    assert (tally.sentences, tally.tokens, tally.oov) == (1, 5, 2)
    assert (tally.chars, tally.bytes) == (22, 23)
    assert tally.oov_nll == pytest.approx(-line.log_probs[1] - line.log_probs[3], rel=1e-12)
    assert tally.nll == pytest.approx(-line.log_probs.sum(), rel=1e-12)


def test_a_blank_line_is_a_line_end() -> None:
    (line,) = next(score_lines(scorer("reset"), [[""]]))
    tally = line.tally()
    assert (tally.sentences, tally.tokens, tally.oov, tally.chars, tally.bytes) == (1, 1, 0, 1, 1)


def test_an_answer_is_out_before_the_next_group_is_read() -> None:
    read = []

    def groups():  # type: ignore[no-untyped-def]
        for line in LINES[:3]:
            read.append(line)
            yield [line]

    answers = score_lines(scorer("carry"), groups())
    next(answers)
    assert read == LINES[:1]


def test_groups_are_bounded_in_lines_and_in_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(perplexity, "GROUP", 3)
    monkeypatch.setattr(perplexity, "GROUP_SIZE", 10)
    lines = [[0] * n for n in (1, 1, 1, 1, 20, 0, 0, 0, 0, 8)]
    assert [[len(line) for line in group] for group in grouped(lines)] == [[1, 1, 1], [1, 20], [0, 0, 0], [0, 8]]
    assert list(grouped([])) == []


def tallies(count: int) -> list[Tally]:
    draw = np.random.default_rng(1)
    sizes = draw.integers(1, 20, count)
    return [Tally(sentences=1, tokens=int(n), nll=float(draw.gamma(n, 4))) for n in sizes]


def interval(lines: list[Tally], *, seed: int = 1, level: float = 0.95) -> tuple[float, float]:
    bootstrap = Bootstrap(replicates=500, seed=seed)
    for line in lines:
        bootstrap.add(line)
    return bootstrap.interval(level)


def test_the_interval_holds_the_perplexity_and_is_the_same_for_the_same_seed() -> None:
    lines = tallies(300)
    low, high = interval(lines)
    assert low < sum(lines, Tally()).ppl < high
    assert (low, high) == interval(lines)
    assert (low, high) != interval(lines, seed=2)


def test_a_higher_level_is_wider_and_more_lines_narrower() -> None:
    """Sixteen times the lines: a quarter of the width."""
    few = tallies(100)
    narrow, wide, many = interval(few, level=0.5), interval(few), interval(few * 16)
    assert wide[0] < narrow[0] < narrow[1] < wide[1]
    ratio = math.log(wide[1] / wide[0]) / math.log(many[1] / many[0])
    assert ratio == pytest.approx(4, rel=0.25)


def test_the_interval_is_the_one_of_the_sums_variance() -> None:
    """Lines of one token with nll 0 or 2, half each: a mean of 1 ± 1.96 / √n; here n = 400, 500 replicates."""
    low, high = interval([Tally(sentences=1, tokens=1, nll=2.0 * (n % 2)) for n in range(400)])
    assert math.log(low) == pytest.approx(1 - 0.098, abs=0.02)
    assert math.log(high) == pytest.approx(1 + 0.098, abs=0.02)


def test_an_interval_of_nothing_is_none_and_of_the_impossible_infinite() -> None:
    assert all(math.isnan(end) for end in interval([]))
    assert interval([Tally(sentences=1, tokens=1, nll=1e6)] * 9) == (math.inf, math.inf)


def test_a_scored_line_is_a_value() -> None:
    line = ScoredLine("a", [2], np.array([-1.0, -2.0]), [True])
    assert line.tally() == Tally(1, 2, 1, 3.0, 1.0, 2, 2, 2)
