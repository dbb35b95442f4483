"""`rnntool plot`: the course of runs as a picture."""

from __future__ import annotations

import shutil
import sys
from functools import partial
from typing import TYPE_CHECKING

import click

from rnntool.cli import options, report
from rnntool.errors import InputError, OptionError

if TYPE_CHECKING:
    from rnntool.cli.curves import Chart, Run

WIDEST, HEIGHT = 100, 20
"""Columns and lines of a picture in the terminal, at most."""


@options.command("plot")
@options.option("--lag", is_flag=True, help="Draw the gradient's norm by lag (train --watch).")
@options.option(
    "--over",
    type=click.Choice(["epochs", "steps", "tokens", "seconds"]),
    metavar="UNIT",
    default="epochs",
    help="Draw over epochs, steps, tokens or seconds.",
)
@options.option("--table", is_flag=True, help="Write the numbers, tab-separated, instead.")
@options.option(
    "-o",
    "--output",
    type=options.type_of_file,
    metavar="FILE",
    help="Write a picture: .png, .svg or .pdf (needs matplotlib).",
)
@options.quiet
@options.color
@click.argument("run", nargs=-1, type=options.type_of_file, metavar="RUN...", required=True)
def command(lag: bool, over: str, table: bool, output: str | None, run: tuple[str, ...]) -> None:
    """Draw the perplexity of runs over their course.

    RUN is a run directory, finished or not, or a metrics.jsonl.  Draws in the terminal: for each run the perplexity on the
    validation text, marked, and on the training text, dashed, on a logarithmic axis.  With -o, writes a picture.

    Examples:
      rnntool plot run
      rnntool plot -o curves.png run other
      rnntool plot --table run | cut -f 2,7,8
    """
    if table and output is not None:
        raise OptionError("--table", "goes to the standard output; leave out --output")
    from rnntool.cli import curves, figure

    figure.check_name("--output", output)

    runs = [_read(path) for path in run]
    if table:
        rows = curves.gradient_rows(runs) if lag else curves.perplexity_rows(runs)
        _write_table(curves.GRADIENT_COLUMNS if lag else curves.PERPLEXITY_COLUMNS, rows)
        return
    chart = curves.gradients(runs) if lag else curves.perplexities(runs, over)
    if chart is None:
        what = "no gradient was measured by lag" if lag else "nothing was measured yet"
        raise InputError(run[0] if len(run) == 1 else "", what, "rnntool train --watch" if lag else "")
    if output is None:
        _draw(chart)
    else:
        drawn = partial(figure.curves, chart)
        figure.write_figure(drawn, output, option="--output", otherwise="no --output, to draw in the terminal")


def _read(path: str) -> Run:
    from rnntool.checkpoint.metrics import find_metrics, read_metrics
    from rnntool.cli.curves import Run

    name = report.one_line(path.rstrip("/") or path)
    if name.startswith("_"):
        name = f"./{name}"  # matplotlib leaves names that begin so out of a legend
    return Run(name, list(read_metrics(find_metrics(path))))


def _write_table(columns: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    with report.output() as out:
        for row in (columns, *rows):
            out.write("\t".join(row) + "\n")


def _draw(chart: Chart) -> None:
    """In the terminal, or as it would be there."""
    from rnntool.cli.picture import draw

    width = min(shutil.get_terminal_size().columns, WIDEST)
    for line in draw(chart, width=max(width, 40), height=HEIGHT, colored=report.has_color(sys.stdout)):
        print(line)
