"""Everything that a run's next update depends on, to one file and back."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import Tensor

from rnntool.checkpoint.container import Facts
from rnntool.checkpoint.model import check_finite
from rnntool.checkpoint.run import hash_of
from rnntool.data.batch import Position
from rnntool.errors import ModelError
from rnntool.nn.cells.cell import State
from rnntool.train.optimizer import Memory

if TYPE_CHECKING:
    from rnntool.train.loop import Trainer

T = TypeVar("T")

LARGEST = 1 << 62
"""No number of a place or of sums is larger, or below zero."""


@dataclass
class Sums:
    """What has been summed since the last report.

    Args:
        nll: −Σ log P of the targets, in nats.
        tokens: targets.
        updates: updates.
        clipped: updates whose gradient was shortened.
        grad_norm: Σ of the gradients' norms.
        seconds: of training, not of validation.
        lr: learning rate of the last update.
    """

    nll: float = 0.0
    tokens: int = 0
    updates: int = 0
    clipped: int = 0
    grad_norm: float = 0.0
    seconds: float = 0.0
    lr: float = 0.0

    @property
    def speed(self) -> float:
        """Tokens per second."""
        return self.tokens / max(self.seconds, 1e-9)


@dataclass
class Place:
    """How far a run has come.

    Args:
        step: updates done.
        windows: batches computed; they seed the noise.
        tokens: targets learnt from.
        seconds: spent on updates, validations and saving, over all sittings.
        position: in the data.
        progress: epochs done, with fractions.
        finished: why the run is over; empty while it is not.
        is_due: whether the network has come to a validation that has not been done.
        sums: of the current report.
    """

    step: int = 0
    windows: int = 0
    tokens: int = 0
    seconds: float = 0.0
    position: Position = field(default_factory=Position)
    progress: float = 0.0
    finished: str = ""
    is_due: bool = False
    sums: Sums = field(default_factory=Sums)


def save_state(trainer: Trainer, carried: State, metrics_length: int) -> None:
    """Write a state, durable, if this is the process that writes.

    Args:
        trainer: whose run it is.
        carried: the hidden state of all columns, also those of other processes.
        metrics_length: bytes of metrics.jsonl that belong to it.

    Raises:
        ModelError: something in it is not a finite number; nothing is written, and all processes find it.
        OutputError: the disk does not take it.
    """
    facts: Facts = {
        "place": asdict(trainer.place),
        "models": trainer.kept,
        "settings": trainer.model.provenance.get("settings"),
        "environment": trainer.environment,
        "schedule": trainer.schedule.memory,
        "average": trainer.average.memory,
        "metrics_length": metrics_length,
        "metrics_sha256": hash_of(trainer.run.metrics, metrics_length),
        **_identity(trainer),
    }
    tensors: dict[str, Tensor] = {f"weights.{name}": p for name, p in trainer.parameters.items()}
    tensors |= {f"average.{name}": weight for name, weight in trainer.average.weights.items()}
    tensors |= {f"best.{name}": weight for name, weight in trainer.best_weights.items()}
    tensors |= {f"carried.{index}": s for index, s in enumerate(carried)}
    if len(trainer.batches.memory):
        tensors["order"] = torch.from_numpy(trainer.batches.memory)
    for index, memory in trainer.optimizer.memory.items():
        tensors |= {f"optimizer.{index}.{key}": value for key, value in memory.items()}
    check_finite(trainer.run.path, tensors, "nothing is saved")
    if trainer.team.is_leader:
        trainer.run.save_state(trainer.place.step, facts, tensors)


def load_state(trainer: Trainer) -> bool:
    """Take up the newest undamaged state; False if there is none and the run begins.

    Raises:
        ModelError: all states are damaged, or they are of another network, text or version.
    """
    device = next(iter(trainer.parameters.values())).device
    facts, tensors = _found(trainer, device)
    if facts:
        try:
            _take_up(trainer, facts, tensors, device)
        except (AttributeError, KeyError, TypeError, ValueError, RuntimeError) as error:
            what = f"its state was written by another version of rnntool: {str(error).splitlines()[0]}"
            raise ModelError(trainer.run.path, what, "--force, to begin again") from None
    else:
        _take_weights(trainer, tensors)
    if trainer.team.is_leader:
        trainer.run.cut_metrics(facts.get("metrics_length", 0), facts.get("metrics_sha256"))
        if facts:
            trainer.run.warn_of_damaged_models()
    return bool(facts)


def _take_up(trainer: Trainer, facts: Facts, tensors: dict[str, Tensor], device: torch.device) -> None:
    """Give a trainer what a state holds; another version's, or a forged one, may raise any error of Python's."""
    parts: dict[str, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        part, _, rest = name.partition(".")
        parts.setdefault(part, {})[rest] = tensor
    _check_shapes(trainer, parts)
    _take_weights(trainer, tensors)
    trainer.optimizer.recall(_memory_of(parts.get("optimizer", {}), device))
    place = dict(facts["place"])
    sums, position = _typed(Sums, place.pop("sums")), _typed(Position, place.pop("position"))
    trainer.place = replace(_typed(Place, place), sums=sums, position=position)
    trainer.kept = {str(name): str(sha256) for name, sha256 in dict(facts.get("models", {})).items()}
    trainer.schedule.recall(facts["schedule"])
    trainer.average.recall(facts["average"], {n: t.to(device) for n, t in parts.get("average", {}).items()})
    trainer.best_weights = {name: tensor.to(device) for name, tensor in parts.get("best", {}).items()}
    if "order" in tensors:
        trainer.batches.memory = tensors["order"].cpu().numpy()
    carried = parts.get("carried", {})
    trainer.windows.carried = trainer.team.own(tuple(carried[str(index)].to(device) for index in range(len(carried))))
    length = facts["metrics_length"]
    if type(length) is not int or not 0 <= length <= LARGEST:
        raise TypeError(f"'metrics_length' is {length!r}")


def _take_weights(trainer: Trainer, tensors: dict[str, Tensor]) -> None:
    with torch.no_grad():
        for name, parameter in trainer.parameters.items():
            parameter.copy_(tensors[f"weights.{name}"])


def _check_shapes(trainer: Trainer, parts: dict[str, dict[str, Tensor]]) -> None:
    """Raise an error of Python's if a tensor cannot be what its name says."""
    weights = list(trainer.parameters.values())
    dtype = weights[0].dtype
    if (order := parts.get("order", {}).get("")) is not None and (order.dtype != torch.int64 or order.dim() != 1):
        raise ValueError(f"'order' is {tuple(order.shape)} of {order.dtype}, not a row of whole numbers")
    for part in ("weights", "average", "best"):
        for name, tensor in parts.get(part, {}).items():
            _check_shape(f"{part}.{name}", tensor, [trainer.parameters[name].shape], dtype)
    for name, tensor in parts.get("optimizer", {}).items():
        shape = weights[int(name.partition(".")[0])].shape
        _check_shape(f"optimizer.{name}", tensor, [shape, shape[:1], torch.Size()], dtype)
    if trainer.model.config.context == "carry" and "carried" in parts:
        for index, own in enumerate(trainer.network.state0(trainer.config.batch_size)):
            _check_shape(f"carried.{index}", parts["carried"][str(index)], [own.shape], own.dtype)


def _check_shape(name: str, tensor: Tensor, shapes: list[torch.Size], dtype: torch.dtype) -> None:
    if tensor.shape not in shapes or tensor.dtype not in (dtype, torch.float32):
        raise ValueError(f"'{name}' is {tuple(tensor.shape)} of {tensor.dtype}, not {tuple(shapes[0])}")


def _typed(kind: type[T], values: dict[str, Any]) -> T:
    """A dataclass of numbers and texts, if each value is of its field's kind."""
    kinds: dict[str, Any] = {"int": int, "float": (int, float), "bool": bool, "str": str}
    wanted = {field.name: kinds.get(str(field.type), ()) for field in fields(kind)}  # type: ignore[arg-type]
    for name, value in values.items():
        is_kind = isinstance(value, wanted[name]) and isinstance(value, bool) == (wanted[name] is bool)
        if not is_kind or (not isinstance(value, str) and not 0 <= value <= LARGEST):
            raise TypeError(f"'{name}' is {value!r}")
    return kind(**values)


def _found(trainer: Trainer, device: torch.device) -> tuple[Facts, dict[str, Tensor]]:
    """The newest undamaged state, as the team's leader found it; no facts, and the first weights, if the run begins."""
    tensors: dict[str, Tensor] = {f"weights.{name}": p.detach() for name, p in trainer.parameters.items()}

    def find() -> Facts:
        nonlocal tensors
        found = trainer.run.load_state()
        if found is None:
            return {}
        facts, tensors = found
        for name, now in _identity(trainer).items():
            if facts.get(name) != now:
                what = {"data": "text"}.get(name, name)
                raise ModelError(
                    trainer.run.path, f"the {what} has changed since this run began", "--force, to begin again"
                )
        return facts

    facts = trainer.team.tell(find)
    return facts, trainer.team.hand_out(tensors, device)


def _identity(trainer: Trainer) -> Facts:
    """What all states of a run have in common; one in which it differs is of another run."""
    model = trainer.model
    data = model.provenance.get("data", [])
    return {"data": data, "network": asdict(model.config), "vocabulary": model.vocabulary.digest}


def _memory_of(tensors: dict[str, Tensor], device: torch.device) -> Memory:
    """An optimiser's memory from tensors called NUMBER.NAME."""
    memory: Memory = {}
    for name, tensor in tensors.items():
        number, _, key = name.partition(".")
        memory.setdefault(int(number), {})[key] = tensor.to(device)
    return memory
