"""Tables of direct weights by name."""

from __future__ import annotations

import pytest

from rnntool.config.direct import Direct, parse_direct
from rnntool.config.network import NetworkConfig
from rnntool.errors import OptionError


@pytest.mark.parametrize(
    ("text", "direct"),
    [
        ("none", None),
        ("500", Direct(500, 3)),
        ("200k:2", Direct(200_000, 2)),
        ("2M", Direct(2_000_000, 3)),
        ("2.5M:9", Direct(2_500_000, 9)),
        ("1073741824", Direct(2**30, 3)),
    ],
)
def test_sizes_and_orders_are_read(text: str, direct: Direct | None) -> None:
    assert parse_direct(text) == direct
    assert parse_direct(str(direct or "none")) == direct


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "'' is not of the form SIZE[:ORDER]"),
        ("2m", "'2m' is not of the form SIZE[:ORDER]"),
        ("2G", "'2G' is not of the form SIZE[:ORDER]"),
        ("2M:", "'2M:' is not of the form SIZE[:ORDER]"),
        ("2M:x", "'2M:x' is not of the form SIZE[:ORDER]"),
        ("-5", "'-5' is not of the form SIZE[:ORDER]"),
        ("1e6", "'1e6' is not of the form SIZE[:ORDER]"),
        ("1.5", "'1.5' is not of the form SIZE[:ORDER]"),
        ("0:3", "a table of '0:3' is not between 1 and 1073741824 numbers"),
        ("2000M", "a table of '2000M' is not between 1 and 1073741824 numbers"),
        ("2M:1", "n-grams have 2 to 9 words, not 1"),
        ("2M:10", "n-grams have 2 to 9 words, not 10"),
    ],
)
def test_anything_else_is_an_error(text: str, message: str) -> None:
    with pytest.raises(OptionError) as error:
        parse_direct(text)
    assert str(error.value).split("; try")[0] == f"--direct: {message}"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"output": "tree"}, "--output tree takes no weights of n-grams; auto, full, adaptive, class do"),
        ({"output": "nce:5"}, "--output nce:5 takes no weights of n-grams; auto, full, adaptive, class do"),
        (
            {"encoder": "gru:4", "link": "attention", "context": "reset"},
            "is for language models; leave it out with --src",
        ),
    ],
    ids=str,
)
def test_what_has_no_place_for_them_is_named(options: dict[str, str], message: str) -> None:
    with pytest.raises(OptionError) as error:
        NetworkConfig("gru:4", direct="2M:3", **options).check()  # type: ignore[arg-type]
    assert str(error.value) == f"--direct: {message}"
    NetworkConfig("gru:4", **options).check()  # type: ignore[arg-type]


def test_a_table_holds_the_weights_of_one_history_at_least() -> None:
    Direct(50, 4).check(50)
    with pytest.raises(OptionError) as error:
        Direct(49, 4).check(50)
    assert str(error.value).startswith("--direct: 49 weights cannot hold those of one history, 50")
