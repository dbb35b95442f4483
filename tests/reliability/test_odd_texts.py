"""Texts that hypothesis makes of the words of a format: its readers answer each with a value or with an error of ours."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rnntool.checkpoint.metrics import read_metrics
from rnntool.checkpoint.settings import read_settings
from rnntool.cli.heatmap import read_heatmaps
from rnntool.errors import RnntoolError
from rnntool.ngram.arpa import read_arpa
from rnntool.score.streams import read_streams
from rnntool.text.files import read_chunks, read_lines
from rnntool.text.lexicon import read_lexicon
from rnntool.text.nbest import weights
from rnntool.text.nbest.forms import FORMS, read_nbest
from rnntool.text.vocabulary import read_vocabulary
from tests.reliability.conftest import trials

TEXTS = 60
"""Of each reader."""

NUMBERS = ["0", "1", "-1", "2", "0.5", "-99", "1e999", "nan", "-inf", "9" * 30, "٣", "1_0"]
MARKS = ["\t", "\n", "\n\n", " ", "\r\n", "\0", "\x1b", "\u2028", "\ufeff", "a", "the", "<unk>", "</s>", "<s>"]
JSON = ['{"step": 1}', '{"step": ', "{", "}", "[", "]", ",", '"', ":", "null", "true", '"alignment"', '"source"']

READERS: dict[str, tuple[Callable[[str], object], list[str]]] = {
    "vocabulary": (read_vocabulary, ["#unit\tchar\n", "#unit\tbyte\n", "<eps> 0\n", "<unk>\t1\n</s>\t1\n", "\\", "\\x0a"]),
    "ARPA": (
        lambda path: read_arpa(read_chunks(path), path),
        ["\\data\\\nngram 1=2\n", "ngram 2=1\n", "\n\\1-grams:\n", "\\2-grams:\n", "-1 <unk>\n-1\ta\t-1\n", "\\end\\\n"],
    ),
    "token scores": (
        lambda path: read_streams([path, path], keep_spellings=True),
        ["1\t1\ta\t-0.5\t\n", "1\t2\t</s>\t-1\teos\n", "\tp( a | <s> ) \t= [2gram] 0.1 [ -1 ]\n", "Total: -1 OOV: 0\n"],
    ),
    "metrics": (lambda path: list(read_metrics(path)), JSON),
    "attention": (lambda path: list(read_heatmaps(path)), JSON),
    "settings": (read_settings, ["a = ", "[", "]", '"""', "'", "[[a]]\n", "\n", "1979-05-27", "0x", "{", "}", "#"]),
    "weights": (weights.read, ["F0= 1\n", "LM=", "=", ":", ","]),
    "lexicon": (read_lexicon, ["a\tb\n"]),
    **{
        f"n-best, {form}": (
            lambda path, form=form: list(read_nbest([path], form)),
            ["0 ||| a ||| F0= 1 ||| -1\n", " ||| ", "F0=", "-1 -2 1 a\n", "NBestList1.0\n", "(-10) a\n", "utt-1 a\n"],
        )
        for form in FORMS
    },
    "lines": (lambda path: list(read_lines(path)), ["é", "\x85"]),
}  # fmt: skip


@pytest.mark.parametrize("name", READERS)
def test_an_odd_text_is_read_or_refused(name: str, tmp_path: Path) -> None:
    read, words = READERS[name]
    path = tmp_path / "file"

    @settings(
        max_examples=trials(TEXTS),
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(
        st.lists(st.sampled_from([*words * 3, *NUMBERS, *MARKS]) | st.text(max_size=3), max_size=30),
        st.binary(max_size=2),
    )
    def check(parts: list[str], end: bytes) -> None:
        path.write_bytes("".join(parts).encode("utf-8", "surrogatepass") + end)
        with warnings.catch_warnings(), contextlib.suppress(RnntoolError):
            warnings.simplefilter("ignore")
            read(str(path))

    check()
