"""No command speaks to a network: neither to fetch anything nor to tell anybody."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path

import pytest

from tests.conftest import Start
from tests.reliability.strace import needs_strace, straced


@needs_strace
@pytest.mark.parametrize(
    "line",
    [
        "train -V words.tsv --valid valid.txt --arch lstm:4 --max-epochs 1 -o {new} train.txt",
        "ppl -m run test.txt",
        "translate -m ende --beam 1 --max-length 0.1 test.en",
        "bleu test.de --hyp test.hyp",
    ],
    ids=lambda line: line.split()[0],
)
def test_no_socket_is_opened(start: Start, toys: Path, tmp_path: Path, line: str) -> None:
    """Not even one within the machine; of all threads."""
    words = line.format(new=tmp_path / "new").split()
    log = tmp_path / "log"
    done = straced(partial(start, *words, cwd=toys), "-f", "-o", str(log), "-e", "trace=network")
    assert done.status == 0, done
    assert "exited with 0" in log.read_text()  # else nothing was watched
    assert re.findall(r"\d+ +(\w+\(.*)", log.read_text()) == []
