"""`rnntool decode`: the way back from `rnntool encode`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import Run

WORDS = "<unk>\t1\n</s>\t4\nthe\t3\ncat\t2\n"
TEXT = " the\tcat \\s \x1b[1m\n\ncafé </s> 中\u2028\x00 end\n"


@pytest.mark.parametrize("unit", ["char", "byte"])
@pytest.mark.parametrize("ids", [[], ["--ids"]])
def test_decode_gives_back_characters_and_bytes_as_they_were(run: Run, unit: str, ids: list[str]) -> None:
    run("vocab", "-u", unit, "-o", "v", stdin=TEXT)
    encoded = run("encode", "-V", "v", *ids, stdin=TEXT)
    assert encoded.err == ""
    done = run("decode", "-V", "v", *ids, stdin=encoded.out)
    assert (done.status, done.out, done.err) == (0, TEXT, "")


def test_decode_gives_back_words_with_single_spaces(run: Run, tmp_path: Path) -> None:
    (tmp_path / "v").write_text(WORDS)
    assert run("decode", "-V", "v", stdin="the  cat </s>\n\ndog\n").out == "the cat\n\ndog\n"
    assert run("decode", "-V", "v", "--ids", stdin="2 3 1\n\n 0").out == "the cat\n\n<unk>\n"


def test_decode_joins_sentencepieces(run: Run) -> None:
    text = "the cat sat on the mat\na dog sat there\n"
    run("vocab", "-u", "spm", "--size", "18", "-o", "v", stdin=text * 9)
    for ids in ([], ["--ids"]):
        encoded = run("encode", "-V", "v", *ids, stdin=text)
        assert run("decode", "-V", "v", *ids, stdin=encoded.out).out == text


def test_decode_of_nothing_is_nothing(run: Run, tmp_path: Path) -> None:
    (tmp_path / "v").write_text(WORDS)
    done = run("decode", "-V", "v")
    assert (done.status, done.out, done.err) == (0, "", "")


def test_decode_names_the_line_that_is_wrong(run: Run, tmp_path: Path) -> None:
    (tmp_path / "v").write_text(WORDS)
    done = run("decode", "-V", "v", "--ids", stdin="2\n3 4\n")
    assert (done.status, done.out) == (1, "the\n")
    assert done.err == "rnntool decode: standard input:2: '4' is no id from 0 to 3\n"
    (tmp_path / "c").write_text("#unit\tchar\n<unk>\t0\n</s>\t1\na\t1\n")
    done = run("decode", "-V", "c", stdin="a a\nab\n")
    assert (done.status, done.out) == (1, "aa\n")
    assert done.err == "rnntool decode: standard input:2: 'ab' is no piece of unit char\n"
