"""`rnntool plot`: the course of runs as a picture."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from rnntool.cli import options, report
from rnntool.errors import InputError, OptionError, OutputError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from rnntool.cli.curves import Chart, Run

SUFFIXES = ("png", "svg", "pdf")

WIDEST, HEIGHT = 100, 20
"""Columns and lines of a picture in the terminal, at most."""

COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00")
"""Okabe and Ito 2008: told apart by everyone."""

MARKS = "o^sDvPX*"

MARGIN = 1.05
"""Ratio by which the y axis goes beyond what is drawn."""


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
    if output is not None and _suffix(output) not in SUFFIXES:
        raise OptionError("--output", f"'{output}' does not end in .png, .svg or .pdf")
    from rnntool.cli import curves

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
        _save(chart, output)


def _read(path: str) -> Run:
    from rnntool.checkpoint.metrics import find_metrics, read_metrics
    from rnntool.cli.curves import Run

    name = report.one_line(path.rstrip("/") or path)
    if name.startswith("_"):
        name = f"./{name}"  # matplotlib leaves names that begin so out of a legend
    return Run(name, list(read_metrics(find_metrics(path))))


def _suffix(path: str) -> str:
    return os.path.splitext(path)[1].removeprefix(".").lower()


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


# --- pictures as files -----------------------------------------------------------------------------------------------


def _save(chart: Chart, path: str) -> None:
    from rnntool.text.files import whole_file

    with _without_traces():
        figure = _figure(chart)
        # Without these, the same picture would have other bytes every time.
        metadata: dict[str, Any] = {
            "png": {"Software": "rnntool"},
            "svg": {"Date": None},
            "pdf": {"CreationDate": None},
        }
        with whole_file(path) as file:
            figure.savefig(file, format=_suffix(path), metadata=metadata[_suffix(path)])


def _figure(chart: Chart) -> Figure:
    """The chart as matplotlib draws it, on no display."""
    try:
        import matplotlib
        from matplotlib.figure import Figure
        from matplotlib.lines import Line2D
        from matplotlib.ticker import LogLocator, NullLocator, StrMethodFormatter
    except ImportError:
        hint = "pip install 'rnntool[plot]', or no --output, to draw in the terminal"
        raise OutputError("--output", "pictures need matplotlib, which is not installed", hint) from None
    matplotlib.rcParams["svg.hashsalt"] = "rnntool"
    figure = Figure(figsize=(8, 5.5), dpi=150, layout="constrained")
    axes = figure.subplots()
    for curve in chart.curves:
        x, y = zip(*curve.points, strict=True)
        if curve.is_main:
            axes.plot(x, y, **_manner(curve.run))
        else:
            axes.plot(x, y, color=_manner(curve.run)["color"], linestyle="--", linewidth=0.9, alpha=0.7)
    handles = [Line2D([], [], **_manner(number)) for number in range(len(chart.legend))]
    legend = figure.legend(
        handles, chart.legend, title=chart.key, loc="outside upper left", frameon=False, alignment="left"
    )
    for text in legend.get_texts():
        text.set_parse_math(False)  # a name may hold a dollar sign
    axes.set_yscale("log")
    axes.set_ylim(chart.bottom / MARGIN, chart.top * MARGIN)
    axes.set_xlim(0, chart.right * 1.01)
    if chart.top < 100 * chart.bottom:  # so few powers of ten would be too few ticks
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 1.5, 2, 3, 5, 7)))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.set_xlabel(chart.x_label)
    axes.set_ylabel(chart.y_label)
    axes.grid(alpha=0.3)
    return figure


def _manner(run: int) -> dict[str, Any]:
    """How a run's curve looks."""
    color, mark = COLORS[run % len(COLORS)], MARKS[run % len(MARKS)]
    return {"color": color, "marker": mark, "markersize": 5, "linewidth": 1.8}


@contextlib.contextmanager
def _without_traces() -> Iterator[None]:
    """Lend matplotlib a folder for its list of fonts, which it would else leave in the home directory.

    Where it has one already, or was given one, that is used, and saves a second.
    """
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    if "MPLCONFIGDIR" in os.environ or os.path.isdir(os.path.join(cache, "matplotlib")):
        yield
        return
    with tempfile.TemporaryDirectory(prefix="rnntool-") as folder:
        os.environ["MPLCONFIGDIR"] = folder
        yield
