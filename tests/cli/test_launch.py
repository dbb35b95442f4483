"""Which of several processes this one is, as torchrun, srun and --procs say."""

from __future__ import annotations

import pytest

from rnntool.cli.launch import first_host, ranks_of, restarts_of, tasks_of_nodes
from rnntool.config.ranks import ALONE, Ranks
from rnntool.errors import OptionError
from tests.conftest import Run

TORCH = {
    "RANK": "5",
    "WORLD_SIZE": "8",
    "LOCAL_RANK": "1",
    "LOCAL_WORLD_SIZE": "4",
    "MASTER_ADDR": "gpu07",
    "MASTER_PORT": "29500",
}
SLURM = {
    "SLURM_JOB_ID": "1234",
    "SLURM_STEP_ID": "2",
    "SLURM_STEP_NUM_TASKS": "6",
    "SLURM_PROCID": "5",
    "SLURM_LOCALID": "1",
    "SLURM_NODEID": "1",
    "SLURM_STEP_TASKS_PER_NODE": "4,2",
    "SLURM_STEP_NODELIST": "gpu[07-08]",
}


@pytest.mark.parametrize(
    ("environment", "ranks"),
    [
        ({}, ALONE),
        ({**TORCH, "WORLD_SIZE": "1"}, ALONE),
        ({"SLURM_JOB_ID": "7", "SLURM_NTASKS": "4", "SLURM_PROCID": "0"}, ALONE),  # a batch script, not a task of srun
        (TORCH, Ranks(5, 8, 1, 4, crowd=4, meeting="env://", patience=9)),
        (
            {"RANK": "1", "WORLD_SIZE": "2", "RNNTOOL_MEETING": "file:///a"},
            Ranks(1, 2, 1, 2, crowd=2, meeting="file:///a", patience=9),
        ),
        (SLURM, Ranks(5, 6, 1, 2, meeting="tcp://gpu07:27746", patience=9)),
        (
            {**SLURM, "MASTER_ADDR": "login", "MASTER_PORT": "80"},
            Ranks(5, 6, 1, 2, meeting="tcp://login:80", patience=9),
        ),
    ],
)
def test_the_environment_says_which_process_this_is(environment: dict[str, str], ranks: Ranks) -> None:
    assert ranks_of(environment, patience=9) == ranks


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"WORLD_SIZE": "two"}, "RANK: is not set"),
        ({"WORLD_SIZE": "two", "RANK": "0"}, "WORLD_SIZE: 'two' is not a number"),
        ({"WORLD_SIZE": "2", "RANK": "0"}, "MASTER_ADDR: is not set"),
        ({**TORCH, "RANK": "8"}, "process 8 of 8, 1 of 4 on its machine: the environment contradicts itself"),
        ({**SLURM, "SLURM_LOCALID": "2"}, "process 5 of 6, 2 of 2"),
        ({**SLURM, "SLURM_STEP_NODELIST": ""}, "SLURM_STEP_NODELIST: '' names no host"),
    ],
)
def test_an_environment_that_makes_no_sense_is_refused(environment: dict[str, str], said: str) -> None:
    with pytest.raises(OptionError) as error:
        ranks_of(environment, patience=9)
    assert said in str(error.value)


@pytest.mark.parametrize(
    ("nodes", "host"),
    [
        ("gpu07", "gpu07"),
        ("gpu[07-09,11],login", "gpu07"),
        ("n[3]-ib,x", "n3-ib"),
        ("a.b,c", "a.b"),
        ("r1n[10]", "r1n10"),
    ],
)
def test_the_first_host_of_a_list(nodes: str, host: str) -> None:
    assert first_host(nodes) == host


def test_tasks_of_nodes() -> None:
    assert tasks_of_nodes("4(x2),1") == [4, 4, 1]
    assert tasks_of_nodes("2") == [2]
    assert tasks_of_nodes("") == []


def test_how_often_a_job_was_started_anew() -> None:
    assert restarts_of({}) == 0
    assert restarts_of({"SLURM_RESTART_COUNT": "2", "TORCHELASTIC_RESTART_COUNT": "1"}) == 2


@pytest.mark.parametrize(
    ("words", "environment", "said"),
    [
        ("--procs 0", {}, "--procs: 0 is not in the range"),
        ("--procs 3 -b 2", {}, "--batch-size: 2 columns cannot be divided among 3 processes"),
        ("--procs 2 -V -", {}, "--vocab: every process reads it"),
        ("--procs 3", TORCH, "--procs: 3, and this is one of 8 processes already"),
        ("-b 4", TORCH, "--batch-size: 4 columns cannot be divided among 8 processes"),
    ],
)
def test_what_cannot_be_divided_is_refused(run: Run, words: str, environment: dict[str, str], said: str) -> None:
    done = run("train", "-V", "words.tsv", "--valid", "v", "-o", "d", *words.split(), "t", env=environment)
    assert done.status == 2
    assert said in done.err
