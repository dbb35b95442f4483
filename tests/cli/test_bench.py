"""`rnntool bench`: one object a line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rnntool.config.output import FORMS
from tests.conftest import Run

SMALL = ("-j", "1", "--arch", "lstm:6", "--vocab-size", "30", "--bptt", "4", "-b", "2", "--rounds", "1")


def test_every_line_is_one_measurement(run: Run) -> None:
    done = run("bench", *SMALL, "train", "head")
    assert done.status == 0, done.err
    records = [json.loads(line) for line in done.out.splitlines()]
    assert [(each["case"], each["who"]) for each in records] == [
        ("train", "rnntool"),
        ("train", "torch"),
        ("head", "rnntool"),
        ("head", "products"),
    ]
    assert records[0]["clock"] == "cpu"


@pytest.mark.parametrize("arch", ["gru:6", "lstm:6"])
def test_with_an_encoder_pairs_are_measured(run: Run, arch: str) -> None:
    done = run("bench", *SMALL, "--arch", arch, "--encoder", f"bi-{arch}")
    assert done.status == 0, done.err
    records = [json.loads(line) for line in done.out.splitlines()]
    assert [(each["case"], each["who"]) for each in records[:4]] == [
        ("train", "rnntool"),
        ("train", "torch"),
        ("head", "rnntool"),
        ("head", "products"),
    ]
    found = [(each["case"], each["beam"], each["who"], each["precision"]) for each in records[4:]]
    for beam in (1, 5):
        ours = [("rnntool", "fp64"), ("rnntool", "fp32")]
        assert {("translate", beam, *each) for each in [("torch", "fp32"), *ours]} <= set(found)
    assert all(each["encoder"] == f"bi-{arch}" for each in records)
    assert records[4]["sentences_per_second"] == pytest.approx(records[4]["tokens_per_second"] / 4, abs=1)


def test_words_and_counts_come_from_a_vocabulary(run: Run, toys: Path) -> None:
    done = run("bench", *SMALL, "-V", toys / "words.tsv", "--output", "adaptive", "head")
    assert done.status == 0, done.err
    record = json.loads(done.out.splitlines()[0])
    assert record["vocab_size"] == len((toys / "words.tsv").read_text().splitlines())
    assert record["output"].startswith("adaptive:")


def test_speeds_are_drawn(run: Run, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    done = run("bench", *SMALL, "--plot", "speed.svg", "head")
    assert done.status == 0, done.err
    assert "tokens per second" in (tmp_path / "speed.svg").read_text()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--plot", "speed.gif"), "--plot: 'speed.gif' does not end in .png, .svg or .pdf\n"),
        (("--arch", "lstn:3"), "--arch: unknown network 'lstn'"),
        (("--output", "fool"), f"--output: unknown output layer 'fool'; known are {', '.join(FORMS)}\n"),
        (("--output", "adaptive:40"), "--output: a cut at 40 is not below 30, the size of the vocabulary\n"),
        (("--arch", "jordan:6", "train"), "--arch: jordan:6@0.5 has no baseline; lstm, gru, elman and scrn of one"),
        (("speed",), "'speed' is not one of 'train', 'head', 'generate', 'batch', 'translate'"),
        (("translate",), "--encoder: translate needs something that reads sources\ntry: --encoder bi-gru:256\n"),
        (("--encoder", "bi-gru:6", "generate"), "--encoder: generate is for networks without an encoder\n"),
        (("--encoder", "bi-gru:6", "--arch", "gru:2x6", "train"), "--arch: gru:2x6 has no baseline for pairs; gru and"),
    ],
)
def test_what_cannot_be_measured_is_named(run: Run, words: tuple[str, ...], message: str) -> None:
    done = run("bench", *SMALL, *words)
    assert (done.status, done.out) == (2, "")
    assert message in done.err


def test_a_vocabulary_without_counts_is_refused(run: Run, tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("<unk>\n</s>\nthe\n")
    done = run("bench", *SMALL, "-V", "words.txt")
    assert (done.status, done.out) == (2, "")
    assert "--vocab: words.txt does not say how often its words occur\ntry: --vocab-size\n" in done.err
