"""`rnntool info`: what a model is, where it comes from, and what it may do to gradients."""

from __future__ import annotations

import contextlib
import json
import math
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import MISSING, asdict, fields
from typing import TYPE_CHECKING, Any

import click

from rnntool.cli import compute, models, options, report
from rnntool.config.network import NetworkConfig
from rnntool.config.training import TrainingConfig
from rnntool.errors import OptionError, RnntoolError

if TYPE_CHECKING:
    from rnntool.checkpoint.model import Model
    from rnntool.models.network import Network
    from rnntool.ngram.model import NgramModel
    from rnntool.text.vocabulary import Vocabulary

COLUMNS = (12, 18)
"""Widths of the first two columns on a terminal."""

HASH_SHOWN = 12
"""Digits of a text's hash that are shown; --json has all."""

UNTRAINED = "Without a model"

_DEFAULTS = {field.name: field.default for config in (NetworkConfig, TrainingConfig) for field in fields(config)}


@options.command("info")
@options.json
@options.option(
    "--arch", section=UNTRAINED, metavar="ARCH", help="Describe a network that is not trained yet; rnntool-arch(5)."
)
@options.option("--vocab-size", section=UNTRAINED, type=options.Whole(2), metavar="N", help="Its vocabulary's size.")
@options.option(
    "--embed-size",
    section=UNTRAINED,
    type=options.Whole(1),
    metavar="N",
    help="Width of its embeddings; default: that of the layers.",
)
@options.option("--tied", section=UNTRAINED, is_flag=True, help="Its embedding is the output layer's weight, too.")
@options.threads
@options.quiet
@options.verbose
@options.color
@click.argument("model", nargs=-1, type=options.type_of_file, metavar="[MODEL]...")
def command(
    json: bool,
    arch: str | None,
    vocab_size: int | None,
    embed_size: int | None,
    tied: bool,
    threads: int | None,
    model: tuple[str, ...],
) -> None:
    """Describe models: architecture, parameters, vocabulary, results, origin.

    MODEL is a run directory, a model file, a forest or an ARPA file.  Writes section, name and value: one fact a line,
    tab-separated unless on a terminal.  For every recurrent matrix: its spectral radius, its norm, and the norm times the
    steepest slope of the nonlinearity, which must exceed 1 before gradients can explode.  Time grows with the cube of the
    units.

    Examples:
      rnntool info run
      rnntool info --json run | jq .metrics.valid_ppl
      rnntool info --arch lstm:2x200 --vocab-size 10000
    """
    _check(arch, vocab_size, embed_size, tied, model)
    if arch is not None:
        compute.prepare(threads, "cpu")
        config = NetworkConfig(arch, embed_size=embed_size or 0, tied=tied)
        config.check()
        _write([_untrained(config, vocab_size or 0)], as_json=json)
    else:
        _write((_described(path, threads) for path in model), as_json=json)


def _check(
    arch: str | None, vocab_size: int | None, embed_size: int | None, tied: bool, model: tuple[str, ...]
) -> None:
    """Refuse options that contradict each other."""
    if arch is None:
        for option, is_given in (("--vocab-size", vocab_size), ("--embed-size", embed_size), ("--tied", tied)):
            if is_given:
                raise OptionError(option, "goes with --arch")
        if not model:
            raise OptionError("", "a MODEL is needed, or --arch", "rnntool info --help")
    elif model:
        raise OptionError("--arch", f"describes a network without a model; leave out {model[0]}")
    elif vocab_size is None:
        raise OptionError("--vocab-size", "is needed to count the parameters of --arch")


# --- facts -----------------------------------------------------------------------------------------------------------

Described = Iterator[tuple[str, Any]]
"""The sections of one description as they are known, the slow ones last."""


def _described(path: str, threads: int | None) -> Described:
    """All that is known of a model, and of the run that it is the best of."""
    begun = models.begin(path)
    if begun.is_arpa:
        yield from _of_ngrams(begun)
    elif begun.is_forest:
        yield from _of_forest(begun)
    else:
        yield from _of_network(begun, threads)
        yield from _of_run(path)


def _of_run(path: str) -> Described:
    """Where the last sitting of a run took place, if this is one, and its newest state says so."""
    from rnntool.checkpoint.container import read_facts
    from rnntool.checkpoint.run import RunDirectory

    for _, state in RunDirectory(path).states()[:1]:
        with contextlib.suppress(RnntoolError):  # `check` is for damage
            if environment := _mapping(read_facts(state).get("environment")):
                yield "environment", environment


def _of_ngrams(begun: models.Begun) -> Described:
    """All that an ARPA file says."""
    from rnntool.text.files import shown

    model = models.read_ngrams(begun)
    yield "file", shown(begun.path)
    yield "ngrams", _sizes(model)
    yield "vocabulary", _vocabulary(model.vocabulary)


def _of_forest(begun: models.Begun) -> Described:
    """All that a random forest says."""
    from rnntool.text.files import shown

    forest = models.load_forest(begun)
    nodes = sum(len(counted.tree.children) for counted in forest.trees)
    yield "file", shown(begun.path)
    yield "forest", {"trees": len(forest.trees), "history": forest.length, "nodes": nodes}
    yield "ngrams", _sizes(forest.ngrams)
    yield "vocabulary", _vocabulary(forest.vocabulary)


def _sizes(model: NgramModel) -> dict[str, int]:
    """How many n-grams there are."""
    sizes = {f"{order}-grams": model.grams.size(order) for order in range(1, model.order + 1)}
    return {"order": model.order, **sizes}


def _of_network(begun: models.Begun, threads: int | None) -> Described:
    """All that is known of a network."""
    device = compute.prepare(threads, "cpu")
    from rnntool.checkpoint.container import read_facts
    from rnntool.text.files import is_regular

    model = models.load_network(begun, device)
    yield "file", model.name
    yield from _network(model.config, model.network)
    yield "vocabulary", _vocabulary(model.vocabulary)
    if model.source_vocabulary is not None:
        yield "sources", _vocabulary(model.source_vocabulary)
    yield "metrics", model.metrics
    provenance = dict(model.provenance)
    if averaged := provenance.pop("averaged", None):
        yield "average", {"models": averaged}
    texts = provenance.pop("data", [])
    yield "data", [_mapping(text) for text in texts] if isinstance(texts, list) else []
    yield "settings", _mapping(provenance.pop("settings", {}))
    written_by = {"rnntool": read_facts(model.name)["version"]} if is_regular(model.name) else {}
    yield "versions", written_by | provenance
    yield "recurrence", list(_recurrence(model))


def _vocabulary(vocabulary: Vocabulary) -> dict[str, Any]:
    return {"unit": vocabulary.unit, "size": len(vocabulary), "digest": vocabulary.digest}


def _mapping(value: Any) -> dict[str, Any]:
    """What a file says of itself, if it says it as rnntool does."""
    return value if isinstance(value, dict) else {}


def _untrained(config: NetworkConfig, vocab_size: int) -> Described:
    """What is known of a network before it has weights."""
    import torch

    from rnntool.models.network import build_network

    with torch.device("meta"):
        network = build_network(config, vocab_size)
    yield from _network(config, network)


def _network(config: NetworkConfig, network: Network) -> Described:
    """Architecture, sizes, and how it is driven."""
    from rnntool.models.parts import parameters, plans

    sizes = {"embed_size": network.embedding.shape[1], "direct_input": network.decoder.stack[0].is_direct}
    yield "network", {**asdict(config), "arch": str(config.parsed_arch), **sizes}
    yield "parameters", parameters(network)
    yield "plan", {name: asdict(plan) for name, plan in plans(network).items()}


def _recurrence(model: Model) -> Iterator[dict[str, Any]]:
    """The recurrent matrices, measured."""
    from rnntool.models.parts import recurrent_layers
    from rnntool.nn.spectrum import stretches

    for name, layer in recurrent_layers(model.network):
        for stretch in stretches(layer.cell, layer.weights()):
            measured = {
                "radius": stretch.radius,
                "norm": stretch.norm,
                "slope": stretch.slope,
                "growth": stretch.growth,
            }
            finite = {name: value if math.isfinite(value) else None for name, value in measured.items()}
            place = {"part": name, "layer": int(name.split()[1])}
            yield {**place, "weight": stretch.name, "gate": stretch.gate, **finite}


# --- lines -----------------------------------------------------------------------------------------------------------


def _write(descriptions: Iterable[Described], *, as_json: bool) -> None:
    with report.output() as out:
        for number, description in enumerate(descriptions):
            if as_json:
                out.write(json.dumps(dict(description), ensure_ascii=False) + "\n")
                continue
            if number:
                out.write("\n")
            for section, facts in description:
                for line in _laid_out(section, _lines(section, facts)):
                    out.write(line)
                out.flush()


def _laid_out(section: str, lines: Iterable[tuple[str, str]]) -> Iterator[str]:
    """One section as a table on a terminal, else tab-separated with the section on every line."""
    is_table = sys.stdout.isatty()
    for number, (name, value) in enumerate(lines):
        name, value = report.one_line(name), report.one_line(value)
        if is_table:
            yield f"{'' if number else section:{COLUMNS[0]}} {name:{COLUMNS[1]}} {value}\n"
        else:
            yield f"{section}\t{name}\t{value}\n"


def _lines(section: str, facts: Any) -> Iterator[tuple[str, str]]:
    """One section as names and values."""
    match section:
        case "data":
            for text in facts:
                known = {**text, "sha256": str(text.get("sha256"))[:HASH_SHOWN]}
                role, path = known.pop("role", ""), known.pop("path", "")
                yield str(role), f"{path} {_pairs(known)}"
        case "recurrence":
            for matrix in facts:
                part = matrix["gate"] or matrix["weight"].replace("weight_hh", "")
                yield (
                    f"{matrix['part']} {part}".strip(),
                    _pairs({name: matrix[name] for name in ("radius", "norm", "growth")}),
                )
        case "plan":
            for layer, plan in facts.items():
                yield layer, f"{plan['backend']}: {plan['reason']}"
        case "settings":
            for name, value in facts.items():
                if value != _DEFAULTS.get(name.replace("-", "_"), MISSING):
                    yield name, _value(value)
        case "file":
            yield "", facts
        case _:
            for name, value in facts.items():
                yield name, _value(value)


def _pairs(facts: Mapping[str, Any]) -> str:
    """`name value name value …`."""
    return " ".join(f"{name} {_value(value)}" for name, value in facts.items())


def _value(value: Any) -> str:
    match value:
        case bool():
            return "yes" if value else "no"
        case float():
            return f"{value:.5g}"
        case list():
            return " ".join(map(_value, value))
    return "-" if value is None else str(value)
