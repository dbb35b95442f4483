"""`rnntool generate`: from a model, and beginnings if there are any, to text."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from tests.conftest import Finished, Run, Start


@pytest.fixture
def generate(run: Run, toys: Path) -> Run:
    """generate(*words, stdin=…): with the toys' model, lines of at most twelve tokens, on one thread."""

    def generated(*words: str | Path, **streams: object) -> Finished:
        return run("generate", "-m", toys / "run", "-j", "1", "--max-tokens", "12", *words, **streams)

    return generated


def lines(done: Finished) -> list[str]:
    assert (done.status, done.err) == (0, "")
    assert done.out.endswith("\n")
    return done.out[:-1].split("\n")


def test_without_prompts_lines_begin_from_nothing(generate: Run, toys: Path) -> None:
    known = {line.split("\t")[0] for line in (toys / "words.tsv").read_text().splitlines()}
    found = lines(generate("-n", "6"))
    assert len(found) == 6
    for line in found:
        assert set(line.split()) <= known - {"</s>"}


def test_the_standard_input_is_read_only_where_it_is_named(generate: Run) -> None:
    assert lines(generate(stdin="a rose\n")) == lines(generate())
    assert lines(generate("-", stdin="a rose\n"))[0].startswith("a rose ")


def test_every_prompt_gets_its_lines_blank_ones_too(generate: Run) -> None:
    found = lines(generate("-n", "3", "-", stdin="the old king\n\nzyx\n"))
    assert len(found) == 9
    assert all(line.startswith("the old king") for line in found[:3])
    assert all(line.startswith("zyx") for line in found[6:])  # not in the vocabulary, and kept as it was written


def test_a_blank_prompt_is_no_prompt(generate: Run) -> None:
    assert lines(generate("-n", "3", "-", stdin="\n")) == lines(generate("-n", "3"))


def test_prompts_come_from_files_too(generate: Run, toys: Path) -> None:
    prompts = (toys / "test.txt").read_text().splitlines()
    found = lines(generate("--max-tokens", "2", toys / "test.txt"))
    assert len(found) == len(prompts)
    for line, prompt in zip(found, prompts, strict=True):
        assert line.startswith(prompt)


@pytest.mark.parametrize("how", [(), ("--top-p", "0.8", "--temperature", "1.3"), ("--top-k", "3"), ("--beam", "3")])
def test_lines_do_not_depend_on_the_batch_size(generate: Run, toys: Path, how: tuple[str, ...]) -> None:
    done = [generate(*how, "-n", "3", "-b", size, "--scores", toys / "test.txt") for size in ("1", "8", "64")]
    assert lines(done[0]) == lines(done[1]) == lines(done[2])


def test_a_seed_is_a_text(generate: Run) -> None:
    first, again, other = (lines(generate("-n", "5", "-s", seed)) for seed in ("7", "7", "8"))
    assert first == again != other
    assert lines(generate("-n", "5")) == lines(generate("-n", "5", "--seed", "1"))


def test_scores_stand_before_the_text(generate: Run) -> None:
    plain = lines(generate("-n", "4"))
    for record, text in zip(lines(generate("-n", "4", "--scores")), plain, strict=True):
        score, rest = record.split("\t")
        assert rest == text
        assert float(score) < 0


def test_scores_are_those_of_the_score_command(run: Run, generate: Run, toys: Path) -> None:
    """Lines that end by themselves, from the beginning of a text each: the model's own log-probabilities."""
    records = [json.loads(line) for line in lines(generate("-n", "8", "--json", "--top-k", "2"))]
    ended = [record for record in records if record["ended"]]
    assert ended
    text = "".join(f"{record['text']}\n" for record in ended)
    scored = run("score", "-m", toys / "run", "--context", "reset", stdin=text)
    for record, score in zip(ended, scored.out.split(), strict=True):
        assert record["logprob"] == pytest.approx(float(score), rel=1e-5)
        assert record["tokens"] == len(record["text"].split()) + 1


def test_json_says_everything(generate: Run) -> None:
    records = [json.loads(line) for line in lines(generate("-n", "2", "--json", "-", stdin="the\na\n"))]
    assert [(record["prompt"], record["sample"]) for record in records] == [(1, 1), (1, 2), (2, 1), (2, 2)]
    assert set(records[0]) == {"prompt", "sample", "logprob", "tokens", "ended", "text"}


def test_a_line_is_cut_at_the_limit(generate: Run) -> None:
    for record in map(json.loads, lines(generate("-n", "20", "--max-tokens", "2", "--json", "-", stdin="the\n"))):
        assert len(record["text"].split()) <= 3
        assert record["ended"] == (record["tokens"] > len(record["text"].split()) - 1)


def test_temperature_zero_is_a_beam_of_one(generate: Run, toys: Path) -> None:
    coldest = lines(generate("--temperature", "0", "--scores", toys / "test.txt"))
    assert coldest == lines(generate("--beam", "1", "--scores", toys / "test.txt"))


def test_a_beam_gives_its_best_lines_the_best_first(generate: Run) -> None:
    found = [line.split("\t") for line in lines(generate("--beam", "4", "-n", "4", "--scores", "-", stdin="the\n"))]
    scores = [float(score) for score, _ in found]
    assert scores == sorted(scores, reverse=True)
    assert len({text for _, text in found}) == 4


def test_unk_can_be_banned(run: Run, tmp_path: Path, toys: Path) -> None:
    """A vocabulary of two words out of many: most of the text is <unk>."""
    (tmp_path / "few.txt").write_text("the\na\n")
    run("vocab", "--words", "few.txt", "-o", "few.tsv", toys / "train.txt")
    trained = run(
        "train", "-V", "few.tsv", "--valid", toys / "valid.txt", "--arch", "elman:4", "--max-epochs", "1", "-o", "few",
        toys / "train.txt",
    )  # fmt: skip
    assert trained.status == 0, trained.err
    words = ("generate", "-m", "few", "-n", "20", "--max-tokens", "20")
    assert "<unk>" in run(*words).out
    assert "<unk>" not in run(*words, "--no-unk").out
    assert "<unk>" not in run(*words, "--no-unk", "--beam", "20").out


def test_running_text_has_the_tokens_asked_for(generate: Run) -> None:
    text = generate("--words", "50")
    assert len(text.out.split()) + text.out.count("\n") in (50, 51)  # the last line may end where the tokens do
    assert generate("--words", "50").out == text.out
    assert generate("--words", "50", "--context", "reset").status == 0


def test_a_model_mixed_with_itself_is_itself(run: Run, toys: Path) -> None:
    words = ("-n", "10", "--max-tokens", "12", "--scores")
    alone = run("generate", "-m", toys / "run", *words)
    assert run("generate", "-m", toys / "run", "-m", f"{toys}/run:0.3", *words) == alone


def test_models_are_mixed(run: Run, toys: Path) -> None:
    done = run("generate", "-m", toys / "run", "-m", f"{toys}/other.rnn:0.5", "-n", "3", "--max-tokens", "5")
    assert len(lines(done)) == 3


def test_models_of_different_vocabularies_are_not_mixed(run: Run, tmp_path: Path, toys: Path) -> None:
    run(
        "train", "-V", toys / "chars.tsv", "--valid", toys / "valid.txt", "--arch", "elman:4", "--max-epochs", "1",
        "-o", "chars", toys / "valid.txt",
    )  # fmt: skip
    done = run("generate", "-m", toys / "run", "-m", "chars")
    assert (done.status, done.out) == (1, "")
    assert "probabilities of different tokens cannot be mixed" in done.err


@pytest.mark.parametrize(("unit", "prompt"), [("char", "the  \\ old"), ("byte", "th\u00e9 "), ("spm", "the old")])
def test_every_unit_continues_its_prompt(run: Run, tmp_path: Path, toys: Path, unit: str, prompt: str) -> None:
    size = ("--size", "60") if unit == "spm" else ()
    run("vocab", "-u", unit, *size, "-o", "vocab", toys / "train.txt")
    trained = run(
        "train", "-V", "vocab", "--valid", toys / "valid.txt", "--arch", "elman:8", "--max-epochs", "1", "-o", "model",
        toys / "valid.txt",
    )  # fmt: skip
    assert trained.status == 0, trained.err
    found = lines(run("generate", "-m", "model", "-n", "20", "--max-tokens", "20", "-", stdin=f"{prompt}\n"))
    assert len(found) == 20
    assert all(line.startswith(prompt) for line in found)
    assert any(len(line) > len(prompt) for line in found)


def test_a_pipes_partner_is_answered_before_it_goes_on(start: Start, toys: Path) -> None:
    reading, prompts = os.pipe()
    answers, writing = os.pipe()
    running = start("generate", "-m", toys / "run", "--max-tokens", "3", "-", stdin=reading, stdout=writing)
    os.close(reading)
    os.close(writing)
    with os.fdopen(answers) as out:
        for word in ("the", "a"):
            os.write(prompts, f"{word}\n".encode())
            assert out.readline().startswith(word)
        os.close(prompts)
        assert out.read() == ""
    assert running.finish().status == 0


def test_lines_before_a_damaged_one_are_answered(generate: Run) -> None:
    done = generate("-", stdin=b"the\na\n\xff\n")
    assert (done.status, done.out.count("\n")) == (1, 2)
    assert done.err.startswith("rnntool generate: standard input:3: not UTF-8: byte 0xff at column 1\n")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--beam", "2", "--top-k", "3"), "--top-k: is for drawing; --beam searches"),
        (("--beam", "2", "--temperature", "0.5"), "--temperature: is for drawing; --beam searches"),
        (("--beam", "2", "--top-p", "0.5"), "--top-p: is for drawing; --beam searches"),
        (("--beam", "2", "--words", "9"), "--words: is for drawing; --beam searches"),
        (("--beam", "2", "-n", "3"), "--samples: 3 lines, and --beam 2 keeps no more than 2"),
        (("--words", "9", "-n", "3"), "--words: is one running text; --samples asks for 3"),
        (("--words", "9", "prompts.txt"), "--words: is one running text; it takes no prompts"),
        (("--scores", "--json"), "--scores: is part of --json; leave out one of them"),
        (("--top-p", "0"), "-p: 0.0 is not in the range 0<x<=1"),
        (("-", "-"), "the standard input can be read only once"),
    ],
)
def test_contradictions_are_refused(generate: Run, words: tuple[str, ...], message: str) -> None:
    done = generate(*words)
    assert (done.status, done.out) == (2, "")
    assert message in done.err


@pytest.mark.parametrize("precision", ["fp32", "bf16", "int8"])
def test_lower_precisions_write_lines_as_likely(generate: Run, precision: str) -> None:
    """The likeliest line is the same, and its log-probability within a few per cent."""
    words = ("--temperature", "0", "--scores", "--max-tokens", "20")
    done = generate(*words, "--precision", precision)
    if done.status == 2:
        pytest.skip(done.err)
    assert done.status == 0, done.err
    (exact, text), (near, found) = (line.split("\t") for line in (generate(*words).out + done.out).splitlines())
    assert found == text
    assert float(near) == pytest.approx(float(exact), rel=0.05)


def test_what_is_no_model_is_named(run: Run, toys: Path) -> None:
    done = run("generate", "-m", toys / "words.tsv")
    assert (done.status, done.out, done.err) == (1, "", f"rnntool generate: {toys}/words.tsv: not an rnntool model\n")


def test_a_copied_model_needs_nothing_else(run: Run, tmp_path: Path, toys: Path) -> None:
    shutil.copy(toys / "run" / "best.rnn", tmp_path / "alone.rnn")
    expected = run("generate", "-m", toys / "run", "-n", "3")
    assert run("generate", "-m", "alone.rnn", "-n", "3") == expected
