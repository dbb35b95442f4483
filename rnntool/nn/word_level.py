"""A recurrent network over whole words, whose state characters are predicted with.

A character at a time, a network must carry in one state how the word goes on and what the sentence is about, over six times
as many steps as it has words.  Here a second network reads words, each when it has ended, and what it has come to is given
to the first one beside every character:

    g_k = f(e(w_k), g_{k−1})        x'_t = [x_t; g_k],  w_k the last word that has ended at t

Words need no vocabulary: e(w) is a row of a table, chosen by a hash of the word's characters, which words may share.

    c_0 = 0      c_i = (c_{i−1} + u_i + 1) · 1 327 217 885 mod 2³¹ − 1        row = c_n mod ROWS

u_i is the id of its i-th character; the characters that end words belong to none.
Source: Bojanowski, Joulin and Mikolov 2015, "Alternative structures for character-level RNNs", the mixed one.
Differs: there words are one out of a vocabulary, and a second loss predicts them; here characters alone are predicted.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rnntool.nn.cells.cell import Cell, State
from rnntool.nn.output.direct import FACTOR, MODULUS
from rnntool.nn.recurrent import Recurrent

ROWS = 1 << 14
"""Of the table of words."""

TABLE_BOUND = 0.1
"""The table starts uniform between its negative and itself, as embeddings do."""


class WordLevel(nn.Module):
    """The network over words.

    Args:
        cell: f, which puts out its state and nothing else; it reads rows of the table.
        ends: ids of the characters that end a word.
        vocab_size: V, of characters.

    Attributes:
        num_states: how many tensors a state has.
    """

    num_states = 2

    is_end: Tensor

    def __init__(self, cell: Cell, ends: Sequence[int], vocab_size: int) -> None:
        super().__init__()
        assert cell.state_sizes == (cell.output_size,)
        self.recurrent = Recurrent([cell])
        self.table = nn.Parameter(torch.empty(ROWS, cell.input_size))
        self.output_size = cell.output_size
        is_end = torch.zeros(vocab_size, dtype=torch.bool, device="cpu")
        is_end[list(ends)] = True
        self.register_buffer("is_end", is_end, persistent=False)

    def state0(self, batch_size: int) -> State:
        """g_0, (B, G), and the hash of a word that has not begun, (B,)."""
        (g,) = self.recurrent.state0(batch_size)
        return g, torch.zeros(batch_size, dtype=torch.long, device=g.device)

    def read(
        self, characters: Tensor, state: State, *, keep: int | None = None, dtype: torch.dtype = torch.float32
    ) -> tuple[Tensor, State]:
        """Read a window.

        Args:
            characters: ids, (T, B).
            state: from `state0` or an earlier call.
            keep: after how many characters the state that is returned is taken; None: after the last.
            dtype: lowest that products may have.

        Returns:
            For each character the g that was reached with it, (T, B, G), and the state.
        """
        g, code = state
        is_end = self.is_end[characters]  # (T, B)
        codes = []
        for u, ends in zip(characters, is_end, strict=True):
            codes.append(code)  # of the word before u
            code = torch.where(ends, 0, (code + u + 1) * FACTOR % MODULUS)
        codes.append(code)
        ended = is_end.cumsum(dim=0)  # how many words have, (T, B)
        most = max(1, int(ended[-1].max())) if len(characters) > 1 else 1
        # each stream's words side by side, the first ones first; past its last one stand others, which nobody looks at
        order = (~is_end).to(torch.uint8).argsort(dim=0, stable=True)[:most]  # (K, B)
        words = torch.stack(codes[:-1]).gather(0, order) % ROWS
        h, _ = self.recurrent.run(F.embedding(words, self.table), (g,), dtype=dtype)
        reached = torch.cat([g[None], h])  # (K + 1, B, G)
        found = reached.gather(0, ended[:, :, None].expand(-1, -1, reached.shape[2]))
        kept = len(characters) if keep is None else keep
        return found, (found[kept - 1] if kept else g, codes[kept])

    def init(self, generator: torch.Generator) -> None:
        """Set all weights to where training starts."""
        self.table.uniform_(-TABLE_BOUND, TABLE_BOUND, generator=generator)
        for layer in self.recurrent.stack:
            layer.init(generator)
