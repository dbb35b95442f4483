"""The update: gradients measured and clipped, then one of the optimisers, in one pass over the weights.

Clipping multiplies no gradient: what a gradient must be divided by is handed to the optimiser, whose kernel does it on the
way.  Of an embedding that is only read, an update touches no more than the rows that were.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from rnntool.config.training import TrainingConfig
from rnntool.models.network import Network

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
    """

    def __init__(self, parameters: Iterable[nn.Parameter], lr: float) -> None:
        self.parameters = list(parameters)
        self.lr = lr

    def zero_grad(self) -> None:
        """Forget all gradients."""
        for parameter in self.parameters:
            parameter.grad = None

    @abstractmethod
    def step(self, divisor: float) -> None:
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

    @torch.no_grad()
    def step(self, divisor: float) -> None:
        """As `Optimizer.step`."""
        rate = -self.lr / divisor
        weights: list[Tensor] = []
        gradients: list[Tensor] = []
        for p in self.parameters:
            if p.grad is not None and p.grad.is_sparse:
                rows, gradient = _rows(p.grad)
                p.index_add_(0, rows, gradient, alpha=rate)
            elif p.grad is not None:
                weights.append(p)
                gradients.append(p.grad)
        if weights:
            torch._foreach_add_(weights, gradients, alpha=rate)


class Adam(Optimizer):
    """The mean gradient by the root of the mean square, both of them fading.

        m ← β₁ m + (1 − β₁) g     v ← β₂ v + (1 − β₂) g²     w ← w − η m̂ / (√v̂ + ε)

    m̂ and v̂ are divided by 1 − βᵗ, which makes up for their start at zero.  With β₁ = 0, m is the gradient and not stored.
    In a sparse gradient every row has a clock t of its own, which stands still while the row is not read: a rare word's
    v̂ is the mean over its occurrences, so that it moves by about η each time, and not by η / √(1 − β₂).

    Source: Kingma and Ba 2015; Loshchilov and Hutter 2019 for `decoupled`.

    Args:
        parameters: the weights.
        lr: η.
        betas: β₁ and β₂.
        weight_decay: λ; every gradient has λ w added, or, if decoupled, every weight η λ w subtracted.
        decoupled: whether the weights decay apart from the gradient.
    """

    def __init__(
        self,
        parameters: Iterable[nn.Parameter],
        lr: float,
        *,
        betas: tuple[float, float],
        weight_decay: float = 0.0,
        decoupled: bool = False,
    ) -> None:
        super().__init__(parameters, lr)
        self.betas = betas
        self.weight_decay = weight_decay
        self.decoupled = decoupled
        self._memory: Memory = {}

    @torch.no_grad()
    def step(self, divisor: float) -> None:
        """As `Optimizer.step`."""
        dense = []
        for number, p in enumerate(self.parameters):
            if p.grad is None:
                continue
            if number not in self._memory:
                self._memory[number] = self._blank(p)
            if p.grad.is_sparse:
                self._step_rows(p, *_rows(p.grad), divisor, self._memory[number])
            else:
                dense.append(number)
        if dense:
            self._step_dense(dense, divisor)

    def _blank(self, p: nn.Parameter) -> dict[str, Tensor]:
        assert p.grad is not None
        blank = {"steps": torch.zeros(len(p) if p.grad.is_sparse else (), device=p.device)}
        blank["exp_avg_sq"] = torch.zeros_like(p)
        return blank | ({"exp_avg": torch.zeros_like(p)} if self.betas[0] else {})

    def _step_dense(self, numbers: list[int], divisor: float) -> None:
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
            grad_scale=torch.tensor(float(divisor), device=weights[0].device),
        )

    def _step_rows(self, p: nn.Parameter, rows: Tensor, g: Tensor, divisor: float, memory: dict[str, Tensor]) -> None:
        """The formula above on some rows of a weight, (R, ·)."""
        beta1, beta2 = self.betas
        g = g / divisor
        t = memory["steps"][rows] + 1
        memory["steps"][rows] = t
        t = t[:, None].to(torch.float64)  # (R, 1)
        v = memory["exp_avg_sq"][rows].mul_(beta2).addcmul_(g, g, value=1 - beta2)
        memory["exp_avg_sq"][rows] = v
        if beta1:
            g = memory["exp_avg"][rows].lerp_(g, 1 - beta1)
            memory["exp_avg"][rows] = g
        rate = (-self.lr / (1 - beta1**t)).to(p.dtype)
        root = (v * (1 / (1 - beta2**t)).to(p.dtype)).sqrt_().add_(EPS)
        p.index_add_(0, rows, rate * g / root)

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
    def step(self, divisor: float) -> None:
        """As `Optimizer.step`."""
        self.optimizer.param_groups[0]["lr"] = self.lr
        gradients = [p.grad for p in self.parameters if p.grad is not None]
        if isinstance(self.optimizer, torch.optim.RMSprop):  # torch has no fused kernel for it
            torch._foreach_mul_(gradients, 1 / divisor)
        else:
            device = gradients[0].device
            self.optimizer.grad_scale = torch.tensor(divisor, device=device)  # type: ignore[attr-defined]
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


def build_optimizer(config: TrainingConfig, parameters: Iterable[nn.Parameter]) -> Optimizer:
    """The optimiser that `config` names, at its full learning rate."""
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
            return Adam(parameters, rate, betas=betas, weight_decay=decay, decoupled=config.optimizer == "adamw")
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


def measure_gradients(
    parameters: Iterable[nn.Parameter], *, tokens: int, norm: float, value: float
) -> tuple[float, float]:
    """How long the gradient of the mean loss is, and what the gradient of the sum must be divided by before it is used.

    A gradient longer than `norm` is shortened to it, g · min(1, norm / ‖g‖); the lecture's code, g / max(10, ‖g‖), divides
    even short ones.  Elements are cut to ±`value` first, in place.

    Args:
        parameters: whose gradients, of a loss summed over `tokens`.
        tokens: how many.
        norm: longest allowed; 0 for no limit.
        value: largest element allowed; 0 for no limit.

    Returns:
        The norm before anything is cut, and the divisor.
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
    return total, tokens * max(1.0, length / norm) if norm else float(tokens)


def _norm(tensors: list[Tensor]) -> float:
    """The Euclidean norm of all elements together."""
    return float(torch.linalg.vector_norm(torch.stack(torch._foreach_norm(tensors))))


def _rows(gradient: Tensor) -> tuple[Tensor, Tensor]:
    """Which rows a sparse gradient has, each once, and their gradients."""
    gradient = gradient.coalesce()
    return gradient.indices()[0], gradient.values()
