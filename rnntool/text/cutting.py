"""Lines cut anew: other pieces for the same text, drawn each time that the line is learnt from."""

from __future__ import annotations

from collections.abc import Sequence

from rnntool.text.vocabulary import Vocabulary


class Cutter:
    """Draws the pieces of lines.

    Args:
        vocabulary: SentencePiece's.
        alpha: see `Vocabulary.sample`.
    """

    def __init__(self, vocabulary: Vocabulary, alpha: float) -> None:
        self._vocabulary = vocabulary
        self._alpha = alpha

    def cut(self, ids: Sequence[int], seed: int) -> list[int]:
        """Other ids for a line's text, without `</s>`; the same ones if a part of the text is unknown.

        Args:
            ids: of the line, without `</s>`.
            seed: the same one draws the same.
        """
        if self._vocabulary.unk_id in ids:
            return list(ids)
        return self._vocabulary.sample(self._vocabulary.decode(ids), alpha=self._alpha, seed=seed)
