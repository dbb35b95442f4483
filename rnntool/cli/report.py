"""All that is said to a human: messages, warnings, progress; and the way of a text to the standard output.

Messages go to the standard error and nowhere else, one per line.  What a user wrote (a name, a sentence, a message that
quotes it) cannot steer a terminal: control characters are shown, not sent.  Bytes that go into a file or a pipe are
left as they are.  A standard error that cannot be written is no reason to stop.

This module knows the terminal and nothing about any command.  rich is imported when something is drawn, never before.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Literal

from rnntool.errors import RnntoolWarning

if TYPE_CHECKING:
    from rich.console import Console


@dataclass
class Manner:
    """How this run speaks; set once, by the options, before the command's body begins."""

    program: str = "rnntool"
    """What messages begin with: `rnntool`, or `rnntool COMMAND` once it is known."""

    quiet: bool = False
    """Errors only."""

    verbose: bool = False
    """Details too."""

    color: Literal["auto", "always", "never"] = "auto"
    """As `--color`; auto looks at NO_COLOR, FORCE_COLOR and the terminal."""


manner = Manner()
"""The manner of this process."""

_console: Console | None = None


# --- text that cannot steer a terminal -------------------------------------------------------------------------------

# C0 but for newline and tab, delete, C1, and the marks that reorder a line (Unicode Bidirectional Algorithm, UAX #9).
_STEERING = [*range(0x20), *range(0x7F, 0xA0), 0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)]
_ESCAPES = {code: f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" for code in _STEERING}
_TEXT = {code: escape for code, escape in _ESCAPES.items() if chr(code) not in "\n\t"}


def visible(text: str) -> str:
    """Spell out the control characters of a text, newlines and tabs excepted, as backslash, x and two digits."""
    return text.translate(_TEXT)


def one_line(text: str) -> str:
    """Spell out the control characters of a text, newlines and tabs too, so that it stays on its line."""
    return text.translate(_ESCAPES)


class _VisibleText(io.TextIOBase):
    """A terminal as a text stream on which control characters are shown."""

    def __init__(self, terminal: IO[str]) -> None:
        self._terminal = terminal

    def write(self, text: str) -> int:
        self._terminal.write(visible(text))
        return len(text)

    def flush(self) -> None:
        self._terminal.flush()


@contextlib.contextmanager
def output(path: str = "-") -> Iterator[IO[str]]:
    """Open the place where a command's product goes, as UTF-8 text with lines ending in a newline.

    Args:
        path: a file, written whole or not at all, compressed as its suffix says; `-` is the standard output, on which
            control characters are shown if it is a terminal.

    Raises:
        OutputError: the file cannot be written.
    """
    if path != "-":
        from rnntool.text.files import whole_file

        with whole_file(path, "w") as file:
            yield file
    elif sys.stdout.isatty():
        yield _VisibleText(sys.stdout)  # type: ignore[misc]  # all of IO[str] that is used: write and flush
    else:
        yield sys.stdout
        sys.stdout.flush()


# --- lines on the standard error -------------------------------------------------------------------------------------


def _tell(line: str) -> None:
    """Write one line, whatever becomes of it: data must not suffer from a full log."""
    with contextlib.suppress(OSError):
        if _console is None:
            print(line, file=sys.stderr, flush=True)
        else:  # above a display that may be moving
            _console.print(line, soft_wrap=True)


def say(text: str) -> None:
    """Say something worth knowing, unless --quiet."""
    if not manner.quiet:
        _tell(visible(text))


def detail(text: str) -> None:
    """Say something only --verbose asks for."""
    if manner.verbose:
        _tell(visible(text))


def record(**fields: object) -> None:
    """Say `key value key value …` on one line, as grep and awk like it, unless --quiet; None is left out.

    A float is shown with five significant digits; a caller that wants others passes a string.
    """
    shown = ((key, f"{value:.5g}" if isinstance(value, float) else value) for key, value in fields.items())
    say(" ".join(f"{key} {value}" for key, value in shown if value is not None))


def failure(where: str, what: str, hint: str = "") -> None:
    """Say why the command ends here: `rnntool COMMAND: WHERE: WHAT`, and `try: HINT` if there is a remedy."""
    _tell(": ".join(one_line(part) for part in (manner.program, where, what) if part))
    if hint:
        _tell(f"try: {one_line(hint)}")


def warning(where: str, what: str) -> None:
    """Say that something is worth a look while the work goes on, unless --quiet."""
    if not manner.quiet:
        failure(where, what)


def show_warnings() -> None:
    """Print every RnntoolWarning in the form of an error; leave out what libraries warn about, unless debugging."""

    def show(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: object = None,
        line: str | None = None,
    ) -> None:
        if isinstance(message, RnntoolWarning):
            warning(message.where, message.what)
        else:
            warning("", f"{category.__name__}: {message} ({filename}:{lineno})")

    warnings.showwarning = show
    if not sys.warnoptions and not os.environ.get("RNNTOOL_DEBUG"):
        warnings.simplefilter("ignore")
    warnings.simplefilter("always", RnntoolWarning)


# --- drawing ---------------------------------------------------------------------------------------------------------


def is_live(*, has_product: bool = False) -> bool:
    """Whether a moving display is welcome: on a terminal, unless --quiet, and not among the lines of a product.

    Args:
        has_product: whether the command writes to the standard output while the display moves.
    """
    if manner.quiet or not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
        return False
    return not (has_product and sys.stdout.isatty())


def has_color(stream: IO[str]) -> bool:
    """Whether to colour what goes to a stream: --color, then NO_COLOR, then FORCE_COLOR, then the terminal."""
    if manner.color != "auto":
        return manner.color == "always"
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def console() -> Console:
    """The one rich console, on the standard error, which takes every text literally; for drawing, never for data."""
    global _console
    if _console is None:
        from rich.console import Console

        colored = has_color(sys.stderr)
        _console = Console(
            stderr=True,
            markup=False,
            highlight=False,
            emoji=False,
            no_color=not colored,
            force_terminal=colored or None,
        )
    return _console
