"""`rnntool mix`: token scores of several models, and the weights that suit a text best."""

from __future__ import annotations

import gzip
import json
import math
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from rnntool import __version__
from tests.conftest import ROOT, Finished, Run

A = "1\t1\tthe\t-0.693147\t\n1\t2\tcat\t-0.693147\t\n1\t3\t</s>\t-2.302585\teos\n"
B = "1\t1\tthe\t-2.302585\t\n1\t2\tcat\t-2.302585\t\n1\t3\t</s>\t-0.693147\teos\n"
"""Probabilities 0.5, 0.5, 0.1 and 0.1, 0.1, 0.5: the best weights are 3/4 and 1/4 (tests/score/test_interpolation.py)."""


@pytest.fixture
def streams(tmp_path: Path) -> tuple[str, str]:
    (tmp_path / "a").write_text(A)
    (tmp_path / "b").write_text(B)
    return "a", "b"


def test_each_stream_has_a_line_and_the_mixture_the_last(run: Run, streams: tuple[str, str]) -> None:
    """exp(−1/3 log(0.5 · 0.5 · 0.1)) = 40^⅓ = 3.42; of the mixture 0.4, 0.4, 0.2 it is 31.25^⅓ = 3.15."""
    done = run("mix", *streams)
    assert (done.status, done.err) == (0, "")
    first, second, mixed = done.out.splitlines()
    assert first == "ppl = 3.42 | tokens:3 | zeros:0 | weight:0.750000 | stream:a"
    assert re.fullmatch(r"ppl = 5\.85 \| tokens:3 \| zeros:0 \| weight:0\.(25|24)\d+ \| stream:b", second)
    assert re.fullmatch(
        r"ppl = 3\.15 \| tokens:3 \| zeros:0 \| oov:0 \| eos:yes \| unk:count \| mix:linear "
        rf"\| weights:0\.(74|75)\d+,0\.(24|25)\d+ \| fitted:here \| version:{re.escape(__version__)}",
        mixed,
    )


def test_json_holds_the_same_and_more(run: Run, streams: tuple[str, str]) -> None:
    done = run("mix", "--json", *streams)
    answer = json.loads(done.out)
    assert done.out.count("\n") == 1
    assert list(answer) == [
        "streams", "sentences", "tokens", "zeros", "oov", "nll", "ppl", "weights", "iterations", "signature",
    ]  # fmt: skip
    assert [list(stream) for stream in answer["streams"]] == [
        ["stream", "format", "weight", "tokens", "zeros", "nll", "ppl"]
    ] * 2
    assert answer["weights"] == pytest.approx([0.75, 0.25], abs=1e-4)
    assert answer["ppl"] == pytest.approx(31.25 ** (1 / 3), rel=1e-5)
    assert (answer["sentences"], answer["tokens"]) == (1, 3)
    assert answer["streams"][0]["format"] == "tsv"
    assert list(answer["signature"]) == ["eos", "unk", "mix", "weights", "fitted", "version"]


def test_weights_are_given_or_fitted_on_another_text(run: Run, streams: tuple[str, str], tmp_path: Path) -> None:
    given = run("mix", "--weights", "3,1", *streams).out.splitlines()[-1]
    assert "| weights:0.750000,0.250000 | fitted:no |" in given
    (tmp_path / "dev.a").write_text(A.replace("0.693147", "0.000000"))
    (tmp_path / "dev.b").write_text(A)
    elsewhere = run("mix", "--fit", "dev.a", "--fit", "dev.b", *streams).out.splitlines()[-1]
    weights = re.search(r"weights:([^ ]*) \| fitted:elsewhere", elsewhere)
    assert weights is not None and float(weights[1].split(",")[0]) > 0.999
    again = run("mix", "--weights", weights[1], *streams).out.splitlines()[-1]
    assert again.split(" |")[0] == elsewhere.split(" |")[0]


def test_a_log_linear_mixture_is_a_bound_and_says_so(run: Run, streams: tuple[str, str]) -> None:
    """√(0.5 · 0.1) thrice: exactly the geometric mean of the two perplexities, of which the true one may be below."""
    done = run("mix", "--log-linear", "--weights", "1,1", *streams)
    line = done.out.splitlines()[-1]
    assert line.startswith(f"ppl <= {math.sqrt(20):.2f} | tokens:3 |")
    assert "| mix:log-linear | normalized:no | weights:0.500000,0.500000 | fitted:no |" in line
    answer = json.loads(run("mix", "--json", "--log-linear", "--weights", "1,1", *streams).out)
    assert "ppl" not in answer and answer["ppl_bound"] == pytest.approx(math.sqrt(20), rel=1e-5)
    done = run("mix", "--log-linear", *streams)
    assert done == Finished(
        2,
        "",
        "rnntool mix: --log-linear: its weights cannot be fitted: without the sum over all words, the best lie all on one "
        "stream\ntry: --weights\n",
    )


@pytest.mark.parametrize("as_json", [False, True], ids=["tsv", "json"])
def test_the_mixed_stream_is_a_stream(run: Run, streams: tuple[str, str], tmp_path: Path, as_json: bool) -> None:
    """And alone has the perplexity of the mixture."""
    done = run("mix", "--emit", *["--json"] * as_json, *streams)
    assert done.status == 0
    assert done.err == run("mix", *streams).out
    if not as_json:
        rows = [line.split("\t") for line in done.out.splitlines()]
        assert [row[:3] + row[4:] for row in rows] == [
            ["1", "1", "the", ""],
            ["1", "2", "cat", ""],
            ["1", "3", "</s>", "eos"],
        ]
        np.testing.assert_allclose(np.exp([float(row[3]) for row in rows]), [0.4, 0.4, 0.2], rtol=1e-3)
    (tmp_path / "mixed").write_text(done.out)
    assert run("mix", "mixed").out.splitlines()[-1].startswith("ppl = 3.15 | tokens:3 |")
    assert run("mix", "--emit", "--quiet", *streams).err == ""


def test_lines_are_numbered_anew_in_the_mixed_stream(run: Run, tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a=3 1 -1\t</s>=2 1 -1\tTotal: -2 OOV: 0\n</s>=2 1 -99\tTotal: -99 OOV: 0\n")
    done = run("mix", "--emit", "a")
    assert done.out == "1\t1\ta\t-2.302585\t\n1\t2\t</s>\t-2.302585\teos\n2\t1\t</s>\t-inf\teos\n"
    assert done.err.splitlines()[-1].startswith("ppl = 10.00 | tokens:2 | zeros:1 | oov:0 |")
    assert '"logprob": null' in run("mix", "--emit", "--json", "a").out


def test_unknown_words_are_counted_or_skipped(run: Run, tmp_path: Path) -> None:
    """Ours gives an unknown word the probability of <unk>, SRILM none."""
    (tmp_path / "ours").write_text("1\t1\tcat\t-1.000000\toov\n1\t2\t</s>\t-1.000000\teos\n")
    (tmp_path / "srilm").write_text(
        "\tp( <unk> | <s> ) \t= [OOV] 0 [ -inf ]\n\tp( </s> | <unk> ...) \t= [1gram] 0.1 [ -1 ]\n"
    )
    counted = run("mix", "--weights", "1,1", "ours", "srilm").out.splitlines()
    assert [line.split(" | w")[0].split(" | e")[0] for line in counted] == [
        "ppl = 2.72 | tokens:2 | zeros:0",
        "ppl = 10.00 | tokens:1 | zeros:1",
        f"ppl = {math.sqrt(math.e / 0.5 / (0.5 * math.exp(-1) + 0.05)):.2f} | tokens:2 | zeros:0 | oov:1",
    ]
    skipped = run("mix", "--weights", "1,1", "--unk", "skip", "ours", "srilm").out.splitlines()
    assert [line.split(" | w")[0].split(" | e")[0] for line in skipped] == [
        "ppl = 2.72 | tokens:1 | zeros:0",
        "ppl = 10.00 | tokens:1 | zeros:0",
        f"ppl = {1 / (0.5 * math.exp(-1) + 0.05):.2f} | tokens:1 | zeros:0 | oov:1",
    ]


def test_streams_come_from_pipes_of_the_models_themselves(program: Path, toys: Path) -> None:
    """And the mixture of the streams is that of the models."""
    command = (
        f"{sys.executable} -m rnntool mix --json --weights 0.3,0.7 <(rnntool score --tokens -m run text.txt) "
        "<(rnntool score --tokens --json -m other.rnn text.txt) && rnntool ppl --json -m run:0.3 -m other.rnn:0.7 text.txt"
    )
    environment = {**os.environ, "PATH": f"{program}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        ["bash", "-c", command], cwd=toys, env=environment, capture_output=True, text=True, check=True
    )
    mixed, ppl = map(json.loads, done.stdout.splitlines())
    assert mixed["ppl"] == pytest.approx(ppl["ppl"], rel=1e-5)
    assert (mixed["tokens"], mixed["sentences"], mixed["oov"]) == (ppl["tokens"], ppl["sentences"], ppl["oov"])
    assert [stream["format"] for stream in mixed["streams"]] == ["tsv", "json"]


# --- what goes wrong -------------------------------------------------------------------------------------------------


NOT_WEIGHTS = "is not numbers from 0 up, one of them above 0\ntry: rnntool mix --help"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--weights", "1", "a", "b"], "--weights: 1 for 2 streams; each has one"),
        (["--fit", "a", "a", "b"], "--fit: 1 for 2 streams; each has one"),
        (["--fit", "a", "--weights", "1", "a"], "--fit: the weights are given and not fitted; leave out --weights"),
        (["--weights", "x", "a"], "--weights: 'x' is not numbers with commas between\ntry: rnntool mix --help"),
        (["--weights", "0,0", "a", "b"], f"--weights: '0,0' {NOT_WEIGHTS}"),
        (["--weights", "1,-1", "a", "b"], f"--weights: '1,-1' {NOT_WEIGHTS}"),
        (["--weights", "nan", "a"], f"--weights: 'nan' {NOT_WEIGHTS}"),
        (["--fit", "-", "-"], "the standard input can be read only once, as TEXT or --fit"),
    ],
)  # fmt: skip
def test_a_wrong_command_line(run: Run, streams: tuple[str, str], words: list[str], message: str) -> None:
    assert run("mix", *words) == Finished(2, "", f"rnntool mix: {message}\n")


def test_streams_of_other_texts_are_refused_with_the_first_difference(
    run: Run, streams: object, tmp_path: Path
) -> None:
    (tmp_path / "c").write_text(A.replace("cat", "dog"))
    message = "rnntool mix: c:2: 'dog' where a:2 has 'cat'; all streams must hold the same tokens\n"
    assert run("mix", "--emit", "a", "c") == Finished(1, "", message)


def test_nothing_to_count_is_an_error(run: Run, streams: object, tmp_path: Path) -> None:
    assert run("mix") == Finished(1, "", "rnntool mix: standard input: no tokens\n")
    (tmp_path / "zero").write_text("-1\t0\t\tOOV\n")
    message = "rnntool mix: zero: no token that counts has a probability above 0\n"
    assert run("mix", "zero") == Finished(1, "", message)
    assert run("mix", "--weights", "1", "zero") == Finished(1, "", message)


def test_a_stream_may_be_compressed_or_the_standard_input(run: Run, streams: tuple[str, str]) -> None:
    plain = run("mix", *streams).out.splitlines()[-1]
    done = run("mix", "a", "-", stdin=gzip.compress(B.encode()))
    assert done.out.splitlines()[-1] == plain
    assert done.out.splitlines()[1].endswith("| stream:standard input")


def test_bytes_that_are_not_utf8_and_files_that_are_not_there(run: Run, streams: object, tmp_path: Path) -> None:
    (tmp_path / "bad").write_bytes(A.encode().replace(b"cat", b"c\xffat"))
    done = run("mix", "a", "bad")
    assert done == Finished(
        1, "", "rnntool mix: bad:2: not UTF-8: byte 0xff at column 6\ntry: iconv -f latin1 -t utf8\n"
    )
    assert run("mix", "nowhere") == Finished(1, "", "rnntool mix: nowhere: No such file or directory\n")


@pytest.mark.parametrize("words", [["a", "b"], ["--emit", "a", "b"]])
def test_a_reader_that_went_away_and_a_full_disk(run: Run, streams: object, words: list[str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    assert run("mix", "--quiet", *words, stdout=writing) == Finished(141, "", "")
    os.close(writing)
    full = os.open("/dev/full", os.O_WRONLY)
    done = run("mix", "--quiet", *words, stdout=full)
    os.close(full)
    assert (done.status, done.err) == (1, "rnntool mix: standard output: No space left on device\n")
