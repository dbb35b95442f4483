"""Ways of adapting to the text that is scored, and how they are written.

    cache      [order=N][,time=T][,window=N][,weight=W]
    pointer    [window=N][,theta=X][,weight=W]
    dynamic    [rule=rms|sgd][,lr=RATE][,decay=RATE][,bptt=N]

Where values are fitted on a text, a key may have several with `/` between, `time=50/100/200`; one that is left out takes
its values from a grid or, a weight, is found without one; and the word `fit` leaves all out.  Otherwise what is left out
has a default.  This module knows keys and numbers; what they do is in `rnntool.score`.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from rnntool.errors import OptionError

FIT = "fit"
"""The word that leaves everything to be fitted."""


@dataclass(frozen=True)
class Cache:
    """A cache of the tokens before; see `rnntool.score.cache`."""

    order: int = 1
    """Of its n-grams; 1 for single tokens."""
    time: float = 100.0
    """Tokens after which one counts 1/e; infinite for all alike."""
    window: int = 0
    """The last tokens, which alone count; 0 for as many as matter."""
    weight: float | None = 0.1
    """Share in the mixture, in [0, 1); None if it is yet to be found."""

    def __str__(self) -> str:
        """As it is written."""
        order = self.order if self.order > 1 else None
        time = self.time if self.time < math.inf else None
        return _spelled({"order": order, "time": time, "window": self.window or None, "weight": self.weight})


@dataclass(frozen=True)
class Pointer:
    """A continuous cache; see `rnntool.score.pointer`."""

    window: int = 500
    """The last tokens, which alone count."""
    theta: float = 0.3
    """How sharply states are told apart; 0 for not at all."""
    weight: float | None = 0.1
    """Share in the mixture, in [0, 1); None if it is yet to be found."""

    def __str__(self) -> str:
        """As it is written."""
        return _spelled(vars(self))


@dataclass(frozen=True)
class Dynamic:
    """Dynamic evaluation; see `rnntool.score.dynamic`."""

    rule: str = "rms"
    """A key of `RULES`."""
    lr: float = 0.0003
    """Learning rate."""
    decay: float = 0.003
    """Share of the way back to the trained weights that a step goes, in [0, 1]."""
    bptt: int = 20
    """Tokens of a segment."""

    def __str__(self) -> str:
        """As it is written."""
        return _spelled(vars(self))


Candidate = Dynamic | float | Pointer | Cache
"""A part of an adaptation; the float is a temperature."""


@dataclass(frozen=True)
class Adaptation:
    """What is done to models while they score; the order is that in which it is done."""

    dynamic: Dynamic | None = None
    temperature: float | None = None
    pointer: Pointer | None = None
    caches: tuple[Cache, ...] = ()

    def with_part(self, part: Candidate) -> Adaptation:
        """The same, and one part more."""
        match part:
            case Cache():
                return replace(self, caches=(*self.caches, part))
            case Pointer():
                return replace(self, pointer=part)
            case Dynamic():
                return replace(self, dynamic=part)
            case float():
                return replace(self, temperature=part)

    @property
    def parts(self) -> list[tuple[str, str]]:
        """Names and values of the options that ask for it."""
        own = {"dynamic": self.dynamic, "temperature": self.temperature, "pointer": self.pointer}
        parts = [(name, f"{part:g}" if isinstance(part, float) else str(part)) for name, part in own.items() if part]
        return [*parts, *(("cache", str(cache)) for cache in self.caches)]

    @property
    def needs_network(self) -> bool:
        """Whether there must be a network."""
        return len(self.parts) > len(self.caches)

    @property
    def adapts(self) -> bool:
        """Whether what is scored changes how the rest is scored; a temperature does not."""
        return bool(self.dynamic or self.pointer or self.caches)


def _spelled(values: Mapping[str, Any]) -> str:
    shown = {key: f"{value:g}" if isinstance(value, float) else value for key, value in values.items()}
    return ",".join(f"{key}={value}" for key, value in shown.items() if value is not None)


@dataclass(frozen=True)
class Choices:
    """What an adaptation is to be chosen from: for each part that there is to be, at least one candidate."""

    dynamic: tuple[Dynamic, ...] = ()
    temperature: tuple[float, ...] = ()
    pointer: tuple[Pointer, ...] = ()
    caches: tuple[tuple[Cache, ...], ...] = ()

    @property
    def stages(self) -> list[tuple[Candidate, ...]]:
        """The parts that there are to be, in the order in which they are done."""
        stages: list[tuple[Candidate, ...]] = [self.dynamic, self.temperature, self.pointer, *self.caches]
        return [stage for stage in stages if stage]

    @property
    def is_settled(self) -> bool:
        """Whether nothing is left to choose."""
        return all(len(stage) == 1 and getattr(stage[0], "weight", 0) is not None for stage in self.stages)

    def settled(self) -> Adaptation:
        """The one adaptation that there is to choose."""
        assert self.is_settled
        adaptation = Adaptation()
        for (candidate,) in self.stages:
            adaptation = adaptation.with_part(candidate)
        return adaptation


# --- reading ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Key:
    """What may stand in `KEY=VALUE`."""

    kind: type
    """int, float or str."""
    is_possible: Callable[[Any], bool]
    """Whether a value of this kind may stand there."""
    possible: str
    """Which may, in words."""
    grid: tuple[Any, ...] = ()
    """What is tried where it is to be fitted and left out; if nothing, the default."""


RULES = {"rms": 0.0003, "sgd": 0.4}
"""The known rules of dynamic evaluation, and the learning rate of each."""

_WEIGHT = Key(float, lambda x: 0 <= x < 1, "a number from 0 to below 1", (None,))
_WINDOW = Key(int, lambda n: 1 <= n <= 10**7, "a whole number from 1 to 10000000")

CACHE = {
    "order": Key(int, lambda n: 1 <= n <= 9, "a whole number from 1 to 9"),
    "time": Key(float, lambda x: 1 <= x <= 1e6, "a number from 1 to 1000000", (30.0, 100.0, 300.0, 1000.0)),
    "window": _WINDOW,
    "weight": _WEIGHT,
}
POINTER = {
    "window": _WINDOW,
    "theta": Key(float, lambda x: 0 <= x <= 1e3, "a number from 0 to 1000", (0.1, 0.3, 1.0)),
    "weight": _WEIGHT,
}
DYNAMIC = {
    "rule": Key(str, lambda name: name in RULES, " or ".join(RULES)),
    "lr": Key(float, lambda x: 0 < x <= 1e3, "a number above 0, at most 1000"),
    "decay": Key(float, lambda x: 0 <= x <= 1, "a number from 0 to 1", (0.001, 0.003, 0.01)),
    "bptt": Key(int, lambda n: 1 <= n <= 1000, "a whole number from 1 to 1000"),
}
"""The keys of each, in the order in which they are written."""

TEMPERATURES = Key(
    float, lambda x: 0.01 <= x <= 100, "a number from 0.01 to 100", (0.8, 0.85, 0.9, 0.95, 1.0, 1.05, 1.1, 1.15, 1.2)
)


def parse_cache(text: str, *, fits: bool) -> tuple[Cache, ...]:
    """The caches that `text` names; one, unless they are to be fitted.

    Raises:
        OptionError: it is not of the form above, or leaves open what is not to be fitted.
    """
    given = _given("--cache", CACHE, text, fits)
    if "window" in given and "time" not in given:
        given["time"] = (math.inf,)
    return tuple(Cache(**values) for values in _combined(CACHE, given, fits))


def parse_pointer(text: str, *, fits: bool) -> tuple[Pointer, ...]:
    """The pointers that `text` names; as `parse_cache`."""
    return tuple(Pointer(**values) for values in _combined(POINTER, _given("--pointer", POINTER, text, fits), fits))


def parse_dynamic(text: str, *, fits: bool) -> tuple[Dynamic, ...]:
    """The ways of dynamic evaluation that `text` names; as `parse_cache`."""
    given = _given("--dynamic", DYNAMIC, text, fits)
    candidates = []
    for rule in given.get("rule", ("rms",)):
        usual = RULES[rule]
        rates = given.get("lr", (usual / 2, usual, usual * 2) if fits else (usual,))
        candidates += [
            Dynamic(**values) for values in _combined(DYNAMIC, {**given, "rule": (rule,), "lr": rates}, fits)
        ]
    return tuple(candidates)


def parse_temperature(text: str, *, fits: bool) -> tuple[float, ...]:
    """The temperatures that `text` names; as `parse_cache`."""
    if _is_open("--temperature", text, fits):
        return TEMPERATURES.grid
    return _values("--temperature", "temperature", TEMPERATURES, text, fits)


def _is_open(option: str, text: str, fits: bool) -> bool:
    """Whether a text leaves everything to be fitted."""
    if text == FIT and not fits:
        raise OptionError(option, "there is no text to fit it on", "--fit FILE")
    return text == FIT


def _given(option: str, keys: Mapping[str, Key], text: str, fits: bool) -> dict[str, tuple[Any, ...]]:
    """The values of the keys that a text names."""
    if _is_open(option, text, fits):
        return {}
    given: dict[str, tuple[Any, ...]] = {}
    for part in text.split(","):
        key, equals, values = part.partition("=")
        if key not in keys or not equals:
            raise OptionError(option, f"'{part}' is not KEY=VALUE with one of the keys {', '.join(keys)}")
        if key in given:
            raise OptionError(option, f"'{text}' names {key} twice")
        given[key] = _values(option, key, keys[key], values, fits)
    return given


def _values(option: str, name: str, key: Key, text: str, fits: bool) -> tuple[Any, ...]:
    """The values of one key."""
    words = text.split("/")
    if len(words) > 1 and not fits:
        raise OptionError(
            option, f"{name} has {len(words)} values, and there is no text to choose one on", "--fit FILE"
        )
    values = []
    for word in words:
        try:
            value = key.kind(word)
        except ValueError:
            value = None
        if value is None or not key.is_possible(value):
            raise OptionError(option, f"{name} is '{word}', not {key.possible}")
        values.append(value)
    return tuple(values)


def _combined(keys: Mapping[str, Key], given: Mapping[str, Sequence[Any]], fits: bool) -> Iterator[dict[str, Any]]:
    """All ways to take one value for each key."""
    tried = {key: given.get(key, keys[key].grid if fits else ()) for key in keys}
    tried = {key: values for key, values in tried.items() if values}
    for values in itertools.product(*tried.values()):
        yield dict(zip(tried, values, strict=True))
