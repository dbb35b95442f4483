"""`rnntool translate`, and training on pairs, as a stranger uses them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import Finished, Run


@pytest.fixture
def translate(run: Run, toys: Path) -> Run:
    """translate(*words, stdin=…): with the toys' model, on one thread."""

    def translated(*words: str | Path, **streams: object) -> Finished:
        return run("translate", "-m", toys / "ende", "-j", "1", *words, **streams)

    return translated


def lines(done: Finished) -> list[str]:
    assert (done.status, done.err) == (0, "")
    assert done.out.endswith("\n")
    return done.out[:-1].split("\n")


def test_line_n_answers_line_n_blank_ones_too(translate: Run) -> None:
    found = lines(translate(stdin="the old king sees the sea\n\n \nzyx qqq\n" + "the king " * 300 + "\n"))
    assert len(found) == 5
    assert found[1] == found[2] == ""
    assert found[0]


@pytest.mark.parametrize("beam", ["1", "4"])
def test_targets_do_not_depend_on_batch_size_or_order(translate: Run, toys: Path, beam: str, tmp_path: Path) -> None:
    done = [translate("--beam", beam, "-b", size, toys / "test.en") for size in ("1", "7", "64")]
    assert lines(done[0]) == lines(done[1]) == lines(done[2])
    backwards = tmp_path / "backwards.en"
    backwards.write_text("".join(reversed((toys / "test.en").read_text().splitlines(keepends=True))))
    assert lines(translate("--beam", beam, backwards)) == lines(done[0])[::-1]


def test_the_best_are_written_as_moses_does(translate: Run, toys: Path) -> None:
    plain = lines(translate(toys / "test.en"))
    records = [record.split(" ||| ") for record in lines(translate("--n-best", "3", toys / "test.en"))]
    assert all(len(record) == 4 and record[2].startswith("F0= ") for record in records)
    firsts: dict[int, str] = {}
    scores: dict[int, list[float]] = {}
    for number, text, _, score in records:
        firsts.setdefault(int(number), text)
        scores.setdefault(int(number), []).append(float(score))
    assert [firsts[n] for n in range(len(plain))] == plain
    assert all(each == sorted(each, reverse=True) for each in scores.values())


def test_a_model_twice_is_the_model(translate: Run, toys: Path) -> None:
    assert lines(translate("-m", toys / "ende", toys / "test.en")) == lines(translate(toys / "test.en"))


def test_a_language_model_reads_no_source(run: Run, toys: Path) -> None:
    done = run("translate", "-m", toys / "run", stdin="a rose\n")
    assert done.status == 1
    assert done.err.startswith(f"rnntool translate: {toys}/run/best.rnn: a language model, which reads no source")


@pytest.mark.parametrize("command", ["ppl", "score", "generate"])
def test_what_translates_is_no_language_model(run: Run, toys: Path, command: str) -> None:
    done = run(command, "-m", toys / "ende", stdin="a rose\n")
    assert done.status == 1
    assert "it reads a source, and is no language model\ntry: rnntool translate" in done.err


def test_more_than_the_search_keeps_cannot_be_written(translate: Run) -> None:
    done = translate("--n-best", "6")
    assert (done.status, done.err.splitlines()[0]) == (
        2,
        "rnntool translate: --n-best: 6 lines, and --beam 5 keeps no more than 5",
    )


TRAIN = ["-V", "joint.spm", "--encoder", "bi-gru:8", "--arch", "gru:8", "--max-epochs", "1", "-o", "new"]
PAIRS = ["--src", "train.en", "--tgt", "train.de"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--src", "train.en"], "--src and --tgt: 1 files and 0"),
        ([*PAIRS, "--valid", "test.de"], "--valid: pairs are validated on pairs"),
        ([*PAIRS, "train.txt"], "--src: pairs have their targets in --tgt; TEXT is for language models"),
        (["--tgt", "train.de"], "--tgt: is for pairs, whose sources are not named"),
        (["train.txt"], "--encoder: there is nothing to read"),
        (PAIRS, "--valid-tgt: a validation text is needed"),
        ([*PAIRS, "--valid-src", "test.en"], "--valid-src and --valid-tgt: 1 files and 0"),
        ([*PAIRS, "--hold-out", "0.1", "--link", "wire"], "--link: unknown link 'wire'"),
        ([*PAIRS, "--hold-out", "0.1", "--context", "carry"], "--context: pairs are independent of each other"),
        (
            [*PAIRS, "--hold-out", "0.1", "--clip-step", "1"],
            "--clip-step: is for language models; leave it out with --src",
        ),
        ([*PAIRS, "--hold-out", "0.1", "--bptt-every", "5"], "--bptt-every: is for language models"),
        ([*PAIRS, "--hold-out", "0.1", "--watch"], "--watch: is for language models"),
    ],
)
def test_options_of_pairs_that_do_not_go_together(run: Run, toys: Path, words: list[str], message: str) -> None:
    done = run("train", *TRAIN, *words, cwd=toys)
    assert done.status == 2
    assert done.err.startswith(f"rnntool train: {message}")
    assert not (toys / "new").exists()


def test_sources_and_targets_of_different_lengths(run: Run, toys: Path, tmp_path: Path) -> None:
    words = ["--src", "train.en", "--tgt", "test.de", "--hold-out", "0.1", "-o", str(tmp_path / "new")]
    done = run("train", *TRAIN[:-2], *words, cwd=toys)
    assert done.status == 1
    assert done.err.startswith("rnntool train: train.en: 400 lines, and test.de has 40; line n answers line n")


def test_what_a_run_starts_from_reads_sources_if_there_are_any(run: Run, toys: Path, tmp_path: Path) -> None:
    out = ["-o", tmp_path / "new"]
    done = run("train", "--init", "run", *PAIRS, "--hold-out", "0.1", *out, cwd=toys)
    assert (done.status, done.err) == (1, "rnntool train: run: a language model, which reads no --src\n")
    done = run("train", "--init", "ende", "--hold-out", "0.1", *out, "train.txt", cwd=toys)
    assert (done.status, done.err) == (1, "rnntool train: ende: reads sources, and there are none\n")


@pytest.mark.parametrize("link", ["init", "each", "attention:dot"])
def test_every_link_is_trained_and_translates(run: Run, toys: Path, tmp_path: Path, link: str) -> None:
    out = tmp_path / "run"
    words = [*PAIRS, "--valid-src", "test.en", "--valid-tgt", "test.de", "--link", link, "-o", str(out)]
    done = run("train", *TRAIN[:-2], "--encoder", "gru:8", "-j", "1", *words, cwd=toys)
    assert done.status == 0, done.err
    assert len(lines(run("translate", "-m", out, "-j", "1", toys / "test.en"))) == 40
