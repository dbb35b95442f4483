"""`rnntool ngram`: from text to an n-gram model, as an ARPA file, or to a random forest."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import click

from rnntool.cli import options, report
from rnntool.errors import OptionError

if TYPE_CHECKING:
    from rnntool.ngram.counts import Counts
    from rnntool.ngram.estimation import Estimate
    from rnntool.ngram.forest import Forest
    from rnntool.ngram.model import NgramModel
    from rnntool.ngram.reading import Spool, Text
    from rnntool.ngram.smoothing import Smoothing
    from rnntool.text.vocabulary import Vocabulary

ESTIMATED = "Smoothing"

FOREST = "Random forest"

SMALLEST = 1 << 20
"""Bytes that sorting needs at least."""


class _Size(click.ParamType):  # type: ignore[type-arg]  # generic since click 8.4
    """A number of bytes, as `sort -S` takes it: 1048576, 1024K, 1M."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        match = re.fullmatch(r"([0-9]{1,15})([KMGT]?)", value, re.IGNORECASE)
        if not match:
            self.fail(f"{value!r} is no size such as 512M or 2G", param, ctx)
        size = int(match[1]) << 10 * " KMGT".index(match[2].upper() or " ")
        if size < SMALLEST:
            self.fail(f"{value} is less than 1M", param, ctx)
        return size


class _Variances(click.ParamType):  # type: ignore[type-arg]
    """Positive numbers with spaces or commas between them."""

    name = "variances"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[float, ...]:
        if isinstance(value, tuple):
            return value
        words = str(value).replace(",", " ").split()
        if not words or not all(re.fullmatch(r"[0-9]{0,9}\.?[0-9]{1,9}", word) and float(word) for word in words):
            self.fail(f"{value!r} is no list of numbers above 0 such as '100 8 3'", param, ctx)
        return tuple(map(float, words))


class _Thresholds(click.ParamType):  # type: ignore[type-arg]
    """Whole numbers with spaces or commas between them."""

    name = "thresholds"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, ...]:
        if isinstance(value, tuple):
            return value
        words = str(value).replace(",", " ").split()
        if not words or not all(re.fullmatch("[0-9]{1,18}", word) for word in words):
            self.fail(f"{value!r} is no list of whole numbers such as '0 0 1'", param, ctx)
        return tuple(map(int, words))


@options.command("ngram")
@options.option("--order", type=options.Whole(1, 64), metavar="N", default=5, help="Length of the longest n-grams.")
@options.vocabulary(required=False, help="Words to know, all others being <unk>; default: those of TEXT.")
@options.option(
    "-S",
    "--memory",
    type=_Size(),
    metavar="SIZE",
    default="1G",
    help="Memory for sorting; more goes to temporary files.",
)
@options.output()
@options.option(
    "--smoothing",
    section=ESTIMATED,
    type=click.Choice(["mkn", "kn", "wb", "add-k", "maxent"]),
    metavar="WAY",
    default="mkn",
    help="mkn (modified Kneser-Ney), kn, wb (Witten-Bell), add-k or maxent (maximum entropy).",
)
@options.option(
    "--prune",
    section=ESTIMATED,
    type=_Thresholds(),
    metavar="'N ...'",
    default=(),
    show_default="nothing",
    help="Leave out n-grams that occur N times or less, by order; the last N holds for the rest.",
)
@options.option(
    "--no-interpolate-unigrams",
    section=ESTIMATED,
    is_flag=True,
    help="Give what smoothing takes from words to <unk> alone.",
)
@options.option(
    "--add",
    section=ESTIMATED,
    type=options.Real(0, min_open=True),
    metavar="K",
    default=None,
    show_default="1",
    help="What add-k adds to every count.",
)
@options.option(
    "--variance",
    section=ESTIMATED,
    type=_Variances(),
    metavar="'X ...'",
    default=(),
    show_default="'100 8 3 1.5 1'",
    help="How far maxent lets weights go from 0, by order; the last X holds for the rest.",
)
@options.option(
    "--forest",
    section=FOREST,
    type=options.Whole(1, 1000),
    metavar="M",
    help="Grow M random trees over two words of history, too; writes a model file.",
)
@options.under(FOREST, options.seed(None, help="Seed of the trees; default: 1."))
@options.quiet
@options.verbose
@options.text
def command(
    order: int,
    vocab: str | None,
    memory: int,
    output: str,
    smoothing: str,
    prune: tuple[int, ...],
    no_interpolate_unigrams: bool,
    add: float | None,
    variance: tuple[float, ...],
    forest: int | None,
    seed: int | None,
    text: tuple[str, ...],
) -> None:
    """Make an n-gram model of TEXT, as an ARPA file.

    Reads one sentence per line and writes text that -m of ppl, score and
    generate takes, and that SRILM and KenLM read. Without -V every word of TEXT
    is known, and <unk> as likely as a word that was never seen. Memory grows
    with the number of different n-grams, not with the text but for --forest.

    Examples:
      rnntool ngram --order 5 < train.txt | gzip > kn5.arpa.gz
      rnntool ngram --prune '0 0 1' -V words.tsv -o kn5.arpa.gz train.txt
      rnntool ngram --forest 20 -V words.tsv -o forest.rnn train.txt
    """
    from rnntool.ngram.arpa import write_arpa
    from rnntool.ngram.counts import count
    from rnntool.ngram.pruning import thresholds
    from rnntool.ngram.reading import Spool

    limits = thresholds(prune, order)
    if smoothing in ("add-k", "maxent") and no_interpolate_unigrams:
        raise OptionError("--no-interpolate-unigrams", f"{smoothing} interpolates nothing")
    if add is not None and smoothing != "add-k":
        raise OptionError("--add", f"{smoothing} adds nothing to counts", "--smoothing add-k")
    if variance and smoothing != "maxent":
        raise OptionError("--variance", f"{smoothing} has no weights", "--smoothing maxent")
    if len(variance) > order:
        raise OptionError("--variance", f"{len(variance)} variances; --order is {order}")
    if seed is not None and forest is None:
        raise OptionError("--seed", "nothing is random without trees", "--forest 10")
    if forest is not None and order == 1:
        raise OptionError("--forest", "trees look at words of history; --order is 1, which has none")
    if vocab == "-" and "-" in text:
        raise OptionError("--vocab", "the standard input is the text; it cannot be the vocabulary too")
    with Spool(memory // 8) as spool:
        read = _read(text, vocab, spool)
        vocabulary = read.vocabulary

        def make(counts: Counts) -> Estimate:
            if smoothing == "maxent":
                return _maximum_entropy(counts, vocabulary, limits, variance)
            from rnntool.ngram.estimation import estimate

            return estimate(
                counts,
                vocabulary,
                _smoothing(smoothing, 1.0 if add is None else add),
                thresholds=limits,
                interpolate_unigrams=not no_interpolate_unigrams,
                appearance=read.appearance,
            )

        if forest is not None:
            from rnntool.checkpoint.forest import save_forest

            save_forest(
                output,
                _grown(read, make, order=order, num_trees=forest, seed=1 if seed is None else seed, memory=memory),
            )
            return
        counts = count(read.blocks(), order, vocab_size=len(vocabulary), eos_id=vocabulary.eos_id, memory=memory)
    made = make(counts)
    _report(made)
    with report.output(output) as out:
        for piece in write_arpa(made.model):
            out.write(piece)


def _read(text: tuple[str, ...], vocab: str | None, spool: Spool) -> Text:
    """The text as ids."""
    from rnntool.ngram.reading import read_closed, read_open
    from rnntool.text.files import read_blocks, shown

    name = shown(text[0]) if len(text) == 1 else f"{len(text)} files"
    vocabulary = None if vocab is None else _vocabulary(vocab)

    def blocks() -> Iterator[bytes]:
        for path in text:
            yield from read_blocks(path)

    if vocabulary is None:
        return read_open(blocks(), name, spool)
    return read_closed(blocks(), name, vocabulary, spool)


def _vocabulary(path: str) -> Vocabulary:
    """The words to know, without marks: an ARPA file has its own `<s>`."""
    from rnntool.text.files import shown
    from rnntool.text.formats import CONTROLS, EOS
    from rnntool.text.vocabulary import Vocabulary, read_vocabulary

    vocabulary = read_vocabulary(path)
    if vocabulary.unit == "spm":
        what = "a SentencePiece model cannot be carried by an ARPA file; make one of its pieces as words"
        raise OptionError("--vocab", what, f"rnntool encode -V {shown(path)} TEXT | rnntool ngram")
    kept = [id_ for id_, token in enumerate(vocabulary.tokens) if token == EOS or token not in CONTROLS]
    if len(kept) == len(vocabulary):
        return vocabulary
    return Vocabulary(vocabulary.unit, [vocabulary.tokens[id_] for id_ in kept])


def _smoothing(name: str, k: float) -> Smoothing:
    from rnntool.ngram.add_k import AddK
    from rnntool.ngram.kneser_ney import KneserNey
    from rnntool.ngram.witten_bell import WittenBell

    known: dict[str, Smoothing] = {
        "mkn": KneserNey(modified=True),
        "kn": KneserNey(modified=False),
        "wb": WittenBell(),
        "add-k": AddK(k),
    }
    return known[name]


def _maximum_entropy(
    counts: Counts, vocabulary: Vocabulary, limits: tuple[int, ...], variances: tuple[float, ...]
) -> Estimate:
    """The model that `--smoothing maxent` asks for; its course is a detail."""
    from rnntool.ngram.maxent import VARIANCES, estimate

    def observe(iteration: int, value: float) -> None:
        report.detail(f"iteration {iteration} objective {value:.5f}")

    return estimate(counts, vocabulary, thresholds=limits, variances=variances or VARIANCES, observe=observe)


def _grown(
    read: Text, make: Callable[[Counts], Estimate], *, order: int, num_trees: int, seed: int, memory: int
) -> Forest:
    """The forest that `--forest` asks for; its course is a detail."""
    from rnntool.ngram.forest_estimation import estimate

    made: list[Estimate] = []

    def ngrams(counts: Counts) -> NgramModel:
        made[:] = [make(counts)]
        return made[0].model

    def observe(number: int, perplexity: float) -> None:
        report.detail(f"trees {number} held-out ppl {perplexity:.2f}")

    grown = estimate(
        read.blocks(),
        read.vocabulary,
        ngrams,
        order=order,
        num_trees=num_trees,
        seed=seed,
        memory=memory,
        observe=observe,
    )
    _report(made[0])
    return grown


def _report(made: Estimate) -> None:
    """Say of each order what was found, what is left and what was estimated."""
    for order, (found, parameters) in enumerate(zip(made.found, made.parameters, strict=True), 1):
        kept = made.model.grams.size(order)
        said = " ".join(f"{name} {value:.6g}" for name, value in parameters.items())
        report.detail(f"{order}-grams found {found} kept {kept} {said}".rstrip())
