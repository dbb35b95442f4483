"""`rnntool export`: parts of a model as text."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
import torch

from rnntool.checkpoint.model import load_model
from tests.conftest import Run


def test_embeddings_are_written_as_word2vec_does(run: Run, toys: Path) -> None:
    done = run("export", toys / "run")
    assert (done.status, done.err) == (0, "")
    header, *rows = done.out.splitlines()
    model = load_model(str(toys / "run" / "best.rnn"))
    assert header == f"{len(model.vocabulary)} 8"
    assert [row.split(" ")[0] for row in rows] == list(model.vocabulary.tokens)
    table = np.array([row.split(" ")[1:] for row in rows], dtype=np.float32)
    assert torch.equal(torch.from_numpy(table), model.network.embedding.detach())  # nine digits lose nothing


def test_the_output_layers_weights_are_another_table(run: Run, toys: Path) -> None:
    done = run("export", "--to", "output-embeddings", toys / "run")
    table = np.array([row.split(" ")[1:] for row in done.out.splitlines()[1:]], dtype=np.float32)
    model = load_model(str(toys / "run" / "best.rnn"))
    assert torch.equal(torch.from_numpy(table), model.network.output.weight.detach())


def test_a_file_is_written_whole_and_compressed_by_its_name(run: Run, tmp_path: Path, toys: Path) -> None:
    assert run("export", "-o", "vectors.txt.gz", toys / "run").status == 0
    assert gzip.decompress((tmp_path / "vectors.txt.gz").read_bytes()).decode() == run("export", toys / "run").out


def test_a_space_is_spelled_so_that_columns_stay(run: Run, tmp_path: Path, toys: Path) -> None:
    run(
        "train", "-V", toys / "chars.tsv", "--valid", toys / "valid.txt", "--arch", "elman:4", "--max-epochs", "1",
        "-o", "chars", toys / "valid.txt",
    )  # fmt: skip
    rows = run("export", "chars").out.splitlines()
    assert {len(row.split(" ")) for row in rows[1:]} == {5}
    assert any(row.startswith("\\s ") for row in rows)


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        ((), 2, "missing argument 'MODEL'"),
        (("--to", "onnx", "run"), 2, "'onnx' is not one of 'embeddings', 'output-embeddings'"),
        (("absent.rnn",), 1, "absent.rnn: No such file or directory"),
    ],
)
def test_what_cannot_be_written_is_said(run: Run, words: tuple[str, ...], status: int, message: str) -> None:
    done = run("export", *words)
    assert (done.status, done.out) == (status, "")
    assert message in done.err
