"""Learning SentencePiece models, and what it would do without a word."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from rnntool.errors import InputError, RnntoolWarning
from rnntool.text import pieces
from rnntool.text.pieces import LONGEST_SENTENCE, Pieces, looks_like_model, train

LINES = ["the cat sat on the mat", "a dog sat there"] * 10


def test_a_model_is_recognised_by_its_first_bytes() -> None:
    assert looks_like_model(train(LINES, size=18, model_type="unigram")[:16])
    assert not looks_like_model(b"\n\nthe\n")
    assert not looks_like_model(b"<unk>\t0\n")
    assert not looks_like_model(b"")


@pytest.mark.parametrize("kind", ["unigram", "bpe"])
def test_sentencepieces_assertions_become_messages(kind: str) -> None:
    for lines, size, message in (
        ([], 30, "^t: no tokens$"),
        (["", "  "], 30, "^t: no tokens$"),
        (LINES, 5, "^t: has 15 characters and special tokens, --size leaves room for 5$"),
    ):
        with pytest.raises(InputError, match=message):
            train(lines, size=size, model_type=kind, where="t")


@pytest.mark.parametrize("kind", ["unigram", "bpe"])
def test_a_text_too_small_for_the_size_gives_what_it_has_with_a_warning(kind: str) -> None:
    with pytest.warns(RnntoolWarning, match=r"^t: has text for \d+ pieces; 1000 were asked for$") as caught:
        tokens = Pieces(train(LINES, size=1000, model_type=kind, where="t"), "m").tokens
    assert str(caught[0].message).split()[4] == str(len(tokens))


def test_an_error_in_the_text_stays_what_it_is() -> None:
    def failing() -> Iterator[str]:
        yield from LINES
        raise InputError("t:21", "not UTF-8")

    with pytest.raises(InputError, match=r"^t:21: not UTF-8$"):
        train(failing(), size=18, model_type="unigram")


def test_a_long_line_is_cut_and_not_left_out() -> None:
    """SentencePiece skips lines of more than 4192 bytes with a log line only; a text of one line has no others."""
    long = " ".join(LINES * 20)
    assert len(long) > LONGEST_SENTENCE
    assert Pieces(train([long], size=18, model_type="bpe"), "m").tokens[:2] == ("<unk>", "</s>")
    parts = list(pieces._cut(long.encode()))
    assert b"".join(parts).decode() == long
    assert all(len(part) <= LONGEST_SENTENCE and (part is parts[0] or part.startswith(b" ")) for part in parts)


def test_a_long_line_without_spaces_is_cut_between_characters() -> None:
    long = "猫中" * 3000
    parts = list(pieces._cut(long.encode()))
    assert "".join(part.decode() for part in parts) == long
    assert len(parts) > 1


def test_reserved_characters_are_reported() -> None:
    with pytest.warns(RnntoolWarning, match=r"^t: 2 lines hold NUL or U\+2585, which SentencePiece reserves; read as"):
        train([*LINES, "a \x00 cat", "a \u2585 dog"], size=18, model_type="unigram", where="t")


def test_of_too_many_lines_some_are_drawn_the_same_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "MOST_BYTES", 560)
    lines = LINES * 10
    with pytest.warns(RnntoolWarning, match=r"^t: 3[0-9] of 200 lines are drawn to learn from$"):
        first = train(lines, size=18, model_type="unigram", where="t")
    with pytest.warns(RnntoolWarning):
        assert train(lines, size=18, model_type="unigram", where="t") == first


def test_special_tokens_are_never_cut() -> None:
    model = Pieces(train(LINES, size=18, model_type="unigram", specials=["<2de>"]), "m")
    assert model.tokens[2] == "<2de>"
    assert "<2de>" in model.pieces("the<2de>cat")


def test_a_model_without_end_of_sentence_gets_one() -> None:
    import io

    import sentencepiece

    written = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(LINES), model_writer=written, vocab_size=16, eos_id=-1, bos_id=-1, minloglevel=2
    )
    model = Pieces(written.getvalue(), "m")
    assert (model.eos_id, model.tokens[-1]) == (16, "</s>")
    assert model.decode([*model.encode("the cat"), 16]) == "the cat"
    assert model.encode_block(b"the cat\n")[0][-1] == 16
