"""What a run records of where it takes place: nothing that could be a secret."""

from __future__ import annotations

from rnntool.cli.environment import VARIABLES, describe
from rnntool.config.ranks import Ranks


def test_variables_that_are_not_on_the_list_are_left_out() -> None:
    environment = dict.fromkeys([*VARIABLES, "AWS_SECRET_ACCESS_KEY", "PATH", "RNNTOOL_DEVICE"], "seen")
    found = describe(environment, Ranks(size=4), "cuda:1")
    assert {name for name, value in found.items() if value == "seen"} == set(VARIABLES)
    assert (found["processes"], found["device"]) == (4, "cuda:1")
