"""The update: gradients clipped, then one of torch's optimisers, fused where torch can."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from rnntool.config.training import TrainingConfig


def build_optimizer(config: TrainingConfig, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
    """The optimiser that `config` names, at its full learning rate."""
    decay = config.weight_decay
    match config.optimizer:
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


def clip_gradients(parameters: list[nn.Parameter], *, tokens: int, norm: float, value: float) -> Tensor:
    """Turn gradients of a sum over tokens into those of its mean, clipped by value and then by norm, in place.

    Gradients are multiplied by min(1, norm / ‖g‖); the lecture's code, g / max(10, ‖g‖), divides even short ones.

    Args:
        parameters: whose gradients.
        tokens: how many the loss was summed over.
        norm: longest allowed; 0 for no limit.
        value: largest element allowed; 0 for no limit.

    Returns:
        The norm before clipping.
    """
    gradients = [p.grad for p in parameters if p.grad is not None]
    total = _norm(gradients) / tokens
    if value:
        torch._foreach_mul_(gradients, 1 / tokens)
        torch._foreach_clamp_max_(gradients, value)
        torch._foreach_clamp_min_(gradients, -value)
        clamped = _norm(gradients)
        if norm and clamped > norm:
            torch._foreach_mul_(gradients, float(norm / clamped))
        return total
    shorten = float(norm / total) if norm and total > norm else 1.0
    torch._foreach_mul_(gradients, shorten / tokens)
    return total


def _norm(tensors: list[Tensor]) -> Tensor:
    """The Euclidean norm of all elements together."""
    norm: Tensor = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(tensors)))
    return norm
