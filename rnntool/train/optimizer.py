"""The update: gradients measured and clipped, then one of the optimisers, in one pass over the weights.

Clipping multiplies no gradient: what a gradient must be divided by is handed to the optimiser, whose kernel does it on the
way.  Of an embedding that is only read, an update touches no more than the rows that were.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from rnntool.config.training import TrainingConfig


class PlainSGD:
    """w ← w − η g / d, over all weights at once; of a sparse gradient, over its rows alone.

    Has what the training loop uses of `torch.optim.Optimizer`, which would import torch's compiler first (two seconds).

    Args:
        parameters: the weights.
        lr: η.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], lr: float) -> None:
        self.param_groups: list[dict[str, Any]] = [{"params": list(parameters), "lr": lr}]

    def zero_grad(self) -> None:
        """Forget all gradients."""
        for parameter in self.param_groups[0]["params"]:
            parameter.grad = None

    @torch.no_grad()
    def step(self, divisor: float = 1.0) -> None:
        """One update with gradients that are `divisor` times too long."""
        rate = -self.param_groups[0]["lr"] / divisor
        parameters = [p for p in self.param_groups[0]["params"] if p.grad is not None]
        dense = [p for p in parameters if not p.grad.is_sparse]
        if dense:
            torch._foreach_add_(dense, [p.grad for p in dense], alpha=rate)
        for p in parameters:
            if p.grad.is_sparse:
                rows = p.grad.coalesce()
                p.index_add_(0, rows.indices()[0], rows.values(), alpha=rate)

    def state_dict(self) -> dict[str, Any]:
        """Nothing but what the configuration says."""
        return {"state": {}, "param_groups": self.param_groups}


Optimizer = torch.optim.Optimizer | PlainSGD


def build_optimizer(config: TrainingConfig, parameters: Iterable[nn.Parameter]) -> Optimizer:
    """The optimiser that `config` names, at its full learning rate."""
    decay = config.weight_decay
    match config.optimizer:
        case "sgd" if is_row_wise(config):
            return PlainSGD(parameters, config.rate)
        case "sgd":
            momentum, nesterov = config.momentum, config.nesterov
            return torch.optim.SGD(
                parameters, config.rate, momentum=momentum, nesterov=nesterov, weight_decay=decay, fused=True
            )
        case "adagrad":
            return torch.optim.Adagrad(parameters, config.rate, weight_decay=decay, fused=True)
        case "rmsprop":
            return torch.optim.RMSprop(
                parameters,
                config.rate,
                alpha=config.square_decay,
                momentum=config.momentum,
                weight_decay=decay,
                foreach=True,
            )
        case "adam" | "adamw":
            kind = torch.optim.Adam if config.optimizer == "adam" else torch.optim.AdamW
            betas = (config.beta1, config.square_decay)
            return kind(parameters, config.rate, betas=betas, weight_decay=decay, fused=True)
    raise AssertionError(config.optimizer)


def is_row_wise(config: TrainingConfig) -> bool:
    """Whether an update leaves weights alone whose gradient is zero, so that sparse gradients lose nothing."""
    return config.optimizer == "sgd" and not config.momentum and not config.weight_decay


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


@torch.no_grad()
def update(optimizer: Optimizer, divisor: float) -> None:
    """One step of `optimizer` with gradients that are `divisor` times too long."""
    if isinstance(optimizer, PlainSGD):
        optimizer.step(divisor)
        return
    gradients = [p.grad for p in optimizer.param_groups[0]["params"] if p.grad is not None]
    if isinstance(optimizer, torch.optim.RMSprop):  # torch has no fused kernel for it
        torch._foreach_mul_(gradients, 1 / divisor)
    else:
        # as torch.amp.GradScaler hands its scale to the fused kernels
        device = gradients[0].device
        optimizer.grad_scale = torch.tensor(divisor, device=device)  # type: ignore[attr-defined]
        optimizer.found_inf = torch.zeros((), device=device)  # type: ignore[attr-defined]
    optimizer.step()


def _norm(tensors: list[Tensor]) -> float:
    """The Euclidean norm of all elements together."""
    return float(torch.linalg.vector_norm(torch.stack(torch._foreach_norm(tensors))))
