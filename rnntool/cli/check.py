"""`rnntool check`: whether what lies on the disk is whole."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import click

from rnntool.cli import compute, models, options, report
from rnntool.errors import ModelError, RnntoolError

if TYPE_CHECKING:
    from rnntool.checkpoint.run import RunDirectory


@dataclass(frozen=True)
class Finding:
    """What is to be said of one file."""

    path: str
    wrong: str = ""
    """What is wrong with it; empty if nothing."""

    deviation: float | None = None
    """How far its probabilities are from summing to one, where that was measured."""


@options.command("check")
@options.option("--check-sum", is_flag=True, help="Measure how far probabilities are from summing to one, too.")
@options.json
@options.threads
@options.quiet
@options.verbose
@options.color
@click.argument("paths", nargs=-1, type=options.type_of_file, metavar="MODEL...", required=True)
def command(check_sum: bool, json: bool, threads: int | None, paths: tuple[str, ...]) -> None:
    """Check that models and run directories are whole.

    MODEL is a run directory, all of whose files are checked, or a model, state, forest or ARPA file.  Files are read to
    their end: their hashes, their weights, whether their parts fit each other; of metrics.jsonl every line.  Writes a line
    for each file: its name, a tab, and ok or what is wrong.  The status is 1 if anything is.

    Examples:
      rnntool check run
      rnntool check --check-sum run/best.rnn
    """
    checked = wrong = 0
    with report.output() as out:
        for path in paths:
            for finding in _findings(path, threads, with_sum=check_sum):
                checked += 1
                wrong += bool(finding.wrong)
                out.write((_as_json(finding) if json else _plain(finding)) + "\n")
                out.flush()
    if wrong:
        raise ModelError("", f"{wrong} of {checked} files {'is' if wrong == 1 else 'are'} not whole")


def _plain(finding: Finding) -> str:
    measured = "" if finding.deviation is None else f"\tsums to 1 within {finding.deviation:.1e}"
    return f"{report.one_line(finding.path)}\t{finding.wrong or 'ok'}{measured}"


def _as_json(finding: Finding) -> str:
    record = {"file": finding.path, "ok": not finding.wrong, "wrong": finding.wrong, "deviation": finding.deviation}
    return json.dumps({name: value for name, value in record.items() if value not in ("", None)}, ensure_ascii=False)


def _findings(path: str, threads: int | None, *, with_sum: bool) -> Iterator[Finding]:
    """Everything there is to check at a path."""
    if not os.path.isdir(path):
        yield _file(path, threads, with_sum=with_sum)
        return
    compute.prepare(threads, "cpu")
    from rnntool.checkpoint.run import RunDirectory

    run = RunDirectory(path)
    containers = sorted(entry.path for entry in os.scandir(path) if entry.name.endswith(".rnn"))
    if not run.has_run and not containers:
        yield Finding(path, "not a run directory: no config.toml")
        return
    yield _settings(run)
    if os.path.exists(run.metrics):
        yield _metrics(run)
    for part in ("train", "train-source", "valid", "valid-source"):
        corpus = os.path.join(run.corpus, part)
        if os.path.exists(os.path.join(corpus, "corpus.json")):
            yield _corpus(corpus)
    for each in containers:
        found = _in_run(each, with_sum=with_sum)
        wrong = found.wrong or (run.trouble_with(each) if each in (run.best, run.last) else "")
        yield replace(found, wrong=wrong)
    for each in (run.best, run.last):
        if each not in containers and (wrong := run.trouble_with(each)):
            yield Finding(each, wrong)


def _settings(run: RunDirectory) -> Finding:
    from rnntool.checkpoint.settings import read_settings

    try:
        settings = read_settings(run.config)
    except RnntoolError as error:
        return Finding(run.config, error.what)
    state, known = run.settings
    if "dropout" not in settings:  # which has been settled since
        known.pop("dropout", None)
    different = sorted(key for key, value in known.items() if value is not None and settings.get(key) != value)
    if different:
        return Finding(run.config, f"not the settings that {state} was written with: {', '.join(different)}")
    return Finding(run.config)


def _metrics(run: RunDirectory) -> Finding:
    """Every line a record, their steps rising, and all there that the newest state counts on."""
    from rnntool.checkpoint.metrics import read_metrics
    from rnntool.checkpoint.run import hash_of

    try:
        for _ in read_metrics(run.metrics):
            pass
    except RnntoolError as error:
        line = error.where.removeprefix(run.metrics).removeprefix(":")
        return Finding(run.metrics, f"line {line}: {error.what}" if line else error.what)
    size = os.path.getsize(run.metrics)
    state, facts = run.newest()
    needed, sha256 = facts.get("metrics_length"), facts.get("metrics_sha256")
    if isinstance(needed, int) and needed > size:
        return Finding(run.metrics, f"{size} bytes; {state} counts on {needed}")
    if isinstance(needed, int) and sha256 and hash_of(run.metrics, needed) != sha256:
        return Finding(run.metrics, f"its content is not what {state} counts on")
    return Finding(run.metrics)


def _corpus(directory: str) -> Finding:
    """The ids of a text, kept while a run lasts."""
    from rnntool.text.corpus import verify_corpus

    try:
        verify_corpus(directory)
    except RnntoolError as error:
        return Finding(directory, error.what)
    return Finding(directory)


def _file(path: str, threads: int | None, *, with_sum: bool) -> Finding:
    """A file that is no directory."""
    try:
        begun = models.begin(path)
    except RnntoolError as error:
        return Finding(path, error.what)
    if begun.is_arpa:
        return _ngrams(begun, with_sum=with_sum)
    if begun.is_forest:
        return _forest(begun, with_sum=with_sum)
    compute.prepare(threads, "cpu")
    return _container(path, begun, with_sum=with_sum)


def _ngrams(begun: models.Begun, *, with_sum: bool) -> Finding:
    """An ARPA file: every line, and that nothing is missing or there twice."""
    from rnntool.ngram.normalization import TOLERANCE, deviation_from_one

    try:
        model = models.read_ngrams(begun)
    except RnntoolError as error:
        line = error.where.rpartition(":")[2] if error.where != begun.path else ""
        return Finding(begun.path, f"line {line}: {error.what}" if line.isdecimal() else error.what)
    return _summed(begun.path, deviation_from_one(model), TOLERANCE) if with_sum else Finding(begun.path)


def _forest(begun: models.Begun, *, with_sum: bool) -> Finding:
    """A random forest: its hash, and that its parts fit each other."""
    from rnntool.ngram.normalization import TOLERANCE, forest_deviation_from_one

    try:
        forest = models.load_forest(begun)
    except RnntoolError as error:
        return Finding(begun.path, error.what)
    return _summed(begun.path, forest_deviation_from_one(forest), TOLERANCE) if with_sum else Finding(begun.path)


def _in_run(path: str, *, with_sum: bool) -> Finding:
    """A model or a state in a run directory, where there is no reason for a pipe."""
    from rnntool.checkpoint.run import check_regular

    try:
        check_regular(path)
    except RnntoolError as error:
        return Finding(path, error.what)
    return _container(path, with_sum=with_sum)


def _container(path: str, begun: models.Begun | None = None, *, with_sum: bool) -> Finding:
    """A model or a state: its hash, its parts, its weights."""
    from rnntool.checkpoint.container import read_container, read_facts
    from rnntool.checkpoint.model import check_finite
    from rnntool.checkpoint.run import read_state, step_of
    from rnntool.score.normalization import TOLERANCE, deviation_from_one
    from rnntool.text.files import is_regular

    try:
        # In a run the name says what a file must be; a pipe can be read only once, and is taken for a model.
        step, is_model = step_of(path), os.path.basename(path) in ("best.rnn", "last.rnn")
        if step is not None or (not is_model and is_regular(path) and read_facts(path).get("kind") == "state"):
            _, tensors = read_container(path, "state") if step is None else read_state(path, step)
            check_finite(path, tensors, "damaged")
        else:
            model = models.load_network(begun or models.begin(path))
            if with_sum:
                deviation = deviation_from_one(model.network, eos_id=model.vocabulary.eos_id)
                return _summed(path, deviation, TOLERANCE)
    except RnntoolError as error:
        return Finding(path, error.what)
    return Finding(path)


def _summed(path: str, deviation: float, tolerance: float) -> Finding:
    wrong = "" if deviation <= tolerance else "its probabilities do not sum to one"
    return Finding(path, wrong, deviation)
