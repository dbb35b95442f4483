"""`rnntool translate`, and training on pairs, as a stranger uses them."""

from __future__ import annotations

import json
from multiprocessing.context import ForkServerContext
from pathlib import Path

import pytest

from tests.conftest import Finished, Run, Running


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


@pytest.mark.parametrize(
    ("command", "hint"),
    [
        ("ppl", "rnntool score --src FILE"),
        ("score", "--src FILE"),
        ("rescore", "--src FILE"),
        ("generate", "rnntool translate"),
    ],
)
def test_what_translates_is_no_language_model(run: Run, toys: Path, command: str, hint: str) -> None:
    done = run(command, "-m", toys / "ende", stdin="a rose\n")
    assert done.status == 1
    assert f"it reads a source, and is no language model\ntry: {hint}" in done.err


def test_more_than_the_search_keeps_cannot_be_written(translate: Run) -> None:
    done = translate("--n-best", "6")
    assert (done.status, done.err.splitlines()[0]) == (
        2,
        "rnntool translate: --n-best: 6 lines, and --beam 5 keeps no more than 5",
    )


@pytest.fixture
def into_words(run: Run, toys: Path) -> Run:
    """into_words(*words, stdin=…): with the toys' model whose targets are words, and whose sources are pieces."""

    def translated(*words: str | Path, **streams: object) -> Finished:
        return run("translate", "-m", toys / "deen", "-j", "1", *words, **streams)

    return translated


MANNERS: list[list[str]] = [
    ["--n-best", "3", "--coverage-penalty", "0.3", "--distinct"],
    ["--sample", "--temperature", "1.5", "--top-k", "9"],
    ["--unk", "copy", "--alignment", "soft"],
    ["--min-length", "0.5", "--alignment", "0.1", "--alignment-level", "piece"],
]


@pytest.mark.parametrize("manner", MANNERS, ids=lambda manner: manner[0])
def test_no_answer_depends_on_the_batch_size(into_words: Run, toys: Path, manner: list[str]) -> None:
    done = [lines(into_words(*manner, "-b", size, toys / "test.de")) for size in ("1", "7", "64")]
    assert done[0] == done[1] == done[2]


def test_an_ensemble_lists_what_each_model_gives(into_words: Run, toys: Path) -> None:
    """And n-grams and networks that judge the targets alone, in other amounts."""
    beside = ["--lm", f"{toys}/trigram.arpa.gz:0.3", "--lm", f"{toys}/run:0.1"]
    plain = lines(into_words("-m", toys / "deen", "--n-best", "2", toys / "test.de"))
    assert all(record.split(" ||| ")[2].startswith("F0= ") and " F1= " in record for record in plain)
    fused = lines(into_words(*beside, "--n-best", "2", toys / "test.de"))
    assert [record.split(" ||| ")[1] for record in fused] != [record.split(" ||| ")[1] for record in plain]
    for record in fused:
        _, text, features, score = record.split(" ||| ")
        names, values = features.split()[::2], list(map(float, features.split()[1::2]))
        assert names == ["F0=", "LM0=", "LM1="]
        total = values[0] + 0.3 * values[1] + 0.1 * values[2]
        assert float(score) == pytest.approx(total / (len(text.split()) + 1), abs=1e-4)


def test_a_line_that_is_too_long_has_a_blank_answer_and_a_message(translate: Run) -> None:
    done = translate("--max-source", "40", "--n-best", "1", stdin="the sea\n" + "the king " * 30 + "\nit\n")
    assert done.status == 0
    assert done.err == (
        "rnntool translate: standard input:2: more than 40 tokens (--max-source); the answer is blank\n"
    )
    records = done.out[:-1].split("\n")
    assert [record.split(" ||| ")[0] for record in records] == ["0", "1", "2"]
    assert records[1] == "1 |||  ||| F0= 0 ||| 0"


def test_alignments_stand_beside_targets_after_scores_or_in_a_file(into_words: Run, toys: Path, tmp_path: Path) -> None:
    plain = lines(into_words(toys / "test.de"))
    beside = [line.split(" ||| ") for line in lines(into_words("--alignment", "hard", toys / "test.de"))]
    assert [text for text, _ in beside] == plain
    words = [line.split() for line in (toys / "test.de").read_text().splitlines()]
    for (text, pairs), source in zip(beside, words, strict=True):
        found = [tuple(map(int, pair.split("-"))) for pair in pairs.split()]
        assert all(i < len(source) and j < len(text.split()) for i, j in found)
        assert [j for _, j in found] == sorted({j for _, j in found})
    assert lines(into_words("--alignment", "hard", "--alignment-file", "links", toys / "test.de")) == plain
    assert (tmp_path / "links").read_text().splitlines() == [pairs for _, pairs in beside]
    listed = lines(into_words("--alignment", "hard", "--n-best", "1", toys / "test.de"))
    assert [record.split(" ||| ")[4] for record in listed] == [pairs for _, pairs in beside]
    soft = lines(into_words("--alignment", "soft", "--min-length", "1", stdin="die See\n\n"))
    weights = [list(map(float, word.split(","))) for word in soft[0].split(" ||| ")[1].split()]
    assert {len(each) for each in weights} == {3}
    assert [sum(each) for each in weights] == pytest.approx([1] * len(weights), abs=1e-3)
    assert soft[1] == " ||| "


def test_records_for_programs(into_words: Run) -> None:
    done = lines(into_words("--json", "--alignment", "soft", "--n-best", "2", stdin="die See\n\nein Kahn\n"))
    records = [json.loads(line) for line in done]
    assert [(each["sentence"], each["rank"]) for each in records] == [(1, 1), (1, 2), (2, 1), (3, 1), (3, 2)]
    assert records[0]["source"] == ["die", "See"]
    assert records[0]["text"].split() == records[0]["target"]
    assert [len(row) for row in records[0]["alignment"]] == [3] * len(records[0]["target"])
    assert (records[2]["text"], records[2]["tokens"], records[2]["alignment"]) == ("", 1, [])


def test_targets_begin_with_the_lines_of_a_file(into_words: Run, tmp_path: Path) -> None:
    (tmp_path / "beginnings").write_text("every very old zebra\n\nthe\n")
    found = lines(into_words("--prefix", "beginnings", stdin="die See\n\nein Kahn\n"))
    assert found[0].startswith("every very old zebra")
    assert found[1] == ""
    assert found[2].split()[0] == "the"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("the\n", "beginnings: 1 lines, and standard input:2 is one more"),
        ("the\n\n\n", "beginnings: more than 2 lines, which is all that the text has"),
    ],
)
def test_there_are_as_many_beginnings_as_lines(into_words: Run, tmp_path: Path, given: str, message: str) -> None:
    (tmp_path / "beginnings").write_text(given)
    done = into_words("--prefix", "beginnings", stdin="die See\nein Kahn\n")
    assert (done.status, done.err) == (1, f"rnntool translate: {message}\n")


def test_unknown_words_are_kept_banned_copied_or_looked_up(run: Run, toys: Path, tmp_path: Path) -> None:
    """A model that knows next to nothing."""
    (tmp_path / "few.tsv").write_text("<unk>\t70\n</s>\t20\nthe\t10\n")
    (tmp_path / "lexicon").write_text("See\tdeep sea\ndie\tthe\n")
    pairs = ["--src", toys / "train.de", "--tgt", toys / "train.en", "--hold-out", "0.1", "--src-vocab"]
    words = [toys / "joint.spm", "--encoder", "gru:8", "--arch", "gru:8", "--max-epochs", "1", "-j", "1"]
    assert run("train", "-V", "few.tsv", *pairs, *words, "-o", "few").status == 0

    def found(*how: str) -> list[str]:
        return lines(run("translate", "-m", "few", "-j", "1", *how, stdin="die See\n\nein Kahn\n"))

    kept, banned, copied, looked_up = (
        found(*how) for how in ([], ["--unk", "ban"], ["--unk", "copy"], ["--unk", "lexicon"])
    )
    assert "<unk>" in kept[0]
    assert all(set(line.split()) <= {"the"} for line in banned)
    assert set(copied[0].split()) <= {"die", "See", "the"}
    assert set(copied[2].split()) <= {"ein", "Kahn", "the"}
    assert set(looked_up[0].split()) <= {"deep", "sea", "the"}
    assert looked_up[2] == copied[2]
    assert len(copied[0].split()) == len(kept[0].split())


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (["--distinct"], 2, "--distinct: goes with --n-best only"),
        (
            ["--min-length", "3"],
            2,
            "--min-length: 3, and --max-length 2 allows long lines no more\ntry: --max-length 3",
        ),
        (["--sample", "--beam", "4"], 2, "--beam: searches; --sample draws"),
        (["--sample", "--coverage-penalty", "1"], 2, "--coverage-penalty: is for a search; --sample draws"),
        (["--top-k", "4"], 2, "--top-k: is for drawing, with --sample only"),
        (["--alignment-file", "x"], 2, "--alignment-file: goes with --alignment only\ntry: --alignment hard"),
        (["--alignment", "hard", "--alignment-file", "-"], 2, "--alignment-file: targets go to the standard output"),
        (["--lm", "run"], 2, "--lm: no weight for run\ntry: --lm run:0.2"),
        (["--lm", "deen:1"], 1, "deen/best.rnn: it reads a source, and is no language model\ntry: -m, for an ensemble"),
        (["--lm", "missing:1"], 1, "missing: No such file or directory"),
        (["--unk", "missing"], 1, "missing: No such file or directory"),
        (["--unk", "test.en"], 1, "test.en:1: 'this old king follows it' is no entry of a lexicon"),
        (["-m", "bag", "--unk", "copy"], 2, "--unk: needs attention, and "),
        (["-m", "bag", "--alignment", "hard"], 2, "--alignment: needs attention, and "),
        (["-m", "bag", "--coverage-penalty", "1"], 2, "--coverage-penalty: needs attention, and "),
    ],
)
def test_options_that_do_not_go_together(
    run: Run, toys: Path, bag: Path, words: list[str], status: int, message: str
) -> None:
    models = [] if "bag" in words else ["-m", "deen"]
    given = [str(bag) if word == "bag" else word for word in words]
    done = run("translate", *models, *given, "-j", "1", cwd=toys, stdin="die See\n")
    assert done.status == status
    assert done.err.startswith(f"rnntool translate: {message}")
    assert done.out == ""


@pytest.mark.parametrize("value", ["0", "1.5", "-1", "nan", "weak"])
def test_an_alignment_is_of_a_known_kind(translate: Run, value: str) -> None:
    done = translate("--alignment", value)
    assert done.status == 2
    assert f"'{value}' is not hard, soft, or a number above 0 and at most 1" in done.err


def test_a_language_model_of_other_words_cannot_judge(translate: Run, toys: Path) -> None:
    done = translate("--lm", f"{toys}/run:1")
    assert done.status == 1
    assert done.err.startswith(f"rnntool translate: {toys}/run/best.rnn: its vocabulary is ")
    assert done.err.endswith(f"; it cannot judge what {toys}/ende/best.rnn writes\n")
    done = translate("--lm", f"{toys}/trigram.arpa.gz:1")
    assert done.status == 1
    assert "trigram.arpa.gz: its tokens are of unit word, those of" in done.err


@pytest.mark.parametrize("link", ["attention:mlp", "init"])
@pytest.mark.parametrize("precision", ["fp32", "bf16", "int8"])
def test_other_precisions_find_nearly_the_same(run: Run, toys: Path, tmp_path: Path, precision: str, link: str) -> None:
    """Targets of a small model, which are scored alike to a few per cent."""
    words = ["-q", "-j", "1", *TRAIN[:-2], *PAIRS, "--hold-out", "0.1", "--link", link, "-o", tmp_path / "new"]
    assert run("train", *words, cwd=toys).status == 0
    given = ["-m", tmp_path / "new", "--n-best", "1"]
    done = run("translate", *given, "--precision", precision, toys / "test.en")
    if (done.status == 2 and "by itself" in done.err) or "VNNI" in done.err:
        pytest.skip(done.err)
    exact = run("translate", *given, toys / "test.en")
    scores = [[float(line.split(" ||| ")[-1]) for line in each.out.splitlines()] for each in (done, exact)]
    assert scores[0] == pytest.approx(scores[1], rel=0.05)


def test_a_standard_input_is_read_once(translate: Run) -> None:
    done = translate("--prefix", "-")
    assert (done.status, done.out) == (2, "")
    assert "the standard input can be read only once, as TEXT or --model or --prefix or --lm" in done.err


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
        (["--tsv", "x", "--src", "train.en"], "--src: --tsv has both sides; leave out one of them"),
        ([*PAIRS, "--valid-tsv", "x", "--valid-tgt", "test.de"], "--valid-tgt: --valid-tsv has both sides"),
        (["--valid-tsv", "x", "train.txt"], "--valid-tsv: is for pairs, whose sources are not named"),
        (["--tsv", "x", "train.txt"], "--tsv: pairs have their targets in --tgt; TEXT is for language models"),
        (
            ["--tsv", "x"],
            "--valid-tsv: a validation text is needed\ntry: --hold-out 0.05, to take it from the end of --tsv",
        ),
        (["--tsv", "-", "--valid-tsv", "-"], "the standard input can be read only once"),
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
        (
            [*PAIRS, "--hold-out", "0.1", "--metric", "bleu"],
            "--metric: bleu compares with a validation text of its own\ntry: --valid-src FILE --valid-tgt FILE",
        ),
        (
            [*PAIRS, "--valid-tsv", "-", "--metric", "chrf"],
            "--valid-tsv: its lines are compared by --metric chrf, and must be there again for a resumed run\ntry: a file",
        ),
        (
            ["--encoder", "none", "--metric", "bleu", "train.txt"],
            "--metric: bleu is of translations; language models have ppl",
        ),
        (
            ["--encoder", "none", "--preset", "pairs", "train.txt"],
            "--preset: pairs is for pairs\ntry: --src FILE --tgt FILE",
        ),
        (
            ["--encoder", "none", "--subword-sampling", "0.2", "train.txt"],
            "--subword-sampling: is for pairs\ntry: rnntool encode --sample",
        ),
    ],
)
def test_options_of_pairs_that_do_not_go_together(run: Run, toys: Path, words: list[str], message: str) -> None:
    done = run("train", *TRAIN, *words, cwd=toys)
    assert done.status == 2
    assert done.err.startswith(f"rnntool train: {message}")
    assert not (toys / "new").exists()


def test_pairs_may_come_as_one_text(run: Run, toys: Path, tmp_path: Path) -> None:
    """By the standard input; the model is the same, and the run goes on without reading it again."""
    for name in ("train", "test"):
        sides = [(toys / f"{name}.{suffix}").read_text().splitlines() for suffix in ("en", "de")]
        (tmp_path / f"{name}.tsv").write_text("".join(f"{one}\t{other}\n" for one, other in zip(*sides, strict=True)))
    words = [*TRAIN[2:-2], "-V", toys / "joint.spm", "-j", "1"]
    files = ["--src", toys / "train.en", "--tgt", toys / "train.de", "--valid-src", toys / "test.en"]
    apart = run("train", *words, *files, "--valid-tgt", toys / "test.de", "-o", "apart")
    assert apart.status == 0, apart.err
    given = ["--tsv", "-", "--valid-tsv", "test.tsv"]
    together = run("train", *words, *given, "-o", "together", stdin=(tmp_path / "train.tsv").read_bytes())
    assert together.status == 0, together.err
    found = [json.loads(run("info", "--json", run_).out) for run_ in ("apart", "together")]
    assert found[0]["metrics"] == found[1]["metrics"]
    assert [each["sha256"] for each in found[0]["data"]] == [each["sha256"] for each in found[1]["data"]]
    again = run("train", *words, *given, "-o", "together", stdin=b"")
    assert (again.status, again.err) == (0, "already finished: 1 epoch is done; together/best.rnn\n")


def test_a_line_that_is_no_pair_is_said_before_any_training(run: Run, toys: Path, tmp_path: Path) -> None:
    words = [*TRAIN[2:-2], "-V", toys / "joint.spm", "--hold-out", "0.1", "--tsv", "-", "-o", "new"]
    done = run("train", *words, stdin="the sea\tdie See\na rose\n")
    assert done.status == 1
    assert done.err == "rnntool train: standard input:2: 1 columns; a pair is a source, a tab, and a target\n"
    assert not (tmp_path / "new").exists()


def test_sources_and_targets_of_different_lengths(run: Run, toys: Path, tmp_path: Path) -> None:
    words = ["--src", "train.en", "--tgt", "test.de", "--hold-out", "0.1", "-o", str(tmp_path / "new")]
    done = run("train", *TRAIN[:-2], *words, cwd=toys)
    assert done.status == 1
    assert done.err.startswith("rnntool train: train.en: 400 lines, and test.de has 40; line n answers line n")


def test_it_says_what_is_left_out_and_how_pairs_are_computed(run: Run, toys: Path, tmp_path: Path) -> None:
    words = [*PAIRS, "--hold-out", "0.1", "--max-length", "24", "--link", "attention:general"]
    done = run("train", *TRAIN[:-2], *words, "-o", tmp_path / "new", "--dry-run", "--explain", cwd=toys)
    assert done.status == 0
    said = done.err.splitlines()
    assert said[0].startswith("network gru:8 encoder bi-gru:8 link attention:general parameters ")
    pieces = [
        run("encode", "-V", "joint.spm", f"train.{side}", cwd=toys).out.splitlines()[:360] for side in ("en", "de")
    ]
    longer = sum(max(len(one.split()), len(two.split())) > 24 for one, two in zip(*pieces, strict=True))
    assert 0 < longer < 360
    assert said[2] == f"left out {longer} pairs with a side of more than 24 tokens; --max-length 0 takes all"
    assert [line.split(":")[0] for line in said[3:7]] == ["encoder 1", "encoder 1 backward", "layer 1", "link"]
    assert said[6] == "link: window: it attends when the decoder is through"
    assert said[8].startswith("expected an update: source: ")


@pytest.mark.parametrize("metric", ["bleu", "chrf"])
def test_validations_are_judged_by_what_translate_and_bleu_say(
    run: Run, toys: Path, tmp_path: Path, metric: str
) -> None:
    """The best model is that of the validation with the best score, which is that of its translations."""
    given = ["--valid-src", "test.en", "--valid-tgt", "test.de", "--metric", metric, "--validations", "2"]
    done = run("train", "-q", "-j", "1", *TRAIN[:-2], *PAIRS, *given, "-o", tmp_path / "new", cwd=toys)
    assert done.status == 0, done.err
    records = [json.loads(line) for line in (tmp_path / "new" / "metrics.jsonl").read_text().splitlines()]
    scores = [record[f"valid_{metric}"] for record in records if "valid_ppl" in record]
    assert len(scores) == 2
    for name, score in (("last", scores[-1]), ("best", max(scores))):
        model = tmp_path / "new" / f"{name}.rnn"
        found = run("translate", "--precision", "fp32", "-m", model, "test.en", cwd=toys).out
        judged = json.loads(
            run("bleu", "--metric", metric, "--json", "--width", "4", "test.de", stdin=found, cwd=toys).out
        )
        assert judged["score"] == pytest.approx(score, abs=1e-3)
        assert json.loads(run("info", "--json", model).out)["metrics"][f"valid_{metric}"] == score


def test_lines_are_cut_anew_only_into_sentencepieces(run: Run, toys: Path, tmp_path: Path) -> None:
    words = ["-V", "words.tsv", *PAIRS, "--hold-out", "0.1", "--subword-sampling", "0.2", "-o", tmp_path / "new"]
    done = run("train", *words, cwd=toys)
    what = "--subword-sampling: neither side is cut by SentencePiece\ntry: rnntool vocab -u spm\n"
    assert (done.status, done.err) == (2, f"rnntool train: {what}")


def test_what_a_run_starts_from_reads_sources_if_there_are_any(run: Run, toys: Path, tmp_path: Path) -> None:
    out = ["-o", tmp_path / "new"]
    done = run("train", "--init", "run", *PAIRS, "--hold-out", "0.1", *out, cwd=toys)
    assert (done.status, done.err) == (1, "rnntool train: run: a language model, which reads no --src\n")
    done = run("train", "--init", "ende", "--hold-out", "0.1", *out, "train.txt", cwd=toys)
    assert (done.status, done.err) == (1, "rnntool train: ende: reads sources, and there are none\n")


@pytest.fixture(scope="module")
def bag(toys: Path, server: ForkServerContext, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run directory with a model that does not attend."""
    out = tmp_path_factory.mktemp("bag") / "run"
    line = f"train -V words.tsv --src-vocab joint.spm --src train.de --tgt train.en --hold-out .1 -j 1 -o {out}"
    words = [*line.split(), "--encoder", "bag", "--link", "each", "--arch", "gru:8", "--max-epochs", "1"]
    assert Running(server, words, cwd=toys).finish().status == 0
    return out


@pytest.mark.parametrize("link", ["init", "each", "attention:dot"])
def test_every_link_is_trained_and_translates(run: Run, toys: Path, tmp_path: Path, link: str) -> None:
    out = tmp_path / "run"
    words = [*PAIRS, "--valid-src", "test.en", "--valid-tgt", "test.de", "--link", link, "-o", str(out)]
    done = run("train", *TRAIN[:-2], "--encoder", "gru:8", "-j", "1", *words, cwd=toys)
    assert done.status == 0, done.err
    assert len(lines(run("translate", "-m", out, "-j", "1", toys / "test.en"))) == 40
