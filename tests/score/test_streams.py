"""Token scores of several programs, read side by side.

The samples are written as the programs' sources print them: SRILM 1.7.3 lm/src/LM.cc, kenlm lm/ngram_query.hh, rnnlm-0.4b
rnnlmlib.cpp.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from rnntool.errors import InputError
from rnntool.score.streams import read_streams

TSV = "1\t1\tthe\t-1.000000\t\n1\t2\tcat\t-3.000000\toov\n1\t3\t</s>\t-2.000000\teos\n2\t1\t</s>\t-2.500000\teos\n"

JSON = """\
{"sentence": 1, "position": 1, "token": "the", "logprob": -1.0, "flags": ""}
{"sentence": 1, "position": 2, "token": "cat", "logprob": null, "flags": "oov"}
{"sentence": 1, "position": 3, "token": "</s>", "logprob": -2, "flags": "eos"}
{"sentence": 2, "position": 1, "token": "</s>", "logprob": -2.5, "flags": "eos"}
"""

SRILM = """\
the cat
\tp( the | <s> ) \t= [2gram] 0.1 [ -1 ]
\tp( <unk> | the ...) \t= [OOV] 0 [ -inf ]
\tp( </s> | <unk> ...) \t= [1gram] 0.01 [ -2 ]
1 sentences, 2 words, 1 OOVs
0 zeroprobs, logprob= -3 ppl= 31.6228 ppl1= 1000


\tp( </s> | <s> ) \t= [2gram] 0.001 [ -3 ]
1 sentences, 0 words, 0 OOVs
0 zeroprobs, logprob= -3 ppl= 1000 ppl1= undefined

file text: 2 sentences, 2 words, 1 OOVs
0 zeroprobs, logprob= -6 ppl= 100 ppl1= 1000
"""

KENLM = """\
the=3 2 -1\tcat=0 1 -4\t</s>=2 1 -2\tTotal: -7 OOV: 1
</s>=2 2 -3\tTotal: -3 OOV: 0
Perplexity including OOVs:\t316.228
Perplexity excluding OOVs:\t100
OOVs:\t1
Tokens:\t4
"""

RNNLM = """\
debug mode: 2
test file: text
rnnlm file: model

Index   P(NET)          Word
----------------------------------
3\t0.1000000000\tthe
-1\t0\t\tOOV
0\t0.0100000000\t</s>
0\t0.0010000000\t</s>

test log probability: -6.000000

PPL net: 100.000000
"""

MIXED_RNNLM = """\
Index   P(NET)          P(LM)           Word
----------------------------------
3\t0.1000000000\t0.2000000000\tthe
-1\t0\t\t0\t\tOOV
0\t0.0100000000\t0.3000000000\t</s>
0\t0.0010000000\t0.0000000000\t</s>
"""

LN10 = math.log(10)
LOG10S = [-LN10, -math.inf, -2 * LN10, -3 * LN10]


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> object:
    """written(a, b, …) -> the names of files with these texts."""
    monkeypatch.chdir(tmp_path)

    def write(*texts: str) -> list[str]:
        names = [chr(ord("a") + number) for number in range(len(texts))]
        for name, text in zip(names, texts, strict=True):
            (tmp_path / name).write_text(text)
        return names

    return write


@pytest.mark.parametrize(
    ("text", "name", "log_probs"),
    [
        (TSV, "tsv", [-1, -3, -2, -2.5]),
        (JSON, "json", [-1, -math.inf, -2, -2.5]),
        (SRILM, "srilm", LOG10S),
        (KENLM, "kenlm", [-LN10, -4 * LN10, -2 * LN10, -3 * LN10]),
        (RNNLM, "rnnlm", LOG10S),
        (MIXED_RNNLM, "rnnlm", LOG10S),
    ],
    ids=["tsv", "json", "srilm", "kenlm", "rnnlm", "rnnlm beside another"],
)
def test_a_stream_is_known_by_what_it_holds(written, text: str, name: str, log_probs: list[float]) -> None:
    streams = read_streams(written(text))
    assert (streams.names, streams.formats, len(streams)) == (("a",), (name,), 4)
    np.testing.assert_allclose(streams.log_probs, [log_probs])
    assert streams.is_oov.tolist() == [False, True, False, False]
    assert streams.is_end.tolist() == [False, False, True, True]


def test_streams_of_all_programs_go_together_and_the_word_is_spelled_by_who_can(written) -> None:
    """SRILM says <unk> and rnnlm OOV where the others say cat."""
    streams = read_streams(written(RNNLM, SRILM, TSV, KENLM, JSON), keep_spellings=True)
    assert streams.log_probs.shape == (5, 4)
    assert list(streams.tokens()) == ["the", "cat", "</s>", "</s>"]


def test_lines_without_line_ends_and_with_two_log_probabilities(written) -> None:
    """KenLM's -v word without the sums, query -n without </s>, SRILM's -debug 3 with the sum over all words."""
    kenlm = "a=3 1 -1\tb=c=4 1 -2\t\n\nd=5 1 -1.5\t\n"
    srilm = "".join(
        f"\tp( {word} | <s> ) \t= [1gram] 0.1 [ {number} ] / 1\n" for word, number in (("a", -1), ("b=c", -2), ("d", 0))
    )
    streams = read_streams(written(kenlm, srilm), keep_spellings=True)
    assert list(streams.tokens()) == ["a", "b=c", "d"]
    assert not streams.is_end.any()
    np.testing.assert_allclose(streams.log_probs, [[-LN10, -2 * LN10, -1.5 * LN10], [-LN10, -2 * LN10, 0]])


def test_a_word_that_looks_like_the_end_is_none_where_flags_tell(written) -> None:
    streams = read_streams(written("1\t1\t</s>\t-1.0\toov\n1\t2\t</s>\t-1.0\teos\n"))
    assert streams.is_end.tolist() == [False, True]


def test_arpas_zero_is_zero(written) -> None:
    streams = read_streams(written("a=3 1 -99\tb=0 1 -100\tc=4 1 -98\t\n"))
    assert np.isneginf(streams.log_probs).tolist() == [[True, True, False]]


# --- streams that part -----------------------------------------------------------------------------------------------


def without(text: str, *numbers: int) -> str:
    return "".join(line for n, line in enumerate(text.splitlines(keepends=True), 1) if n not in numbers)


RULE = "all streams must hold the same tokens"


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ([TSV, TSV.replace("cat", "dog")], f"b:2: 'dog' where a:2 has 'cat'; {RULE}"),
        ([TSV, without(TSV, 2)], f"b:2: '</s>' where a:2 has 'cat'; {RULE}"),
        ([TSV, TSV, without(TSV, 4)], f"c:3: ends after token 3; a:4 has '</s>'; {RULE}"),
        ([without(TSV, 4), TSV], f"a:3: ends after token 3; b:4 has '</s>'; {RULE}"),
        ([TSV, ""], f"b: no tokens; a:1 has 'the'; {RULE}"),
        ([TSV, SRILM.replace("the", "a")], f"b:2: 'a' where a:1 has 'the'; {RULE}"),
        ([TSV, KENLM.replace("cat=0 1 -4\t", "")], f"b:1: '</s>' where a:2 has 'cat'; {RULE}"),
        ([SRILM, TSV, TSV.replace("cat", "dog")], f"c:2: 'dog' where b:2 has 'cat'; {RULE}"),
        ([without(TSV, 2), RNNLM], f"b:8: 'OOV' where a:2 has '</s>'; {RULE}"),
    ],
)
def test_streams_that_part_are_named_with_their_lines(written, texts: list[str], message: str) -> None:
    with pytest.raises(InputError) as refused:
        read_streams(written(*texts))
    assert str(refused.value) == message


NONE = "not a stream of token scores; known are score --tokens, SRILM -debug 2, KenLM query -v word, rnnlm -debug 2"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "a: no tokens"),
        ("the cat sat\n", f"a: {NONE}"),
        ("-10.104960\n", f"a: {NONE}"),
        ("a\n" * 2000, f"a: {NONE}"),
        ("1\t1\tthe\t-1\n", f"a: {NONE}"),
        (f"{TSV}3\t1\tthe\t-1\n", "a:5: 4 columns; token scores have sentence⇥position⇥token⇥logprob⇥flags"),
        (TSV.replace("-3.0", "x"), "a:2: 'x00000' is not a number"),
        (TSV.replace("-3.0", "3.0"), "a:2: the log-probability of 'cat' is 3; none is above 0"),
        (TSV.replace("-3.000000", "nan"), "a:2: the log-probability of 'cat' is nan; none is above 0"),
        (f"{JSON}1\n", "a:5: not a record of score --tokens --json"),
        (f'{JSON}{{"logprob": 1}}\n', "a:5: not a record of score --tokens --json"),
        (f"{SRILM}\tp( a | b ) = x\n", "a:15: not of the form p( WORD | CONTEXT ) = [HOW] PROB [ LOG10PROB ]"),
        (f"{KENLM}the=3 1\n", "a:7: 'the=3 1' is not of the form WORD=ID LENGTH LOG10PROB"),
        (RNNLM.replace("0.01000", "7.01000"), "a:9: the log-probability of '</s>' is 1.94734; none is above 0"),
        (RNNLM.replace("0.01000", "-0.01000"), "a:9: the probability of '</s>' is -0.01; none is below 0"),
    ],
)
def test_what_is_no_stream_is_named_with_its_line(written, text: str, message: str) -> None:
    with pytest.raises(InputError) as refused:
        read_streams(written(text))
    assert str(refused.value) == message


def test_rounding_above_zero_is_zero(written) -> None:
    assert read_streams(written(TSV.replace("-3.000000", "0.000001"))).log_probs[0, 1] == 0


# --- counting --------------------------------------------------------------------------------------------------------


def test_unknown_and_impossible_tokens_are_counted_apart(written) -> None:
    streams = read_streams(written(RNNLM))
    tally, zeros = streams.tally(streams.log_probs[0], "count")
    assert (tally.sentences, tally.tokens, tally.oov, zeros) == (2, 3, 1, 1)
    assert tally.ppl == pytest.approx(100)  # as rnnlm says
    tally, zeros = streams.tally(streams.log_probs[0], "skip")
    assert (tally.sentences, tally.tokens, tally.oov, zeros) == (2, 3, 1, 0)
