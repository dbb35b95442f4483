"""`rnntool ngram`, and what other commands do with what it makes."""

from __future__ import annotations

import gzip
import json
import math
import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.conftest import ROOT, Finished, Run
from tests.ngram.conftest import GOLDEN, parsed, tables

SMALL = "the cat sat\nthe dog sat\nthe cat\n"


def perplexity(run: Run, *words: str | Path, **streams: object) -> float:
    done = run("ppl", "--json", *words, **streams)
    assert (done.status, done.err) == (0, ""), done.err
    found: float = json.loads(done.out)["ppl"]
    return found


# --- what it makes ---------------------------------------------------------------------------------------------------


def test_the_model_is_kenlms(run: Run) -> None:
    """As in the room's tests, but from the command line, whose default is modified Kneser-Ney."""
    done = run("ngram", "--order", "3", GOLDEN / "text.txt")
    assert (done.status, done.err) == (0, "")
    golden = tables(parsed((GOLDEN / "trigram.arpa").read_text()))
    for mine, theirs in zip(tables(parsed(done.out)), golden, strict=True):
        assert mine.keys() == theirs.keys()
        for gram in theirs.keys() - {("<s>",)}:
            assert mine[gram] == pytest.approx(theirs[gram], abs=2e-6)
    pruned = run("ngram", "--order", "4", "--prune", "0 0 1", "--no-interpolate-unigrams", GOLDEN / "text.txt")
    golden = tables(parsed((GOLDEN / "pruned.arpa").read_text()))
    for mine, theirs in zip(tables(parsed(pruned.out)), golden, strict=True):
        assert mine.keys() == theirs.keys()
        for gram in theirs.keys() - {("<s>",)}:
            assert mine[gram] == pytest.approx(theirs[gram], abs=2e-6)


def test_the_default_is_five_words(run: Run) -> None:
    done = run("ngram", "--smoothing", "wb", stdin=SMALL)
    assert re.findall(r"^ngram (\d)=(\d+)$", done.out, re.M) == [
        ("1", "7"), ("2", "7"), ("3", "7"), ("4", "5"), ("5", "2"),
    ]  # fmt: skip


@pytest.mark.parametrize("order", range(1, 8))
def test_models_of_one_to_seven_words(run: Run, toys: Path, tmp_path: Path, order: int) -> None:
    assert run("ngram", "--order", str(order), "-q", "-o", "m.arpa", toys / "train.txt").status == 0
    assert 1 < perplexity(run, "-m", "m.arpa", toys / "test.txt") < 40
    assert run("check", "--check-sum", "m.arpa").out.startswith("m.arpa\tok\tsums to 1 within ")


def test_maximum_entropy(run: Run, toys: Path, tmp_path: Path) -> None:
    """It is a model as any other, and tells its course to those who want to know."""
    done = run("ngram", "--smoothing", "maxent", "--order", "3", "-v", "-o", "m.arpa", toys / "train.txt")
    assert (done.status, done.out) == (0, "")
    values = [float(value) for value in re.findall(r"^iteration \d+ objective (\S+)$", done.err, re.M)]
    assert len(values) > 5 and values == sorted(values, reverse=True)
    assert re.search(r"^3-grams found \d+ kept \d+ variance 3$", done.err, re.M)
    assert run("check", "--check-sum", "m.arpa").out.startswith("m.arpa\tok\tsums to 1 within ")
    assert 1 < perplexity(run, "-m", "m.arpa", toys / "test.txt") < 40
    assert run("ngram", "--smoothing", "wb", "--order", "3", "-o", "wb.arpa", toys / "train.txt").status == 0
    assert 1 < perplexity(run, "-m", "m.arpa", "-m", "wb.arpa", toys / "test.txt") < 40


def test_a_smaller_variance_smooths_more(run: Run, toys: Path) -> None:
    found = []
    for variance in ("100 0.01", "100,1", "100 100"):
        words = ("--smoothing", "maxent", "--variance", variance, "--order", "2", "-o", "m.arpa", toys / "train.txt")
        assert run("ngram", *words) == Finished(0, "", "")
        found.append(perplexity(run, "-m", "m.arpa", toys / "train.txt"))
    assert found == sorted(found, reverse=True) and found[0] > found[-1] * 1.2


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--variance", "1"), "--variance: mkn has no weights\ntry: --smoothing maxent\n"),
        (("--smoothing", "maxent", "--order", "1", "--variance", "1 2"), "--variance: 2 variances; --order is 1\n"),
        (
            ("--smoothing", "maxent", "--no-interpolate-unigrams"),
            "--no-interpolate-unigrams: maxent interpolates nothing\n",
        ),
    ],
    ids=["other smoothing", "too many", "nothing is interpolated"],
)
def test_options_that_do_not_go_with_maximum_entropy(run: Run, words: tuple[str, ...], said: str) -> None:
    assert run("ngram", *words, stdin=SMALL) == Finished(2, "", f"rnntool ngram: {said}")


@pytest.mark.parametrize("given", ["0", "-1", "x", "", "1 nan", "."])
def test_variances_are_positive_numbers(run: Run, given: str) -> None:
    done = run("ngram", "--smoothing", "maxent", "--variance", given, stdin=SMALL)
    assert done.status == 2
    assert f"{given!r} is no list of numbers above 0 such as '100 8 3'" in done.err


def test_memory_changes_nothing(run: Run, toys: Path) -> None:
    lines = (toys / "train.txt").read_text() * 60
    whole = run("ngram", "-q", "--order", "4", stdin=lines)
    assert run("ngram", "-q", "--order", "4", "-S", "1m", stdin=lines) == whole
    assert run("ngram", "-q", "--order", "4", "--memory", "2048K", stdin=lines) == whole


def test_verbose_says_what_was_found_and_estimated(run: Run) -> None:
    done = run("ngram", "-v", "--order", "3", "--prune", "0,0,1", GOLDEN / "text.txt")
    assert done.err == (
        "1-grams found 31 kept 31 D1 0.217391 D2 1.63768 D3 2.13043\n"
        "2-grams found 97 kept 97 D1 0.580952 D2 1.52468 D3 1.06349\n"
        "3-grams found 136 kept 44 D1 0.686567 D2 0.921109 D3 1.25237\n"
    )


def test_text_too_small_for_discounts_is_worth_a_warning_and_no_more(run: Run) -> None:
    done = run("ngram", "--order", "2", stdin=SMALL)
    assert done.status == 0
    instead = "the discounts are 0.5, 1, 1.5 instead of estimated ones"
    assert done.err == f"rnntool ngram: 1-grams: no counts of 3; {instead}\n"
    assert run("ngram", "-q", "--order", "2", stdin=SMALL) == Finished(0, done.out, "")


def test_a_name_that_says_so_is_compressed(run: Run, tmp_path: Path) -> None:
    plain = run("ngram", "-q", stdin=SMALL).out
    assert run("ngram", "-q", "-o", "m.arpa.gz", stdin=SMALL) == Finished(0, "", "")
    assert gzip.decompress((tmp_path / "m.arpa.gz").read_bytes()).decode() == plain


# --- unknown words ---------------------------------------------------------------------------------------------------


def test_words_that_the_vocabulary_lacks_are_unk(run: Run, tmp_path: Path) -> None:
    (tmp_path / "words.tsv").write_text("<unk>\t0\n</s>\t0\n<s>\t0\nthe\t0\nsat\t0\nzebra\t0\n")
    done = run("ngram", "--smoothing", "wb", "--order", "2", "-V", "words.tsv", stdin=SMALL)
    assert done.status == 0
    first, second = tables(parsed(done.out))
    assert {word for (word,) in first} == {"<unk>", "</s>", "<s>", "the", "sat", "zebra"}
    assert ("the", "<unk>") in second and ("<unk>", "sat") in second
    (tmp_path / "text").write_text(SMALL)
    piped = (tmp_path / "words.tsv").read_bytes()
    assert run("ngram", "--smoothing", "wb", "--order", "2", "-V", "-", "text", stdin=piped) == done


def test_the_word_unk_is_a_word(run: Run, tmp_path: Path) -> None:
    """And unknown words are scored as it is."""
    assert run("ngram", "-q", "--order", "2", "-o", "m.arpa", stdin=SMALL.replace("cat", "<unk>")).status == 0
    said = run("score", "-m", "m.arpa", stdin="the <unk> sat\nthe zebra sat\n").out.splitlines()
    assert said[0] == said[1]
    tokens = run("score", "--tokens", "-m", "m.arpa", stdin="the <unk> sat\nthe zebra sat\n").out.splitlines()
    assert [line.split("\t")[4] for line in tokens] == ["", "", "", "eos", "", "oov", "", "eos"]


def test_marks_in_the_text_are_unknown_words(run: Run) -> None:
    done = run("ngram", "--smoothing", "wb", "--order", "2", stdin="a <s> b\n")
    assert (done.status, done.err) == (0, "rnntool ngram: the text holds <s> as a word; read as <unk>\n")
    assert "\ta <unk>" in done.out


def test_a_model_without_unk_leaves_unknown_words_out_on_request(run: Run, tmp_path: Path) -> None:
    text = run("ngram", "-q", "--order", "1", stdin=SMALL).out
    text = re.sub(r"\S+\t<unk>\n", "", text).replace("ngram 1=7", "ngram 1=6")
    (tmp_path / "m.arpa").write_text(text)
    done = run("ppl", "--unk", "skip", "-m", "m.arpa", stdin="the zebra\n")
    assert done.status == 0
    assert re.fullmatch(r"rnntool ppl: m\.arpa: no <unk> among its 1-grams: .*\n", done.err)
    assert done.out.startswith("ppl = ") and "tokens:2 | oov:1 |" in done.out
    known = run("ppl", "-q", "-m", "m.arpa", stdin="the\n")
    assert done.out.split()[:3] == known.out.split()[:3]


# --- other units -----------------------------------------------------------------------------------------------------


def test_characters(run: Run, toys: Path, tmp_path: Path) -> None:
    words = ("ngram", "--smoothing", "wb", "--order", "4", "-V", toys / "chars.tsv", "-o", "c.arpa", toys / "train.txt")
    assert run(*words) == Finished(0, "", "")
    assert 1 < perplexity(run, "-m", "c.arpa", toys / "test.txt") < 3
    drawn = run("generate", "-n", "20", "-m", "c.arpa").out
    assert drawn.count("\n") == 20 and len(drawn) > 200 and "\\s" not in drawn


def test_a_sentencepiece_model_cannot_be_written(run: Run, toys: Path) -> None:
    done = run("ngram", "-V", toys / "joint.spm", toys / "train.txt")
    assert done == Finished(
        2,
        "",
        "rnntool ngram: --vocab: a SentencePiece model cannot be carried by an ARPA file; make one of its pieces as words\n"
        f"try: rnntool encode -V {toys}/joint.spm TEXT | rnntool ngram\n",
    )


# --- as a model ------------------------------------------------------------------------------------------------------


def test_scores_are_those_of_kenlms_query(run: Run) -> None:
    """log₁₀ of the sums: 2.8746 of `the cat sat by the fire`, 1.3149 of a blank line (KenLM 0.3.0, query -v word)."""
    done = run("score", "-m", GOLDEN / "trigram.arpa", stdin="the cat sat by the fire\n\n")
    found = [float(line) / math.log(10) for line in done.out.splitlines()]
    assert found == pytest.approx([-2.87467, -1.314883], abs=1e-5)


def test_a_perplexity_says_that_lines_stand_alone(run: Run, toys: Path) -> None:
    done = run("ppl", "-m", toys / "trigram.arpa.gz", toys / "test.txt")
    assert (done.status, done.err) == (0, "")
    assert re.fullmatch(
        r"ppl = \d+\.\d\d \| tokens:\d+ \| oov:0 \| eos:yes \| context:reset \| unk:count \| .*\n", done.out
    )


def test_n_grams_carry_nothing(run: Run, toys: Path) -> None:
    done = run("ppl", "-m", toys / "trigram.arpa.gz", "--context", "carry", toys / "test.txt")
    assert done == Finished(
        2, "", "rnntool ppl: --context: n-grams do not reach over the end of a line; they can only reset\n"
    )
    done = run("ppl", "-m", toys / "trigram.arpa.gz", "--context", "reset", toys / "test.txt")
    assert done.status == 0


@pytest.mark.parametrize("context", ["carry", "reset"])
def test_a_mixture_with_a_network_is_the_mean_of_probabilities(
    run: Run, toys: Path, tmp_path: Path, context: str
) -> None:
    """Whichever comes first, and in whatever order the words of the other are."""
    shuffled = (toys / "words.tsv").read_text().splitlines(keepends=True)
    (tmp_path / "back.tsv").write_text("".join([*shuffled[:2], *reversed(shuffled[2:])]))
    words = ("ngram", "--smoothing", "wb", "--order", "3", "-V", "back.tsv", "-o", "back.arpa", toys / "train.txt")
    assert run(*words).status == 0

    def probs(*models: str | Path) -> list[float]:
        named = [word for model in models for word in ("-m", model)]
        how = ["--context", context] if any("run" in str(model) for model in models) else []
        done = run("score", "--tokens", *named, *how, toys / "test.txt")
        assert (done.status, done.err) == (0, ""), done.err
        return [math.exp(float(line.split("\t")[3])) for line in done.out.splitlines()]

    network, ngrams = probs(toys / "run"), probs(toys / "trigram.arpa.gz")
    expected = [0.4 * p + 0.6 * q for p, q in zip(network, ngrams, strict=True)]
    for models in (
        (f"{toys}/run:0.4", f"{toys}/trigram.arpa.gz:0.6"),
        (f"{toys}/trigram.arpa.gz:0.6", f"{toys}/run"),
        (f"{toys}/run:0.4", "back.arpa"),
        ("back.arpa:0.6", f"{toys}/run"),
    ):
        assert probs(*models) == pytest.approx(expected, rel=1e-4)


def test_n_grams_cannot_translate(run: Run, toys: Path) -> None:
    name = toys / "trigram.arpa.gz"
    done = run("translate", "-m", name, stdin="the king\n")
    what = f"rnntool translate: {name}: an n-gram model, which reads no source\ntry: rnntool generate\n"
    assert done == Finished(1, "", what)


def test_models_of_other_words_are_refused(run: Run, toys: Path, tmp_path: Path) -> None:
    assert run("ngram", "-q", "-o", "m.arpa", stdin=SMALL).status == 0
    done = run("ppl", "-m", toys / "run", "-m", "m.arpa", toys / "test.txt")
    assert (done.status, done.out) == (1, "")
    assert re.fullmatch(
        rf"rnntool ppl: m\.arpa: its vocabulary has no '\S+', which {toys}/run/best\.rnn has; "
        r"probabilities of different tokens cannot be mixed\n",
        done.err,
    )


def test_a_model_is_read_from_a_pipe_and_from_the_standard_input(run: Run, toys: Path, tmp_path: Path) -> None:
    packed = (toys / "trigram.arpa.gz").read_bytes()
    plain = gzip.decompress(packed)
    whole = run("ppl", "-m", toys / "trigram.arpa.gz", toys / "test.txt")
    for data in (packed, plain):
        assert run("ppl", "-m", "-", toys / "test.txt", stdin=data) == whole
        (tmp_path / "model").write_bytes(data)  # known by what it holds
        assert run("ppl", "-m", "model", toys / "test.txt") == whole
    reading, writing = os.pipe()
    os.write(writing, packed)
    os.close(writing)
    assert run("ppl", "-m", "/dev/stdin", toys / "test.txt", stdin=reading) == whole
    os.close(reading)


def test_lines_are_generated(run: Run, toys: Path) -> None:
    model = toys / "trigram.arpa.gz"
    done = run("generate", "-n", "5", "--scores", "-m", model)
    assert (done.status, done.err) == (0, "")
    assert run("generate", "-n", "5", "--scores", "-m", model, "-b", "1") == done
    for line in done.out.splitlines():
        score, text = line.split("\t")
        said = run("score", "-m", model, stdin=f"{text}\n").out
        assert float(said) == pytest.approx(float(score), abs=1e-4)
    mixed = run("generate", "-n", "5", "--scores", "-m", model, "-m", toys / "run")
    assert mixed.status == 0 and mixed.out != done.out
    assert run("generate", "--beam", "4", "-m", model, "-", stdin="the\n").out.startswith("the ")
    assert len(run("generate", "--words", "40", "-m", model).out.split()) > 20


def test_facts_and_soundness(run: Run, toys: Path, tmp_path: Path) -> None:
    done = run("info", "--json", toys / "trigram.arpa.gz")
    facts = json.loads(done.out)
    assert facts["file"] == f"{toys}/trigram.arpa.gz"
    assert facts["ngrams"]["order"] == 3
    assert facts["vocabulary"]["unit"] == "word"
    assert facts["vocabulary"]["size"] == facts["ngrams"]["1-grams"] - 1
    assert run("info", toys / "trigram.arpa.gz").out.splitlines()[1] == "ngrams\torder\t3"
    done = run("check", "--check-sum", "--json", toys / "trigram.arpa.gz")
    assert done.status == 0 and json.loads(done.out)["deviation"] < 1e-5


def test_what_is_wrong_with_a_model_is_said_with_its_line(run: Run, toys: Path, tmp_path: Path) -> None:
    lines = gzip.decompress((toys / "trigram.arpa.gz").read_bytes()).decode().splitlines(keepends=True)
    number = lines.index("\\3-grams:\n") + 2
    words = lines[number - 1].split("\t")[1]
    broken = "".join([*lines[: number - 1], f"oops\t{words}", *lines[number:]])
    (tmp_path / "broken.arpa").write_text(broken)
    (tmp_path / "cut.arpa").write_text("".join(lines[:-9]))
    (tmp_path / "cut.arpa.gz").write_bytes((toys / "trigram.arpa.gz").read_bytes()[:-100])
    (tmp_path / "heavy.arpa").write_text(re.sub(r"(?m)^-[0-9.]+\t(the|a|no)\t", r"-0.1\t\1\t", "".join(lines)))
    assert run("ppl", "-m", "broken.arpa", toys / "test.txt") == Finished(
        1, "", f"rnntool ppl: broken.arpa:{number}: 'oops' is not a number\n"
    )
    done = run("check", "--check-sum", "broken.arpa", "cut.arpa", "cut.arpa.gz", "heavy.arpa")
    assert done.status == 1
    assert done.err == "rnntool check: 4 of 4 files are not whole\n"
    first, second, third, fourth = done.out.splitlines()
    assert first == f"broken.arpa\tline {number}: 'oops' is not a number"
    assert re.fullmatch(r"cut\.arpa\tcut off: line \d+ is the last, and no \\end\\ has come", second)
    assert re.fullmatch(r"cut\.arpa\.gz\t(damaged|cut off).*", third)
    assert re.fullmatch(r"heavy\.arpa\tits probabilities do not sum to one\tsums to 1 within .*", fourth)


# --- random forests --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def forest(toys: Path, tmp_path_factory: pytest.TempPathFactory, program: Path) -> Path:
    path = tmp_path_factory.mktemp("forest") / "forest.rnn"
    words = ("ngram", "--forest", "3", "--order", "3", "--smoothing", "wb", "-V", toys / "words.tsv", "-o", path)
    subprocess.run([program / "rnntool", *words, toys / "train.txt"], check=True)
    return path


def test_a_forest_tells_its_course(run: Run, toys: Path, tmp_path: Path, forest: Path) -> None:
    """And the same command writes the same bytes, another seed others."""
    words = (
        "ngram",
        "--forest",
        "3",
        "--order",
        "3",
        "--smoothing",
        "wb",
        "-V",
        toys / "words.tsv",
        toys / "train.txt",
    )
    done = run(*words, "-v", "-o", "again.rnn")
    assert (done.status, done.out) == (0, "")
    assert re.findall(r"^trees (\d) held-out ppl \d+\.\d\d$", done.err, re.M) == ["1", "2", "3"]
    assert len(re.findall(r"^3-grams found \d+ kept \d+$", done.err, re.M)) == 1
    assert (tmp_path / "again.rnn").read_bytes() == forest.read_bytes()
    assert run(*words, "--seed", "2", "-o", "other.rnn").status == 0
    assert (tmp_path / "other.rnn").read_bytes() != forest.read_bytes()


def test_a_forest_scores_as_a_model_does(run: Run, toys: Path, tmp_path: Path, forest: Path) -> None:
    found = perplexity(run, "-m", forest, toys / "test.txt")
    assert 1 < found < perplexity(run, "-m", toys / "trigram.arpa.gz", toys / "test.txt") * 1.1
    scores = [float(line.split("\t")[0]) for line in run("score", "-m", forest, toys / "test.txt").out.splitlines()]
    text = (toys / "test.txt").read_text()
    assert math.exp(-sum(scores) / (len(text.split()) + text.count("\n"))) == pytest.approx(found, rel=1e-5)
    packed = gzip.compress(forest.read_bytes())
    assert perplexity(run, "-m", "-", toys / "test.txt", stdin=packed) == found
    assert 1 < perplexity(run, "-m", f"{toys}/run:0.5", "-m", forest, toys / "test.txt") < 40
    done = run("ppl", "-m", forest, "--context", "carry", toys / "test.txt")
    assert done.status == 2 and "n-grams do not reach over the end of a line" in done.err


def test_what_a_forest_is(run: Run, forest: Path) -> None:
    facts = json.loads(run("info", "--json", forest).out)
    assert facts["forest"]["trees"] == 3 and facts["forest"]["history"] == 2
    assert facts["ngrams"]["order"] == 3 and facts["vocabulary"]["unit"] == "word"
    assert run("check", forest) == Finished(0, f"{forest}\tok\n", "")
    done = run("check", "--check-sum", forest)
    assert done.status == 0 and done.out.startswith(f"{forest}\tok\tsums to 1 within ")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["generate", "-m"], "a random forest, which scores lines and does not continue them\ntry: rnntool score\n"),
        (["translate", "-m"], "a random forest of n-grams, which scores and does nothing else\ntry: rnntool score\n"),
        (["export"], "this is a forest file, not a model file\n"),
        (["average", "-o", "x.rnn", "x.rnn"], "a random forest, which has no weights to average\ntry: rnntool mix\n"),
    ],
)
def test_what_a_forest_cannot_do(
    run: Run, toys: Path, tmp_path: Path, forest: Path, words: list[str], said: str
) -> None:
    (tmp_path / "x.rnn").write_bytes((toys / "run" / "best.rnn").read_bytes())
    done = run(*words, forest, stdin="the king\n")
    assert done == Finished(1, "", f"rnntool {words[0]}: {forest}: {said}")


def test_a_damaged_forest_is_recognised(run: Run, toys: Path, tmp_path: Path, forest: Path) -> None:
    """Whatever byte of it is changed, wherever it is cut off."""
    whole = forest.read_bytes()
    start = 8 + int.from_bytes(whole[:8], "little")
    for number, place in enumerate([start, start + 1000, len(whole) // 2, len(whole) - 1]):
        name = f"{number}.rnn"
        (tmp_path / name).write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        what = "damaged: its content does not have the hash that it names"
        assert run("ppl", "-m", name, toys / "test.txt") == Finished(1, "", f"rnntool ppl: {name}: {what}\n")
        assert run("check", name).out == f"{name}\t{what}\n"
        (tmp_path / name).write_bytes(whole[:place])
        assert run("ppl", "-m", name, toys / "test.txt") == Finished(1, "", f"rnntool ppl: {name}: {what}\n")


def test_a_forest_needs_more_than_a_line(run: Run, tmp_path: Path) -> None:
    done = run("ngram", "--forest", "1", "--smoothing", "wb", "-o", "x.rnn", stdin="the cat sat\n")
    what = "one line; a forest needs some to learn from, and some to be judged by"
    assert done == Finished(1, "", f"rnntool ngram: {what}\n")
    assert not (tmp_path / "x.rnn").exists()


# --- refused ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--order", "0"], "--order: 0 is not in the range 1<=x<=64\ntry: rnntool ngram --help"),
        (["-S", "12"], "-S / --memory: 12 is less than 1M\ntry: rnntool ngram --help"),
        (["-S", "much"], "-S / --memory: 'much' is no size such as 512M or 2G\ntry: rnntool ngram --help"),
        (["--prune", "0 x"], "--prune: '0 x' is no list of whole numbers such as '0 0 1'\ntry: rnntool ngram --help"),
        (["--prune", "0 2 1"], "--prune: 1 after 2; thresholds must not fall from order to order"),
        (["--order", "2", "--prune", "0 0 0"], "--prune: 3 thresholds; --order is 2"),
        (
            ["--prune", "1"],
            "--prune: the first threshold is 1; words are not pruned, so it must be 0\n"
            "try: rnntool vocab --min-count 2 TEXT | rnntool ngram -V - TEXT",
        ),
        (["-V", "-"], "--vocab: the standard input is the text; it cannot be the vocabulary too"),
        (
            ["--smoothing", "add-k", "--no-interpolate-unigrams"],
            "--no-interpolate-unigrams: add-k interpolates nothing",
        ),
        (["--forest", "0"], "--forest: 0 is not in the range 1<=x<=1000\ntry: rnntool ngram --help"),
        (["--forest", "-1"], "--forest: -1 is not in the range 1<=x<=1000\ntry: rnntool ngram --help"),
        (["--forest", "many"], "--forest: 'many' is not a valid integer\ntry: rnntool ngram --help"),
        (
            ["--forest", "2", "--order", "1"],
            "--forest: trees look at words of history; --order is 1, which has none",
        ),
        (["--forest", "2", "--variance", "1"], "--variance: mkn has no weights\ntry: --smoothing maxent"),
        (["--add", "2"], "--add: mkn adds nothing to counts\ntry: --smoothing add-k"),
        (["--seed", "2"], "--seed: nothing is random without trees\ntry: --forest 10"),
        (["--add", "0"], "--add: 0.0 is not in the range x>0\ntry: rnntool ngram --help"),
    ],
)  # fmt: skip
def test_a_wrong_command_line_is_refused(run: Run, words: list[str], message: str) -> None:
    assert run("ngram", *words, stdin=SMALL) == Finished(2, "", f"rnntool ngram: {message}\n")


def test_nothing_is_left_behind(run: Run, tmp_path: Path, toys: Path) -> None:
    """Neither of temporary files nor of a model that could not be made."""
    (tmp_path / "tmp").mkdir()
    lines = (toys / "train.txt").read_bytes() * 60
    done = run(
        "ngram", "-q", "-S", "1M", "-o", "m.arpa", stdin=lines + b"\xff\n", env={"TMPDIR": str(tmp_path / "tmp")}
    )
    assert done.status == 1 and ": not UTF-8: byte 0xff" in done.err
    assert [path.name for path in tmp_path.rglob("*")] == ["tmp"]


def test_the_page_shows_a_model_that_is_read(tmp_path: Path) -> None:
    """The ARPA file of rnntool-formats(5) is one."""
    page = (ROOT / "man" / "man5" / "rnntool-formats.5").read_text()
    shown = page[page.index("\\edata\\e\nngram") : page.index("\\eend\\e\n") + len("\\eend\\e\n")].replace("\\e", "\\")
    assert [len(table) for table in tables(parsed(shown))] == [5, 3]
