"""`rnntool info`: what a model is."""

from __future__ import annotations

import json
import os
import pty
from pathlib import Path

import pytest

from rnntool.checkpoint.container import read_container, write_container
from tests.conftest import Run, Start


def facts(out: str) -> dict[tuple[str, str], str]:
    """Lines of three columns by their first two."""
    rows = [line.split("\t") for line in out.splitlines()]
    assert all(len(row) == 3 for row in rows)
    return {(section, name): value for section, name, value in rows}


def test_a_run_is_described_by_its_best_model(run: Run, toys: Path) -> None:
    done = run("info", toys / "run")
    assert (done.status, done.err) == (0, "")
    found = facts(done.out)
    types = len((toys / "words.tsv").read_text().splitlines())
    assert found["file", ""] == f"{toys}/run/best.rnn"
    assert found["network", "arch"] == "elman:8"
    assert found["network", "context"] == "carry"
    assert found["vocabulary", "unit"] == "word"
    assert found["vocabulary", "size"] == str(types)
    assert found["plan", "layer 1"].startswith("bptt: ")
    assert found["settings", "max-epochs"] == "2"
    assert ("settings", "bptt") not in found  # as by default
    assert found["data", "train"].startswith("train.txt ")
    assert found["recurrence", "layer 1"].startswith("radius ")


def test_it_says_whether_the_embedding_is_the_input_matrix(run: Run, toys: Path) -> None:
    """An Elman network without embeddings of their own, and an LSTM, which always has some."""
    found = facts(run("info", toys / "run").out)
    assert found["network", "direct_input"] == "yes"
    assert facts(run("info", "--arch", "lstm:8", "--vocab-size", "9").out)["network", "direct_input"] == "no"


def test_parameters_add_up(run: Run, toys: Path) -> None:
    """Elman network of 8 units: 8 · 8 and 8; V · 8 of embedding, the input matrix; V · 8 + V of the output layer."""
    types = len((toys / "words.tsv").read_text().splitlines())
    found = facts(run("info", toys / "run").out)
    assert int(found["parameters", "embedding"]) == 8 * types
    assert int(found["parameters", "layer 1"]) == 72
    assert int(found["parameters", "output"]) == 9 * types
    assert int(found["parameters", "total"]) == 17 * types + 72


def test_what_translates_has_an_encoder_and_a_link(run: Run, toys: Path) -> None:
    """GRUs of 8 units over embeddings of 8: 2 · (3 · 8 · 16 + 4 · 8) to read, of which the decoder also reads 16.

    The link: a first state of 8 from 16, with biases; attention of 8 units over 16 and 8, with biases and one vector; and
    an output of 8 from 8 and 16, with biases.
    """
    found = facts(run("info", toys / "ende").out)
    types = int(found["vocabulary", "size"])
    assert found["network", "encoder"] == "bi-gru:8"
    assert found["network", "link"] == "attention"
    assert (found["sources", "digest"], found["sources", "size"]) == (found["vocabulary", "digest"], str(types))
    counts = {name: int(value) for (section, name), value in found.items() if section == "parameters"}
    total = counts.pop("total")
    assert counts == {
        "embedding": 8 * types,
        "source embedding": 8 * types,
        "encoder 1": 3 * 8 * 16 + 4 * 8,
        "encoder 1 backward": 3 * 8 * 16 + 4 * 8,
        "layer 1": 3 * 8 * 32 + 4 * 8,
        "link": 8 * 17 + 8 * 16 + 8 * 8 + 2 * 8 + 8 * 25,
        "output": 9 * types,
    }
    assert sum(counts.values()) == total
    assert found["plan", "link"] == "reference: it attends with the state before each word"
    assert found["plan", "layer 1"] == "reference: the link takes it word by word"
    assert found["plan", "encoder 1 backward"].startswith("bptt: ")
    assert found["recurrence", "encoder 1 backward r"].startswith("radius ")


def test_json_holds_the_same_and_more(run: Run, toys: Path) -> None:
    done = run("info", "--json", toys / "run", toys / "other.rnn")
    first, second = map(json.loads, done.out.splitlines())
    assert first["metrics"]["valid_ppl"] > 1
    assert first["settings"]["bptt"] > 0
    assert len(first["data"][0]["sha256"]) == 64
    assert first["versions"].keys() >= {"rnntool", "torch"}
    assert first["environment"].keys() >= {"host", "platform", "python", "rnntool", "device", "processes"}
    assert "environment" not in second  # a model alone
    (matrix,) = first["recurrence"]
    assert (matrix["part"], matrix["layer"]) == ("layer 1", 1)
    assert matrix["slope"] == 0.25
    assert matrix["growth"] == pytest.approx(0.25 * matrix["norm"])
    assert [each["gate"] for each in second["recurrence"]] == ["r", "z", "n"]


def test_a_network_is_described_before_it_is_trained(run: Run) -> None:
    """PTB's small network (Zaremba et al. 2014): 10000 · 200 twice, 10000, and 2 · (4 · 200 · 400 + 800)."""
    done = run("info", "--arch", "lstm:2x200", "--vocab-size", "10000")
    assert facts(done.out)["parameters", "total"] == "4651600"
    tied = json.loads(run("info", "--json", "--arch", "lstm:2x200", "--vocab-size", "10000", "--tied").out)
    assert tied["parameters"]["total"] == 2651600
    assert tied["parameters"]["output"] == 10000
    wide = json.loads(run("info", "--json", "--arch", "elman:10", "--vocab-size", "50", "--embed-size", "30").out)
    assert not wide["network"]["direct_input"]
    assert (wide["network"]["embed_size"], wide["parameters"]["embedding"]) == (30, 1500)


def test_a_terminal_gets_a_table(start: Start, toys: Path) -> None:
    leader, follower = pty.openpty()
    running = start("info", toys / "run", stdout=follower)
    assert running.finish().status == 0
    os.close(follower)
    table = os.read(leader, 1 << 16).decode().splitlines()
    os.close(leader)
    assert "\t" not in "".join(table)
    assert table[1].startswith("network      arch               elman:8")
    assert table[2].startswith("             embed_size         8")


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        ((), 2, "a MODEL is needed, or --arch"),
        (("--vocab-size", "10", "x.rnn"), 2, "--vocab-size: goes with --arch"),
        (("--tied", "x.rnn"), 2, "--tied: goes with --arch"),
        (("--arch", "lstm"), 2, "--vocab-size: is needed to count the parameters of --arch"),
        (("--arch", "lstm", "--vocab-size", "10", "x.rnn"), 2, "--arch: describes a network without a model"),
        (("--arch", "lsmt", "--vocab-size", "10"), 2, "--arch: unknown network 'lsmt'; known are ngram, elman, lstm"),
        (("x.rnn",), 1, "rnntool info: x.rnn: No such file or directory\n"),
    ],
)
def test_what_cannot_be_described_is_named(run: Run, words: tuple[str, ...], status: int, message: str) -> None:
    done = run("info", *words)
    assert (done.status, done.out) == (status, "")
    assert message in done.err


def test_a_state_is_no_model(run: Run, toys: Path) -> None:
    state = next((toys / "run").glob("state-*.rnn"))
    done = run("info", state)
    assert (done.status, done.err) == (1, f"rnntool info: {state}: this is a state file, not a model file\n")


@pytest.mark.parametrize("data", [2**31, {"path": "x"}, [1], [{"role": 5, "path": ["x"], "sha256": None}]])
def test_what_a_model_says_of_its_texts_may_be_anything(run: Run, toys: Path, tmp_path: Path, data: object) -> None:
    """A forged one with a right hash: the rest is said."""
    facts_, tensors = read_container(str(toys / "run" / "best.rnn"), "model")
    for name in ("format", "kind", "sha256", "version"):
        facts_.pop(name)
    facts_["provenance"]["data"] = data
    write_container(str(tmp_path / "forged.rnn"), "model", facts_, tensors)
    done = run("info", "forged.rnn")
    assert (done.status, done.err) == (0, "")
    assert "arch\telman:8" in done.out
    assert json.loads(run("info", "--json", "forged.rnn").out)["network"]["arch"] == "elman:8"
