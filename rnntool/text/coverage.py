"""How much of a text a vocabulary knows, and how the text's own vocabulary grows.

The ends of lines are not counted.  Memory grows with the number of different tokens.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from rnntool.text.formats import CONTROLS
from rnntool.text.units import sliced
from rnntool.text.vocabulary import Vocabulary


@dataclass(frozen=True)
class Coverage:
    """What the first `tokens` tokens of a text hold."""

    tokens: int
    """Tokens read."""
    types: int
    """Different ones among them."""
    oov: int
    """Tokens that are not in the vocabulary."""
    oov_types: int
    """Different ones among these."""

    @property
    def oov_rate(self) -> float:
        """Share of the tokens that are not in the vocabulary, from 0 to 1."""
        return self.oov / self.tokens if self.tokens else 0.0


def growth(blocks: Iterable[bytes], vocabulary: Vocabulary) -> Iterator[Coverage]:
    """The coverage after 10, 100, 1000, ... tokens, and after the last.

    Args:
        blocks: whole lines, as `read_blocks` gives them.
        vocabulary: in whose units the text is counted.
    """
    known = _known(vocabulary)
    seen: set[Any] = set()
    num_tokens = num_oov = 0
    step, told = 10, -1
    for block in blocks:
        for tokens in _tokens(block, vocabulary):
            start = 0
            while start < len(tokens):
                part = tokens[start : start + step - num_tokens]
                start += len(part)
                num_tokens += len(part)
                num_oov += len(part) - sum(map(known.__contains__, part))
                seen.update(part)
                if num_tokens == step:
                    yield Coverage(num_tokens, len(seen), num_oov, len(seen - known))
                    told = step
                    step *= 10
    if num_tokens != told:
        yield Coverage(num_tokens, len(seen), num_oov, len(seen - known))


def _known(vocabulary: Vocabulary) -> set[Any]:
    tokens = [token for token in vocabulary.tokens if token not in CONTROLS]
    if vocabulary.unit == "word":
        return {token.encode() for token in tokens}
    if vocabulary.unit == "byte":
        return {byte for byte in range(256) if vocabulary.encode_block(bytes([byte]))[0][0] != vocabulary.unk_id}
    return set(tokens)


def _tokens(block: bytes, vocabulary: Vocabulary) -> Iterator[Sequence[Any]]:
    """The tokens of whole lines, in one sequence or several."""
    match vocabulary.unit:
        case "word":
            for part in sliced(block):
                yield part.split()
        case "char":
            yield block.decode().replace("\n", "")
        case "byte":
            yield block.replace(b"\n", b"")
        case _:
            for line in block[:-1].decode().split("\n"):
                yield vocabulary.pieces(line)
