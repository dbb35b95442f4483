"""The options that mean the same in every command, and the command that parses them and prints help.

A command is written as

    @options.command("ppl")
    @options.model(required=True)
    @options.option("--per-line", is_flag=True, help="One record per sentence.")
    @options.quiet
    @options.text
    def command(model: tuple[Model, ...], per_line: bool, text: tuple[str, ...]) -> None:

and its docstring is its help: one sentence, what is read and written, what memory and time grow with, and examples.  A
paragraph with an indented line is printed as it stands.  Parsing checks values and opens nothing, `--config` excepted.
Short letters are for daily use and mean one thing in all commands.  Names are never abbreviated.
"""

from __future__ import annotations

import inspect
import math
import os
import re
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import click
from click.core import ParameterSource

from rnntool.cli import report
from rnntool.errors import InputError, OptionError

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from rnntool.text.shards import Lines

LARGEST_SEED = 2**63 - 1
"""What every generator of random numbers takes."""


class _File(click.Path):
    """The name of a file or directory, which is not empty; that of a shell variable that was never set is."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """As click's, or fail."""
        if not value:
            self.fail("the name is empty", param, ctx)
        return super().convert(value, param, ctx)


type_of_file = _File(allow_dash=True, readable=False)
"""A file or directory that need not exist yet; `-` is a standard stream; completed as a file name."""

Decorated = Callable[..., Any]
Decorator = Callable[[Decorated], Decorated]


# --- numbers ---------------------------------------------------------------------------------------------------------

LARGEST = 2**31 - 1
"""No whole number of an option is larger unless it says so: more of anything has no place anywhere."""


MANY = 1 << 20
"""An upper bound from here on is named only where it is passed."""


class Whole(click.IntRange):
    """A whole number in a range, by default up to `LARGEST`."""

    def __init__(self, least: int, most: int = LARGEST) -> None:
        super().__init__(least, most)
        self._most = most

    def _describe_range(self) -> str:
        return f"x>={self.min}" if self._most >= MANY else super()._describe_range()

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Read one, or fail with a message that says which range it must be in."""
        number: int = click.INT.convert(value, param, ctx)
        if number > self._most >= MANY:
            self.fail(f"{number} is more than {self._most}.", param, ctx)
        return int(super().convert(value, param, ctx))


class Real(click.FloatRange):
    """A finite number in a range."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Read one, or fail with a message that says which range it must be in."""
        number: float = click.FLOAT.convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{number} is not a finite number.", param, ctx)
        return float(super().convert(value, param, ctx))


# --- commands --------------------------------------------------------------------------------------------------------


class Option(click.Option):
    """An option that belongs to a section of the help.

    Args:
        section: the heading it stands under.
    """

    def __init__(self, *args: Any, section: str = "Options", **attributes: Any) -> None:
        super().__init__(*args, **attributes)
        self.section = section

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        """The two columns of the help; long names stand under long names, ranges name the metavar."""
        record = super().get_help_record(ctx)
        if record is None:
            return None
        spelled, text = record
        if spelled.startswith("--"):
            spelled = f"    {spelled}"
        if isinstance(self.type, click.IntRange | click.FloatRange):
            metavar = self.metavar or "x"
            text = re.sub(r"(?<=[\[; <=])x(?=[<>=])", metavar, text)
        if isinstance(self.show_default, str):  # click puts it in parentheses
            text = text.replace(f"default: ({self.show_default})", f"default: {self.show_default}")
        return spelled, text


class Readable(click.Command):
    """A command whose help is laid out for reading."""

    def get_help_option(self, ctx: click.Context) -> click.Option | None:
        """`-h`, `--help`, described as the other options are."""
        help_option = super().get_help_option(ctx)
        if help_option is not None:
            help_option.help = "Print this help."
        return help_option

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The docstring: paragraphs filled, except those with an indented line."""
        for paragraph in inspect.cleandoc(self.help or "").split("\n\n"):
            formatter.write_paragraph()
            with formatter.indentation():
                paragraph = paragraph.removeprefix("\b\n")  # click's own mark of such a paragraph
                if "\n  " in paragraph:
                    indent = " " * formatter.current_indent
                    formatter.write("".join(f"{indent}{line}\n" for line in paragraph.split("\n")))
                else:
                    formatter.write_text(paragraph.replace("\n", " "))

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The options under their sections, in the order written."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            record = None if isinstance(parameter, click.Argument) else parameter.get_help_record(ctx)
            if record is not None:
                sections.setdefault(getattr(parameter, "section", "Options"), []).append(record)
        for heading, records in sections.items():
            with formatter.section(heading):
                formatter.write_dl(records)


class Command(Readable):
    """One command of the toolkit."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the body, after saying what a user at a terminal would wonder about."""
        for parameter in self.params:
            source = ctx.get_parameter_source(parameter.name or "")
            if source in (ParameterSource.ENVIRONMENT, ParameterSource.DEFAULT_MAP):
                origin = parameter.envvar if source is ParameterSource.ENVIRONMENT else ctx.meta.get(_CONFIG)
                report.detail(f"{parameter.opts[-1]} {ctx.params.get(parameter.name or '')} (from {origin})")
        read_by = [parameter for parameter in self.params if parameter.name in _READ]
        read = [getattr(each, "path", each) for by in read_by for each in _several(ctx.params.get(by.name or "", ()))]
        if read.count("-") > 1:
            by_operand = [by.name.upper() for by in read_by if isinstance(by, click.Argument) and by.name]
            by_option = [by.opts[-1] for by in read_by if isinstance(by, click.Option)]
            places = " or ".join([*by_operand, *by_option])
            raise OptionError("", f"the standard input can be read only once, as {places}")
        if "-" in ctx.params.get("text", ()) and sys.stdin.isatty():
            report.say("reading from the terminal; end with Ctrl-D")
        return super().invoke(ctx)


_READ = ("text", "model", "fit", "lm", "prefix")
"""Parameters that name what is read, and of which one may be the standard input."""


def _several(value: Any) -> Sequence[Any]:
    """The values of an option that may be given several times, or once."""
    return value if isinstance(value, tuple | list) and not isinstance(value, Model) else [value]


SETTINGS = {"help_option_names": ["-h", "--help"], "show_default": True}
"""How click treats every command."""


def command(name: str) -> Callable[[Decorated], Command]:
    """Make a function the command `rnntool NAME`; its docstring is the help, its integer result, if any, the status."""
    return click.command(name, cls=Command, context_settings=SETTINGS)


def option(*names: str, section: str = "Options", **attributes: Any) -> Decorator:
    """An option of one command: click's, under a section of the help.

    Every option has `help` and, unless it is a flag, a `metavar` that says what it takes.
    """
    return click.option(*names, cls=Option, section=section, **attributes)


def under(section: str, *decorators: Decorator) -> Decorator:
    """Put options, shared ones too, under one heading of the help: `@under("Data", vocabulary(), output())`."""

    def decorate(function: Decorated) -> Decorated:
        for decorator in reversed(decorators):
            function = decorator(function)
            parameters: list[Option] = function.__click_params__  # type: ignore[attr-defined]  # where click keeps them
            parameters[-1].section = section
        return function

    return decorate


# --- values ----------------------------------------------------------------------------------------------------------


class Model(NamedTuple):
    """One `-m MODEL[:WEIGHT]`."""

    path: str
    """A run directory, a model file, or an ARPA file."""

    weight: float | None
    """Its weight in a mixture; None if not given."""


class _ModelType(click.ParamType):  # type: ignore[type-arg]  # generic since click 8.4
    name = "model"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Model:
        if isinstance(value, Model):
            return value
        if not value:
            self.fail("the name is empty", param, ctx)
        path, colon, number = str(value).rpartition(":")
        if not colon or os.path.exists(value):  # an existing file whose name has a colon wins
            return Model(str(value), None)
        try:
            weight = float(number)
        except ValueError:
            return Model(str(value), None)
        if not (weight > 0 and math.isfinite(weight)):
            self.fail(f"weight {number} of {path} is not a positive number", param, ctx)
        return Model(path, weight)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        from click.shell_completion import CompletionItem

        return [CompletionItem(incomplete, type="file")]


def shares(models: Sequence[Model]) -> tuple[float, ...]:
    """The weights of a mixture, which sum to one.

    Weights that are all given are scaled to sum to one.  Models without a weight share equally what the others leave.

    Raises:
        OptionError: the weights given leave nothing for a model without one.
    """
    given = [model.weight for model in models if model.weight is not None]
    if len(given) == len(models):
        largest = max(given)  # their sum may be past all floats
        total = sum(weight / largest for weight in given)
        return tuple(weight / largest / total for weight in given)
    rest = (1 - sum(given)) / (len(models) - len(given))
    if rest <= 0:
        lacking = next(model.path for model in models if model.weight is None)
        raise OptionError("--model", f"weights sum to {sum(given):g} and leave nothing for {lacking}")
    return tuple(rest if model.weight is None else model.weight for model in models)


class _DeviceType(click.ParamType):  # type: ignore[type-arg]
    name = "device"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if not re.fullmatch(r"auto|cpu|mps|cuda(:[0-9]+)?", value):
            self.fail(f"{value!r} is not auto, cpu, cuda, cuda:N or mps", param, ctx)
        return str(value)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        from click.shell_completion import CompletionItem

        names = ("auto", "cpu", "cuda", "mps")
        return [CompletionItem(name) for name in names if name.startswith(incomplete)]


# --- the shared options ----------------------------------------------------------------------------------------------


def model(
    *, many: bool = True, required: bool = True, help: str = "Model to use; may be repeated to mix."
) -> Decorator:
    """-m/--model MODEL[:WEIGHT]: a tuple of Model if many, else the path as a string."""
    if many:
        return option(
            "-m", "--model", type=_ModelType(), metavar="MODEL[:WEIGHT]", multiple=True, required=required, help=help
        )
    return option("-m", "--model", type=type_of_file, metavar="MODEL", required=required, help=help)


def beside(*, section: str) -> Decorator:
    """--lm MODEL:WEIGHT: a tuple of Model."""
    help = "Add WEIGHT times the log-probability under a language model; may be repeated."
    return option("--lm", section=section, type=_ModelType(), metavar="MODEL:WEIGHT", multiple=True, help=help)


def vocabulary(*, required: bool = True, help: str = "Vocabulary, as written by rnntool vocab.") -> Decorator:
    """-V/--vocab FILE: a path."""
    return option("-V", "--vocab", type=type_of_file, metavar="FILE", required=required, help=help)


def output(
    *, required: bool = False, metavar: str = "FILE", help: str = "Write to FILE, whole or not at all."
) -> Decorator:
    """-o/--output FILE: a path; `-`, the standard output, unless required."""
    default = None if required else "-"
    names = ("-o", "--output")
    return option(
        *names,
        type=type_of_file,
        metavar=metavar,
        required=required,
        default=default,
        show_default=False,
        help=help,
    )


def batch_size(default: int, *, help: str = "Lines computed together; changes speed and memory only.") -> Decorator:
    """-b/--batch-size N: at least 1."""
    return option("-b", "--batch-size", type=Whole(1, MANY), metavar="N", default=default, help=help)


training_precision = option(
    "--precision",
    type=click.Choice(["auto", "fp32", "bf16"]),
    metavar="NAME",
    default="auto",
    help="Of products in training: auto, fp32 or bf16.",
)
"""--precision NAME: for `product_dtype`."""

search_precision = option(
    "--precision",
    type=click.Choice(["fp64", "fp32", "bf16", "int8"]),
    metavar="NAME",
    default="fp64",
    help="Of products: fp64, fp32, bf16 or int8, each faster than the one before.",
)
"""--precision NAME: one of `rnntool.search.predictor.PRECISIONS`."""

shard = option("--shard", metavar="I/N", help="Answer part I of N equal parts of TEXT alone; the first is 1.")
"""--shard I/N: as it was written, for `lines_of`; None if not given."""


def lines_of(shard: str | None, paths: Sequence[str], together: int = 1) -> Lines:
    """The lines that `--shard` means: all without it.  A part begins at a multiple of `together` lines.

    Raises:
        OptionError: it has another form, or a text can be read only once.
        InputError: a text cannot be read.
    """
    from rnntool.text.shards import Lines, parse_shard

    return Lines() if shard is None else parse_shard(shard).lines_of(paths, together)


def temperature(help: str) -> Decorator:
    """--temperature X: at least 0; `help` says of what."""
    return option("--temperature", type=Real(0), metavar="X", default=1.0, help=help)


top_k = option("--top-k", type=Whole(1), metavar="N", help="Draw among the N likeliest tokens.")
"""--top-k N: at least 1; None if not given."""

top_p = option(
    "--top-p",
    type=Real(0, 1, min_open=True),
    metavar="P",
    default=1.0,
    help="Draw among the fewest tokens of joint probability P.",
)
"""--top-p P: above 0, at most 1."""


def seed(default: int | None, *, help: str = "Seed of all random numbers.") -> Decorator:
    """-s/--seed N: 0 to 2**63 - 1."""
    return option("-s", "--seed", type=Whole(0, LARGEST_SEED), metavar="N", default=default, help=help)


device = option(
    "-d",
    "--device",
    type=_DeviceType(),
    metavar="DEVICE",
    default="auto",
    envvar="RNNTOOL_DEVICE",
    help="Compute on auto, cpu, cuda, cuda:N or mps.",
)
"""-d/--device DEVICE: a name for `compute.prepare`; RNNTOOL_DEVICE is its default."""

threads = option(
    "-j",
    "--threads",
    type=Whole(1, 1024),
    metavar="N",
    envvar="RNNTOOL_THREADS",
    help="Threads on the processor; default: all that this job may use.",
)
"""-j/--threads N: for `compute.prepare`; None for all that the job may use; RNNTOOL_THREADS is its default."""

unk = option(
    "--unk",
    type=click.Choice(["count", "skip"]),
    metavar="HOW",
    default="count",
    help="Unknown words: count them as <unk>, or skip them.",
)
"""--unk HOW: `count` or `skip`."""

json = option("--json", is_flag=True, help="Write JSON, one object per line.")
"""--json: a flag."""


def _set_manner(ctx: click.Context, param: click.Parameter, value: Any) -> Any:
    if not ctx.resilient_parsing:
        setattr(report.manner, param.name or "", value)
    return value


quiet = option("-q", "--quiet", is_flag=True, expose_value=False, callback=_set_manner, help="Say nothing but errors.")
"""-q/--quiet: handled by `report`; not an argument of the command."""

verbose = option(
    "-v", "--verbose", is_flag=True, expose_value=False, callback=_set_manner, help="Say what is done and why."
)
"""-v/--verbose: handled by `report`; not an argument of the command."""

color = option(
    "--color",
    type=click.Choice(["auto", "always", "never"]),
    metavar="WHEN",
    default="auto",
    expose_value=False,
    callback=_set_manner,
    help="Colour messages auto, always or never.",
)
"""--color WHEN: handled by `report`; not an argument of the command."""


def _one_dash(ctx: click.Context, param: click.Parameter, value: tuple[str, ...]) -> tuple[str, ...]:
    if value.count("-") > 1:
        raise click.BadParameter("the standard input can be read only once", ctx, param)
    return value


def _one_dash_or_none(ctx: click.Context, param: click.Parameter, value: tuple[str, ...]) -> tuple[str, ...]:
    return _one_dash(ctx, param, value) or ("-",)


text = click.argument("text", nargs=-1, type=type_of_file, metavar="[TEXT]...", callback=_one_dash_or_none)
"""TEXT operands: a tuple of paths, `("-",)` if none is given; at most one is `-`."""

streams = click.argument("text", nargs=-1, type=type_of_file, metavar="[STREAM]...", callback=_one_dash_or_none)
"""STREAM operands, as `text`."""

optional_text = click.argument("text", nargs=-1, type=type_of_file, metavar="[TEXT]...", callback=_one_dash)
"""TEXT operands of a command that can do without: an empty tuple if none is given; at most one is `-`."""

models = click.argument("model", nargs=-1, type=_ModelType(), metavar="MODEL[:WEIGHT]...", required=True)
"""MODEL operands: a tuple of at least one Model."""

nbest = click.argument("text", nargs=-1, type=type_of_file, metavar="[NBEST]...", callback=_one_dash_or_none)
"""NBEST operands, as `text`."""

references = click.argument(
    "references", nargs=-1, required=True, type=type_of_file, metavar="REF...", callback=_one_dash
)
"""REF operands: a tuple of at least one path; at most one is `-`."""

hypotheses = option(
    "--hyp",
    "text",
    type=type_of_file,
    multiple=True,
    metavar="FILE",
    callback=_one_dash_or_none,
    help="Translations; default: standard input. May be repeated.",
)
"""--hyp FILE: the text of `bleu`, as `text`."""


# --- configuration files ---------------------------------------------------------------------------------------------

_CONFIG = "rnntool.config"


def _read_config(ctx: click.Context, param: click.Parameter, value: str | None) -> None:
    """Make the keys of a TOML file the defaults of this command's options and, as `text`, of its operands."""
    if value is None or ctx.resilient_parsing:
        return
    from difflib import get_close_matches

    from rnntool.checkpoint.settings import read_settings

    settings = read_settings(value)
    names = {
        name.removeprefix("--"): other
        for other in ctx.command.params
        for name in other.opts
        if other is not param and (name.startswith("--") or isinstance(other, click.Argument))
    }
    defaults: dict[str, Any] = {}
    for key, setting in settings.items():
        if key not in names:
            near = get_close_matches(key, names, 1)
            hint = f"the key {near[0]}" if near else f"rnntool {ctx.info_name} --help, whose long options are the keys"
            raise InputError(value, f"unknown key {key!r}", hint)
        _check_kind(value, key, setting, names[key])
        defaults[names[key].name or ""] = setting
    ctx.default_map = {**(ctx.default_map or {}), **defaults}
    ctx.meta[_CONFIG] = value


def _check_kind(where: str, key: str, setting: Any, parameter: click.Parameter) -> None:
    """Raise InputError if a value of a configuration file is not of the kind that the option takes.

    click would make 1 of 1.7 and a file's name of 3.
    """
    kind = parameter.type
    kinds: list[type]
    if getattr(parameter, "is_flag", False):
        wanted, kinds = "true or false", [bool]
    elif isinstance(kind, click.types.IntParamType):
        wanted, kinds = "a whole number", [int]
    elif isinstance(kind, click.types.FloatParamType):
        wanted, kinds = "a number", [int, float]
    elif isinstance(kind, click.Path | click.Choice | click.types.StringParamType):
        wanted, kinds = "a string", [str]
    else:
        wanted, kinds = "a string or a number", [str, int, float]
    several = parameter.multiple if isinstance(parameter, click.Option) else parameter.nargs != 1
    values = setting if several and isinstance(setting, list) else [setting]
    for value in values:
        if type(value) not in kinds:
            shown = str(value).lower() if isinstance(value, bool) else repr(value)
            raise InputError(where, f"{key} is {shown}, not {wanted}")


config = option(
    "--config",
    type=type_of_file,
    metavar="FILE",
    is_eager=True,
    expose_value=False,
    callback=_read_config,
    help="Take defaults from FILE (TOML); its keys are the long options.",
)
"""--config FILE: its values stand behind the command line and the environment; not an argument of the command."""
