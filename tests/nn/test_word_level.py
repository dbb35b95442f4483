"""What reads whole words beside characters, against one word after the other."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from rnntool.config.arch import parse_arch
from rnntool.nn.cells.build import build_cell
from rnntool.nn.output.direct import FACTOR, MODULUS
from rnntool.nn.word_level import ROWS, WordLevel

SPACE, END, V = 2, 1, 7
TEXT = [3, 4, 2, 5, 2, 2, 3, 4, 1, 6, 6, 2]  # two words, an empty one, a word again, the end of a line, another word


def built(arch: str = "gru:3") -> WordLevel:
    parsed = parse_arch(arch)
    level = WordLevel(build_cell(parsed, parsed.output_size), (END, SPACE), V).double()
    with torch.no_grad():
        level.init(torch.Generator().manual_seed(1))
    return level


def row(word: list[int]) -> int:
    """As the docstring has it."""
    code = 0
    for u in word:
        code = (code + u + 1) * FACTOR % MODULUS
    return code % ROWS


@torch.no_grad()
def expected(level: WordLevel, text: list[int]) -> list[Tensor]:
    """What was reached with each character, (G,)."""
    (state,) = level.recurrent.state0(1)
    word: list[int] = []
    found = []
    for u in text:
        if u in (SPACE, END):
            state, _ = level.recurrent.step(level.table[None, row(word)], (state,))
            word = []
        else:
            word.append(u)
        found.append(state[0])
    return found


@pytest.mark.parametrize("arch", ["gru:3", "gru-before:3", "elman:3"])
def test_a_window_is_its_words_one_after_the_other(arch: str) -> None:
    """Beside a stream with no word at all, and one with nothing but ends."""
    level = built(arch)
    texts = [TEXT, [5] * len(TEXT), [SPACE] * len(TEXT)]
    found, (g, _) = level.read(torch.tensor(texts).T, level.state0(3))
    for b, text in enumerate(texts):
        torch.testing.assert_close(found[:, b], torch.stack(expected(level, text)))
    torch.testing.assert_close(g, found[-1])


@pytest.mark.parametrize("cut", range(1, len(TEXT)))
def test_windows_may_end_in_the_middle_of_a_word(cut: int) -> None:
    """By two windows, by one of which the state is kept early, and character by character."""
    level = built()
    text = torch.tensor([TEXT, TEXT[::-1]]).T
    whole, after = level.read(text, level.state0(2))
    _, kept = level.read(text, level.state0(2), keep=cut)
    first, between = level.read(text[:cut], level.state0(2))
    for one, other in zip(kept, between, strict=True):
        torch.testing.assert_close(one, other)
    second, last = level.read(text[cut:], between)
    torch.testing.assert_close(torch.cat([first, second]), whole)
    state, single = level.state0(2), []
    for u in text:
        g, state = level.read(u[None], state)
        single.append(g)
    torch.testing.assert_close(torch.cat(single), whole)
    for one, other, third in zip(after, last, state, strict=True):
        torch.testing.assert_close(one, other)
        torch.testing.assert_close(one, third)


def test_gradients_reach_words_and_weights() -> None:
    level = built()
    text = torch.tensor([TEXT, TEXT[::-1]]).T
    leaves = [*level.recurrent.parameters()]
    assert torch.autograd.gradcheck(lambda *_: level.read(text, level.state0(2))[0], leaves)
    (grad,) = torch.autograd.grad(level.read(text, level.state0(2))[0].sum(), [level.table])
    read = {row(word) for word in ([3, 4], [5], [], [6, 6], [4, 3])}
    assert set(grad.abs().sum(dim=1).nonzero()[:, 0].tolist()) == read
