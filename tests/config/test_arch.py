"""Architecture strings: what they name, and what they are refused for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnntool.config.arch import FORMS, Arch, parse_arch, usage
from rnntool.errors import OptionError


@st.composite
def archs(draw: st.DrawFn) -> Arch:
    """Any stack that a string can name."""
    cell = draw(st.sampled_from(list(FORMS)))
    form = FORMS[cell]
    size = st.integers(1, 999_999_999)
    second = draw(st.integers(0 if cell == "scrn" else 1, 999)) if form.second_size else 0
    if cell == "lstm":
        second = draw(st.just(0) | size)
    decay = None if form.decay is None else draw(st.floats(0, 1))
    words = draw(st.lists(st.sampled_from(form.functions[1:]), max_size=1)) if form.functions else []
    words += [word for word in form.words if draw(st.booleans())]
    number = draw(st.integers(2 if form.order else 1, 9999))
    layers, order = (1, number) if form.order else (number, 0)
    return Arch(cell, layers, draw(size), second, decay, tuple(words), order)


@given(archs())
def test_the_canonical_string_names_the_same_stack(arch: Arch) -> None:
    assert parse_arch(str(arch)) == arch


@pytest.mark.parametrize(
    ("text", "arch"),
    [
        ("lstm:2x650", Arch("lstm", 2, 650, 0, None, ())),
        ("lstm:1024/256", Arch("lstm", 1, 1024, 256, None, ())),
        ("scrn:100+40@0.95", Arch("scrn", 1, 100, 40, 0.95, ())),
        ("scrn:100", Arch("scrn", 1, 100, 40, 0.95, ())),
        ("scrn:0+40", Arch("scrn", 1, 0, 40, 0.95, ())),
        ("scrn:3+0", Arch("scrn", 1, 3, 0, 0.95, ())),
        ("scrn,prev,learn", Arch("scrn", 1, 100, 40, 0.95, ("learn", "prev"))),
        ("elman:100,tanh", Arch("elman", 1, 100, 0, None, ("tanh",))),
        ("elman:100,sigmoid", Arch("elman", 1, 100, 0, None, ())),
        ("gru-before:2x3", Arch("gru-before", 2, 3, 0, None, ())),
        ("trace:40@1", Arch("trace", 1, 40, 0, 1.0, ())),
        ("jordan:50@.5,tanh", Arch("jordan", 1, 50, 0, 0.5, ("tanh",))),
        ("gru", Arch("gru", 1, 200, 0, None, ())),
        ("ngram", Arch("ngram", 1, 100, 0, None, (), 5)),
        ("ngram:4x30", Arch("ngram", 1, 30, 0, None, (), 4)),
        ("ngram:30,tanh", Arch("ngram", 1, 30, 0, None, (), 5)),
        ("ngram:2x30,direct,sigmoid", Arch("ngram", 1, 30, 0, None, ("sigmoid", "direct"), 2)),
        ("mrnn:700/500", Arch("mrnn", 1, 700, 500, None, ())),
        ("mrnn:2x700", Arch("mrnn", 2, 700, 700, None, ())),
        ("mrnn", Arch("mrnn", 1, 200, 200, None, ())),
    ],
)
def test_a_string_names_its_parts(text: str, arch: Arch) -> None:
    assert parse_arch(text) == arch


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "transformer:12",
            "unknown network 'transformer'; known are ngram, elman, lstm, gru, gru-before, scrn, trace, jordan, mrnn",
        ),
        ("", "unknown network ''; known are ngram, elman, lstm, gru, gru-before, scrn, trace, jordan, mrnn"),
        ("LSTM:3", "unknown network 'LSTM'; known are ngram, elman, lstm, gru, gru-before, scrn, trace, jordan, mrnn"),
        ("lstm:", "'lstm:' is not of the form lstm:[LAYERSx]UNITS[/SIZE]"),
        ("lstm:x3", "'lstm:x3' is not of the form lstm:[LAYERSx]UNITS[/SIZE]"),
        ("lstm:3+4", "'lstm:3+4' is not of the form lstm:[LAYERSx]UNITS[/SIZE]"),
        ("gru:3/4", "'gru:3/4' is not of the form gru:[LAYERSx]UNITS"),
        ("lstm:3/0", "'lstm:3/0' projects to 0 units"),
        ("lstm:0", "'lstm:0' has no units"),
        ("lstm:0x3", "'lstm:0x3' has no layers"),
        ("scrn:0+0", "'scrn:0+0' has no units"),
        ("gru:3@0.5", "'gru' has no decay, 'gru:3@0.5' names one"),
        ("trace:3@1.5", "a decay lies between 0 and 1, 'trace:3@1.5' says 1.5"),
        ("gru:3,tanh", "'gru' has no variant 'tanh'; it has none"),
        ("elman:3,swish", "'elman' has no variant 'swish'; known are sigmoid, tanh, relu"),
        ("elman:3,tanh,relu", "'elman:3,tanh,relu' names 2 variants of which one can hold"),
        ("ngram:3,tanh,sigmoid", "'ngram:3,tanh,sigmoid' names 2 variants of which one can hold"),
        ("ngram:1x3", "'ngram:1x3' sees no word: an order is at least 2"),
        ("ngram:5x0", "'ngram:5x0' has no units"),
        ("ngram:3/4", "'ngram:3/4' is not of the form ngram:[ORDERx]UNITS[,tanh|sigmoid][,direct]"),
        ("mrnn:3/0", "'mrnn:3/0' has no factors"),
        ("mrnn:3+4", "'mrnn:3+4' is not of the form mrnn:[LAYERSx]UNITS[/FACTORS]"),
        ("lstm:9999999999", "'lstm:9999999999' is not of the form lstm:[LAYERSx]UNITS[/SIZE]"),
        ("trace:3@1e3", "'trace:3@1e3' is not of the form trace:[LAYERSx]UNITS[@DECAY][,learn]"),
        ("lstm:٣", "'lstm:٣' is not of the form lstm:[LAYERSx]UNITS[/SIZE]"),
        ("lstm:3\n", "'lstm:3\n' is not of the form lstm:[LAYERSx]UNITS[/SIZE]"),
    ],
)
def test_what_names_no_stack_is_refused(text: str, message: str) -> None:
    with pytest.raises(OptionError) as refused:
        parse_arch(text)
    assert str(refused.value) == f"--arch: {message}"


@given(st.text(max_size=30) | st.from_regex(r"(lstm|scrn|trace|elman|ngram|mrnn)[:x@,+/0-9a-z.]{0,12}", fullmatch=True))
def test_any_text_is_a_stack_or_one_error(text: str) -> None:
    try:
        arch = parse_arch(text)
    except OptionError:
        return
    assert parse_arch(str(arch)) == arch


def test_a_layer_hands_on_all_that_it_has() -> None:
    """H; P where it projects; H + C where slow units stand beside."""
    assert parse_arch("gru:7").output_size == 7
    assert parse_arch("lstm:7/3").output_size == 3
    assert parse_arch("scrn:7+3").output_size == 10
    assert parse_arch("trace:7").output_size == 7
    assert parse_arch("mrnn:7/3").output_size == 7
    assert parse_arch("ngram:4x7").output_size == 7


def test_an_architecture_names_its_function_or_the_usual_one() -> None:
    assert [parse_arch(text).function for text in ("elman:3", "ngram:3", "ngram:3,direct")] == [
        "sigmoid",
        "tanh",
        "tanh",
    ]
    assert [parse_arch(text).function for text in ("elman:3,relu", "ngram:3,direct,sigmoid")] == ["relu", "sigmoid"]
    assert parse_arch("scrn:3,learn").function == ""


def test_the_usage_of_every_cell_is_a_line() -> None:
    assert [usage(cell) for cell in FORMS] == [
        "ngram:[ORDERx]UNITS[,tanh|sigmoid][,direct]",
        "elman:[LAYERSx]UNITS[,sigmoid|tanh|relu]",
        "lstm:[LAYERSx]UNITS[/SIZE]",
        "gru:[LAYERSx]UNITS",
        "gru-before:[LAYERSx]UNITS",
        "scrn:[LAYERSx]UNITS[+CONTEXT][@DECAY][,learn][,prev]",
        "trace:[LAYERSx]UNITS[@DECAY][,learn]",
        "jordan:[LAYERSx]UNITS[@DECAY][,sigmoid|tanh]",
        "mrnn:[LAYERSx]UNITS[/FACTORS]",
    ]
