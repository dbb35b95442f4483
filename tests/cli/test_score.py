"""`rnntool score`: line n of the output answers line n of the text, in natural logarithms."""

from __future__ import annotations

import json
import os
import re
import select
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Finished, Run, Running, Start

TEXT = "the old king sees it\n\nno river takes a zebra\na rose\n"


def numbers(done: Finished) -> list[float]:
    """The answers, one a line."""
    assert (done.status, done.err) == (0, "")
    return [float(line) for line in done.out.splitlines()]


@pytest.fixture(scope="module")
def reset_model(toys: Path, tmp_path_factory: pytest.TempPathFactory, server: Any) -> Path:
    """A model of characters whose context is reset at line ends."""
    folder = tmp_path_factory.mktemp("reset")
    words = "train -V chars.tsv --valid valid.txt --arch gru:12 --context reset --lr 0.05 --max-epochs 1 train.txt -o"
    done = Running(server, [*words.split(), folder / "run"], cwd=toys).finish()
    assert done.status == 0, done.err
    return folder / "run"


# --- lines -----------------------------------------------------------------------------------------------------------


def test_every_line_has_one_number(run: Run, toys: Path) -> None:
    done = run("score", "-m", toys / "run", stdin=TEXT)
    assert (done.status, done.err) == (0, "")
    assert re.fullmatch(r"(-\d+\.\d{6}\n){4}", done.out)
    assert run("score", "-m", toys / "run", stdin=TEXT.removesuffix("\n")) == done


def test_no_lines_have_no_answers(run: Run, toys: Path) -> None:
    for words in ([], ["--tokens"], ["--json"], ["--normalize"]):
        assert run("score", "-m", toys / "run", *words) == Finished(0, "", "")


def test_scores_sum_to_what_ppl_says(run: Run, toys: Path, reset_model: Path) -> None:
    for model in (toys / "run", toys / "other.rnn", reset_model):
        nll = json.loads(run("ppl", "--json", "-m", model, toys / "text.txt").out)["nll"]
        assert -sum(numbers(run("score", "-m", model, toys / "text.txt"))) == pytest.approx(nll, rel=1e-6)
        tokens = run("score", "--tokens", "-m", model, toys / "text.txt").out.splitlines()
        assert -sum(float(line.split("\t")[3]) for line in tokens) == pytest.approx(nll, rel=1e-6)


def test_a_length_is_divided_out(run: Run, toys: Path) -> None:
    whole = numbers(run("score", "-m", toys / "run", stdin=TEXT))
    normal = numbers(run("score", "--normalize", "-m", toys / "run", stdin=TEXT))
    assert [a / b for a, b in zip(whole, normal, strict=True)] == pytest.approx([6, 1, 6, 3], rel=1e-5)


def test_json_names_its_numbers(run: Run, toys: Path) -> None:
    whole = numbers(run("score", "-m", toys / "run", stdin=TEXT))
    records = [json.loads(line) for line in run("score", "--json", "-m", toys / "run", stdin=TEXT).out.splitlines()]
    assert [list(record) for record in records] == [["sentence", "logprob", "tokens", "oov"]] * 4
    assert [record["sentence"] for record in records] == [1, 2, 3, 4]
    assert [record["tokens"] for record in records] == [6, 1, 6, 3]
    assert [record["oov"] for record in records] == [0, 0, 1, 0]
    assert [record["logprob"] for record in records] == pytest.approx(whole, abs=1e-6)
    normal = run("score", "--json", "--normalize", "-m", toys / "run", stdin=TEXT).out.splitlines()
    assert list(json.loads(normal[0])) == ["sentence", "logprob_per_token", "tokens", "oov"]


# --- tokens ----------------------------------------------------------------------------------------------------------


def test_every_token_has_a_record(run: Run, toys: Path) -> None:
    done = run("score", "--tokens", "-m", toys / "run", stdin=TEXT)
    assert (done.status, done.err) == (0, "")
    records = [line.split("\t") for line in done.out.splitlines()]
    assert [(record[0], record[1], record[2], record[4]) for record in records] == [
        ("1", "1", "the", ""),
        ("1", "2", "old", ""),
        ("1", "3", "king", ""),
        ("1", "4", "sees", ""),
        ("1", "5", "it", ""),
        ("1", "6", "</s>", "eos"),
        ("2", "1", "</s>", "eos"),
        ("3", "1", "no", ""),
        ("3", "2", "river", ""),
        ("3", "3", "takes", ""),
        ("3", "4", "a", ""),
        ("3", "5", "zebra", "oov"),
        ("3", "6", "</s>", "eos"),
        ("4", "1", "a", ""),
        ("4", "2", "rose", ""),
        ("4", "3", "</s>", "eos"),
    ]
    lines = numbers(run("score", "-m", toys / "run", stdin=TEXT))
    for number, line in enumerate(lines, 1):
        assert sum(float(record[3]) for record in records if record[0] == str(number)) == pytest.approx(line, abs=1e-5)


def test_tokens_as_json_are_the_same(run: Run, toys: Path) -> None:
    plain = [line.split("\t") for line in run("score", "--tokens", "-m", toys / "run", stdin=TEXT).out.splitlines()]
    answers = run("score", "--tokens", "--json", "-m", toys / "run", stdin=TEXT).out.splitlines()
    for fields, answer in zip(plain, map(json.loads, answers), strict=True):
        assert list(answer) == ["sentence", "position", "token", "logprob", "flags"]
        assert [str(answer["sentence"]), str(answer["position"]), answer["token"]] == fields[:3]
        assert (f"{answer['logprob']:.6f}", answer["flags"]) == (fields[3], fields[4])


def test_a_token_cannot_break_its_record(run: Run, reset_model: Path) -> None:
    """Characters are spelled as the vocabulary spells them, so that there are always five columns."""
    done = run("score", "--tokens", "-m", reset_model, stdin="a\tb \x00\n")
    assert done.status == 0
    records = [line.split("\t") for line in done.out.removesuffix("\n").split("\n")]
    assert [record[2] for record in records] == ["a", r"\t", "b", r"\s", r"\x00", "</s>"]
    assert {len(record) for record in records} == {5}


def test_words_that_look_like_tokens(run: Run, toys: Path) -> None:
    """`<unk>` is a word of the vocabulary; `</s>` in a text is a word that it does not have."""
    done = run("score", "--tokens", "-m", toys / "run", stdin="<unk> </s>\n</s>\n")
    records = [line.split("\t") for line in done.out.splitlines()]
    assert [(record[2], record[4]) for record in records] == [
        ("<unk>", ""),
        ("</s>", "oov"),
        ("</s>", "eos"),
        ("</s>", "oov"),
        ("</s>", "eos"),
    ]
    assert done.err == "rnntool score: the text holds </s> as a word; read as <unk>\n"


def test_tokens_have_no_length_to_divide_by(run: Run, toys: Path) -> None:
    assert run("score", "--tokens", "--normalize", "-m", toys / "run", stdin=TEXT) == Finished(
        2, "", "rnntool score: --normalize: a token's log-probability has no length; leave out --tokens\n"
    )


def test_characters_are_summed_to_words(run: Run, toys: Path, reset_model: Path, tmp_path: Path) -> None:
    """As many records as words and line ends, which sum to the same, and can be mixed with those of a model of words."""
    text = (toys / "text.txt").read_text()
    done = run("score", "--words", "-m", reset_model, toys / "text.txt")
    records = [line.split("\t") for line in done.out.splitlines()]
    assert [record[2] for record in records] == [word for line in text.splitlines() for word in (*line.split(), "</s>")]
    assert [record[:2] for record in records[:3]] == [["1", "1"], ["1", "2"], ["1", "3"]]
    for number, total in enumerate(numbers(run("score", "-m", reset_model, toys / "text.txt")), 1):
        own = sum(float(record[3]) for record in records if record[0] == str(number))
        assert own == pytest.approx(total, abs=1e-5)
    words = run("score", "--tokens", "-m", toys / "run", toys / "text.txt").out
    (tmp_path / "words").write_text(words)
    (tmp_path / "chars").write_text(done.out)
    assert run("mix", tmp_path / "words", tmp_path / "chars").status == 0
    assert run("score", "--words", "-m", toys / "run", toys / "text.txt").out == words
    unknown = run("score", "--words", "--json", "-m", reset_model, stdin="a rXse\n").out.splitlines()
    assert [json.loads(line)["flags"] for line in unknown] == ["", "oov", "eos"]
    refused = run("score", "--words", "--normalize", "-m", toys / "run", stdin=TEXT)
    assert refused.err == "rnntool score: --normalize: a word's log-probability has no length; leave out --words\n"


# --- independence ----------------------------------------------------------------------------------------------------


def test_a_line_scores_alike_whatever_its_neighbours(run: Run, toys: Path, reset_model: Path) -> None:
    """With the context reset: in batches of any size, in any order, alone, beside a very long line."""
    lines = [*(toys / "text.txt").read_text().splitlines()[:12], "", "zebra"]
    text = "".join(f"{line}\n" for line in lines)
    for model in (reset_model, toys / "other.rnn"):
        words = ("score", "-m", model, "--context", "reset")
        want = numbers(run(*words, "-b", "1", stdin=text))
        for size in ("7", "64"):
            assert numbers(run(*words, "-b", size, stdin=text)) == pytest.approx(want, rel=1e-6)
        back = "".join(f"{line}\n" for line in reversed(lines))
        assert numbers(run(*words, stdin=back))[::-1] == pytest.approx(want, rel=1e-6)
        crowd = numbers(run(*words, stdin=text + "the sea " * 700 + "\n"))
        assert crowd[:-1] == pytest.approx(want, rel=1e-6)
        assert numbers(run(*words, stdin=lines[3])) == pytest.approx(want[3:4], rel=1e-6)


def test_carried_context_does_not_depend_on_the_batch_size_either(run: Run, toys: Path) -> None:
    want = numbers(run("score", "-m", toys / "other.rnn", "-b", "1", toys / "text.txt"))
    for size in ("7", "64"):
        got = numbers(run("score", "-m", toys / "other.rnn", "-b", size, toys / "text.txt"))
        assert got == pytest.approx(want, rel=1e-6)


def test_a_pipe_and_a_file_are_answered_alike(run: Run, toys: Path, tmp_path: Path) -> None:
    (tmp_path / "text").write_text(TEXT)
    reading, writing = os.pipe()
    os.write(writing, TEXT.encode())
    os.close(writing)
    piped = numbers(run("score", "-m", toys / "run", stdin=reading))
    os.close(reading)
    assert piped == pytest.approx(numbers(run("score", "-m", toys / "run", "text")), rel=1e-6)


def test_mixed_scores_lie_between_those_of_the_models(run: Run, toys: Path) -> None:
    def tokens(*models: str) -> list[float]:
        words = [word for model in models for word in ("-m", f"{toys}/{model}")]
        answers = run("score", "--tokens", "--json", *words, stdin=TEXT).out.splitlines()
        return [json.loads(line)["logprob"] for line in answers]

    for one, other, both in zip(tokens("run"), tokens("other.rnn"), tokens("run", "other.rnn"), strict=True):
        assert min(one, other) - 1e-6 <= both <= max(one, other) + 1e-6


# --- streams ---------------------------------------------------------------------------------------------------------


def test_each_line_is_answered_before_the_next_is_sent(start: Start, run: Run, toys: Path) -> None:
    (to_read, to_write), (answers, answering) = os.pipe(), os.pipe()
    running = start("score", "-m", toys / "run", stdin=to_read, stdout=answering)
    os.close(to_read)
    os.close(answering)
    got = []
    with open(to_write, "wb", buffering=0) as writer, open(answers, "rb", buffering=0) as reader:
        for line in TEXT.splitlines(keepends=True):
            writer.write(line.encode())
            assert select.select([reader], [], [], 60)[0], f"no answer to {line!r}"
            got.append(float(reader.readline()))
    assert running.finish().status == 0
    assert got == pytest.approx(numbers(run("score", "-m", toys / "run", stdin=TEXT)), rel=1e-6)


def test_the_lines_before_a_bad_one_are_answered(run: Run, toys: Path, tmp_path: Path) -> None:
    (tmp_path / "bad").write_bytes(b"a rose\n\nthe s\xffea\na rose\n")
    done = run("score", "-m", toys / "run", "bad")
    assert (done.status, done.out.count("\n")) == (1, 2)
    assert done.err == "rnntool score: bad:3: not UTF-8: byte 0xff at column 6\ntry: iconv -f latin1 -t utf8\n"
    done = run("score", "-m", toys / "run", toys / "text.txt", "missing")
    assert (done.status, done.err) == (1, "rnntool score: missing: No such file or directory\n")
    assert done.out == run("score", "-m", toys / "run", toys / "text.txt").out


def test_an_interrupt_while_it_waits_is_silent(start: Start, toys: Path) -> None:
    (to_read, to_write), (answers, answering) = os.pipe(), os.pipe()
    running = start("score", "-m", toys / "run", stdin=to_read, stdout=answering)
    os.close(to_read)
    os.close(answering)
    os.write(to_write, b"a rose\n")
    assert os.read(answers, 100).endswith(b"\n")
    running.send(signal.SIGINT)
    done = running.finish()
    os.close(to_write)
    os.close(answers)
    assert done == Finished(130, "", "")


# --- pairs and lists -------------------------------------------------------------------------------------------------


@pytest.fixture
def given(run: Run, toys: Path) -> Run:
    """given(*words, …): with the model that translates test.de into words, given test.de."""

    def scored(*words: str | Path, **streams: object) -> Finished:
        return run("score", "-m", toys / "deen", "--src", toys / "test.de", "-j", "1", *words, **streams)

    return scored


def test_a_pair_has_one_number_whatever_the_batch_size(given: Run, toys: Path) -> None:
    found = numbers(given(toys / "test.en"))
    assert len(found) == 40 and max(found) < 0
    assert numbers(given("-b", "1", toys / "test.en")) == pytest.approx(found, abs=2e-6)
    tokens = given("--tokens", toys / "test.en").out.splitlines()
    sums = [0.0] * 40
    for record in tokens:
        sums[int(record.split("\t")[0]) - 1] += float(record.split("\t")[3])
    assert sums == pytest.approx(found, abs=1e-4)
    records = [json.loads(line) for line in given("--json", "--normalize", toys / "test.en").out.splitlines()]
    assert [each["logprob_per_token"] * each["tokens"] for each in records] == pytest.approx(found, abs=1e-4)


def test_a_model_twice_scores_as_the_model(given: Run, toys: Path) -> None:
    assert numbers(given("-m", toys / "deen", toys / "test.en")) == pytest.approx(
        numbers(given(toys / "test.en")), abs=2e-6
    )


def test_the_score_in_an_nbest_list_is_that_of_its_pair(run: Run, given: Run, toys: Path, tmp_path: Path) -> None:
    done = run("translate", "-m", toys / "deen", "--n-best", "3", "-j", "1", toys / "test.de")
    assert done.status == 0
    (tmp_path / "nbest").write_text(done.out)
    ended = [" </s>" not in line for line in done.out.splitlines()]
    listed = [float(line.split("F0= ")[1].split()[0]) for line in done.out.splitlines()]
    assert all(ended)
    assert numbers(given("--format", "moses", "nbest")) == pytest.approx(listed, abs=1e-4)


def test_hypotheses_are_scored_each_on_its_own(run: Run, toys: Path, tmp_path: Path) -> None:
    """Those of a language model, whose context goes on over lines of a text."""
    hypotheses = ["a rose", "the old king sees it", "a rose"]
    (tmp_path / "nbest").write_text("".join(f"{n // 2} ||| {text} ||| ||| 0\n" for n, text in enumerate(hypotheses)))
    found = numbers(run("score", "-m", toys / "run", "--format", "moses", "nbest"))
    lines = numbers(run("score", "-m", toys / "run", "--context", "reset", stdin="\n".join(hypotheses)))
    assert found == pytest.approx(lines, abs=2e-6)
    assert found[0] == found[2]


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (["--context", "carry"], 2, "--context: is for running text; with --src, lines are independent of each other"),
        (["--unnormalized"], 2, "--unnormalized: is for lines of text; leave out --src"),
        (["--src", "-"], 2, "the standard input can be read only once, as TEXT or --src"),
        (["--temperature", "2"], 2, "--temperature: is for running text; with --src, lines are independent"),
        (["--cache", "unigram"], 2, "--cache: is for running text; with --src, lines are independent"),
        (["-m", "{toys}/run"], 1, "{toys}/run/best.rnn: a language model, which reads no source\ntry: leave out --src"),
        (["-m", "{toys}/trigram.arpa.gz"], 1, "{toys}/trigram.arpa.gz: an n-gram model, which reads no source"),
        (["{toys}/train.en"], 1, "{toys}/test.de: 40 lines, and {toys}/train.en:41 is one more"),
        (["--format", "moses", "{toys}/train.en"], 1, "{toys}/train.en:1: no line of an n-best list"),
    ],
)
def test_what_does_not_go_with_pairs(given: Run, toys: Path, words: list[str], status: int, message: str) -> None:
    done = given(*(word.format(toys=toys) for word in words))
    assert done.status == status
    assert done.err.startswith(f"rnntool score: {message.format(toys=toys)}")


def test_there_are_as_many_sources_as_lines(given: Run, toys: Path) -> None:
    done = given(stdin="a rose\n")
    assert done.status == 1
    assert done.err == f"rnntool score: {toys}/test.de: more than 1 lines, which is all that the text has\n"
    assert done.out.count("\n") == 1
