"""Reading the course of a run."""

from __future__ import annotations

from pathlib import Path

import pytest

from rnntool.checkpoint.metrics import find_metrics, read_metrics
from rnntool.errors import InputError


def test_records_come_in_their_order(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 1, "lr": 0.5}\n{"step": 3}\n')
    assert list(read_metrics(str(path))) == [{"step": 1, "lr": 0.5}, {"step": 3}]
    assert find_metrics(str(tmp_path)) == find_metrics(str(path)) == str(path)


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ('{"step": 2', "2: not JSON: expecting ',' delimiter"),
        ("[" * 100_000, "2: not JSON: too deep"),
        ("{}", "2: not a record of a run: it names no step"),
        ('{"step": "2"}', "2: not a record of a run: it names no step"),
        ("17", "2: not a record of a run: it names no step"),
        ('{"step": 1}', "2: step 1 comes after step 1"),
    ],
)
def test_a_line_that_is_no_record_is_named(tmp_path: Path, line: str, what: str) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text(f'{{"step": 1}}\n{line}\n')
    records = read_metrics(str(path))
    assert next(records) == {"step": 1}
    with pytest.raises(InputError) as caught:
        next(records)
    assert str(caught.value) == f"{path}:{what}"
