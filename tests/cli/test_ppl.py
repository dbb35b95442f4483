"""`rnntool ppl`: a perplexity that says how it was counted."""

from __future__ import annotations

import json
import math
import os
import pickle
import re
import select
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rnntool import __version__
from rnntool.text.vocabulary import read_vocabulary
from tests.conftest import Finished, Run, Start

JSON_KEYS = [
    "sentences", "tokens", "oov", "nll", "ppl", "ppl_excl_oov", "ppl1", "bits_per_token", "bits_per_char", "bits_per_byte",
    "words", "ppl_per_word", "signature",
]  # fmt: skip

Measure = Callable[..., dict[str, Any]]


def parsed(line: str) -> dict[str, Any]:
    """One JSON object; NaN and Infinity, which JSON does not have, are errors."""

    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is no JSON")

    answer: dict[str, Any] = json.loads(line, parse_constant=refuse)
    return answer


@pytest.fixture
def measure(run: Run, toys: Path) -> Measure:
    """measure("-m", model, …, stdin=…) -> the last JSON object of `ppl --json`."""

    def measured(*words: str | Path, **streams: Any) -> dict[str, Any]:
        done = run("ppl", "--json", *words, **streams)
        assert (done.status, done.err) == (0, ""), done.err
        return parsed(done.out.splitlines()[-1])

    return measured


@pytest.fixture(scope="module")
def reset_model(toys: Path, tmp_path_factory: pytest.TempPathFactory, server: Any) -> Path:
    """A model whose context is reset at line ends, trained far enough that tokens differ."""
    from tests.conftest import Running

    folder = tmp_path_factory.mktemp("reset")
    words = "train -V words.tsv --valid valid.txt --arch gru:12 --context reset --lr 0.05 --max-epochs 1 train.txt -o"
    done = Running(server, [*words.split(), folder / "run"], cwd=toys).finish()
    assert done.status == 0, done.err
    return folder / "run"


@pytest.fixture(scope="module")
def char_model(toys: Path, tmp_path_factory: pytest.TempPathFactory, server: Any) -> Path:
    """A model of characters."""
    from tests.conftest import Running

    folder = tmp_path_factory.mktemp("chars")
    words = "train -V chars.tsv --valid valid.txt --arch elman:8 --max-epochs 1 train.txt -o"
    done = Running(server, [*words.split(), folder / "run"], cwd=toys).finish()
    assert done.status == 0, done.err
    return folder / "run"


# --- what it prints --------------------------------------------------------------------------------------------------


def test_a_line_says_how_it_was_counted(run: Run, toys: Path) -> None:
    text = (toys / "text.txt").read_text()
    digest = read_vocabulary(str(toys / "words.tsv")).digest
    done = run("ppl", "-m", toys / "run", toys / "text.txt")
    assert (done.status, done.err) == (0, "")
    assert re.fullmatch(
        rf"ppl = \d+\.\d\d \| tokens:{len(text.split()) + text.count(chr(10))} \| oov:0 \| eos:yes \| context:carry "
        rf"\| unk:count \| vocab:{digest} \| version:{re.escape(__version__)}\n",
        done.out,
    )


def test_several_texts_have_a_line_each_and_a_total(run: Run, toys: Path, measure: Measure) -> None:
    done = run("ppl", "-m", toys / "run", toys / "text.txt", toys / "valid.txt", "-", stdin="a rose\n")
    *each, total = done.out.splitlines()
    assert [line.rpartition(" | text:")[2] for line in each] == [
        f"{toys}/text.txt",
        f"{toys}/valid.txt",
        "standard input",
    ]
    assert " text:" not in total
    tokens = [int(re.search(r"tokens:(\d+)", line)[1]) for line in done.out.splitlines()]  # type: ignore[index]
    assert tokens[-1] == sum(tokens[:-1])
    alone = run("ppl", "-m", toys / "run", toys / "valid.txt").out
    assert (
        each[1] == f"{alone.strip()} | text:{toys}/valid.txt"
    )  # each begins anew, with no context from the one before


def test_json_holds_the_same_and_more(measure: Measure, toys: Path) -> None:
    answer = measure("-m", toys / "run", toys / "text.txt")
    assert list(answer) == JSON_KEYS
    text = (toys / "text.txt").read_text()
    words, lines = len(text.split()), text.count("\n")
    assert (answer["sentences"], answer["tokens"], answer["oov"]) == (lines, words + lines, 0)
    nll = answer["nll"]
    assert answer["ppl"] == answer["ppl_excl_oov"] == pytest.approx(math.exp(nll / (words + lines)))
    assert answer["ppl1"] == pytest.approx(math.exp(nll / words))
    assert answer["bits_per_token"] == pytest.approx(nll / math.log(2) / (words + lines))
    assert answer["bits_per_char"] == answer["bits_per_byte"] == pytest.approx(nll / math.log(2) / len(text))
    assert (answer["words"], answer["ppl_per_word"]) == (words + lines, answer["ppl"])
    assert list(answer["signature"]) == ["eos", "context", "unk", "vocab", "version"]


def test_bits_of_a_character_are_not_bits_of_a_byte(measure: Measure, toys: Path) -> None:
    answer = measure("-m", toys / "run", stdin="König\n")
    assert answer["bits_per_char"] * 6 == pytest.approx(answer["bits_per_byte"] * 7)


def test_characters_have_a_perplexity_per_word_too(run: Run, measure: Measure, toys: Path, char_model: Path) -> None:
    """Of words and line ends, as a model of words has it."""
    answer = measure("-m", char_model, toys / "text.txt")
    text = (toys / "text.txt").read_text()
    words = len(text.split()) + text.count("\n")
    assert (answer["tokens"], answer["words"]) == (len(text), words)
    assert answer["ppl_per_word"] == pytest.approx(math.exp(answer["nll"] / words))
    line = run("ppl", "-m", char_model, toys / "text.txt").out
    assert f" | oov:0 | ppl_per_word:{answer['ppl_per_word']:.2f} | eos:yes | " in line
    assert "ppl_per_word" not in run("ppl", "-m", toys / "run", toys / "text.txt").out


def test_it_agrees_with_the_validation_of_the_training(measure: Measure, toys: Path) -> None:
    records = [json.loads(line) for line in (toys / "run" / "metrics.jsonl").read_text().splitlines()]
    best = min(record["valid_ppl"] for record in records if "valid_ppl" in record)
    assert measure("-m", toys / "run", toys / "valid.txt")["ppl"] == pytest.approx(best, rel=1e-6)


def test_the_same_text_gives_the_same_bytes(run: Run, toys: Path) -> None:
    words = ("ppl", "-m", toys / "run", "--confidence", "--json", toys / "text.txt")
    assert run(*words) == run(*words)


def test_an_interval_holds_the_perplexity(run: Run, measure: Measure, toys: Path) -> None:
    answer = measure("-m", toys / "run", "--confidence", toys / "text.txt")
    low, high = answer["ppl_interval"]
    assert low < answer["ppl"] < high
    done = run("ppl", "-m", toys / "run", "--confidence", toys / "text.txt")
    assert done.out.startswith(f"ppl = {answer['ppl']:.2f} [{low:.2f}, {high:.2f}] | tokens:")


@pytest.mark.parametrize("model", ["run", "trigram.arpa.gz"])
def test_results_of_lines_add_up_to_that_of_the_text(run: Run, toys: Path, model: str) -> None:
    texts = (toys / "text.txt", toys / "valid.txt")
    total = parsed(run("ppl", "--json", "-m", toys / model, *texts).out.splitlines()[-1])
    done = run("ppl", "--json", "--per-line", "-m", toys / model, *texts)
    assert (done.status, done.err) == (0, "")
    lines = [parsed(line) for line in done.out.splitlines()]
    assert list(lines[0]) == [*JSON_KEYS[:-1], "sentence", "signature"]
    assert [line["sentence"] for line in lines] == list(range(1, total["sentences"] + 1))
    assert {line["sentences"] for line in lines} == {1}
    for key in ("tokens", "oov", "words"):
        assert sum(line[key] for line in lines) == total[key]
    assert sum(line["nll"] for line in lines) == pytest.approx(total["nll"], rel=1e-6)


def test_results_of_lines_say_which_line(run: Run, toys: Path, reset_model: Path) -> None:
    plain = run("ppl", "--per-line", "-m", reset_model, toys / "text.txt").out.splitlines()
    scores = run("score", "--normalize", "-m", reset_model, toys / "text.txt").out.splitlines()
    for number, (line, score) in enumerate(zip(plain, scores, strict=True), 1):
        assert re.match(rf"ppl = \d+\.\d\d \| tokens:\d+ \| oov:\d+ \| sentence:{number} \| eos:yes \|", line)
        assert float(line.split()[2]) == pytest.approx(math.exp(-float(score)), abs=0.006)


def test_each_line_gets_its_result_before_the_next_is_sent(start: Start, toys: Path) -> None:
    (to_read, to_write), (results, giving) = os.pipe(), os.pipe()
    running = start("ppl", "--per-line", "-m", toys / "run", stdin=to_read, stdout=giving)
    os.close(to_read)
    os.close(giving)
    with open(to_write, "wb", buffering=0) as writer, open(results, "rb", buffering=0) as reader:
        for number, line in enumerate((b"a rose\n", b"\n"), 1):
            writer.write(line)
            assert select.select([reader], [], [], 60)[0], f"nothing for {line!r}"
            assert f" | sentence:{number} | ".encode() in reader.readline()
    assert running.finish().status == 0


def test_no_line_gives_no_result(run: Run, toys: Path) -> None:
    done = run("ppl", "--per-line", "-m", toys / "run", stdin="")
    assert (done.status, done.out, done.err) == (0, "", "")


def test_an_interval_is_of_lines_and_not_of_one(run: Run, toys: Path) -> None:
    done = run("ppl", "--per-line", "--confidence", "-m", toys / "run", toys / "text.txt")
    assert done.status == 2
    assert "--confidence: is an interval over lines" in done.err


# --- what counts -----------------------------------------------------------------------------------------------------


def test_unknown_words_are_counted_as_unk_or_skipped(run: Run, measure: Measure, toys: Path) -> None:
    text = "the zebra sees it\n\nquagga quagga\n<unk>\n"
    records = [line.split("\t") for line in run("score", "--tokens", "-m", toys / "run", stdin=text).out.splitlines()]
    assert [record[2] for record in records if record[4] == "oov"] == ["zebra", "quagga", "quagga"]
    nll = -sum(float(record[3]) for record in records)
    oov_nll = -sum(float(record[3]) for record in records if record[4] == "oov")

    counted = measure("-m", toys / "run", stdin=text)
    assert (counted["sentences"], counted["tokens"], counted["oov"]) == (4, 11, 3)
    assert counted["nll"] == pytest.approx(nll, abs=1e-5)
    assert counted["ppl"] == pytest.approx(math.exp(nll / 11), rel=1e-5)
    assert counted["ppl_excl_oov"] == pytest.approx(math.exp((nll - oov_nll) / 8), rel=1e-5)

    skipped = measure("-m", toys / "run", "--unk", "skip", stdin=text)
    assert (skipped["tokens"], skipped["oov"], skipped["signature"]["unk"]) == (8, 3, "skip")
    assert skipped["nll"] == pytest.approx(nll - oov_nll, abs=1e-5)
    assert skipped["ppl"] == skipped["ppl_excl_oov"] == pytest.approx(counted["ppl_excl_oov"])


def test_a_blank_line_counts_its_end(measure: Measure, toys: Path) -> None:
    answer = measure("-m", toys / "run", stdin="\n\n\n")
    assert (answer["sentences"], answer["tokens"]) == (3, 3)
    assert answer["ppl1"] is None  # no token but line ends: there is no such number


def test_what_no_number_can_hold_is_no_number(measure: Measure, toys: Path) -> None:
    """Unknown words skipped leave line ends only."""
    answer = measure("-m", toys / "run", "--unk", "skip", stdin="zebra quagga\n")
    assert (answer["tokens"], answer["oov"], answer["ppl1"]) == (1, 2, None)
    assert 1 < answer["ppl"] < 1000


@pytest.mark.parametrize(
    ("text", "warnings"),
    [
        ("{0}", ""),
        ("{0}\n", ""),
        ("\ufeff{0}\n", "rnntool ppl: text: starts with a byte order mark; dropped\n"),
        ("{1}\r\n", "rnntool ppl: text:1: lines end in \\r\\n; the \\r are dropped\n"),
        (
            "\ufeff{1}\r\n",
            "rnntool ppl: text: starts with a byte order mark; dropped\n"
            "rnntool ppl: text:1: lines end in \\r\\n; the \\r are dropped\n",
        ),
    ],
    ids=["no end", "plain", "mark", "returns", "both"],
)
def test_how_lines_end_changes_nothing(run: Run, toys: Path, tmp_path: Path, text: str, warnings: str) -> None:
    lines = ["the old king sees it", "", "no river takes a rose"]
    (tmp_path / "text").write_text(text.format("\n".join(lines), "\r\n".join(lines)), newline="")
    done = run("ppl", "-m", toys / "run", "text")
    assert done == Finished(0, run("ppl", "-m", toys / "run", stdin="\n".join([*lines, ""])).out, warnings)


def test_no_tokens_are_an_error_and_no_number(run: Run, toys: Path, tmp_path: Path) -> None:
    assert run("ppl", "-m", toys / "run") == Finished(1, "", "rnntool ppl: standard input: no tokens\n")
    (tmp_path / "empty").touch()
    assert run("ppl", "-m", toys / "run", "--json", "empty") == Finished(1, "", "rnntool ppl: empty: no tokens\n")
    done = run("ppl", "-m", toys / "run", toys / "text.txt", "empty")
    assert (done.status, done.err) == (1, "rnntool ppl: empty: no tokens\n")
    assert [line.rpartition(":")[2] for line in done.out.splitlines()] == [f"{toys}/text.txt"]


def test_bytes_that_are_not_utf8_are_named_by_line_and_column(run: Run, toys: Path, tmp_path: Path) -> None:
    (tmp_path / "bad").write_bytes(b"a rose\n\nthe s\xffea\na rose\n")
    assert run("ppl", "-m", toys / "run", "bad") == Finished(
        1, "", "rnntool ppl: bad:3: not UTF-8: byte 0xff at column 6\ntry: iconv -f latin1 -t utf8\n"
    )


def test_a_name_that_is_not_utf8_is_spelled_out(run: Run, toys: Path, tmp_path: Path) -> None:
    name = os.fsdecode(b"te\xffx\nt")
    try:
        (tmp_path / name).write_text("a rose\n")
    except OSError:
        pytest.skip("this file system has UTF-8 names only")
    done = run("ppl", "-m", toys / "run", name, toys / "text.txt")
    assert done.status == 0
    assert done.out.splitlines()[0].endswith(r"| text:te\xffx\x0at")


# --- context, batches, mixtures --------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [7, 64, 100_000])
def test_the_batch_size_changes_nothing(measure: Measure, reset_model: Path, toys: Path, size: int) -> None:
    for model in (reset_model, toys / "run"):
        one = measure("-m", model, "-b", "1", toys / "text.txt")
        assert measure("-m", model, "-b", str(size), toys / "text.txt")["nll"] == pytest.approx(one["nll"], rel=1e-7)


def test_the_order_of_lines_matters_only_where_context_is_carried(
    measure: Measure, reset_model: Path, toys: Path
) -> None:
    lines = (toys / "text.txt").read_text().splitlines(keepends=True)
    there, back = "".join(lines), "".join(reversed(lines))
    assert measure("-m", reset_model, stdin=there)["nll"] == pytest.approx(
        measure("-m", reset_model, stdin=back)["nll"], rel=1e-7
    )
    carried = [measure("-m", reset_model, "--context", "carry", stdin=text) for text in (there, back)]
    assert carried[0]["nll"] != pytest.approx(carried[1]["nll"], rel=1e-7)
    assert carried[0]["signature"]["context"] == "carry"


def test_a_model_mixed_with_itself_is_itself(measure: Measure, toys: Path) -> None:
    one = measure("-m", toys / "run", toys / "text.txt")
    for weights in (("", ""), (":0.5", ":0.5"), (":1", ":3"), (":0.2", ""), (":1e308", ":1e308")):
        words = [word for weight in weights for word in ("-m", f"{toys / 'run'}{weight}")]
        assert measure(*words, toys / "text.txt")["nll"] == pytest.approx(one["nll"], rel=1e-6)


def test_a_mixture_lies_above_the_mean_of_its_models(measure: Measure, toys: Path) -> None:
    """log Σ λ P >= Σ λ log P, token by token."""
    one, other = (measure("-m", toys / name, toys / "text.txt")["nll"] for name in ("run", "other.rnn"))
    mixed = measure("-m", f"{toys / 'run'}:0.3", "-m", toys / "other.rnn", toys / "text.txt")["nll"]
    assert mixed < 0.3 * one + 0.7 * other + 1e-6
    assert mixed != pytest.approx(one, rel=1e-9)


def test_models_that_do_not_go_together_are_refused(run: Run, reset_model: Path, toys: Path, tmp_path: Path) -> None:
    done = run("ppl", "-m", toys / "run", "-m", reset_model, toys / "text.txt")
    assert (done.status, done.out) == (1, "")
    assert done.err == (
        f"rnntool ppl: {reset_model}/best.rnn: its context is reset, that of {toys}/run/best.rnn is carry\n"
        "try: --context, to choose one\n"
    )
    assert run("ppl", "-m", toys / "run", "-m", reset_model, "--context", "reset", toys / "text.txt").status == 0
    (tmp_path / "words.tsv").write_text("<unk>\t0\n</s>\t1\nthe\t1\n")
    line = f"train -V words.tsv --arch elman:2 --max-epochs 1 -o small --valid {toys}/valid.txt {toys}/valid.txt"
    assert run(*line.split()).status == 0
    done = run("ppl", "-m", toys / "run", "-m", "small:0.1", toys / "text.txt")
    assert (done.status, done.out) == (1, "")
    assert re.fullmatch(
        rf"rnntool ppl: small/best\.rnn: its vocabulary has no '[a-z,]+', which {toys}/run/best\.rnn has; "
        r"probabilities of different tokens cannot be mixed\n",
        done.err,
    )


@pytest.mark.parametrize(
    ("models", "message"),
    [
        (["run:0"], "-m / --model: weight 0 of run is not a positive number\ntry: rnntool ppl --help"),
        (["run:nan"], "-m / --model: weight nan of run is not a positive number\ntry: rnntool ppl --help"),
        (["run:-1"], "-m / --model: weight -1 of run is not a positive number\ntry: rnntool ppl --help"),
        (["run:1", "run"], "--model: weights sum to 1 and leave nothing for run"),
        ([], "missing option '-m' / '--model'\ntry: rnntool ppl --help"),
    ],
)
def test_weights_that_make_no_mixture_are_a_wrong_command_line(run: Run, models: list[str], message: str) -> None:
    words = [word for model in models for word in ("-m", model)]
    assert run("ppl", *words) == Finished(2, "", f"rnntool ppl: {message}\n")


# --- models that are none --------------------------------------------------------------------------------------------


class Canary:
    """Unpickled, it leaves a file."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (os.mkdir, ("canary",))


def test_a_file_that_is_no_model_is_refused_and_never_run(run: Run, toys: Path, tmp_path: Path) -> None:
    (tmp_path / "model.pkl").write_bytes(pickle.dumps(Canary()))
    with zipfile.ZipFile(tmp_path / "model.pt", "w") as archive:
        archive.writestr("model/data.pkl", pickle.dumps(Canary()))
    (tmp_path / "elf").write_bytes(b"\x7fELF\x02\x01\x01" + bytes(500))
    (tmp_path / "empty").touch()
    (tmp_path / "huge").write_bytes(b"\xff" * 64)
    (tmp_path / "text").write_text("a rose\n" * 9)
    for name in ("model.pkl", "model.pt", "elf", "empty", "huge", "text", "/dev/null", str(toys / "words.tsv")):
        done = run("ppl", "-m", name, toys / "text.txt")
        assert done == Finished(1, "", f"rnntool ppl: {name}: not an rnntool model\n")
    assert not (tmp_path / "canary").exists()


def test_a_directory_without_a_model_says_so(run: Run, toys: Path, tmp_path: Path) -> None:
    done = run("ppl", "-m", ".", toys / "text.txt")
    assert done == Finished(1, "", "rnntool ppl: .: not a run directory: no config.toml\n")
    state = max((toys / "run").glob("state-*.rnn"))
    done = run("ppl", "-m", state, toys / "text.txt")
    assert done == Finished(1, "", f"rnntool ppl: {state}: this is a state file, not a model file\n")
    done = run("ppl", "-m", "nowhere", toys / "text.txt")
    assert done == Finished(1, "", "rnntool ppl: nowhere: No such file or directory\n")


def test_a_damaged_model_is_refused(run: Run, toys: Path, tmp_path: Path) -> None:
    model = (toys / "other.rnn").read_bytes()
    for name, data in (
        ("short.rnn", model[: len(model) // 2]),
        ("flipped.rnn", bytes([*model[:-9], model[-9] ^ 4, *model[-8:]])),
        ("longer.rnn", model + b"\0"),
    ):
        (tmp_path / name).write_bytes(data)
        done = run("ppl", "-m", name, toys / "text.txt")
        assert (done.status, done.out) == (1, "")
        assert done.err.startswith(f"rnntool ppl: {name}: damaged: ")
        assert done.err.count("\n") == 1


def test_a_model_is_read_from_a_pipe(run: Run, toys: Path) -> None:
    """As `-m <(cat best.rnn)`."""
    reading, writing = os.pipe()
    os.write(writing, (toys / "other.rnn").read_bytes())
    os.close(writing)
    done = run("ppl", "-m", "/dev/stdin", toys / "text.txt", stdin=reading)
    os.close(reading)
    assert done == run("ppl", "-m", toys / "other.rnn", toys / "text.txt")


def test_a_device_that_is_not_there_is_an_error(run: Run, toys: Path) -> None:
    for device in ("cuda", "cuda:9"):
        done = run("ppl", "-d", device, "-m", toys / "run", toys / "text.txt", env={"CUDA_VISIBLE_DEVICES": ""})
        assert (done.status, done.out) == (1, "")
        named = "cuda:0" if device == "cuda" else device
        assert re.fullmatch(
            rf"rnntool ppl: --device: no {named} here; present: cpu(, mps)?\ntry: --device auto\n", done.err
        )


def test_a_model_may_come_from_the_standard_input(run: Run, toys: Path) -> None:
    model = (toys / "other.rnn").read_bytes()
    done = run("ppl", "-m", "-", toys / "text.txt", stdin=model)
    assert (done.status, done.out) == (0, run("ppl", "-m", toys / "other.rnn", toys / "text.txt").out)
    done = run("ppl", "-m", "-", stdin=model)
    assert done.status == 2
    assert "the standard input can be read only once, as TEXT or --model" in done.err
