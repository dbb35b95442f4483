"""`rnntool rescore`: the same lists with one more score."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from tests.conftest import Run

LISTS = (
    "0 ||| the old king ||| F0= -1.5 T= 1 2 ||| -1.5 ||| 0-0\n"
    "0 |||  ||| F0= -2 T= 3 4 ||| -2\n"
    "3 ||| a rose ||| F0= -1 T= 0 0 ||| -1\n"
)


@pytest.fixture
def numbers(run: Run, toys: Path) -> dict[str, float]:
    """What the hypotheses score, each on its own."""
    texts = ["the old king", "", "a rose"]
    done = run("score", "-m", toys / "run", "--context", "reset", stdin="".join(f"{text}\n" for text in texts))
    return dict(zip(texts, map(float, done.out.split()), strict=True))


def test_a_list_has_one_feature_more_and_all_else_as_it_was(run: Run, toys: Path, numbers: dict[str, float]) -> None:
    done = run("rescore", "-m", toys / "run", stdin=LISTS)
    assert (done.status, done.err) == (0, "")
    expected = (
        f"0 ||| the old king ||| F0= -1.5 T= 1 2 LM= {numbers['the old king']!r} ||| -1.5 ||| 0-0\n"
        f"0 |||  ||| F0= -2 T= 3 4 LM= {numbers['']!r} ||| -2\n"
        f"3 ||| a rose ||| F0= -1 T= 0 0 LM= {numbers['a rose']!r} ||| -1\n"
    )
    assert done.out == expected
    again = run("rescore", "-m", toys / "trigram.arpa.gz", "--name", "KN", stdin=done.out)
    assert again.out.count(" KN= -") == 3
    assert [line.split(" KN=")[0] for line in again.out.splitlines()] == [
        line.rsplit(" ||| ", 2 if "0-0" in line else 1)[0] for line in done.out.splitlines()
    ]


def test_a_list_answers_the_source_of_its_id(run: Run, toys: Path, tmp_path: Path) -> None:
    """Also where a list is missing: id 3 is the fourth line."""
    (tmp_path / "lists").write_text(LISTS)
    sources = "die See\nein Kahn\nder alte König\ndie Rosen\n"
    done = run("rescore", "-m", toys / "deen", "--src", "-", "lists", stdin=sources)
    assert (done.status, done.err) == (0, "")
    (tmp_path / "sources").write_text("die See\ndie See\ndie Rosen\n")
    pairs = run("score", "-m", toys / "deen", "--src", "sources", stdin="the old king\n\na rose\n")
    found = [float(line.split("TM= ")[1].split()[0]) for line in done.out.splitlines()]
    assert found == pytest.approx(list(map(float, pairs.out.split())), abs=2e-6)


def test_other_forms_are_written_as_their_own_programs_do(run: Run, toys: Path, numbers: dict[str, float]) -> None:
    king, rose = numbers["the old king"], numbers["a rose"]
    log10 = [round(number / math.log(10), 6) for number in (king, rose)]
    done = run("rescore", "-m", toys / "run", "--format", "srilm", stdin="-7 -9 3 the old king\n-6.5 -8 2 a rose\n")
    assert done.out == f"-7 {log10[0]} 3 the old king\n-6.5 {log10[1]} 2 a rose\n"
    done = run("rescore", "-m", toys / "run", "--format", "rnnlm", stdin="u1 the old king\nu1 a rose\n")
    assert list(map(float, done.out.split())) == pytest.approx(log10, abs=2e-6)
    done = run("rescore", "-m", toys / "run", "--format", "kaldi", stdin="u-1 the old king\nu-7 a rose\n")
    assert done.out == f"u-1 {-king}\nu-7 {-rose}\n"


def test_what_it_writes_weighs_in_rerank(run: Run, toys: Path) -> None:
    """A model of the words that the lists are made of should help to choose among them."""
    scored = run("rescore", "-m", toys / "run", toys / "test.nbest", "--name", "RNN")
    assert scored.status == 0, scored.err
    done = run("rerank", "-w", "F0:0,RNN:1", stdin=scored.out)
    assert done.status == 0, done.err
    best: dict[str, tuple[float, str]] = {}
    for line in scored.out.splitlines():
        number, text, rest = line.split(" ||| ", 2)
        value = float(rest.split("RNN= ")[1].split()[0])
        if number not in best or value > best[number][0]:
            best[number] = value, text
    assert done.out.splitlines() == [text for _, text in best.values()]


@pytest.mark.parametrize(
    ("words", "given", "status", "message"),
    [
        (["--name", "F0"], LISTS, 1, "standard input:1: the list has a feature 'F0' already"),
        (["--name", "a b"], LISTS, 2, "--name: 'a b' is no name of a feature, which has no space, =, : or |"),
        (["--name", "X", "--format", "kaldi"], "u-1 a\n", 2, "--name: is of a feature, and kaldi lists have none"),
        (["--format", "srilm", "a", "b"], "", 2, "NBEST: 2 files; SRILM has one list in each"),
        (["--format", "srilm"], "NBestList1.0\n(-9) a\n", 1, "standard input:2: NBestList1.0, which has one score"),
        (["--src", "test.de"], LISTS, 1, "run/best.rnn: a language model, which reads no source\ntry: leave out --src"),
        (["-m", "other.rnn"], "x\n", 1, "standard input:1: no line of an n-best list"),
    ],
)
def test_what_cannot_be_rescored_is_said(
    run: Run, toys: Path, words: list[str], given: str, status: int, message: str
) -> None:
    done = run("rescore", "-m", "run", *words, cwd=toys, stdin=given)
    assert (done.status, done.out) == (status, "")
    assert done.err.startswith(f"rnntool rescore: {message}")


def test_a_list_without_a_source_is_said(run: Run, toys: Path, tmp_path: Path) -> None:
    (tmp_path / "src").write_text("die See\n")
    done = run("rescore", "-m", toys / "deen", "--src", "src", stdin=LISTS)
    assert done.status == 1
    assert done.err == "rnntool rescore: src: 1 lines, and the list of id 1 in standard input is one more\n"
    assert len(done.out.splitlines()) == 2  # those of id 0


def test_no_lists_have_no_scores(run: Run, toys: Path) -> None:
    done = run("rescore", "-m", toys / "run", stdin="")
    assert (done.status, done.out, done.err) == (0, "", "")
