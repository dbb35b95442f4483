"""All options of all commands: described, checked, consistent, and fit to read."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

import click
import pytest

from rnntool.cli import options
from rnntool.cli.main import SUMMARIES, toolkit
from rnntool.errors import OptionError
from tests.conftest import Run

NAMES = list(SUMMARIES)


def command_named(name: str) -> click.Command:
    command = toolkit.get_command(click.Context(toolkit, info_name="rnntool"), name)
    assert command is not None
    return command


@pytest.fixture(params=NAMES)
def command(request: pytest.FixtureRequest) -> click.Command:
    return command_named(request.param)


def options_of(command: click.Command) -> list[click.Option]:
    return [parameter for parameter in command.params if isinstance(parameter, click.Option)]


def test_every_option_says_what_it_is_and_takes(command: click.Command) -> None:
    for option in options_of(command):
        assert option.help, f"{option.opts} has no help"
        assert option.help.endswith("."), f"{option.opts}: {option.help}"
        assert option.is_flag or option.count or option.metavar, f"{option.opts} has no metavar"
        assert option.nargs == 1, f"{option.opts} takes several words"


def test_long_names_are_words_joined_by_hyphens(command: click.Command) -> None:
    for option in options_of(command):
        names = [*option.opts, *option.secondary_opts]
        assert any(name.startswith("--") for name in names), f"{names} has no long name"
        for name in names:
            assert re.fullmatch(r"-[A-Za-z]|--[a-z0-9]+(-[a-z0-9]+)*", name), name


def test_no_name_is_given_twice(command: click.Command) -> None:
    names = [name for option in options_of(command) for name in [*option.opts, *option.secondary_opts]]
    assert len(names) == len(set(names))
    assert not {"-h", "--help"} & set(names)


ALIKE = {"--out": "--output"}
"""Where the result goes is `-o` everywhere; the long name differs in `train`, whose `--output` is the output layer."""


def test_a_short_letter_means_one_thing_everywhere() -> None:
    meanings = defaultdict(set)
    for name in NAMES:
        for option in options_of(command_named(name)):
            short = [spelled for spelled in option.opts if not spelled.startswith("--")]
            long = [spelled for spelled in option.opts if spelled.startswith("--")]
            for letter in short:
                meanings[letter].add(ALIKE.get(long[0], long[0]))
    assert {letter: longs for letter, longs in meanings.items() if len(longs) > 1} == {}


@pytest.mark.parametrize("name", NAMES)
def test_help_fits_a_terminal_and_begins_with_one_sentence(run: Run, name: str) -> None:
    done = run(name, "--help", env={"COLUMNS": "200"})
    assert (done.status, done.err) == (0, "")
    assert max(map(len, done.out.splitlines())) <= 79
    first = done.out.split("\n\n")[1]
    assert first.startswith("  ") and first.endswith(".") and first.count(". ") == 0
    assert f"rnntool {name}" in done.out.split("Examples:\n")[1]


def test_help_lines_up_long_names(run: Run) -> None:
    listed = run("vocab", "--help").out.split("Options:\n")[1].splitlines()
    assert {line.index("--") for line in listed if line.lstrip().startswith("-")} == {6}


# --- values ----------------------------------------------------------------------------------------------------------


@options.command("probe")
@options.model()
@options.device
@options.threads
@options.seed(1)
@options.vocabulary(required=False)
@options.json
@options.config
@options.text
def probe(**values: object) -> None:
    """Take everything and give it back."""
    click.echo(repr(values))


def parsed(*words: str) -> dict[str, object]:
    with probe.make_context("probe", list(words)) as context:
        return context.params


@pytest.mark.parametrize(
    ("given", "model"),
    [
        ("a.rnn", options.Model("a.rnn", None)),
        ("a.rnn:0.5", options.Model("a.rnn", 0.5)),
        ("a:b.rnn:2", options.Model("a:b.rnn", 2.0)),
        ("a:b.rnn", options.Model("a:b.rnn", None)),
    ],
)
def test_a_model_may_carry_a_weight(given: str, model: options.Model) -> None:
    assert parsed("-m", given)["model"] == (model,)


def test_an_existing_file_with_a_colon_is_itself(tmp_path: Path) -> None:
    path = tmp_path / "run:7"
    path.mkdir()
    assert parsed("-m", str(path))["model"] == (options.Model(str(path), None),)


@pytest.mark.parametrize("weight", ["0", "-1", "nan", "inf"])
def test_a_weight_is_a_positive_number(weight: str) -> None:
    with pytest.raises(click.BadParameter, match=f"weight {weight} of a.rnn is not a positive number"):
        parsed("-m", f"a.rnn:{weight}")


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        ([None], (1.0,)),
        ([None, None], (0.5, 0.5)),
        ([None, 0.5], (0.5, 0.5)),
        ([None, 0.25, None], (0.375, 0.25, 0.375)),
        ([3, 1], (0.75, 0.25)),
    ],
)
def test_shares_sum_to_one(weights: list[float | None], expected: tuple[float, ...]) -> None:
    models = [options.Model(f"{number}.rnn", weight) for number, weight in enumerate(weights)]
    assert options.shares(models) == expected


def test_weights_leave_something_for_a_model_without() -> None:
    with pytest.raises(OptionError, match=r"--model: weights sum to 1.5 and leave nothing for a"):
        options.shares([options.Model("a", None), options.Model("b", 1.5)])


@pytest.mark.parametrize("name", ["auto", "cpu", "cuda", "cuda:3", "mps"])
def test_a_device_has_a_known_name(name: str) -> None:
    assert parsed("-m", "a", "--device", name)["device"] == name


@pytest.mark.parametrize("name", ["gpu", "cuda:", "cuda:x", "CPU", ""])
def test_other_devices_are_refused(name: str) -> None:
    with pytest.raises(click.BadParameter, match="is not auto, cpu, cuda, cuda:N or mps"):
        parsed("-m", "a", "--device", name)


def test_names_are_not_abbreviated() -> None:
    with pytest.raises(click.NoSuchOption):
        parsed("--mod", "a")


def test_the_environment_stands_behind_the_command_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RNNTOOL_DEVICE", "cpu")
    assert parsed("-m", "a")["device"] == "cpu"
    assert parsed("-m", "a", "-d", "cuda:1")["device"] == "cuda:1"


def test_a_config_file_stands_behind_both(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    config = tmp_path / "run.toml"
    config.write_text('model = ["a", "b:0.5"]\nseed = 7\ndevice = "cuda:0"\n')
    values = parsed("--config", str(config), "--seed", "8")
    assert values["model"] == (options.Model("a", None), options.Model("b", 0.5))
    assert (values["seed"], values["device"]) == (8, "cuda:0")
    monkeypatch.setenv("RNNTOOL_DEVICE", "cpu")
    assert parsed("--config", str(config))["device"] == "cpu"


def test_a_config_file_may_name_the_operands(tmp_path: Path) -> None:
    config = tmp_path / "run.toml"
    config.write_text('text = ["a.txt", "b.txt"]\n')
    assert parsed("-m", "a", "--config", str(config))["text"] == ("a.txt", "b.txt")
    assert parsed("-m", "a", "--config", str(config), "c.txt")["text"] == ("c.txt",)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("sead = 7\n", "unknown key 'sead'"),
        ("seed = \n", "not TOML: Invalid value"),
        (b"seed = 7 # \xff\n", "not TOML: 'utf-8' codec can't decode"),
    ],
)
def test_a_config_file_can_say_nothing_else(tmp_path: Path, content: str | bytes, message: str) -> None:
    from rnntool.errors import InputError

    config = tmp_path / "run.toml"
    config.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(InputError, match=re.escape(f"{config}: {message}")):
        parsed("-m", "a", "--config", str(config))


def test_values_of_a_config_file_are_checked_as_on_the_command_line(tmp_path: Path) -> None:
    config = tmp_path / "run.toml"
    config.write_text("seed = -1\n")
    with pytest.raises(click.BadParameter, match="-1 is not in the range"):
        parsed("-m", "a", "--config", str(config))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('seed = "many"', "seed is 'many', not a whole number"),
        ("seed = 1.7", "seed is 1.7, not a whole number"),
        ("seed = true", "seed is true, not a whole number"),
        ("vocab = 3", "vocab is 3, not a string"),
        ("text = [1]", "text is 1, not a string"),
        ("json = 1", "json is 1, not true or false"),
        ("device = [1]", "device is [1], not a string or a number"),
    ],
)
def test_a_value_of_another_kind_is_refused_and_not_made_to_fit(tmp_path: Path, content: str, message: str) -> None:
    from rnntool.errors import InputError

    config = tmp_path / "run.toml"
    config.write_text(content + "\n")
    with pytest.raises(InputError) as refused:
        parsed("-m", "a", "--config", str(config))
    assert str(refused.value) == f"{config}: {message}"


def test_every_number_has_a_range_and_no_infinity(command: click.Command) -> None:
    """What click calls a number takes nan and whole numbers of any length."""
    for option in options_of(command):
        kind = option.type
        if isinstance(kind, click.types.IntParamType | click.types.FloatParamType):
            assert isinstance(kind, options.Whole | options.Real), option.opts
            words = ["nan", "inf"] if isinstance(kind, options.Real) else ["9" * 30]
            for word in words:
                with pytest.raises(click.BadParameter, match=r"not a finite number|not in the range|is more than"):
                    kind.convert(word, None, None)


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ("encode|-V|words.tsv|", "TEXT"),
        ("encode|-V||text", "-V / --vocab"),
        ("encode|-V|words.tsv|-o||text", "-o / --output"),
        ("ppl|-m|", "-m / --model"),
        ("translate|-m|m|--lm|", "--lm"),
        ("train|-V|words.tsv|-o||text", "-o / --out"),
    ],
)
def test_a_name_that_is_empty_is_refused(run: Run, words: str, name: str) -> None:
    """As of a shell variable that was never set."""
    done = run(*words.split("|"))
    assert done.status == 2
    assert done.err.splitlines()[0] == f"rnntool {words.split('|')[0]}: {name}: the name is empty"
