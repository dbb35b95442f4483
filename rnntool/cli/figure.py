"""Pictures as files, drawn by matplotlib on no display."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rnntool.errors import OptionError, OutputError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from rnntool.cli.curves import Chart
    from rnntool.cli.heatmap import Heatmap

SUFFIXES = ("png", "svg", "pdf")

COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00")
"""Okabe and Ito 2008: told apart by everyone."""

MARKS = "o^sDvPX*"

PADDING = 4
"""Rows that a map's labels take."""

MARGIN = 1.05
"""Ratio by which the y axis goes beyond what is drawn."""


def check_name(option: str, path: str | None) -> None:
    """Raise OptionError if a picture's name does not say what kind it is."""
    if path is not None and _suffix(path) not in SUFFIXES:
        raise OptionError(option, f"'{path}' does not end in .png, .svg or .pdf")


def write_figure(draw: Callable[[], Figure], path: str, *, option: str, otherwise: str) -> None:
    """Draw a picture and write it, whole or not at all; equal pictures have equal bytes.

    Args:
        draw: makes the picture.
        path: ends in one of `SUFFIXES`.
        option: that named the path.
        otherwise: what a user without matplotlib can do, in a few words.

    Raises:
        OutputError: matplotlib is not installed, or the file cannot be written.
    """
    from rnntool.text.files import whole_file

    with _without_traces():
        try:
            import matplotlib
        except ImportError:
            hint = f"pip install 'rnntool[plot]', or {otherwise}"
            raise OutputError(option, "pictures need matplotlib, which is not installed", hint) from None
        matplotlib.rcParams["svg.hashsalt"] = "rnntool"
        figure = draw()
        # Without these, the same picture would have other bytes every time.
        metadata: dict[str, Any] = {
            "png": {"Software": "rnntool"},
            "svg": {"Date": None},
            "pdf": {"CreationDate": None},
        }
        with whole_file(path) as file:
            figure.savefig(file, format=_suffix(path), metadata=metadata[_suffix(path)])


def _suffix(path: str) -> str:
    return os.path.splitext(path)[1].removeprefix(".").lower()


def curves(chart: Chart) -> Figure:
    """The chart as matplotlib draws it, on no display."""
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D
    from matplotlib.ticker import LogLocator, NullLocator, StrMethodFormatter

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


def bars(records: Sequence[Mapping[str, Any]]) -> Figure:
    """What `rnntool bench` measured: tokens per second, ours in colour, and how many times as fast as the baseline."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 1.2 + 0.4 * len(records)), dpi=150, layout="constrained")
    axes = figure.subplots()
    names = [
        f"{r['case']}, {r['batch_size']} stream{'s' * (r['batch_size'] > 1)}: {r['who']} {r['precision']}"
        for r in records
    ]
    colors = [COLORS[0] if r["who"] == "rnntool" else "#999999" for r in records]
    drawn = axes.barh(range(len(records)), [r["tokens_per_second"] for r in records], color=colors)
    axes.bar_label(drawn, [f"{r['speedup']:g} ×" if "speedup" in r else "" for r in records], padding=3)
    axes.set_yticks(range(len(records)), names)
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.margins(x=0.15)
    axes.set_xlabel("tokens per second")
    shape = f"{records[0]['arch']}, output {records[0]['output']}, {records[0]['vocab_size']} words"
    axes.set_title(f"{shape}, threads {records[0]['threads']}", loc="left", fontsize="medium")
    return figure


def heatmaps(shown: Sequence[Heatmap]) -> Figure:
    """Attention, one map below the other: the darker, the more."""
    from matplotlib.figure import Figure

    from rnntool.cli.heatmap import cut

    widest = max(len(each.source) for each in shown)
    heights = [len(each.target) + PADDING for each in shown]
    size = (2 + 0.4 * widest, 0.35 * sum(heights))
    figure = Figure(figsize=size, dpi=150, layout="constrained")
    panels = figure.subplots(len(shown), 1, squeeze=False, height_ratios=heights)
    for (axes,), each in zip(panels, shown, strict=True):
        axes.imshow(each.attention, cmap="Greys", vmin=0, vmax=1, aspect="auto")
        axes.xaxis.tick_top()
        for axis, words in ((axes.xaxis, each.source), (axes.yaxis, each.target)):
            axis.set_ticks(range(len(words)), list(map(cut, words)), parse_math=False)
        axes.tick_params(axis="x", rotation=60)
        axes.set_ylabel(each.title, rotation=0)
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
