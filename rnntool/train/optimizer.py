"""The update: gradients measured and clipped, then one of the optimisers, in one pass over the weights.

Clipping multiplies no gradient: what a gradient must be divided by is handed to the optimiser, whose kernel does it on the
way.  Of an embedding that is only read, an update touches no more than the rows that were.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable
from typing import Any

import torch
from torch import Tensor, nn

from rnntool.config.training import TrainingConfig
from rnntool.models.network import Network
from rnntool.nn.output.drawn import DrawnLayer

Memory = dict[int, dict[str, Tensor]]
"""What an optimiser remembers of each weight, by the weight's number and a name."""

EPS = 1e-8  # Kingma and Ba 2015, §2


class Optimizer(ABC):
    """One way to change weights by their gradients.

    Those below that are not torch's have two reasons: gradients of a few rows, and torch's own import its compiler when the
    first of them is made, which takes two seconds.

    Args:
        parameters: the weights.
        lr: η, the learning rate; may be set before every step.

    Attributes:
        is_recordable: whether a step with lr and divisor as tensors asks nothing of the device, so that it can be recorded
            and replayed (`rnntool.train.recording`).
    """

    is_recordable = False

    def __init__(self, parameters: Iterable[nn.Parameter], lr: float) -> None:
        self.parameters = list(parameters)
        self.lr: float | Tensor = lr

    def zero_grad(self) -> None:
        """Forget all gradients."""
        for parameter in self.parameters:
            parameter.grad = None

    @abstractmethod
    def step(self, divisor: float | Tensor) -> None:
        """One update with gradients that are `divisor` times too long; it may spoil them."""

    @property
    def memory(self) -> Memory:
        """What later steps depend on."""
        return {}

    def recall(self, memory: Memory) -> None:
        """Take up a memory.

        Raises:
            ValueError: it is not one of this optimiser.
        """
        del memory


class PlainSGD(Optimizer):
    """w ← w − η g, over all weights at once; of a sparse gradient, over its rows alone."""

    is_recordable = True

    @torch.no_grad()
    def step(self, divisor: float | Tensor) -> None:
        """As `Optimizer.step`."""
        rate: Any = -self.lr / divisor
        if isinstance(rate, Tensor) and rate.device.type == "cpu":
            rate = float(rate)  # which multiplies gradients on their way
        weights: list[Tensor] = []
        gradients: list[Tensor] = []
        for p in self.parameters:
            if p.grad is not None and p.grad.is_sparse:
                rows, gradient = _rows(p.grad)
                p.index_add_(0, rows, gradient, alpha=float(rate))
            elif p.grad is not None:
                weights.append(p)
                gradients.append(p.grad)
        if weights and isinstance(rate, Tensor):
            torch._foreach_mul_(gradients, rate)
            torch._foreach_add_(weights, gradients)
        elif weights:
            torch._foreach_add_(weights, gradients, alpha=rate)


class Adam(Optimizer):
    """The mean gradient by the root of the mean square, both of them fading.

        m ← β₁ m + (1 − β₁) g     v ← β₂ v + (1 − β₂) g²     w ← w − η m̂ / (√v̂ + ε)

    m̂ and v̂ are divided by 1 − βᵗ, which makes up for their start at zero.  With β₁ = 0, m is the gradient and not stored.
    In a weight that is read by rows every row has a clock t of its own, which stands still while the row's gradient is
    zero: a rare word's v̂ is the mean over its occurrences, so that it moves by about η each time, and not by
    η / √(1 − β₂).  The gradient may be sparse, or dense with zeros in the rows that were not read.

    Source: Kingma and Ba 2015; Loshchilov and Hutter 2019 for `decoupled`.

    Args:
        parameters: the weights.
        lr: η.
        betas: β₁ and β₂.
        weight_decay: λ; every gradient has λ w added, or, if decoupled, every weight η λ w subtracted.
        decoupled: whether the weights decay apart from the gradient.
        by_rows: which weights are read by rows.
    """

    is_recordable = True

    def __init__(
        self,
        parameters: Iterable[nn.Parameter],
        lr: float,
        *,
        betas: tuple[float, float],
        weight_decay: float = 0.0,
        decoupled: bool = False,
        by_rows: Collection[nn.Parameter] = (),
    ) -> None:
        super().__init__(parameters, lr)
        self._by_rows = {number for number, p in enumerate(self.parameters) if any(p is each for each in by_rows)}
        self.betas = betas
        self.weight_decay = weight_decay
        self.decoupled = decoupled
        self._memory: Memory = {}

    @torch.no_grad()
    def step(self, divisor: float | Tensor) -> None:
        """As `Optimizer.step`."""
        dense = []
        for number, p in enumerate(self.parameters):
            if p.grad is None:
                continue
            if number not in self._memory:
                self._memory[number] = self._blank(p, by_rows=p.grad.is_sparse or number in self._by_rows)
            if p.grad.is_sparse:
                self._step_rows(p, *_rows(p.grad), divisor, self._memory[number])
            elif number in self._by_rows:
                self._step_read_rows(p, p.grad, divisor, self._memory[number])
            else:
                dense.append(number)
        if dense:
            self._step_dense(dense, divisor)

    def _blank(self, p: nn.Parameter, *, by_rows: bool) -> dict[str, Tensor]:
        blank = {"steps": torch.zeros(len(p) if by_rows else (), device=p.device)}
        blank["exp_avg_sq"] = torch.zeros_like(p)
        return blank | ({"exp_avg": torch.zeros_like(p)} if self.betas[0] else {})

    def _step_dense(self, numbers: list[int], divisor: float | Tensor) -> None:
        weights: list[Tensor] = [self.parameters[number] for number in numbers]
        gradients = [p.grad for p in weights if p.grad is not None]
        memories = [self._memory[number] for number in numbers]
        steps = [memory["steps"] for memory in memories]
        torch._foreach_add_(steps, 1)
        update = torch._fused_adamw_ if self.decoupled else torch._fused_adam_
        update(
            weights,
            gradients,
            [memory["exp_avg"] for memory in memories] if self.betas[0] else gradients,  # the kernel writes m there
            [memory["exp_avg_sq"] for memory in memories],
            [],
            steps,
            lr=self.lr,
            beta1=self.betas[0],
            beta2=self.betas[1],
            weight_decay=self.weight_decay,
            eps=EPS,
            amsgrad=False,
            maximize=False,
            # as torch.amp.GradScaler hands its scale to the kernel
            grad_scale=_scalar(divisor, weights[0].device),
        )

    def _step_read_rows(self, p: nn.Parameter, g: Tensor, divisor: float | Tensor, memory: dict[str, Tensor]) -> None:
        """The formula above on the rows of a weight whose gradient is not zero, not asking the device which these are."""
        is_read = (g != 0).any(dim=1, keepdim=True)  # (V, 1)
        g = g / divisor
        beta1, beta2 = self.betas
        t = memory["steps"].add_(is_read[:, 0])[:, None].clamp(min=1).to(p.dtype)
        v = memory["exp_avg_sq"]
        v.copy_(torch.where(is_read, (v * beta2).addcmul_(g, g, value=1 - beta2), v))
        if beta1:
            m = memory["exp_avg"]
            g = m.copy_(torch.where(is_read, m.lerp(g, 1 - beta1), m))
        p.add_(is_read * self._moved(g, v, t))

    def _step_rows(
        self, p: nn.Parameter, rows: Tensor, g: Tensor, divisor: float | Tensor, memory: dict[str, Tensor]
    ) -> None:
        """The formula above on some rows of a weight, (R, ·), but for those whose gradient is zero."""
        beta1, beta2 = self.betas
        is_moved = (g != 0).any(dim=1)
        rows, g = rows[is_moved], g[is_moved] / divisor
        t = memory["steps"][rows] + 1
        memory["steps"][rows] = t
        t = t[:, None].to(p.dtype)  # (R, 1)
        v = memory["exp_avg_sq"][rows].mul_(beta2).addcmul_(g, g, value=1 - beta2)
        memory["exp_avg_sq"][rows] = v
        if beta1:
            g = memory["exp_avg"][rows].lerp_(g, 1 - beta1)
            memory["exp_avg"][rows] = g
        p.index_add_(0, rows, self._moved(g, v, t))

    def _moved(self, m: Tensor, v: Tensor, t: Tensor) -> Tensor:
        """By how much rows change, (R, ·): −η m̂ / (√v̂ + ε) at their times t (R, 1)."""
        rest1, rest2 = (-torch.expm1(t * (math.log(beta) if beta else -math.inf)) for beta in self.betas)  # 1 − βᵗ
        root = (v / rest2).sqrt_().add_(EPS)
        return -self.lr / rest1 * m / root

    @property
    def memory(self) -> Memory:
        """As `Optimizer.memory`."""
        return self._memory

    def recall(self, memory: Memory) -> None:
        """As `Optimizer.recall`."""
        names = {"steps", "exp_avg_sq"} | ({"exp_avg"} if self.betas[0] else set())
        for own in memory.values():
            if own.keys() != names:
                raise ValueError(f"a memory of {sorted(own)}, not {sorted(names)}")
        self._memory = memory


class Torch(Optimizer):
    """One of torch's optimisers.

    Args:
        optimizer: with one group of parameters.
    """

    def __init__(self, optimizer: torch.optim.Optimizer) -> None:
        super().__init__(optimizer.param_groups[0]["params"], optimizer.param_groups[0]["lr"])
        self.optimizer = optimizer

    @torch.no_grad()
    def step(self, divisor: float | Tensor) -> None:
        """As `Optimizer.step`."""
        self.optimizer.param_groups[0]["lr"] = self.lr
        gradients = [p.grad for p in self.parameters if p.grad is not None]
        if isinstance(self.optimizer, torch.optim.RMSprop):  # torch has no fused kernel for it
            torch._foreach_mul_(gradients, 1 / divisor)
        else:
            device = gradients[0].device
            self.optimizer.grad_scale = _scalar(divisor, device)  # type: ignore[attr-defined]
            self.optimizer.found_inf = torch.zeros((), device=device)  # type: ignore[attr-defined]
        self.optimizer.step()

    @property
    def memory(self) -> Memory:
        """As `Optimizer.memory`."""
        state = self.optimizer.state_dict()["state"]
        return {
            number: {name: value for name, value in own.items() if value is not None} for number, own in state.items()
        }

    def recall(self, memory: Memory) -> None:
        """As `Optimizer.recall`."""
        self.optimizer.load_state_dict({**self.optimizer.state_dict(), "state": memory})


class BesideDirect(Optimizer):
    """An optimiser of all weights but the direct ones, which take plain steps beside it.

        θ ← θ − η_d g      g of the sum over tokens, not of their mean

    An n-gram's weights are met in few windows, and by few tokens of these: each of them is a step of its own, whatever the
    others are, so that nothing is divided or clipped.  Adam would move the weight of a word that hardly could have come as
    far as that of the word that came.  η_d falls as the rate of the others does.

    Args:
        optimizer: of the others, at its full rate.
        table: the direct weights.
        rate: η_d.
    """

    def __init__(self, optimizer: Optimizer, table: nn.Parameter, rate: float) -> None:
        super().__init__(optimizer.parameters, optimizer.lr)  # type: ignore[arg-type]
        self.optimizer = optimizer
        self.table = table
        self._share = rate / optimizer.lr

    def zero_grad(self) -> None:
        """As `Optimizer.zero_grad`."""
        super().zero_grad()
        self.table.grad = None

    @torch.no_grad()
    def step(self, divisor: float | Tensor) -> None:
        """As `Optimizer.step`; the divisor is that of the others."""
        self.optimizer.lr = self.lr
        self.optimizer.step(divisor)
        gradient, rate = self.table.grad, float(self._share * self.lr)
        if gradient is not None and gradient.is_sparse:  # a place may be there several times
            self.table.index_add_(0, gradient._indices()[0], gradient._values(), alpha=-rate)
        elif gradient is not None:
            self.table.add_(gradient, alpha=-rate)

    @property
    def memory(self) -> Memory:
        """As `Optimizer.memory`: that of the others."""
        return self.optimizer.memory

    def recall(self, memory: Memory) -> None:
        """As `Optimizer.recall`."""
        self.optimizer.recall(memory)


def build_optimizer(
    config: TrainingConfig,
    parameters: Iterable[nn.Parameter],
    by_rows: Collection[nn.Parameter] = (),
    direct: nn.Parameter | None = None,
) -> Optimizer:
    """The optimiser that `config` names, at its full learning rate.

    Args:
        config: the run's settings.
        parameters: the weights.
        by_rows: those that are read by rows, if `takes_rows`.
        direct: the table of direct weights among them, if there is one.
    """
    if direct is not None:
        others = build_optimizer(config, [p for p in parameters if p is not direct], by_rows)
        return BesideDirect(others, direct, config.direct_lr)
    rate, decay = config.rate, config.weight_decay
    match config.optimizer:
        case "sgd" if is_row_wise(config):
            return PlainSGD(parameters, rate)
        case "sgd":
            momentum, nesterov = config.momentum, config.nesterov
            return Torch(
                torch.optim.SGD(parameters, rate, momentum=momentum, nesterov=nesterov, weight_decay=decay, fused=True)
            )
        case "adagrad":
            return Torch(torch.optim.Adagrad(parameters, rate, weight_decay=decay, fused=True))
        case "rmsprop":
            alpha, momentum = config.square_decay, config.momentum
            return Torch(
                torch.optim.RMSprop(parameters, rate, alpha=alpha, momentum=momentum, weight_decay=decay, foreach=True)
            )
        case "adam" | "adamw":
            betas = (config.beta1, config.square_decay)
            decoupled = config.optimizer == "adamw"
            return Adam(parameters, rate, betas=betas, weight_decay=decay, decoupled=decoupled, by_rows=by_rows)
    raise AssertionError(config.optimizer)


def is_row_wise(config: TrainingConfig) -> bool:
    """Whether an update of `sgd` leaves weights alone whose gradient is zero, so that sparse gradients change nothing."""
    return config.optimizer == "sgd" and not config.momentum and not config.weight_decay


def takes_rows(config: TrainingConfig, network: Network) -> bool:
    """Whether the embedding's gradient is that of the rows read alone, and an update leaves the others as they are.

    Adam's rows with their own clocks learn slower: an LSTM of 100, whose input matrix makes up for it, had a validation
    perplexity of 126.2 with them, 130.2 without (Penn Treebank, 4 epochs); an SCRN of 100 + 40, whose embedding is that
    matrix, 140.0 with them, 122.1 without (7 epochs).
    """
    if network.tied or config.weight_decay:
        return False
    is_direct = network.decoder.stack[0].is_direct
    return is_row_wise(config) or (config.optimizer in ("adam", "adamw") and not is_direct)


def plan_rows(config: TrainingConfig, network: Network) -> tuple[list[nn.Parameter], bool]:
    """Which weights are read by rows, and whether their gradients are sparse, which an output layer of theirs is told.

    Beside the embedding that is the weight of an output layer that meets few of the words.  On a GPU gradients are dense,
    so that updates can be recorded.
    """
    is_sparse = network.embedding.device.type == "cpu"
    rows = [network.embedding] if takes_rows(config, network) else []
    output = network.output
    if isinstance(output, DrawnLayer) and not network.tied and not config.weight_decay:
        if is_row_wise(config) or config.optimizer in ("adam", "adamw"):
            rows.append(output.weight)
        output.is_sparse = is_sparse and any(each is output.weight for each in rows)
    return rows, is_sparse


def measure_gradients(
    parameters: Iterable[nn.Parameter], *, tokens: int, norm: float, value: float
) -> tuple[Tensor, Tensor]:
    """How long the gradient of the mean loss is, and what the gradient of the sum must be divided by before it is used.

    A gradient longer than `norm` is shortened to it, g · min(1, norm / ‖g‖); the lecture's code, g / max(10, ‖g‖), divides
    even short ones.  Elements are cut to ±`value` first, in place.

    Args:
        parameters: whose gradients, of a loss summed over `tokens`.
        tokens: how many.
        norm: longest allowed; 0 for no limit.
        value: largest element allowed; 0 for no limit.

    Returns:
        The norm before anything is cut, and the divisor, each (), where the gradients are.
    """
    gradients = []
    for p in parameters:
        if p.grad is not None:
            if p.grad.is_sparse:
                p.grad = p.grad.coalesce()
            gradients.append(p.grad.values() if p.grad.is_sparse else p.grad)
    total = length = _norm(gradients) / tokens
    if value:
        torch._foreach_clamp_max_(gradients, value * tokens)
        torch._foreach_clamp_min_(gradients, -value * tokens)
        length = _norm(gradients) / tokens
    return total, tokens * (length / norm).clamp(min=1) if norm else torch.full_like(total, tokens)


def _norm(tensors: list[Tensor]) -> Tensor:
    """The Euclidean norm of all elements together."""
    total: Tensor = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(tensors)))
    return total


def _scalar(value: float | Tensor, device: torch.device) -> Tensor:
    """One number in float32 on the device; a tensor must be there."""
    return value.float() if isinstance(value, Tensor) else torch.tensor(value, dtype=torch.float32, device=device)


def _rows(gradient: Tensor) -> tuple[Tensor, Tensor]:
    """Which rows a sparse gradient has, each once, and their gradients."""
    gradient = gradient.coalesce()
    return gradient.indices()[0], gradient.values()
