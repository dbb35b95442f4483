"""`rnntool average`: from several models of one shape to one."""

from __future__ import annotations

from rnntool.cli import compute, models, options, report
from rnntool.errors import ModelError, OptionError


@options.command("average")
@options.output(required=True, help="Write the model to FILE, whole or not at all.")
@options.quiet
@options.verbose
@options.color
@options.models
def command(output: str, model: tuple[options.Model, ...]) -> None:
    """Average the weights of models of the same shape.

    MODEL is a run directory, whose best model is taken, or a model file, all of one run as a rule: the mean of networks
    that were trained apart predicts nothing; they are mixed by several -m instead.  A model counts WEIGHT times, or once.
    The result has no metrics; ppl measures it, or score --src if it translates.  Memory is that of a few models.

    Examples:
      rnntool average -o mean.rnn run/best.rnn run/last.rnn
      rnntool average -o mean.rnn a.rnn:3 b.rnn
    """
    if len(model) < 2:
        raise OptionError("MODEL", "one model is its own average; two or more are needed")
    weights = options.shares([each._replace(weight=each.weight or 1.0) for each in model])
    device = compute.prepare(None, "cpu")
    from rnntool.checkpoint.averaging import averaged
    from rnntool.checkpoint.model import Model, save_model

    def load(path: str) -> Model:
        begun = models.begin(path)
        if begun.is_arpa or begun.is_forest:
            what = "a random forest" if begun.is_forest else "an n-gram model"
            raise ModelError(path, f"{what}, which has no weights to average", "rnntool mix")
        found = models.load_network(begun, device)
        report.detail(f"{found.name} {found.config.arch} {found.network.num_parameters} parameters")
        return found

    names = [each.path if each.weight is None else f"{each.path}:{each.weight:g}" for each in model]
    save_model(output, averaged((load(each.path) for each in model), weights, names))
