"""Several processes that train one network together do what one does alone."""

from __future__ import annotations

import os
import signal
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from rnntool.checkpoint.container import read_container
from rnntool.checkpoint.model import load_model
from rnntool.config.ranks import Ranks
from rnntool.errors import Diverged, Lost, Stopped
from rnntool.score.perplexity import Tally
from rnntool.train.team import Alone, Team, Together, join
from tests.conftest import course
from tests.train.conftest import CPU, Sit

LONGEST = 60
"""Seconds after which a rank that has not ended is hung."""


def together(work: Callable[[Team], None], meeting: Path, size: int = 2, patience: float = 30) -> list[int]:
    """Run `work` on so many ranks, each a child process; their statuses, -n for a death by signal n."""
    children = []
    for rank in range(size):
        child = os.fork()
        if not child:
            status = 99
            try:
                team = join(Ranks(rank, size, rank, size, meeting=f"file://{meeting}", patience=patience), CPU)
                work(team)
                team.leave()
                status = 0
            except Lost:
                status = 76
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(status)
        children.append(child)
    end = time.monotonic() + LONGEST
    ended: dict[int, int] = {}
    while len(ended) < size and time.monotonic() < end:
        for child in children:
            if child not in ended and (found := os.waitpid(child, os.WNOHANG))[0]:
                ended[child] = os.waitstatus_to_exitcode(found[1])
        time.sleep(0.01)
    for child in set(children) - ended.keys():
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        ended[child] = 98
    return [ended[child] for child in children]


def assert_alike(one: Path, other: Path) -> None:
    """Two runs are the same, but for the last digits."""
    first, second = course(one), course(other)
    assert len(first) == len(second)
    for a, b in zip(first, second, strict=True):
        assert a == pytest.approx(b, rel=1e-5)
    for name in ("best.rnn", "last.rnn"):
        weights = [load_model(str(run / name)).network.state_dict() for run in (one, other)]
        for key, weight in weights[0].items():
            torch.testing.assert_close(weight, weights[1][key], rtol=1e-4, atol=1e-5)


NOISE = {"dropout": 0.3, "dropout_embed": 0.1, "dropout_recurrent": 0.2, "dropout_weight": 0.1}

RUNS: list[tuple[str, dict[str, Any]]] = [
    ("lstm:4", {"optimizer": "sgd", "lr": 1.0, **NOISE}),
    (
        "gru:4",
        {"output": "adaptive:3,6", "batch_size": 3, "dropout": 0.2, "locked": True, "context": "reset", "bptt": 3},
    ),
    ("elman:4", {"ar": 0.5, "tar": 0.5, "label_smoothing": 0.1, "accumulate": 2, "text": "two"}),
    ("scrn:4+2", {"optimizer": "adamw", "weight_decay": 0.1, "average": "ema", "average_decay": 0.8}),
    ("lstm:4", {"output": "sampled:3", "optimizer": "sgd", "lr": 0.5, "schedule": "newbob"}),
    ("gru:4", {"encoder": "bi-gru:3", "link": "attention", "context": "reset", "batch_size": 5, **NOISE}),
    ("lstm:4", {"tied": True, "optimizer": "sgd", "momentum": 0.9, "lr": 0.5}),
]


@pytest.mark.parametrize(("arch", "options"), RUNS, ids=[f"{arch}-{n}" for n, (arch, _) in enumerate(RUNS)])
def test_any_number_of_ranks_trains_the_same_network(
    sit: Sit, tmp_path: Path, arch: str, options: dict[str, Any]
) -> None:
    sit(arch, name="alone", **options).train()

    def work(team: Team) -> None:
        sit(arch, name="team", team=team, init_seed=1 + team.rank, **options).train()

    assert together(work, tmp_path / "meeting", size=3) == [0, 0, 0]
    assert_alike(tmp_path / "alone", tmp_path / "team")


def test_a_run_goes_on_with_another_number_of_ranks(sit: Sit, tmp_path: Path) -> None:
    sit(name="alone", **NOISE).train()

    def work(team: Team) -> None:
        with pytest.raises(Stopped, match="after update 8"):
            sit(name="team", team=team, stop_after=7 if team.is_leader else None, **NOISE).train()

    assert together(work, tmp_path / "meeting") == [0, 0]
    sit(name="team", **NOISE).train()
    assert_alike(tmp_path / "alone", tmp_path / "team")


def test_ranks_that_resume_end_with_the_same_bytes(sit: Sit, tmp_path: Path) -> None:
    options = {"optimizer": "adam", **NOISE}

    def whole(team: Team) -> None:
        sit(name="whole", team=team, **options).train()

    def begin(team: Team) -> None:
        with pytest.raises(Stopped):
            sit(name="pieces", team=team, stop_after=5 if team.rank == 1 else None, **options).train()

    def go_on(team: Team) -> None:
        sit(name="pieces", team=team, init_seed=9, **options).train()

    for number, work in enumerate((whole, begin, go_on)):
        assert together(work, tmp_path / f"meeting{number}") == [0, 0]
    assert (tmp_path / "whole" / "last.rnn").read_bytes() == (tmp_path / "pieces" / "last.rnn").read_bytes()
    assert course(tmp_path / "whole") == course(tmp_path / "pieces")


@pytest.mark.parametrize("rank", [0, 1])
def test_a_stop_asked_of_one_rank_stops_all_at_the_same_update(sit: Sit, tmp_path: Path, rank: int) -> None:
    def work(team: Team) -> None:
        with pytest.raises(Stopped) as stopped:
            sit(team=team, stop_after=3 if team.rank == rank else None).train()
        assert stopped.value.status == 143
        (tmp_path / f"said-{team.rank}").write_text(stopped.value.what)

    assert together(work, tmp_path / "meeting") == [0, 0]
    said = [(tmp_path / f"said-{each}").read_text() for each in (0, 1)]
    assert "signal SIGTERM" in said[rank]
    assert f"rank {rank} was asked to" in said[1 - rank]
    assert [text.split(":")[0] for text in said] == ["stopped after update 4"] * 2
    facts, _ = read_container(str(tmp_path / "run" / "state-4.rnn"), "state")
    assert facts["place"]["step"] == 4


@pytest.mark.parametrize("rank", [0, 1])
def test_a_rank_that_dies_is_noticed(sit: Sit, tmp_path: Path, rank: int) -> None:
    def work(team: Team) -> None:
        trainer = sit(team=team)

        def die(**_: object) -> None:
            if trainer.place.step == 2 and team.rank == rank:
                os.kill(os.getpid(), signal.SIGKILL)

        trainer.observer.stepped = die  # type: ignore[method-assign]
        trainer.train()

    statuses = together(work, tmp_path / "meeting")
    assert statuses[rank] == -signal.SIGKILL
    assert statuses[1 - rank] == 76


def test_a_rank_that_hangs_is_given_up(tmp_path: Path) -> None:
    def work(team: Team) -> None:
        if team.rank == 1:
            time.sleep(6)
        team.add_up([], [1.0])

    began = time.monotonic()
    assert together(work, tmp_path / "meeting", patience=1)[0] == 76
    assert time.monotonic() - began < LONGEST


def test_a_loss_that_will_not_come_back_ends_all_ranks_alike(sit: Sit, tmp_path: Path) -> None:
    def work(team: Team) -> None:
        with pytest.raises(Diverged):
            sit(team=team, optimizer="sgd", lr=1e8, clip=0.0).train()

    assert together(work, tmp_path / "meeting") == [0, 0]


def test_gradients_of_every_kind_are_added_up(tmp_path: Path) -> None:
    def sparse(rows: list[int]) -> torch.Tensor:
        return torch.sparse_coo_tensor(torch.tensor([rows]), torch.ones(len(rows), 2), (5, 2), check_invariants=True)

    def work(team: Team) -> None:
        dense, absent, never = (nn.Parameter(torch.zeros(3, 2)) for _ in range(3))
        mixed = nn.Parameter(torch.zeros(5, 2))
        mixed.grad = torch.ones(5, 2) if team.rank == 0 else sparse([3])
        rows = nn.Parameter(torch.zeros(5, 2))
        dense.grad = torch.full((3, 2), 1.0 + team.rank)
        if team.rank == 1:
            absent.grad = torch.ones(3, 2)
            rows.grad = sparse([0, 4, 4])
        elif team.rank == 2:
            rows.grad = sparse([4])
        found = team.add_up([dense, absent, never, rows, mixed], [float(team.rank), 0.5])
        assert found == [[0.0, 0.5], [1.0, 0.5], [2.0, 0.5]]
        assert dense.grad is not None
        assert absent.grad is not None
        assert rows.grad is not None
        assert dense.grad.eq(6).all()
        assert absent.grad.eq(1).all()
        assert never.grad is None
        assert mixed.grad is not None
        assert mixed.grad.sum(dim=1).tolist() == [2, 2, 2, 6, 2]
        assert rows.grad.is_sparse
        assert rows.grad.to_dense().sum(dim=1).tolist() == [2, 0, 0, 0, 6]

    assert together(work, tmp_path / "meeting", size=3) == [0, 0, 0]


def test_columns_are_divided_among_the_ranks() -> None:
    team = Alone()
    for size, number in ((1, 5), (2, 5), (3, 2), (4, 64)):
        team.size = size
        found: list[int] = []
        for team.rank in range(size):
            found += range(*team.columns(number))
        assert found == list(range(number))


def test_a_validation_that_is_given_up_is_done_again_by_all(sit: Sit, tmp_path: Path) -> None:
    def whole(team: Team) -> None:
        sit(name="whole", team=team).train()

    def interrupted(team: Team) -> None:
        trainer = sit(name="pieces", team=team)
        validate = trainer.validation._whole_tally

        def ask() -> Tally:
            trainer.stop.status, trainer.stop.reason = 143, "signal SIGTERM"
            return validate()

        trainer.validation._whole_tally = ask  # type: ignore[method-assign]
        with pytest.raises(Stopped) as stopped:
            trainer.train()
        assert stopped.value.status == 143

    def go_on(team: Team) -> None:
        sit(name="pieces", team=team).train()

    for number, work in enumerate((whole, interrupted, go_on)):
        assert together(work, tmp_path / f"meeting{number}") == [0, 0]
    assert course(tmp_path / "whole") == course(tmp_path / "pieces")


def test_clocks_that_differ_divide_nobody(sit: Sit, tmp_path: Path) -> None:
    """One rank alone thinks that it is time to save, or to end; all do so, or none, together."""

    def work(team: Team) -> None:
        with pytest.raises(Stopped) as stopped:
            sit(team=team, save_every=0.0 if team.is_leader else 1e9, max_time=0.0 if team.rank == 1 else None).train()
        assert stopped.value.status == 75

    assert together(work, tmp_path / "meeting") == [0, 0]

    def go_on(team: Team) -> None:
        sit(team=team, save_every=0.0 if team.rank == 1 else 1e9).train()

    assert together(go_on, tmp_path / "meeting2") == [0, 0]


@pytest.mark.gpu
def test_nccl_exchanges_what_gloo_does(tmp_path: Path) -> None:
    """In a group of one, for NCCL takes a GPU once: every kind of exchange, on tensors of the device."""
    device = torch.device("cuda", 0)
    team = Together(Ranks(meeting=f"file://{tmp_path / 'meeting'}", patience=60), device)
    dense, rows, absent = (nn.Parameter(torch.zeros(5, 2, device=device)) for _ in range(3))
    dense.grad = torch.arange(10.0, device=device).view(5, 2)
    rows.grad = torch.sparse_coo_tensor([[3, 1, 3]], torch.ones(3, 2), (5, 2), device=device, check_invariants=True)
    assert team.add_up([dense, rows, absent], [1.5, 2]) == [[1.5, 2.0]]
    assert dense.grad.tolist() == torch.arange(10.0).view(5, 2).tolist()
    assert rows.grad.to_dense().sum(1).tolist() == [0, 2, 0, 4, 0]
    assert absent.grad is None
    assert [s.tolist() for s in team.whole((dense.detach(),))] == [dense.tolist()]
    handed = team.hand_out({"order": torch.tensor([1, 2])}, device)
    assert (handed["order"].tolist(), handed["order"].device) == ([1, 2], device)
    assert team.tell(lambda: {"step": 7}) == {"step": 7}
    team.leave()
