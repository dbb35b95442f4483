"""Texts as ids on the disk."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from rnntool.errors import InputError, ModelError, OptionError, RnntoolWarning
from rnntool.text.corpus import (
    Corpus,
    Source,
    hold_out,
    open_corpus,
    parse_source,
    verify_corpus,
    write_corpus,
    write_pairs,
)
from rnntool.text.counting import build, count
from rnntool.text.vocabulary import Vocabulary

ONE = "the cat sat\n\nthe dog\n"
TWO = "naïve cat\n"


@pytest.fixture
def vocabulary() -> Vocabulary:
    return build(count([ONE.encode()], "word"), "word")


@pytest.fixture
def corpus(tmp_path: Path, vocabulary: Vocabulary) -> Corpus:
    (tmp_path / "one").write_text(ONE)
    (tmp_path / "two.gz").write_bytes(gzip.compress(TWO.encode()))
    sources = [Source(str(tmp_path / "one")), Source(str(tmp_path / "two.gz"), 2.0, 0.5)]
    return write_corpus(sources, vocabulary, str(tmp_path / "corpus"))


def test_ids_are_those_of_the_lines_each_with_its_end(corpus: Corpus, vocabulary: Vocabulary) -> None:
    lines = (ONE + TWO).split("\n")[:-1]
    assert corpus.ids.tolist() == [id_ for line in lines for id_ in [*vocabulary.encode(line), vocabulary.eos_id]]
    assert corpus.ends.tolist() == [4, 5, 8, 11]
    assert corpus.ids.dtype == np.uint16
    assert (corpus.num_tokens, corpus.num_lines) == (11, 4)
    assert (corpus.vocab_size, corpus.vocabulary_digest) == (len(vocabulary), vocabulary.digest)


def test_every_source_knows_what_it_holds(corpus: Corpus, tmp_path: Path) -> None:
    one, two = corpus.sources
    assert (two.path, two.weight, two.fraction) == (str(tmp_path / "two.gz"), 2.0, 0.5)
    assert (two.first_line, two.num_lines, two.first_token, two.num_tokens, two.num_oov) == (3, 1, 8, 3, 1)
    assert (two.num_chars, two.num_bytes, one.num_chars) == (9, 10, 18)
    assert two.sha256 == hashlib.sha256(TWO.encode()).hexdigest()
    assert corpus.ids_of(two).tolist() == corpus.ids[8:].tolist()
    assert corpus.ends_of(two).tolist() == [11]


def test_it_opens_again_as_it_was_written(corpus: Corpus) -> None:
    again = open_corpus(corpus.directory)
    assert again.sources == corpus.sources
    assert again.ids.tolist() == corpus.ids.tolist()
    assert sorted(os.listdir(corpus.directory)) == ["corpus.json", "ends.bin", "ids.bin"]


def test_it_notices_a_changed_file(corpus: Corpus) -> None:
    assert corpus.unchanged()
    Path(corpus.sources[0].path).write_text(ONE + "more\n")
    assert not corpus.unchanged()
    Path(corpus.sources[0].path).unlink()
    assert not corpus.unchanged()


def test_large_vocabularies_take_four_bytes(tmp_path: Path) -> None:
    (tmp_path / "t").write_text("w69999\n")
    for size, dtype in ((65_536, np.uint16), (65_537, np.uint32)):
        words = ["<unk>", "</s>", *(f"w{n}" for n in range(size - 3)), "w69999"]
        corpus = write_corpus([Source(str(tmp_path / "t"))], Vocabulary("word", words), str(tmp_path / f"c{size}"))
        assert corpus.ids.dtype == dtype
        assert corpus.ids.tolist() == [size - 1, 1]


def test_a_text_without_lines_leaves_nothing_behind(tmp_path: Path, vocabulary: Vocabulary) -> None:
    (tmp_path / "t").touch()
    path = str(tmp_path / "t")
    with pytest.raises(InputError, match=f"^{path}, {path}: no tokens$"):
        write_corpus([Source(path), Source(path)], vocabulary, str(tmp_path / "corpus"))
    assert os.listdir(tmp_path) == ["t"]


def test_an_error_in_the_text_leaves_nothing_behind(tmp_path: Path, vocabulary: Vocabulary) -> None:
    (tmp_path / "t").write_bytes(b"good\nb\xffd\n")
    with pytest.raises(InputError, match=r":2: not UTF-8"):
        write_corpus([Source(str(tmp_path / "t"))], vocabulary, str(tmp_path / "corpus"))
    assert os.listdir(tmp_path) == ["t"]


def test_a_damaged_corpus_is_refused(corpus: Corpus) -> None:
    directory = Path(corpus.directory)
    good = {name: (directory / name).read_bytes() for name in os.listdir(directory)}
    facts = json.loads(good["corpus.json"])

    def refused(name: str, data: bytes | None) -> str:
        if data is None:
            (directory / name).unlink()
        else:
            (directory / name).write_bytes(data)
        with pytest.raises(ModelError) as caught:
            open_corpus(str(directory))
        (directory / name).write_bytes(good[name])
        return str(caught.value).removeprefix(f"{directory}/")

    assert refused("ids.bin", good["ids.bin"][:-1]) == "ids.bin: 21 bytes; corpus.json speaks of 22"
    assert refused("ends.bin", good["ends.bin"] + b"x") == "ends.bin: 33 bytes; corpus.json speaks of 32"
    assert refused("ends.bin", bytes(32)) == "ends.bin: ends at token 0; ids.bin has 11"
    assert refused("ids.bin", None) == "ids.bin: No such file or directory"
    assert refused("corpus.json", None) == "corpus.json: No such file or directory"
    assert refused("corpus.json", b"{") == "corpus.json: damaged: not JSON"
    assert refused("corpus.json", b"[" * 100_000) == "corpus.json: damaged: not JSON"
    assert refused("corpus.json", b"[]") == "corpus.json: corpus format None; this rnntool reads 1"
    assert refused("corpus.json", json.dumps({**facts, "format": 9}).encode()).endswith(
        "format 9; this rnntool reads 1"
    )
    unlike = "corpus.json: damaged: its content does not have the hash that it names"
    assert refused("corpus.json", json.dumps({**facts, "vocab_size": 99}).encode()) == unlike
    assert refused("corpus.json", json.dumps({**facts, "sha256": [1]}).encode()) == unlike
    del facts["sha256"]  # as an older version wrote them
    for key in ("sources", "num_tokens", "dtype"):
        broken = json.dumps({**facts, key: "x"}).encode()
        assert refused("corpus.json", broken) == "corpus.json: damaged, or not rnntool's"
    open_corpus(str(directory))
    (directory / "corpus.json").write_text(json.dumps(facts))
    verify_corpus(str(directory))


@pytest.mark.parametrize("name", ["ids.bin", "ends.bin"])
def test_a_flip_of_a_bit_among_the_ids_is_found_by_who_reads_them_all(corpus: Corpus, name: str) -> None:
    verify_corpus(corpus.directory)
    path = Path(corpus.directory, name)
    data = bytearray(path.read_bytes())
    data[2] ^= 1
    path.write_bytes(data)
    open_corpus(corpus.directory)
    with pytest.raises(ModelError) as caught:
        verify_corpus(corpus.directory)
    assert str(caught.value) == f"{path}: damaged: its content does not have the hash that corpus.json names"


def test_the_last_lines_of_every_source_are_held_out(tmp_path: Path, vocabulary: Vocabulary) -> None:
    for name, lines in (("a", 10), ("b", 3), ("c", 1)):
        (tmp_path / name).write_text("".join(f"the cat {name}\n" for _ in range(lines)))
    sources = [Source(str(tmp_path / name)) for name in "abc"]
    corpus = write_corpus(sources, vocabulary, str(tmp_path / "corpus"))
    kept, held = hold_out(corpus, 0.2)
    assert [(part.first_line, part.num_lines) for part in kept.sources] == [(0, 8), (10, 2), (13, 1)]
    assert [(part.first_line, part.num_lines) for part in held.sources] == [(8, 2), (12, 1)]
    assert [(part.first_token, part.num_tokens) for part in held.sources] == [(32, 8), (48, 4)]
    assert kept.num_tokens + held.num_tokens == corpus.num_tokens
    assert held.ids is corpus.ids
    assert held.sources[0].num_oov is None


def test_one_line_cannot_be_held_out(tmp_path: Path, vocabulary: Vocabulary) -> None:
    (tmp_path / "t").write_text("one line\n")
    corpus = write_corpus([Source(str(tmp_path / "t"))], vocabulary, str(tmp_path / "corpus"))
    with pytest.raises(InputError, match=r"one line; no part can be held out$"):
        hold_out(corpus, 0.5)


def test_a_source_has_a_weight_and_a_fraction(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "me@2").touch()
    for text, source in (
        ("t", Source("t")),
        ("t@2", Source("t", 2.0)),
        ("t@0.5:0.25", Source("t", 0.5, 0.25)),
        ("t@:0.25", Source("t", 1.0, 0.25)),
        ("-@3", Source("-", 3.0)),
        ("me@2", Source("me@2")),
        ("me@2@3", Source("me@2", 3.0)),
        ("you@home", Source("you@home")),
    ):
        assert parse_source(text) == source
    for text, message in (
        ("t@0", "t@0: the weight is 0; it must be above 0"),
        ("t@nan", "t@nan: the weight is nan; it must be above 0"),
        ("t@1:2", "t@1:2: the fraction is 2; it must be above 0 and at most 1"),
    ):
        with pytest.raises(OptionError) as caught:
            parse_source(text)
        assert str(caught.value) == message


# --- pairs -----------------------------------------------------------------------------------------------------------


def test_either_side_of_pairs_is_what_a_text_of_its_own_would_be(
    tmp_path: Path, vocabulary: Vocabulary, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However the file arrives: here in chunks of 7 bytes."""
    monkeypatch.setattr("rnntool.text.files.CHUNK", 7)
    pairs = [("the cat sat", "sat"), ("", "naïve dog"), ("the dog", ""), ("", ""), ("cat", "the the cat")] * 3
    (tmp_path / "pairs").write_text("".join(f"{one}\t{other}\n" for one, other in pairs))
    for side in (0, 1):
        (tmp_path / f"side{side}").write_text("".join(f"{pair[side]}\n" for pair in pairs))
    source = Source(str(tmp_path / "pairs"), 2.0, 0.5)
    both = write_pairs([source], (vocabulary, vocabulary), (str(tmp_path / "one"), str(tmp_path / "other")))
    for side, found in enumerate(both):
        alone = write_corpus([Source(str(tmp_path / f"side{side}"))], vocabulary, str(tmp_path / "alone"))
        assert found.ids.tolist() == alone.ids.tolist()
        assert found.ends.tolist() == alone.ends.tolist()
        (entry,), (expected,) = found.sources, alone.sources
        assert (entry.weight, entry.fraction, entry.path) == (2.0, 0.5, source.path)
        for name in ("sha256", "num_lines", "num_tokens", "num_oov", "num_chars", "num_bytes"):
            assert getattr(entry, name) == getattr(expected, name), name
        assert found.unchanged()


@pytest.mark.parametrize(("line", "columns"), [("a b", 1), ("a\tb\tc", 3), ("", 1)])
def test_a_pair_has_one_tab(tmp_path: Path, vocabulary: Vocabulary, line: str, columns: int) -> None:
    (tmp_path / "pairs").write_text(f"the\tcat\n{line}\n")
    places = (str(tmp_path / "one"), str(tmp_path / "other"))
    with pytest.raises(InputError, match=rf"/pairs:2: {columns} columns; a pair is a source, a tab, and a target$"):
        write_pairs([Source(str(tmp_path / "pairs"))], (vocabulary, vocabulary), places)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["pairs"]


def test_no_pairs_are_an_error(tmp_path: Path, vocabulary: Vocabulary) -> None:
    (tmp_path / "pairs").touch()
    places = (str(tmp_path / "one"), str(tmp_path / "other"))
    with pytest.raises(InputError, match="pairs: no tokens"):
        write_pairs([Source(str(tmp_path / "pairs"))], (vocabulary, vocabulary), places)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["pairs"]


def test_a_pipe_that_gives_nothing_is_named(
    tmp_path: Path, vocabulary: Vocabulary, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Below a second here; the text comes when the warning has been said twice."""
    monkeypatch.setattr("rnntool.text.corpus.PATIENCE", 0.1)
    reader, writer = os.pipe()

    def write() -> None:
        time.sleep(0.5)
        with open(writer, "wb") as file:
            file.write(b"the cat sat\n")

    thread = threading.Thread(target=write)
    thread.start()
    with pytest.warns(RnntoolWarning) as told:
        corpus = write_corpus([Source(f"/dev/fd/{reader}")], vocabulary, str(tmp_path / "corpus"))
    thread.join()
    os.close(reader)
    assert corpus.num_tokens == 4
    assert [str(warning.message) for warning in told][:2] == [
        f"/dev/fd/{reader}: nothing has come for 0.1 s; waiting on",
        f"/dev/fd/{reader}: nothing has come for 0.2 s; waiting on",
    ]
