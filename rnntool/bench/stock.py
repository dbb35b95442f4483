"""The baselines: the same networks in stock torch, written the way everyone writes them.

`nn.LSTM` (or another of torch's networks, or a loop where torch has none), `nn.Linear` over the whole vocabulary,
`cross_entropy`, `clip_grad_norm_` and plain SGD; generation one token after the other through the same modules, drawn by
`multinomial`.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rnntool.config.arch import Arch
from rnntool.errors import OptionError


class StockSCRN(nn.Module):
    """The structurally constrained network as a loop that autograd differentiates."""

    def __init__(self, input_size: int, hidden_size: int, context_size: int, decay: float) -> None:
        super().__init__()
        self.A = nn.Linear(input_size, hidden_size)
        self.B = nn.Linear(input_size, context_size, bias=False)
        self.P = nn.Linear(context_size, hidden_size, bias=False)
        self.R = nn.Linear(hidden_size, hidden_size, bias=False)
        self.decay = decay

    def forward(self, x: Tensor, state: tuple[Tensor, Tensor] | None) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """X (T, B, E) to (T, B, H + C)."""
        if state is None:
            state = (x.new_zeros(x.shape[1], self.R.in_features), x.new_zeros(x.shape[1], self.P.in_features))
        h, s = state
        outputs = []
        for x_t in x:
            s = (1 - self.decay) * self.B(x_t) + self.decay * s
            h = torch.sigmoid(self.P(s) + self.A(x_t) + self.R(h))
            outputs.append(torch.cat([h, s], dim=1))
        return torch.stack(outputs), (h, s)


class StockModel(nn.Module):
    """Embedding, torch's network, linear layer.

    Args:
        arch: of the layers.
        vocab_size: V.

    Raises:
        OptionError: nobody writes this network in stock torch.
    """

    def __init__(self, arch: Arch, vocab_size: int) -> None:
        super().__init__()
        width, H, L = arch.output_size, arch.hidden_size, arch.num_layers
        self.embedding = nn.Embedding(vocab_size, width)
        self.network: nn.Module
        match arch.cell:
            case "lstm" if not arch.second_size:
                self.network = nn.LSTM(width, H, L)
            case "gru":
                self.network = nn.GRU(width, H, L)
            case "elman":
                self.network = nn.RNN(width, H, L, nonlinearity="relu" if "relu" in arch.words else "tanh")
            case "scrn" if L == 1 and H:
                self.network = StockSCRN(width, H, arch.second_size, arch.decay or 0.0)
            case _:
                raise OptionError("--arch", f"{arch} has no baseline; lstm, gru, elman and scrn of one layer have")
        self.output = nn.Linear(width, vocab_size)

    def forward(self, ids: Tensor, state: Any) -> tuple[Tensor, Any]:
        """Logits (T, B, V) for ids (T, B), and the state after them."""
        h, state = self.network(self.embedding(ids), state)
        return self.output(h), state


class StockTrainer:
    """Training steps of a stock model.

    Args:
        model: on its device.
        lr: of plain SGD.
        clip: largest norm of the gradient.
    """

    def __init__(self, model: StockModel, *, lr: float = 1.0, clip: float = 0.25) -> None:
        self.model = model
        self.lr = lr
        self.clip = clip
        self.state: Any = None

    def step(self, inputs: Tensor, targets: Tensor) -> float:
        """One update from a window (T, B); the mean loss in nats."""
        if self.state is not None:
            is_tuple = isinstance(self.state, tuple)
            self.state = tuple(s.detach() for s in self.state) if is_tuple else self.state.detach()
        logits, self.state = self.model(inputs, self.state)
        return descend(self.model, logits, targets, lr=self.lr, clip=self.clip)


def descend(model: nn.Module, logits: Tensor, targets: Tensor, *, lr: float = 1.0, clip: float = 0.25) -> float:
    """One step of plain SGD from logits (T, B, V) and targets (T, B), clipped to a norm; the mean loss in nats."""
    model.zero_grad()
    loss = F.cross_entropy(logits.flatten(0, 1), targets.flatten())
    loss.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(model.parameters(), clip)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.grad is not None:
                parameter.add_(parameter.grad, alpha=-lr)
    return float(loss.detach())


class StockWriter:
    """Text of a stock model, B streams at once.

    Args:
        model: on its device.
        batch_size: B.
    """

    def __init__(self, model: StockModel, batch_size: int) -> None:
        self.model = model
        self.state: Any = None
        self.last = torch.zeros(1, batch_size, dtype=torch.long, device=model.output.bias.device)

    @torch.no_grad()
    def write(self, num_tokens: int) -> list[list[int]]:
        """So many tokens of each stream."""
        text = []
        for _ in range(num_tokens):
            logits, self.state = self.model(self.last, self.state)
            self.last = torch.multinomial(logits[0].softmax(dim=1), 1).T
            text.append(self.last[0].tolist())
        return text
