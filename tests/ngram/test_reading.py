"""Text as ids, with and without a vocabulary."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

import numpy as np
import pytest

from rnntool.errors import InputError, OutputError, RnntoolWarning
from rnntool.ngram import reading
from rnntool.ngram.reading import Spool, read_closed, read_open
from rnntool.text.counting import build, count
from rnntool.text.vocabulary import Vocabulary

BLOCKS = [b"b a\n\nb c b\n", b"d\n", b"a <unk> b\n"]


def ids_of(blocks: Iterable[bytes], vocabulary: Vocabulary | None = None, *, memory: int = 1 << 20) -> list[list[int]]:
    """The ids, block by block."""
    with Spool(memory) as spool:
        text = (
            read_open(blocks, "text", spool) if vocabulary is None else read_closed(blocks, "text", vocabulary, spool)
        )
        return [block.tolist() for block in text.blocks()]


@pytest.mark.parametrize("memory", [1, 1 << 20])
@pytest.mark.parametrize("size", [1, 3, 1000])
def test_words_get_the_ids_of_the_vocabulary_that_counting_makes(
    monkeypatch: pytest.MonkeyPatch, memory: int, size: int
) -> None:
    """Wherever the ids wait, and however many come back at once; every block is whole lines."""
    monkeypatch.setattr(reading, "BLOCK", size)
    vocabulary = build(count(BLOCKS, "word"), "word")
    expected = np.concatenate([vocabulary.encode_block(block)[0] for block in BLOCKS]).tolist()
    for found in (ids_of(BLOCKS, memory=memory), ids_of(BLOCKS, vocabulary, memory=memory)):
        assert [id_ for block in found for id_ in block] == expected
        assert all(block[-1] == vocabulary.eos_id for block in found)
    with Spool(memory) as spool:
        assert read_open(BLOCKS, "text", spool).vocabulary == vocabulary


def test_words_are_numbered_as_they_come() -> None:
    with Spool(1) as spool:
        text = read_open(BLOCKS, "text", spool)
    assert text.appearance is not None
    came = sorted(text.vocabulary.tokens, key=lambda token: text.appearance[text.vocabulary.tokens.index(token)])
    assert came == ["</s>", "b", "a", "c", "d", "<unk>"]


def test_words_that_no_vocabulary_can_hold_are_unknown() -> None:
    with pytest.warns(RnntoolWarning) as warned:
        assert ids_of([b"a <s> a\n" + b"x" * 70_000 + b"\n" + b"y" * 70_000 + b"\n"]) == [[2, 0, 2, 1, 0, 1, 0, 1]]
    assert [str(each.message) for each in warned] == [
        "the text holds a word of more than 65536 bytes; read as <unk>",
        "the text holds <s> as a word; read as <unk>",
    ]


def test_no_tokens_are_an_error() -> None:
    for vocabulary in (None, build(count([b"a\n"], "word"), "word")):
        for blocks in ([], [b"\n \n"]):
            with pytest.raises(InputError, match="text: no tokens"):
                ids_of(blocks, vocabulary)


def test_a_full_disk_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    full = partial(open, "/dev/full", "wb", buffering=0)
    monkeypatch.setattr(reading.tempfile, "SpooledTemporaryFile", lambda size: full())
    with pytest.raises(OutputError, match="No space left on device"):
        ids_of(BLOCKS)
