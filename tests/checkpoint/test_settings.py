"""Settings as TOML: what is written is read, and the standard library reads it."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rnntool.checkpoint.settings import read_settings, write_settings
from rnntool.errors import InputError, OutputError
from rnntool.train.job import differences

VALUES = (
    st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False)
    | st.text(st.characters(codec="utf-8"))
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=50)
@given(
    st.dictionaries(
        st.from_regex(r"[a-z]+(-[a-z0-9]+)*", fullmatch=True), VALUES | st.lists(st.text(st.characters(codec="utf-8")))
    )
)
def test_settings_come_back_as_they_were(tmp_path: Path, values: dict[str, object]) -> None:
    path = str(tmp_path / "config.toml")
    write_settings(path, values, "a comment")
    assert read_settings(path) == values


def test_settings_read_like_options(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    given = {"arch": "lstm:2x200", "lr": 1e-05, "tied": True, "init": None, "text": ("a b.txt", 'quo"te')}
    write_settings(str(path), given, "repeats this run")
    assert path.read_text() == (
        '# repeats this run\narch = "lstm:2x200"\nlr = 1e-05\ntied = true\ntext = ["a b.txt", "quo\\"te"]\n'
    )
    assert tomllib.loads(path.read_text())["lr"] == 1e-05


@pytest.mark.parametrize(("data", "message"), [(b"arch = ", "not TOML: "), (b"\xff = 1", "not TOML: ")])
def test_what_is_no_toml_is_refused(data: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_bytes(data)
    with pytest.raises(InputError) as refused:
        read_settings(str(path))
    assert str(refused.value).startswith(f"{path}: {message}")


def test_a_name_that_no_toml_can_hold_is_refused(tmp_path: Path) -> None:
    """A file name of other bytes than UTF-8 reaches Python with surrogates in it."""
    with pytest.raises(OutputError) as refused:
        write_settings(str(tmp_path / "config.toml"), {"text": ("\udcff.txt",)}, "")
    assert str(refused.value) == f"{tmp_path}/config.toml: --text holds a name that is not UTF-8"
    assert list(tmp_path.iterdir()) == []


def test_settings_that_are_missing_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError) as refused:
        read_settings(str(tmp_path / "none.toml"))
    assert str(refused.value) == f"{tmp_path}/none.toml: No such file or directory"


def test_differences_name_the_option_and_both_values() -> None:
    old = {"arch": "lstm:200", "lr": 0.5, "text": ["a"], "tied": True}
    new = {"arch": "gru:200", "lr": 0.5, "text": ("a",), "dropout": 0.5}
    assert differences(old, new) == [
        "--arch was lstm:200, is gru:200",
        "--tied was True, is not given",
        "--dropout was not given, is 0.5",
    ]


@pytest.mark.parametrize(
    ("text", "what"),
    [("a = " + "[" * 5000, "not TOML: too deep"), ("a = " + "1" * 5000, "not TOML: ")],
    ids=["deep", "long"],
)
def test_settings_that_no_one_would_write_are_refused(tmp_path: Path, text: str, what: str) -> None:
    """Depth and digits without end are other errors in Python than those of TOML."""
    path = tmp_path / "config.toml"
    path.write_text(text)
    with pytest.raises(InputError) as refused:
        read_settings(str(path))
    assert refused.value.where == str(path) and refused.value.what.startswith(what)
