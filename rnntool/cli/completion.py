"""`rnntool completion`: the script that teaches a shell the commands and options."""

from __future__ import annotations

import os

import click

from rnntool.cli import options, report

SCRIPTS = {"bash": "rnntool.bash", "zsh": "_rnntool", "fish": "rnntool.fish"}
"""The script of each shell, in the directory `completions` beside this file, named as the shell wants to find it."""


@options.command("completion")
@click.argument("shell", type=click.Choice(list(SCRIPTS)), metavar="SHELL")
def command(shell: str) -> None:
    """Print the completion script of SHELL: bash, zsh or fish.

    Examples:
      eval "$(rnntool completion bash)"
      rnntool completion fish > ~/.config/fish/completions/rnntool.fish
    """
    with (
        open(os.path.join(os.path.dirname(__file__), "completions", SCRIPTS[shell]), encoding="utf-8") as script,
        report.output() as out,
    ):
        out.write(script.read())
