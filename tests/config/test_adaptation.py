"""Ways of adapting, as they are written."""

from __future__ import annotations

import math

import pytest

from rnntool.config.adaptation import (
    TEMPERATURES,
    Adaptation,
    Cache,
    Choices,
    Dynamic,
    Pointer,
    parse_cache,
    parse_dynamic,
    parse_pointer,
    parse_temperature,
)
from rnntool.errors import OptionError


@pytest.mark.parametrize(
    ("text", "cache"),
    [
        ("order=1", Cache()),
        ("time=50", Cache(time=50.0)),
        ("weight=0.25,time=1e3", Cache(time=1000.0, weight=0.25)),
        ("window=200", Cache(time=math.inf, window=200)),
        ("order=2,time=300,window=500,weight=0", Cache(2, 300.0, 500, 0.0)),
    ],
)
def test_a_cache_is_read_and_written(text: str, cache: Cache) -> None:
    assert parse_cache(text, fits=False) == (cache,)
    assert parse_cache(str(cache), fits=False) == (cache,)


def test_a_pointer_and_a_way_of_dynamic_evaluation_are_read_and_written() -> None:
    assert parse_pointer("theta=0.5", fits=False) == (Pointer(theta=0.5),)
    assert parse_dynamic("bptt=5", fits=False) == (Dynamic(bptt=5),)
    assert parse_dynamic("rule=sgd", fits=False) == (Dynamic(rule="sgd", lr=0.4),)
    for one in (Pointer(7, 0.25, 0.5), Pointer()):
        assert parse_pointer(str(one), fits=False) == (one,)
    for other in (Dynamic("sgd", 0.5, 0.25, 3), Dynamic()):
        assert parse_dynamic(str(other), fits=False) == (other,)
    assert parse_temperature("1.25", fits=False) == (1.25,)


WITHOUT = "and there is no text to choose one on"


@pytest.mark.parametrize(
    ("parse", "text", "message"),
    [
        (parse_cache, "", "--cache: '' is not KEY=VALUE with one of the keys order, time, window, weight"),
        (parse_cache, "2000", "--cache: '2000' is not KEY=VALUE with one of the keys order, time, window, weight"),
        (parse_cache, "fit,time=2", "--cache: 'fit' is not KEY=VALUE with one of the keys order, time, window, weight"),
        (parse_cache, "time=5,time=6", "--cache: 'time=5,time=6' names time twice"),
        (parse_cache, "time=0.5", "--cache: time is '0.5', not a number from 1 to 1000000"),
        (parse_cache, "time=nan", "--cache: time is 'nan', not a number from 1 to 1000000"),
        (parse_cache, "time=", "--cache: time is '', not a number from 1 to 1000000"),
        (parse_cache, "order=1.5", "--cache: order is '1.5', not a whole number from 1 to 9"),
        (parse_cache, "weight=1", "--cache: weight is '1', not a number from 0 to below 1"),
        (parse_cache, "window=0", "--cache: window is '0', not a whole number from 1 to 10000000"),
        (parse_cache, "fit", "--cache: there is no text to fit it on"),
        (parse_cache, "time=5/6", f"--cache: time has 2 values, {WITHOUT}"),
        (parse_pointer, "order=2", "--pointer: 'order=2' is not KEY=VALUE with one of the keys window, theta, weight"),
        (parse_pointer, "theta=-1", "--pointer: theta is '-1', not a number from 0 to 1000"),
        (parse_dynamic, "rule=adam", "--dynamic: rule is 'adam', not rms or sgd"),
        (parse_dynamic, "lr=0", "--dynamic: lr is '0', not a number above 0, at most 1000"),
        (parse_dynamic, "fit", "--dynamic: there is no text to fit it on"),
        (parse_temperature, "0", "--temperature: temperature is '0', not a number from 0.01 to 100"),
        (parse_temperature, "1/2", f"--temperature: temperature has 2 values, {WITHOUT}"),
        (parse_temperature, "fit", "--temperature: there is no text to fit it on"),
    ],
)
def test_what_is_written_otherwise_is_refused(parse, text: str, message: str) -> None:
    with pytest.raises(OptionError) as refused:
        parse(text, fits=False)
    assert str(refused.value) == message
    assert refused.value.hint == ("--fit FILE" if "there is no text" in message else "")


def test_what_is_left_open_is_fitted() -> None:
    assert parse_cache("time=5/6", fits=True) == (Cache(time=5.0, weight=None), Cache(time=6.0, weight=None))
    assert parse_cache("time=5,weight=0.1/0.2", fits=True) == (Cache(time=5.0, weight=0.1), Cache(time=5.0, weight=0.2))
    assert {cache.time for cache in parse_cache("fit", fits=True)} == {30, 100, 300, 1000}
    assert parse_cache("window=200", fits=True) == (Cache(time=math.inf, window=200, weight=None),)
    assert all(pointer.weight is None for pointer in parse_pointer("fit", fits=True))
    assert [one.lr for one in parse_dynamic("rule=rms/sgd,decay=0", fits=True)] == pytest.approx(
        [0.00015, 0.0003, 0.0006, 0.2, 0.4, 0.8]
    )
    assert parse_temperature("fit", fits=True) == TEMPERATURES.grid
    assert parse_temperature("1/2", fits=True) == (1.0, 2.0)


def test_choices_are_settled_when_one_is_left_of_each() -> None:
    caches = (Cache(time=50.0), Cache(order=2))
    settled = Choices(
        dynamic=(Dynamic(),), temperature=(1.1,), pointer=(Pointer(),), caches=tuple((c,) for c in caches)
    )
    assert settled.is_settled
    assert settled.settled() == Adaptation(Dynamic(), 1.1, Pointer(), caches)
    assert Choices().is_settled and Choices().settled() == Adaptation()
    assert not Choices(pointer=(Pointer(weight=None),)).is_settled
    assert not Choices(temperature=(1.0, 1.1)).is_settled


def test_an_adaptation_is_the_options_that_ask_for_it() -> None:
    adaptation = Adaptation(Dynamic(), 1.1, Pointer(), (Cache(), Cache(order=2, time=300.0)))
    assert adaptation.parts == [
        ("dynamic", "rule=rms,lr=0.0003,decay=0.003,bptt=20"),
        ("temperature", "1.1"),
        ("pointer", "window=500,theta=0.3,weight=0.1"),
        ("cache", "time=100,weight=0.1"),
        ("cache", "order=2,time=300,weight=0.1"),
    ]
    assert adaptation.adapts and adaptation.needs_network
    assert not Adaptation(temperature=1.1).adapts and Adaptation(temperature=1.1).needs_network
    assert Adaptation(caches=(Cache(),)).adapts and not Adaptation(caches=(Cache(),)).needs_network
