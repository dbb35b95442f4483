"""The baseline of translation: attention in stock torch, written the way everyone writes it.

A bidirectional `nn.GRU` or `nn.LSTM` reads; a `GRUCell` or `LSTMCell` writes, one word after the other, reading its last
output beside each word; Bahdanau's energies in between.  It is trained by `rnntool.bench.stock.descend`.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from rnntool.config.arch import Arch
from rnntool.errors import OptionError

BEGIN = 1


class StockTranslator(nn.Module):
    """Encoder, attention, decoder.

    Args:
        arch: of both, one layer.
        vocab_size: V, of sources and targets.

    Raises:
        OptionError: nobody writes this network in stock torch.
    """

    def __init__(self, arch: Arch, vocab_size: int) -> None:
        super().__init__()
        if arch.cell not in ("gru", "lstm") or arch.num_layers > 1 or arch.second_size:
            raise OptionError("--arch", f"{arch} has no baseline for pairs; gru and lstm of one layer have")
        H = arch.hidden_size
        self.is_lstm = arch.cell == "lstm"
        self.source_embedding = nn.Embedding(vocab_size, H)
        self.embedding = nn.Embedding(vocab_size, H)
        self.encoder: nn.Module = (nn.LSTM if self.is_lstm else nn.GRU)(H, H, bidirectional=True)
        self.cell: nn.Module = (nn.LSTMCell if self.is_lstm else nn.GRUCell)(2 * H, H)
        self.start = nn.Linear(2 * H, H)
        self.query = nn.Linear(H, H, bias=False)
        self.key = nn.Linear(2 * H, H)
        self.energy = nn.Linear(H, 1, bias=False)
        self.combine = nn.Linear(3 * H, H)
        self.output = nn.Linear(H, vocab_size)

    def read(self, source: Tensor) -> tuple[Tensor, Tensor, Any, Tensor]:
        """Memory (B, S, 2H), keys (B, S, H), state and last output for sources (S, B)."""
        memory, _ = self.encoder(self.source_embedding(source))
        h = torch.tanh(self.start(memory[-1]))
        memory = memory.transpose(0, 1)
        return memory, self.key(memory), (h, torch.zeros_like(h)) if self.is_lstm else h, torch.zeros_like(h)

    def step(self, word: Tensor, state: Any, out: Tensor, memory: Tensor, keys: Tensor) -> tuple[Any, Tensor]:
        """State and output after one word (B,)."""
        state = self.cell(torch.cat([self.embedding(word), out], dim=1), state)
        h = state[0] if self.is_lstm else state
        energy = self.energy(torch.tanh(self.query(h)[:, None] + keys)).squeeze(2)
        context = torch.bmm(energy.softmax(dim=1)[:, None], memory).squeeze(1)
        return state, torch.tanh(self.combine(torch.cat([h, context], dim=1)))

    def forward(self, source: Tensor, inputs: Tensor) -> Tensor:
        """Logits (T, B, V) for sources (S, B) and inputs (T, B)."""
        memory, keys, state, out = self.read(source)
        outputs = []
        for word in inputs:
            state, out = self.step(word, state, out, memory, keys)
            outputs.append(out)
        logits: Tensor = self.output(torch.stack(outputs))
        return logits

    @torch.no_grad()
    def translate(self, source: Tensor, beam_size: int, length: int) -> Tensor:
        """The best targets of so many words, (B, T), for sources (S, B)."""
        B, K, V = source.shape[1], beam_size, self.output.out_features
        memory, keys, state, out = self.read(source)
        rows = torch.arange(B, device=source.device).repeat_interleave(K)
        memory, keys, out = memory[rows], keys[rows], out[rows]
        state = tuple(s[rows] for s in state) if self.is_lstm else state[rows]
        word = torch.full((B * K,), BEGIN, device=source.device)
        scores = torch.full((B, K), -torch.inf, device=source.device)
        scores[:, 0] = 0
        found = word.new_empty(B * K, 0)
        first = torch.arange(B, device=source.device)[:, None] * K
        for _ in range(length):
            state, out = self.step(word, state, out, memory, keys)
            log_probs = self.output(out).log_softmax(dim=1).view(B, K, V)
            scores, places = (scores[:, :, None] + log_probs).view(B, K * V).topk(K)
            rows, word = (first + places // V).flatten(), (places % V).flatten()
            state = tuple(s[rows] for s in state) if self.is_lstm else state[rows]
            out, found = out[rows], torch.cat([found[rows], word[:, None]], dim=1)
        return found.view(B, K, length)[:, 0]
