"""`rnntool plot`: the course of runs as a picture."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from rnntool.cli.curves import Run as Course
from rnntool.cli.curves import gradients, perplexities
from rnntool.cli.picture import MARKS, Axis
from tests.conftest import ROOT, Run

BRAILLE = {chr(code) for code in range(0x2800, 0x2900)}


def course(directory: Path, *, start: float = 6.0, epochs: int = 4, lag: bool = False) -> Path:
    """A run whose losses fall evenly: 1/10 a report, ten reports an epoch."""
    directory.mkdir()
    with (directory / "metrics.jsonl").open("w") as file:
        for step in range(1, 10 * epochs + 1):
            nll = start - step / 10
            record = {"step": step, "epoch": step / 10, "tokens": 100 * step, "seconds": float(step), "lr": 0.1}
            record |= {"train_nll": nll, "grad_norm": 1.0, "clipped": 0.0}
            if step % 10 == 0:
                record |= {"valid_nll": nll + 0.2, "valid_ppl": math.exp(nll + 0.2), "best": True}
                if lag:
                    record["grad_by_lag"] = [math.exp(-k / 5) for k in range(20)]
            file.write(json.dumps(record) + "\n")
    return directory


def rows(out: str) -> list[str]:
    """The lines of the picture's area, without its axis."""
    return [line.split("┤")[-1].split("│")[-1] for line in out.splitlines() if "┤" in line or "│" in line]


def test_a_course_is_drawn_in_the_terminal(run: Run, tmp_path: Path) -> None:
    course(tmp_path / "one")
    done = run("plot", "one", env={"COLUMNS": "80"})
    assert (done.status, done.err) == (0, "")
    lines = done.out.splitlines()
    assert max(map(len, lines)) <= 80
    assert "\x1b" not in done.out
    assert lines[0].strip() == "perplexity"
    assert lines[-4].split() == ["0", "0.5", "1", "1.5", "2", "2.5", "3", "3.5", "4"]
    assert lines[-3].strip() == "epochs"
    assert lines[-2].strip() == "● one  valid 9.03 at epoch 4, train 7.39"
    assert lines[-1].strip() == "marked: validation, dashed: training"
    area = rows(done.out)
    assert set("".join(area)) <= BRAILLE | {" ", "●"}
    # On a logarithmic axis an exponential course is a straight line: the marks fall from left to right.
    marks = [(number, row.index("●")) for number, row in enumerate(area) if "●" in row]
    assert len(marks) == 4
    assert marks == sorted(marks, key=lambda place: place[1])
    slopes = {round((b[0] - a[0]) / (b[1] - a[1]), 1) for a, b in pairwise(marks)}
    assert max(slopes) - min(slopes) <= 0.11


def test_runs_are_told_apart_by_marks_and_colours(run: Run, tmp_path: Path) -> None:
    course(tmp_path / "one")
    course(tmp_path / "two", start=6.5)
    done = run("plot", "one", "two")
    assert {mark for mark in MARKS if mark in "".join(rows(done.out))} == {"●", "▲"}
    colored = run("plot", "--color", "always", "one", "two")
    assert "\x1b[34m●\x1b[0m one" in colored.out
    assert "\x1b[31m▲\x1b[0m two" in colored.out


@pytest.mark.parametrize(("over", "label"), [("steps", "steps"), ("tokens", "thousand tokens"), ("seconds", "seconds")])
def test_a_course_is_drawn_over_other_units(run: Run, tmp_path: Path, over: str, label: str) -> None:
    course(tmp_path / "one")
    assert run("plot", "--over", over, "one").out.splitlines()[-3].strip() == label


def test_the_gradient_is_drawn_by_lag(run: Run, tmp_path: Path) -> None:
    course(tmp_path / "one", lag=True)
    done = run("plot", "--lag", "one")
    assert (done.status, done.err) == (0, "")
    assert done.out.splitlines()[0].strip() == "gradient norm"
    assert done.out.splitlines()[-2].strip() == "lag in tokens"
    assert done.out.splitlines()[-1].strip() == "● one  at epoch 4"
    table = run("plot", "--lag", "--table", "one").out.splitlines()
    assert table[0].split("\t") == ["run", "epoch", "lag", "grad_norm"]
    assert table[1].split("\t") == ["one", "1", "0", "1"]
    assert len(table) == 1 + 4 * 20


def test_a_table_holds_the_numbers(run: Run, tmp_path: Path) -> None:
    course(tmp_path / "one", epochs=1)
    header, first, *_, last = (line.split("\t") for line in run("plot", "--table", "one").out.splitlines())
    assert header == [
        "run", "epoch", "step", "tokens", "seconds", "lr", "train_ppl", "valid_ppl", "grad_norm", "clipped",
    ]  # fmt: skip
    assert first == ["one", "0.1", "1", "100", "1", "0.1", "365.037", "", "1", "0"]
    assert last == ["one", "1", "10", "1000", "10", "0.1", "148.413", "181.272", "1", "0"]


def test_a_real_run_is_drawn(run: Run, toys: Path) -> None:
    done = run("plot", toys / "run", toys / "run" / "metrics.jsonl")
    assert done.status == 0
    assert "valid " in done.out


SIGNATURES = {"png": b"\x89PNG\r\n", "svg": b"<?xml", "pdf": b"%PDF-"}


@pytest.mark.parametrize("suffix", SIGNATURES)
def test_a_picture_is_written_and_the_same_every_time(run: Run, tmp_path: Path, suffix: str) -> None:
    pytest.importorskip("matplotlib")
    course(tmp_path / "one")
    course(tmp_path / "_$two", lag=True)  # a name that matplotlib would take for something else
    pictures = set()
    for _ in range(2):
        done = run("plot", "-o", f"picture.{suffix}", "one", "_$two", env={"HOME": str(tmp_path / "home")})
        assert (done.status, done.out, done.err) == (0, "", "")
        pictures.add((tmp_path / f"picture.{suffix}").read_bytes())
    (picture,) = pictures
    assert picture.startswith(SIGNATURES[suffix])
    assert not (tmp_path / "home").exists()  # matplotlib would leave its list of fonts there


def test_pictures_of_gradients_are_written_too(run: Run, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    course(tmp_path / "one", lag=True)
    assert run("plot", "--lag", "-o", "lag.svg", "one").status == 0
    assert (tmp_path / "lag.svg").stat().st_size > 1000


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        ((), 2, "a RUN is needed, or --attention\ntry: rnntool plot --help"),
        (("-o", "x.jpg", "one"), 2, "--output: 'x.jpg' does not end in .png, .svg or .pdf"),
        (("-o", "x.png", "--table", "one"), 2, "--table: goes to the standard output; leave out --output"),
        (("absent",), 1, "rnntool plot: absent: No such file or directory\n"),
        (("--lag", "one"), 1, "rnntool plot: one: no gradient was measured by lag\ntry: rnntool train --watch\n"),
        (("bare",), 1, "rnntool plot: bare/metrics.jsonl: No such file or directory\n"),
        (("early",), 1, "rnntool plot: early: nothing was measured yet\n"),
        (("bad",), 1, "rnntool plot: bad/metrics.jsonl:2: not JSON: "),
    ],
)
def test_what_cannot_be_drawn_is_said(
    run: Run, tmp_path: Path, words: tuple[str, ...], status: int, message: str
) -> None:
    course(tmp_path / "one")
    (tmp_path / "bare").mkdir()
    (tmp_path / "early").mkdir()
    (tmp_path / "early" / "metrics.jsonl").touch()
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "metrics.jsonl").write_text('{"step": 1}\nnan,\n')
    done = run("plot", *words)
    assert (done.status, done.out) == (status, "")
    assert message in done.err


def test_torch_is_not_needed(tmp_path: Path) -> None:
    course(tmp_path / "one")
    program = (
        "import sys; sys.modules['torch'] = None\n"
        f"from rnntool.cli.main import main; sys.exit(main(['plot', {str(tmp_path / 'one')!r}]))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


# --- curves and axes -------------------------------------------------------------------------------------------------


def test_short_reports_do_not_stand_out() -> None:
    """A report of 1 token among reports of 1000 is averaged away, as its share is."""
    records = []
    tokens = 0
    for step in range(200):
        tokens += 1 if step == 100 else 1000
        records.append({"step": step, "epoch": step / 100, "tokens": tokens, "train_nll": 9.0 if step == 100 else 4.0})
    chart = perplexities([Course("one", records)], "epochs")
    assert chart is not None
    (curve,) = chart.curves
    assert len(curve.points) <= 60
    assert max(y for _, y in curve.points) < math.exp(4.0) * 1.01


def test_values_that_are_no_numbers_are_left_out() -> None:
    records = [
        {"step": 1, "epoch": 1, "tokens": 10, "train_nll": "x", "valid_nll": None},
        {
            "step": 2,
            "epoch": 2,
            "tokens": 20,
            "train_nll": math.inf,
            "valid_nll": 4.0,
            "grad_by_lag": [1.0, "x", math.nan],
        },
    ]
    chart = perplexities([Course("one", records)], "epochs")
    assert chart is not None
    assert [curve.points for curve in chart.curves] == [[(2.0, math.exp(4.0))]]
    lag = gradients([Course("one", records)])
    assert lag is not None and lag.curves[0].points == [(0.0, 1.0)]


@pytest.mark.parametrize(
    ("axis", "ticks"),
    [
        (Axis(0, 4), [0, 1, 2, 3, 4]),
        (Axis(0, 0.13), [0, 0.05, 0.1]),
        (Axis(100, 100), [100]),
        (Axis(90, 1100, is_log=True), [100, 200, 500, 1000]),
        (Axis(1e-6, 1, is_log=True), [1e-06, 1e-05, 1e-04, 1e-03, 1e-02, 1e-01][::2]),
        (Axis(110, 150, is_log=True), [110, 120, 130, 140, 150]),
    ],
)
def test_ticks_are_round_and_few(axis: Axis, ticks: list[float]) -> None:
    assert axis.ticks(5)[: len(ticks)] == pytest.approx(ticks)
    assert len(axis.ticks(5)) <= 6
