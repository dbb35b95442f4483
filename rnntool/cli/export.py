"""`rnntool export`: from a model to what other programs read."""

from __future__ import annotations

from typing import IO, TYPE_CHECKING

import click

from rnntool.cli import compute, options, report
from rnntool.config.output import NOT_TIED
from rnntool.errors import OptionError

if TYPE_CHECKING:
    from rnntool.checkpoint.model import Model


@options.command("export")
@options.option(
    "--to",
    type=click.Choice(["embeddings", "output-embeddings"]),
    metavar="WHAT",
    default="embeddings",
    help="embeddings, or output-embeddings: the output layer's weights.",
)
@options.output()
@options.quiet
@options.verbose
@options.color
@click.argument("model", type=options.type_of_file, metavar="MODEL")
def command(to: str, output: str, model: str) -> None:
    """Write parts of a model as text for other programs.

    Embeddings are written as word2vec does: a line with the number of tokens and of columns, then for every token a line
    with its spelling and its numbers, separated by spaces.  MODEL is a run directory or a model file.

    Examples:
      rnntool export run > vectors.txt
      rnntool export --to output-embeddings -o vectors.txt.gz run
    """
    compute.prepare(None, "cpu")
    from rnntool.checkpoint.model import load_model
    from rnntool.checkpoint.run import find_model

    loaded = load_model(find_model(model))
    with report.output(output) as out:
        _write_vectors(out, loaded, of_output=to == "output-embeddings")


def _write_vectors(out: IO[str], model: Model, *, of_output: bool) -> None:
    """One line per token; nine digits tell every float32 from every other."""
    from rnntool.text.formats import ESCAPED_UNITS, escape

    network, vocabulary = model.network, model.vocabulary
    if of_output and model.config.parsed_output.kind in NOT_TIED:
        raise OptionError("--to", f"--output {model.config.output} has no vector as wide as others for every token")
    table = (network.output.weight if of_output else network.embedding).detach()
    is_escaped = vocabulary.unit in ESCAPED_UNITS
    out.write(f"{len(table)} {table.shape[1]}\n")
    for token, row in zip(vocabulary.tokens, table, strict=True):
        numbers = " ".join(f"{number:.9g}" for number in row.tolist())
        out.write(f"{escape(token) if is_escaped else token} {numbers}\n")
