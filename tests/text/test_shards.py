"""Parts of a text that together are the whole, each line once."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from rnntool.errors import OptionError
from rnntool.text.shards import Lines, Shard, parse_shard


@pytest.mark.parametrize("count", [1, 2, 3, 7, 20])
def test_the_parts_are_the_whole(tmp_path: Path, count: int) -> None:
    first, second = tmp_path / "a", tmp_path / "b.gz"
    first.write_text("1\n2\n\n4")
    second.write_bytes(gzip.compress(b"5\n6\n7\n8\n9\n10\n11\n"))
    paths = [str(first), str(second)]
    parts = [Shard(number, count).lines_of(paths) for number in range(1, count + 1)]
    items = [list(part.of(range(11))) for part in parts]
    assert [item for part in items for item in part] == list(range(11))
    assert max(map(len, items)) - min(map(len, items)) <= 1
    assert [part.first for part in parts] == [sum(map(len, items[:n])) for n in range(count)]
    assert [part.reach_the_end for part in parts] == [False] * (count - 1) + [True]


def test_all_lines_are_the_default() -> None:
    assert list(Lines().of("abc")) == ["a", "b", "c"]


@pytest.mark.parametrize("text", ["", "1", "1/", "/2", "a/b", "-1/2", "1/2/3", "0/3", "4/3", "1/0", "١/٢"])
def test_what_is_no_part_is_refused(text: str) -> None:
    with pytest.raises(OptionError, match="--shard"):
        parse_shard(text)


def test_a_text_that_can_be_read_only_once_is_refused() -> None:
    for path in ("-", "/dev/null"):
        with pytest.raises(OptionError, match="only once"):
            Shard(1, 2).lines_of([path])
