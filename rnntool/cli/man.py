"""`rnntool man`: the manual page of a command, wherever rnntool was installed."""

from __future__ import annotations

import os
import sys

import click

import rnntool
from rnntool.cli import options, report
from rnntool.errors import InputError


def directory() -> str:
    """Where the pages are: in the package, or beside it in a checkout."""
    package = os.path.dirname(rnntool.__file__)
    installed = os.path.join(package, "man")
    return installed if os.path.isdir(installed) else os.path.join(os.path.dirname(package), "man")


def pages() -> dict[str, str]:
    """The file of each page by its name, such as `rnntool-ppl`."""
    return {
        name.rpartition(".")[0]: os.path.join(section.path, name)
        for section in sorted(os.scandir(directory()), key=lambda entry: entry.name)
        for name in sorted(os.listdir(section.path))
    }


class _PageType(click.ParamType):  # type: ignore[type-arg]  # generic since click 8.4
    name = "page"

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[click.shell_completion.CompletionItem]:
        from click.shell_completion import CompletionItem

        names = (name.removeprefix("rnntool-") for name in pages())
        return [CompletionItem(name) for name in names if name.startswith(incomplete)]


@options.command("man")
@click.argument("page", required=False, type=_PageType(), metavar="[PAGE]")
def command(page: str | None) -> int:
    """Show the manual page PAGE: a command's, formats, tutorial and others.

    Without PAGE, the overview, which names them.  On a terminal this is man(1), or mandoc(1);
    where neither is installed, or into a pipe, it is plain text.

    Examples:
      rnntool man train
      rnntool man tutorial
      rnntool man formats | grep -A 9 JSON
    """
    known = pages()
    name = page or "rnntool"
    path = known.get(f"rnntool-{name}") or known.get(name)
    if path is None:
        listed = " ".join(sorted(name.removeprefix("rnntool-") for name in known))
        raise InputError(name, f"no such page; there are {listed}")
    if sys.stdout.isatty():
        import shutil
        import subprocess

        for viewer in (["man"], ["mandoc", "-a"]):
            # A minimal system's man(1) may only say that it has no pages: then the next is tried.
            if shutil.which(viewer[0]) and subprocess.run([*viewer, path], check=False).returncode == 0:
                return 0
    from rnntool.cli.mdoc import render

    with open(path, encoding="utf-8") as file, report.output() as out:
        out.write(render(file.read()))
    return 0
