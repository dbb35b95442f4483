"""Processes that train one network together: each takes some columns of every batch, and all apply the same update.

    g = Σ_r g_r        Σ −log P = Σ_r Σ −log P of rank r's columns

Every rank cuts the whole text into the same batches and keeps its columns, so that any number of ranks sees the same data
in the same order.  The sum of the gradients is the gradient of the sum, so that a run on several ranks is the run on one,
but for the order in which numbers are added up.  Only the first rank writes; what it finds out alone, it tells.

torch's DistributedDataParallel is not used: it adds up after every backward pass where an update may have several, wants
each gradient to be of one kind for good, and sparse ones whole on each rank.
"""

from __future__ import annotations

import contextlib
import json
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import timedelta
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.distributed.distributed_c10d import PrefixStore
from torch.distributed.rendezvous import rendezvous

from rnntool.config.ranks import Ranks
from rnntool.data.batch import Batch
from rnntool.errors import Lost, is_out_of_memory
from rnntool.nn.cells.cell import State

BUCKET_BYTES = 32 << 20
"""Gradients are added up in pieces of about this size."""

MEETING_SECONDS = 600.0
"""How long the ranks may take to start."""

POLL_SECONDS = 0.02
"""How often a rank looks whether something has been told."""

Facts = dict[str, Any]


class Team(ABC):
    """This process and those that train with it."""

    rank = 0
    size = 1

    @property
    def is_leader(self) -> bool:
        """Whether this is the one that writes."""
        return self.rank == 0

    def share(self, batch: Batch) -> Batch:
        """The columns of a batch that this rank computes; there may be none."""
        num_columns = batch.inputs.shape[1]
        return batch.part(*self.columns(num_columns)) if self.size > 1 else batch

    def columns(self, number: int) -> tuple[int, int]:
        """Of so many columns, the first that is this rank's, and the first that is the next one's."""
        return number * self.rank // self.size, number * (self.rank + 1) // self.size

    def own(self, state: State) -> State:
        """This rank's rows of a state of all columns."""
        return tuple(s[slice(*self.columns(len(s)))] for s in state)

    @abstractmethod
    def add_up(self, parameters: Iterable[nn.Parameter], values: Sequence[float]) -> list[list[float]]:
        """Add up the gradients of all ranks, and exchange some numbers.

        Args:
            parameters: whose gradients become the sums, the same on all ranks.
            values: this rank's numbers.

        Returns:
            Every rank's numbers.

        Raises:
            Lost: another rank went away, or did not answer in time.
        """

    @abstractmethod
    def whole(self, state: State) -> State:
        """A state of all columns, from each rank's rows.

        Raises:
            Lost: as `add_up`.
        """

    @abstractmethod
    def tell(self, find: Callable[[], Facts]) -> Facts:
        """What the leader finds out, on all ranks; anything JSON holds.

        Raises:
            Lost: the leader went away.
        """

    @abstractmethod
    def hand_out(self, tensors: dict[str, Tensor], device: torch.device) -> dict[str, Tensor]:
        """The leader's tensors, on all ranks.

        Raises:
            Lost: as `add_up`.
        """

    @abstractmethod
    def leave(self) -> None:
        """Part in peace, once nothing is left to exchange."""


class Alone(Team):
    """One process, with nobody to ask."""

    def add_up(self, parameters: Iterable[nn.Parameter], values: Sequence[float]) -> list[list[float]]:
        """As `Team.add_up`."""
        return [list(values)]

    def whole(self, state: State) -> State:
        """As `Team.whole`."""
        return state

    def tell(self, find: Callable[[], Facts]) -> Facts:
        """As `Team.tell`."""
        return find()

    def hand_out(self, tensors: dict[str, Tensor], device: torch.device) -> dict[str, Tensor]:
        """As `Team.hand_out`."""
        return tensors

    def leave(self) -> None:
        """As `Team.leave`."""


class Together(Team):
    """One of several processes.

    Args:
        ranks: which one, and where they meet.
        device: where the network is; CUDA's are joined by NCCL, all others by Gloo.

    Raises:
        Lost: they did not meet.
    """

    def __init__(self, ranks: Ranks, device: torch.device) -> None:
        self.rank, self.size = ranks.rank, ranks.size
        self._device = device if device.type == "cuda" else torch.device("cpu")
        self._told = 0
        with self._kept("the meeting"):
            meeting = rendezvous(ranks.meeting, ranks.rank, ranks.size, timeout=timedelta(seconds=MEETING_SECONDS))
            store, _, _ = next(meeting)
            store.set_timeout(timedelta(seconds=MEETING_SECONDS))
            self._store = PrefixStore("told", store)
            distributed.init_process_group(
                "nccl" if device.type == "cuda" else "gloo",
                store=PrefixStore("group", store),
                rank=ranks.rank,
                world_size=ranks.size,
                timeout=timedelta(seconds=ranks.patience),
                device_id=device if device.type == "cuda" else None,
            )

    def add_up(self, parameters: Iterable[nn.Parameter], values: Sequence[float]) -> list[list[float]]:
        """As `Team.add_up`; the numbers first, and with them what each gradient is, for it may be absent on some ranks."""
        parameters = list(parameters)
        mine = torch.tensor([*values, *map(_kind, parameters)], dtype=torch.float64, device=self._device)
        with self._kept("an update"):
            table = [row.tolist() for row in self._gathered(mine)]
            kinds = [max(column) for column in zip(*(row[len(values) :] for row in table), strict=True)]
            dense = [p for p, kind in zip(parameters, kinds, strict=True) if kind == DENSE]
            for bucket in _buckets([_dense_gradient(p) for p in dense]):
                self._add_up_dense(bucket)
            for p, kind in zip(parameters, kinds, strict=True):
                if 0 <= kind < DENSE:
                    self._add_up_rows(p, int(kind))
        return [row[: len(values)] for row in table]

    def _add_up_dense(self, gradients: list[Tensor]) -> None:
        """In one exchange."""
        if len(gradients) == 1 and gradients[0].is_contiguous():
            distributed.all_reduce(gradients[0])
            return
        flat = torch.cat([g.reshape(-1) for g in gradients])
        distributed.all_reduce(flat)
        pieces = torch.split(flat, [g.numel() for g in gradients])
        torch._foreach_copy_(gradients, [piece.view_as(g) for piece, g in zip(pieces, gradients, strict=True)])

    def _add_up_rows(self, p: nn.Parameter, most: int) -> None:
        """Sparse gradients: the rows of all ranks, at most so many of each, one after the other."""
        rows = torch.full((most,), -1, dtype=torch.int64, device=p.device)
        values = p.new_zeros(most, *p.shape[1:])
        if p.grad is not None:
            gradient = p.grad.coalesce()
            rows[: gradient._nnz()] = gradient.indices()[0]
            values[: gradient._nnz()] = gradient.values()
        all_rows, all_values = torch.cat(self._gathered(rows)), torch.cat(self._gathered(values))
        counts = all_rows >= 0
        p.grad = torch.sparse_coo_tensor(
            all_rows[counts][None], all_values[counts], p.shape, check_invariants=False
        ).coalesce()

    def _gathered(self, mine: Tensor) -> list[Tensor]:
        """The same tensor of every rank."""
        everyone = [torch.empty_like(mine) for _ in range(self.size)]
        distributed.all_gather(everyone, mine)
        return everyone

    def whole(self, state: State) -> State:
        """As `Team.whole`."""
        with self._kept("a state"):
            return tuple(self._joined(s.to(self._device)) for s in state)

    def _joined(self, s: Tensor) -> Tensor:
        """Every rank's rows, one rank's after the other's."""
        counts = [int(count) for count in self._gathered(torch.tensor(len(s), device=self._device))]
        padded = s.new_zeros(max(counts), *s.shape[1:])
        padded[: len(s)] = s
        return torch.cat([rows[:count] for rows, count in zip(self._gathered(padded), counts, strict=True)])

    def tell(self, find: Callable[[], Facts]) -> Facts:
        """As `Team.tell`; however long the leader takes, as it may validate or read a large text."""
        name = str(self._told)
        self._told += 1
        if self.is_leader:
            text = json.dumps(find())
            with self._kept("news"):
                self._store.set(name, text)
        else:
            with self._kept("news"):
                while not self._store.check([name]):
                    time.sleep(POLL_SECONDS)  # and hear signals
                text = self._store.get(name).decode()
        facts: Facts = json.loads(text)
        return facts

    def hand_out(self, tensors: dict[str, Tensor], device: torch.device) -> dict[str, Tensor]:
        """As `Team.hand_out`."""
        shapes = self.tell(
            lambda: {name: [str(t.dtype).removeprefix("torch."), *t.shape] for name, t in tensors.items()}
        )
        handed = {}
        with self._kept("weights"):
            for name, (dtype, *shape) in shapes.items():
                tensor = torch.empty(shape, dtype=getattr(torch, dtype), device=self._device)
                if self.is_leader:
                    tensor.copy_(tensors[name])
                distributed.broadcast(tensor, 0)
                handed[name] = tensor.to(device)
        return handed

    def leave(self) -> None:
        """As `Team.leave`; the leader, who may still be saving, first, as a scheduler may end a job with its first task."""
        self.tell(dict)
        with self._kept("parting"):
            distributed.barrier()
        distributed.destroy_process_group()

    @contextlib.contextmanager
    def _kept(self, what: str) -> Iterator[None]:
        """Turn torch's many ways of saying that somebody is gone into one."""
        try:
            yield
        except RuntimeError as error:
            if is_out_of_memory(error):
                raise
            reason = str(error).splitlines()[0].rpartition("] ")[2]  # without the place in torch's source
            raise Lost("", f"rank {self.rank} of {self.size} lost the others in {what}: {reason}") from error


def join(ranks: Ranks, device: torch.device) -> Team:
    """Meet the others, if there are any."""
    return Together(ranks, device) if ranks.size > 1 else Alone()


# --- gradients -------------------------------------------------------------------------------------------------------

ABSENT, DENSE = -1.0, float(1 << 53)
"""What a gradient may be; any number between is how many rows a sparse one has."""


def _kind(p: nn.Parameter) -> float:
    if p.grad is None:
        return ABSENT
    if not p.grad.is_sparse:
        return DENSE
    p.grad = p.grad.coalesce()
    return float(p.grad._nnz())


def _dense_gradient(p: nn.Parameter) -> Tensor:
    """The gradient, which may be absent or sparse on this rank and dense on another, as a dense one."""
    if p.grad is None:
        p.grad = torch.zeros_like(p)
    elif p.grad.is_sparse:
        p.grad = p.grad.to_dense()
    return p.grad


def _buckets(gradients: list[Tensor]) -> Iterator[list[Tensor]]:
    """Gradients in groups of about BUCKET_BYTES."""
    bucket: list[Tensor] = []
    for gradient in gradients:
        bucket.append(gradient)
        if sum(g.nbytes for g in bucket) >= BUCKET_BYTES:
            yield bucket
            bucket = []
    if bucket:
        yield bucket
