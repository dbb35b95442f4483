"""`rnntool rerank`: line n of the output answers id n, and weights are what was found, said and saved."""

from __future__ import annotations

import gzip
import json
import os
import signal
from pathlib import Path

import pytest

from tests.conftest import Finished, Run, Start

LISTS = (
    "0 ||| der König ||| F0= -2 LM= -6 ||| -2\n"
    "0 ||| der alte König sieht es ||| F0= -4 LM= -9 ||| -4\n"
    "1 ||| eine Rose ||| F0= -1 LM= -3 ||| -1\n"
    "2 |||  ||| F0= -1 LM= -9 ||| -1\n"
    "2 ||| kein Fluß verfolgt die See ||| F0= -3 LM= -12 ||| -3\n"
)
BEST = "der König\neine Rose\n\n"
REFERENCE = "der alte König sieht es\neine Rose\nkein Fluß verfolgt die See\n"


@pytest.fixture
def ref(tmp_path: Path) -> Path:
    (tmp_path / "ref").write_text(REFERENCE)
    return tmp_path / "ref"


# --- lines -----------------------------------------------------------------------------------------------------------


def test_the_line_of_the_highest_score_is_written(run: Run, tmp_path: Path) -> None:
    assert run("rerank", stdin=LISTS) == Finished(0, BEST, "")
    assert run("rerank", stdin=LISTS.rstrip("\n")) == Finished(0, BEST, "")
    assert run("rerank", stdin=gzip.compress(LISTS.encode())) == Finished(0, BEST, "")
    assert run("rerank", stdin=LISTS.replace("\n", "\r\n")).out == BEST
    assert run("rerank") == Finished(0, "", "")
    (tmp_path / "n").write_text(LISTS)
    assert run("rerank", "n", "-", "-o", "out", stdin=LISTS) == Finished(0, "", "")
    assert (tmp_path / "out").read_text() == BEST * 2


def test_weights_choose(run: Run, tmp_path: Path) -> None:
    assert run("rerank", "-w", "LM:-1", stdin=LISTS).out == REFERENCE
    assert run("rerank", "-w", "score:1,words:2", stdin=LISTS).out == REFERENCE
    (tmp_path / "w").write_text("F0= 1\nwords= 2\n")
    assert run("rerank", "-w", "w", stdin=LISTS).out == REFERENCE


def test_missing_ids_are_blank_lines_and_counted(run: Run) -> None:
    lists = "1 ||| a ||| F0= 1 ||| 1\n3 ||| b ||| F0= 1 ||| 1\n9 ||| c ||| F0= 1 ||| 1\n"
    warning = "rnntool rerank: 7 of 10 lists have no hypothesis (id 0, 2, 4, 5, 6, …); their lines are blank\n"
    assert run("rerank", stdin=lists) == Finished(0, "\na\n\nb\n\n\n\n\n\nc\n", warning)
    assert run("rerank", "--quiet", stdin=lists).err == ""


def test_json_says_which_line_was_chosen(run: Run) -> None:
    lists = "1 ||| a ||| F0= 1 ||| 1\n1 ||| ä ||| F0= 1 ||| 2.5\n"
    records = [json.loads(line) for line in run("rerank", "--json", stdin=lists).out.splitlines()]
    assert records == [
        {"id": "0", "rank": None, "score": None, "hypothesis": ""},
        {"id": "1", "rank": 2, "score": 2.5, "hypothesis": "ä"},
    ]


def test_the_consensus_is_chosen(run: Run) -> None:
    lists = "".join(
        f"0 ||| {text} ||| F0= 1 ||| {score}\n" for text, score in [("a b c d", 3), ("x b c d", 2), ("x b c e", 2)]
    )
    assert run("rerank", stdin=lists).out == "a b c d\n"
    for metric in ("bleu", "chrf"):
        assert run("rerank", "--mbr", metric, "--scale", "0.1", stdin=lists).out == "x b c d\n"
        assert run("rerank", "--mbr", metric, "--scale", "100", stdin=lists).out == "a b c d\n"
        assert run("rerank", "--mbr", metric, "-w", "score:0", stdin=lists).out == "x b c d\n"
    (record,) = run("rerank", "--mbr", "bleu", "--scale", "0", "--json", stdin=lists).out.splitlines()
    assert 0 < json.loads(record)["score"] < 100


def test_other_formats_are_read(run: Run, tmp_path: Path) -> None:
    (tmp_path / "u1").write_text("-200 -12 2 the king\n-201 -10 3 the old king\n")
    (tmp_path / "u2").write_text("NBestList1.0\n(-20) a rose\n(-10) a nose\n")
    assert run("rerank", "--format", "srilm", "u1", "u2") == Finished(0, "the old king\na nose\n", "")
    (tmp_path / "words").write_text("u-1 the king\nu-2 the old king\nv-1 a rose\n")
    (tmp_path / "cost").write_text("u-1 12\nu-2 11\nv-1 3\n")
    words = ["rerank", "--format", "kaldi", "--scores", "LM:cost", "words"]
    assert run(*words, "-w", "LM:1") == Finished(0, "the old king\na rose\n", "")
    done = run(*words)
    assert (done.status, done.err) == (1, "rnntool rerank: words:1: no score, and no weights for features\n")
    numbers = run("rerank", "--format", "rnnlm", "-w", "LM:1", "--scores", "LM:-", "words", stdin="-2\n-1\n-3\n")
    assert numbers == Finished(0, "the king\nthe old king\na rose\n", "")
    short = run("rerank", "--format", "rnnlm", "-w", "LM:1", "--scores", "LM:-", "words", stdin="-2\n")
    assert short.err == "rnntool rerank: standard input: 1 scores; there are more hypotheses in words\n"


def test_a_list_is_answered_when_the_next_one_begins(start: Start) -> None:
    (to_read, to_write), (answers, answering) = os.pipe(), os.pipe()
    running = start("rerank", stdin=to_read, stdout=answering)
    os.close(to_read)
    os.close(answering)
    with open(answers) as reader, open(to_write, "wb", buffering=0) as writer:
        writer.write(LISTS[: LISTS.index("2 |||")].encode())
        assert reader.readline() == "der König\n"
        writer.write(LISTS[LISTS.index("2 |||") :].encode())
        assert reader.readline() == "eine Rose\n"
        writer.close()
        assert reader.read() == "\n"
    assert running.finish() == Finished(0, "", "")


# --- tuning ----------------------------------------------------------------------------------------------------------


def test_tuned_weights_are_said_saved_and_used(run: Run, ref: Path, tmp_path: Path) -> None:
    done = run("rerank", "--tune", "ref", "--save-weights", "w", stdin=LISTS)
    assert (done.status, done.out) == (0, REFERENCE)
    said, scores = done.err.splitlines()
    assert scores.startswith("bleu 100.00 before ")
    assert run("rerank", "-w", "w", stdin=LISTS) == Finished(0, REFERENCE, "")
    assert run("rerank", "-w", said.removeprefix("weights "), stdin=LISTS) == Finished(0, REFERENCE, "")
    assert [line.split("=")[0] for line in (tmp_path / "w").read_text().splitlines()] == ["F0", "LM", "words"]


def test_tuning_depends_on_the_seed_and_nothing_else(run: Run, ref: Path) -> None:
    words = ["rerank", "--tune", "ref", "--metric", "chrf"]
    assert run(*words, stdin=LISTS) == run(*words, "--seed", "1", "--restarts", "10", stdin=LISTS)
    assert run(*words, stdin=LISTS).err.splitlines()[1].startswith("chrf 100.00 before ")
    assert run(*words, "--quiet", stdin=LISTS) == Finished(0, REFERENCE, "")


def test_only_named_features_are_tuned_from_where_they_stand(run: Run, ref: Path) -> None:
    done = run("rerank", "--tune", "ref", "--restarts", "0", "-w", "LM:1", stdin=LISTS)
    assert done.err.splitlines()[0] == "weights LM:-1"


def test_lines_of_the_reference_without_a_list_are_blank(run: Run, ref: Path) -> None:
    lists = LISTS[: LISTS.index("2 |||")]
    done = run("rerank", "--tune", "ref", stdin=lists)
    assert (done.status, done.out) == (0, "der alte König sieht es\neine Rose\n\n")
    assert done.err.splitlines()[2] == "rnntool rerank: 1 of 3 lists have no hypothesis (id 2); their lines are blank"


def test_several_references_and_their_settings(run: Run, ref: Path, tmp_path: Path) -> None:
    (tmp_path / "other").write_text("DER KÖNIG\nEINE ROSE\n\n")
    done = run("rerank", "--tune", "ref", "--tune", "other", "--lowercase", "--tokenize", "none", stdin=LISTS)
    assert (done.status, done.err.splitlines()[1].split()[1]) == (0, "100.00")


def test_lists_that_do_not_answer_the_reference_are_refused(run: Run, ref: Path, tmp_path: Path) -> None:
    more = LISTS + "3 ||| a ||| F0= 1 LM= 1 ||| 1\n"
    assert run("rerank", "--tune", "ref", stdin=more) == Finished(
        1, "", "rnntool rerank: standard input: 4 lists, but ref has 3 lines\n"
    )
    (tmp_path / "short").write_text("a\n")
    assert run("rerank", "--tune", "ref", "--tune", "short", stdin=LISTS).err == (
        "rnntool rerank: short has 1 line, ref has 3 lines; line n of one answers line n of the other\n"
        "try: paste short ref | less\n"
    )
    assert run("rerank", "--tune", "ref") == Finished(1, "", "rnntool rerank: standard input: no hypotheses\n")
    assert run("rerank", "--tune", "ref", stdin="0 ||| a ||| 1\n") == Finished(
        1, "", "rnntool rerank: standard input:1: no features to tune the weights of\n"
    )
    done = run("rerank", "--tune", "ref", "--save-weights", "no/where", stdin=LISTS)
    assert (done.status, done.out) == (1, "")
    assert done.err.splitlines()[-1] == "rnntool rerank: no/where: No such file or directory"


def test_names_are_those_of_the_rooms_below() -> None:
    from rnntool.cli import judging, rerank
    from rnntool.score.overlap import OF_TEXTS, PAIRWISE
    from rnntool.text.nbest.forms import FORMS

    assert set(judging.FORMS) == set(FORMS)
    assert set(rerank.SEARCHED) == set(OF_TEXTS) == set(PAIRWISE)


# --- messages --------------------------------------------------------------------------------------------------------


def test_the_lines_before_a_broken_one_are_answered(run: Run) -> None:
    done = run("rerank", stdin=LISTS + "1 ||| a ||| F0= 1 ||| 1\n")
    message = "rnntool rerank: standard input:6: id 1 after id 2\ntry: sort -s -n -k 1,1\n"
    assert done == Finished(1, BEST, message)
    done = run("rerank", stdin=LISTS.encode() + b"3 ||| r\xf6se ||| F0= 1 ||| 1\n")
    assert (done.status, done.out) == (1, "der König\neine Rose\n")
    assert done.err.startswith("rnntool rerank: standard input:6: not UTF-8: byte 0xf6 at column 8\n")
    assert run("rerank", "missing") == Finished(1, "", "rnntool rerank: missing: No such file or directory\n")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["-w", "F0"], "--weights: 'F0' is neither NAME:W,NAME:W nor a file"),
        (["-w", "F0:1,F0:2"], "--weights: 'F0' has two weights"),
        (["--save-weights", "w"], "--save-weights: goes with --tune only"),
        (["--metric", "bleu"], "--metric: goes with --tune only"),
        (["--restarts", "0"], "--restarts: goes with --tune only"),
        (["--scale", "0"], "--scale: goes with --mbr only"),
        (["--lowercase"], "--lowercase: goes with --tune or --mbr only"),
        (["--tune", "r", "--mbr", "bleu"], "--mbr: is another way to choose; tune first, then give it the weights"),
        (["--tune", "-"], "the standard input can be read only once, as NBEST, --tune or --scores"),
        (["--scores", "LM:-", "-"], "the standard input can be read only once, as NBEST, --tune or --scores"),
        (["--scores", "LM"], "--scores: 'LM' is not NAME:FILE"),
    ],
)
def test_options_that_contradict_each_other_are_refused(run: Run, words: list[str], message: str) -> None:
    done = run("rerank", *words, stdin=LISTS)
    assert (done.status, done.out) == (2, "")
    assert done.err.splitlines()[0] == f"rnntool rerank: {message}"


def test_ends_are_those_of_a_filter(run: Run, start: Start) -> None:
    for times in (1, 5000):
        lists = "".join(LISTS.replace("2 |||", f"{n + 2} |||")[LISTS.index("2 |||") :] for n in range(times))
        reading, writing = os.pipe()
        os.close(reading)
        assert run("rerank", "--quiet", stdin=lists, stdout=writing) == Finished(141, "", "")
        os.close(writing)
        with open("/dev/full", "wb") as full:
            done = run("rerank", "--quiet", stdin=lists, stdout=full.fileno())
        assert (done.status, done.err) == (1, "rnntool rerank: standard output: No space left on device\n")
    assert run("rerank", stdin=None) == Finished(1, "", "rnntool rerank: standard input: Bad file descriptor\n")
    reading, writing = os.pipe()
    running = start("rerank", stdin=reading)
    os.close(reading)
    os.write(writing, LISTS.encode())
    running.send(signal.SIGTERM)
    assert (running.finish().status, os.close(writing)) == (143, None)


@pytest.mark.slow
def test_a_line_of_a_million_bytes(run: Run) -> None:
    text = "a rose is " * 100_000
    done = run("rerank", "--mbr", "bleu", stdin=f"0 ||| {text}||| F0= 1 ||| 1\n" * 2)
    assert (done.status, done.err, done.out) == (0, "", f"{text.rstrip()}\n")
