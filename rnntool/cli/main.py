"""The program: its commands, and how each of its ends looks from outside.

| status | meaning |
|--:|---|
| 0 | done |
| 1 | could not be done; one message on the standard error says why |
| 2 | the command line was wrong |
| 75 | stopped early on request with everything saved; the same command goes on |
| 129, 130, 143 | hung up, interrupted, terminated |
| 141 | the reader of the output went away |

Errors of every kind arrive here and are printed here, and the standard output is flushed here, because a full disk may
show only then.
"""

from __future__ import annotations

import importlib
import os
import re
import signal
import sys
from collections.abc import Sequence
from errno import EBADF, EDQUOT, EFBIG, EIO, ENOSPC
from types import FrameType
from typing import TYPE_CHECKING

import click

from rnntool import __version__
from rnntool.cli import options, report
from rnntool.errors import RnntoolError, is_out_of_memory

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

COMMANDS = {
    "Text": {
        "vocab": "make a vocabulary of text",
        "encode": "cut text into the tokens of a vocabulary",
        "decode": "put the tokens of a vocabulary together to text",
    },
    "Models": {
        "train": "train a recurrent language model",
        "ngram": "make an n-gram model of text",
        "info": "print what a model is",
        "check": "check that models and run directories are sound",
        "plot": "draw the course of a training",
        "average": "average the weights of models of the same shape",
        "export": "write parts of a model as text",
    },
    "Text under a model": {
        "ppl": "print the perplexity of text under a language model",
        "score": "print the log-probability of each line of text",
        "mix": "mix the token scores of several models",
        "generate": "write text with a language model",
        "translate": "translate each line of text",
    },
    "Translations": {
        "rescore": "add a model's score to n-best lists",
        "rerank": "pick the best line of every n-best list",
        "bleu": "compare translations with references",
    },
    "Help": {
        "bench": "measure how fast networks are trained and used here",
        "completion": "print the script that completes command lines in a shell",
        "man": "show a manual page of rnntool",
    },
}
"""Every command under the heading where the help lists it, with the description of its manual page.

`rnntool.cli.NAME` defines its `command`.  It is imported when it is asked for: help and completion of names need not wait
for two dozen modules.
"""

SUMMARIES = {name: summary for commands in COMMANDS.values() for name, summary in commands.items()}
"""The same by name."""


class Toolkit(options.Readable, click.Group):
    """`rnntool`: a group whose commands are imported when they are asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of the commands, in the order of the help."""
        return list(SUMMARIES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of a name; None if there is none."""
        if cmd_name not in SUMMARIES:
            return None
        command = importlib.import_module(f"rnntool.cli.{cmd_name}").command
        assert isinstance(command, click.Command)
        return command

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The commands under their headings, then the few options of the toolkit itself."""
        width = max(map(len, SUMMARIES))
        for heading, commands in COMMANDS.items():
            with formatter.section(heading):
                formatter.write_dl([(name.ljust(width), summary) for name, summary in commands.items()])
        super().format_options(ctx, formatter)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """The commands and options that begin so."""
        from click.shell_completion import CompletionItem

        names = [
            CompletionItem(name, help=summary) for name, summary in SUMMARIES.items() if name.startswith(incomplete)
        ]
        return [*names, *click.Command.shell_complete(self, ctx, incomplete)]

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that the arguments begin with; from here on messages bear its name."""
        if args[0] not in SUMMARIES and not args[0].startswith("-"):
            from difflib import get_close_matches

            near = "".join(f"; did you mean {name!r}?" for name in get_close_matches(args[0], SUMMARIES, 1))
            ctx.fail(f"no such command {args[0]!r}{near}")
        name, command, rest = super().resolve_command(ctx, args)
        if name is not None:
            report.manner.program = f"rnntool {name}"
        return name, command, rest


@click.group(
    cls=Toolkit,
    context_settings=options.SETTINGS,
    epilog="Each command has its own --help; rnntool man COMMAND opens its manual page.",
)
@click.version_option(__version__, prog_name="rnntool", message="%(prog)s %(version)s", help="Print the version.")
def toolkit() -> None:
    """Recurrent neural networks as Unix filters: plain text in, plain text out, one model file between."""


# --- ends ------------------------------------------------------------------------------------------------------------


class Signalled(BaseException):
    """A signal that ends the program once what is open has been put away.

    Args:
        number: the signal's.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def main(argv: Sequence[str] | None = None) -> int:
    """Run `rnntool ARGV` and return its status, everything written or an error said.

    Args:
        argv: the words after `rnntool`; None for those of this process.
    """
    _open_missing_streams()
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        errors = "backslashreplace" if stream is sys.stderr else "strict"
        stream.reconfigure(encoding="utf-8", errors=errors, newline="\n")  # type: ignore[union-attr]
    report.show_warnings()
    try:
        for number in (signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is signal.SIG_DFL:  # under nohup it is ignored, and stays so
                signal.signal(number, _raise_signalled)
        status = _run(sys.argv[1:] if argv is None else list(argv))
        sys.stdout.flush()
    except BaseException as error:
        status = _explain(error)
    _abandon_unwritable_streams()
    if status == 128 + signal.SIGINT:
        # A shell goes on with its loop after a program that merely returned 130; one that died of the signal ends it.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
    if argv is None and "torch" in sys.modules and not os.environ.get("RNNTOOL_DEBUG"):
        # All is written and closed.  To take apart what torch has built is a quarter of the work of a short command.
        os._exit(status)
    return status


def _run(arguments: list[str]) -> int:
    """Parse and run; the status is what the command returned, if that is a number."""
    # click's own `main` would turn EPIPE into 1 and an interrupt into an Abort, so its parts are called here.
    instruction = os.environ.get("_RNNTOOL_COMPLETE")
    if instruction:
        from click.shell_completion import shell_complete

        return shell_complete(toolkit, {}, "rnntool", "_RNNTOOL_COMPLETE", instruction)
    try:
        with toolkit.make_context("rnntool", list(arguments), obj=tuple(arguments)) as context:
            result = toolkit.invoke(context)
    except click.exceptions.Exit as exit:
        return exit.exit_code
    return result if isinstance(result, int) else 0


def _explain(error: BaseException) -> int:
    """Say what an exception means to the user, if anything, and return the status it ends with."""
    if os.environ.get("RNNTOOL_DEBUG"):
        import traceback

        traceback.print_exception(error)
    match error:
        case RnntoolError():
            report.failure(error.where, error.what, error.hint)
            return error.status
        case click.exceptions.NoArgsIsHelpError():
            report.say(error.format_message())
            return 2
        case click.UsageError():
            _explain_usage(error)
            return 2
        case BrokenPipeError():
            return 128 + signal.SIGPIPE
        case KeyboardInterrupt():
            return 128 + signal.SIGINT
        case Signalled():
            return 128 + error.number
        case SystemExit():
            return error.code if isinstance(error.code, int) else int(error.code is not None)
        case OSError():
            report.failure(_place(error), error.strerror or str(error))
        case MemoryError():
            report.failure("", "out of memory")
        case RuntimeError() if is_out_of_memory(error):
            asked = re.search(r"ried to allocate ([0-9.]+ ?\w+)", str(error))
            report.failure("", f"out of memory: {asked[1]} more are needed" if asked else "out of memory")
        case _:
            _explain_bug(error)
    return 1


def _explain_usage(error: click.UsageError) -> None:
    """Print click's message in the form of ours: which option, what is wrong with it, where the help is."""
    where, what = "", error.format_message()
    if isinstance(error, click.BadParameter) and not isinstance(error, click.MissingParameter) and error.param:
        where, what = error.param.get_error_hint(error.ctx).replace("'", "").strip("[]."), error.message
    what = " ".join(what.split()).removesuffix(".")
    for better in ("Did you mean", "(Did you mean", "Choose from"):
        what = what.replace(f". {better}", f"; {better.lower()}")
    report.failure(where, what[:1].lower() + what[1:], f"{report.manner.program} --help")


def _explain_bug(error: BaseException) -> None:
    """Print one line for a failure that is ours."""
    where = error.__traceback__
    while where is not None and where.tb_next is not None:
        where = where.tb_next
    place = f" ({os.path.basename(where.tb_frame.f_code.co_filename)}:{where.tb_lineno})" if where is not None else ""
    what = f"{type(error).__name__}: {error}{place}"
    report.failure("", f"a bug in rnntool {__version__}: {what}", "RNNTOOL_DEBUG=1 to see the traceback, and report it")


def _place(error: OSError) -> str:
    """Where a system call failed: the file it names, else the standard output if it can only have been a write."""
    if error.filename is not None:
        return os.fsdecode(error.filename) if isinstance(error.filename, str | bytes) else str(error.filename)
    return "standard output" if error.errno in (ENOSPC, EDQUOT, EFBIG, EIO, EBADF) else ""


def _raise_signalled(number: int, frame: FrameType | None) -> None:
    raise Signalled(number)


# --- standard streams ------------------------------------------------------------------------------------------------


def _open_missing_streams() -> None:
    """Give a stream that was closed (`<&-`, `>&-`) a descriptor on which its use fails, as coreutils' stdopen does.

    Otherwise the next file opened would take its number, and Python would drop what is printed without a word.
    """
    for number, name, mode, way in (
        (0, "stdin", "r", os.O_WRONLY),  # reading it: bad file descriptor
        (1, "stdout", "w", os.O_RDONLY),  # writing it: bad file descriptor
        (2, "stderr", "w", os.O_WRONLY),  # nobody listens
    ):
        if getattr(sys, name) is None:
            opened = os.open(os.devnull, way)
            if opened != number:
                os.dup2(opened, number)
            setattr(sys, name, os.fdopen(number, mode, encoding="utf-8", closefd=False))


def _abandon_unwritable_streams() -> None:
    """Point a stream whose last bytes cannot be written at nothing, or Python's exit would fail on them again (120)."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
