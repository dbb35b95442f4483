"""What a user can get wrong, one class per kind.

Every room raises these; only `cli` catches them, prints `rnntool COMMAND: WHERE: WHAT` and, where there is one likely
remedy, a second line `try: HINT`, and leaves with the class's status.  Messages are lower case, name both things that
disagree, in numbers, and end without a full stop.  A Python exception of any other class that reaches the user is a bug.
"""

from __future__ import annotations


class RnntoolError(Exception):
    """Something that could not be done, in parts that `cli` assembles into one message.

    Args:
        where: what it is about: a file, `file:line`, or an option; empty if the whole command.
        what: what is wrong there.
        hint: the one likely remedy, if there is one.
    """

    status = 1
    """The exit status of a command that ends with this error."""

    def __init__(self, where: str, what: str, hint: str = "") -> None:
        super().__init__(where, what, hint)
        self.where = where
        self.what = what
        self.hint = hint

    def __str__(self) -> str:
        """The message on one line, without the hint."""
        return f"{self.where}: {self.what}" if self.where else self.what


class InputError(RnntoolError):
    """A text, vocabulary or other input that cannot be read, or does not hold what it should."""


class OutputError(RnntoolError):
    """A result that cannot be written."""


class ModelError(RnntoolError):
    """A model file or run directory that is damaged, of another kind, or does not fit its companions."""


class NewerError(ModelError):
    """A model or state of a format that a newer version writes; it is whole, and must not be written over."""


class TrainingError(RnntoolError):
    """A run that cannot go on: diverged, out of memory, or its directory unusable."""


class Diverged(TrainingError):
    """A run whose loss will not come back; processes that train together all find it at the same update."""


class Lost(TrainingError):
    """Another process of those that train together went away, or does not answer."""


class DeviceError(RnntoolError):
    """A device that was asked for and is not there."""


class OptionError(RnntoolError):
    """Options that contradict each other or name something unknown: the command line was wrong."""

    status = 2


class Stopped(RnntoolError):
    """A run that stopped early on request, with everything saved; the same command goes on.

    Args:
        status: 75 for a time limit or a warning signal; 128 + n for signal n.
    """

    def __init__(self, where: str, what: str, *, status: int = 75) -> None:
        super().__init__(where, what, "the same command again, to go on")
        self.status = status


class RnntoolWarning(UserWarning):
    """Something worth one line on the standard error; the work goes on.

    Raised through `warnings.warn`, so that a caller chooses what becomes of it; `cli` prints it in the form of an error.
    """

    def __init__(self, where: str, what: str) -> None:
        super().__init__(where, what)
        self.where = where
        self.what = what

    def __str__(self) -> str:
        """The message on one line."""
        return f"{self.where}: {self.what}" if self.where else self.what


def is_out_of_memory(error: RuntimeError) -> bool:
    """Whether torch says so, of a processor or of a GPU."""
    text = str(error).partition("\n")[0]
    return "out of memory" in text or "can't allocate memory" in text
