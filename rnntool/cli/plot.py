"""`rnntool plot`: the course of runs, or what translations looked at, as a picture."""

from __future__ import annotations

import shutil
import sys
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING

import click

from rnntool.cli import options, report
from rnntool.errors import InputError, OptionError

if TYPE_CHECKING:
    from rnntool.cli.curves import Chart, Run

MOST_MAPS = 20
"""Maps of attention in one picture."""

WIDEST, HEIGHT = 100, 20
"""Columns and lines of a picture in the terminal, at most."""


@options.command("plot")
@options.option("--attention", is_flag=True, help="Draw what translations looked at: RUN are records.")
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
@click.argument("run", nargs=-1, type=options.type_of_file, metavar="[RUN]...")
def command(attention: bool, lag: bool, over: str, table: bool, output: str | None, run: tuple[str, ...]) -> None:
    """Draw the perplexity of runs over their course.

    RUN is a run directory, finished or not, or a metrics.jsonl.  Draws in the terminal: for each run the perplexity on the
    validation text, marked, and on the training text, dashed, on a logarithmic axis.  With -o, writes a picture.  With
    --attention, RUN is what translate --json --alignment soft writes, by default the standard input.

    Examples:
      rnntool plot run
      rnntool plot -o curves.png run other
      rnntool plot --table run | cut -f 2,7,8
      rnntool plot --attention records
    """
    if attention:
        _check_attention(lag, over, table)
    elif not run:
        raise OptionError("", "a RUN is needed, or --attention", "rnntool plot --help")
    if table and output is not None:
        raise OptionError("--table", "goes to the standard output; leave out --output")
    from rnntool.cli import curves, figure

    figure.check_name("--output", output)
    if attention:
        _draw_attention(run or ("-",), output)
        return
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


def _check_attention(lag: bool, over: str, table: bool) -> None:
    """Refuse what is for the course of runs."""
    for option, is_given in (("--lag", lag), ("--over", over != "epochs"), ("--table", table)):
        if is_given:
            raise OptionError(option, "is for the course of runs; leave out --attention")


def _draw_attention(paths: tuple[str, ...], output: str | None) -> None:
    """A map for each record, in the terminal as they come, or all of them in one file."""
    from rnntool.cli import figure, heatmap

    if paths.count("-") > 1:
        raise OptionError("", "the standard input can be read only once")
    maps = (each for path in paths for each in heatmap.read_heatmaps(path))
    if output is None:
        with report.output() as out:
            for number, each in enumerate(maps):
                lines = heatmap.draw(each, width=max(shutil.get_terminal_size().columns, 40))
                out.write("\n" * bool(number) + "".join(f"{line}\n" for line in lines))
                out.flush()
        return
    shown = list(islice(maps, MOST_MAPS + 1))
    if not shown:
        raise InputError("", "no words that looked at anything")
    if len(shown) > MOST_MAPS:
        raise OptionError("--output", f"one picture has room for {MOST_MAPS} translations", f"head -n {MOST_MAPS}")
    drawn = partial(figure.heatmaps, shown)
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
