"""What reads sources: an embedding and an encoder."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rnntool.nn.encoder import Encoder, reorder, reversal
from rnntool.nn.noise import Noise
from rnntool.nn.source import mask_of


class Reader(nn.Module):
    """Embedding → encoder.

    Args:
        vocab_size: V of the source.
        embed_size: E.
        encoder: what reads the embeddings.
        shared: the target's embedding, if it is the source's, too.
        is_reversed: whether sources are read from their end.
    """

    def __init__(
        self,
        vocab_size: int,
        embed_size: int,
        encoder: Encoder,
        *,
        shared: nn.Parameter | None = None,
        is_reversed: bool = False,
    ) -> None:
        super().__init__()
        self.embedding = nn.Parameter(torch.empty(vocab_size, embed_size)) if shared is None else shared
        self.is_shared = shared is not None
        self.encoder = encoder
        self.is_reversed = is_reversed

    def run(
        self, ids: Tensor, lengths: Tensor, *, noise: Noise | None = None, dtype: torch.dtype = torch.float32
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Read sources.

        Args:
            ids: (S, B), filled up with any id.
            lengths: (B,), at least 1.
            noise: dropout, or None for none.
            dtype: lowest that products may have.

        Returns:
            The memory (B, S, D), zero past a source's end, in the order of the ids; which positions there are, (B, S); and
            the summaries, (B, D).
        """
        order = reversal(lengths, len(ids))
        given = ids.gather(0, order) if self.is_reversed else ids
        x = F.embedding(given, self.embedding)
        if noise is not None:
            x = noise.drop_words(x, given, len(self.embedding))
        memory, summary = self.encoder.run(x, lengths, noise=noise, dtype=dtype)
        if self.is_reversed:
            memory = reorder(memory, order)
        mask = mask_of(lengths, len(ids))  # (B, S)
        return (memory.transpose(0, 1) * mask[:, :, None]).contiguous(), mask, summary
