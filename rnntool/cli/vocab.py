"""`rnntool vocab`: from text to a vocabulary, and how much of a text a vocabulary covers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from rnntool.cli import options, report
from rnntool.errors import InputError, OptionError

if TYPE_CHECKING:
    from rnntool.text.vocabulary import Vocabulary

SPM_SIZE = 8000


@options.command("vocab")
@options.option(
    "-u",
    "--unit",
    type=click.Choice(["word", "char", "byte", "spm"]),
    metavar="UNIT",
    default="word",
    help="Unit of text: word, char, byte or spm (SentencePiece).",
)
@options.option("--size", type=options.Whole(1), metavar="N", help="Tokens at most, special ones included.")
@options.option(
    "--min-count",
    type=options.Whole(1),
    metavar="N",
    default=1,
    help="Leave out tokens that occur less than N times.",
)
@options.option(
    "--words",
    type=options.type_of_file,
    metavar="FILE",
    help="Take the words of FILE, all of them and no others.",
)
@options.option(
    "--special",
    multiple=True,
    metavar="TOKEN",
    help="Keep TOKEN in front, whatever its count; may be repeated.",
)
@options.option("--classes", type=options.Whole(1), metavar="K", help="Give every token one of K classes.")
@options.option(
    "--class-method",
    type=click.Choice(["freq", "sqrt", "exchange"]),
    metavar="METHOD",
    default="freq",
    help="Classes of equal count (freq) or root of count (sqrt), or of like neighbours (exchange).",
)
@options.option(
    "--spm-type",
    type=click.Choice(["unigram", "bpe"]),
    metavar="TYPE",
    default="unigram",
    help="Kind of SentencePiece model: unigram or bpe.",
)
@options.option(
    "--coverage",
    type=options.type_of_file,
    metavar="VOCAB",
    help="Make nothing; print how much of TEXT the vocabulary VOCAB covers.",
)
@options.option("--json", is_flag=True, help="With --coverage: one JSON object per line.")
@options.output()
@options.quiet
@options.verbose
@options.text
def command(
    unit: str,
    size: int | None,
    min_count: int,
    words: str | None,
    special: tuple[str, ...],
    classes: int | None,
    class_method: str,
    spm_type: str,
    coverage: str | None,
    json: bool,
    output: str,
    text: tuple[str, ...],
) -> None:
    """Make a vocabulary of TEXT: its tokens, commonest first.

    Reads TEXT, or standard input, and writes a line token⇥count[⇥class] for
    <unk>, for </s> and for every token; with -u spm, a SentencePiece model.
    Memory grows with the number of different tokens, not with the text.

    Examples:
      rnntool vocab --size 10000 train.txt > words.tsv
      rnntool vocab -u spm --size 8000 -o joint.spm train.en train.de
      rnntool vocab --coverage words.tsv < valid.txt
    """
    if coverage is not None:
        _print_coverage(text, coverage, output, json)
        return
    _check(unit, size, min_count, words, classes, json)
    if classes is not None and class_method == "exchange":
        _check_rereadable(text)
    if unit == "spm":
        _write_model(text, size or SPM_SIZE, spm_type, special, output)
        return
    vocabulary = _counted(text, unit, size, min_count, words, special)
    if classes is not None:
        vocabulary = _classed(vocabulary, classes, class_method, text)
    with report.output(output) as out:
        out.write(vocabulary.to_bytes().decode())


def _check(unit: str, size: int | None, min_count: int, words: str | None, classes: int | None, json: bool) -> None:
    """Refuse options that contradict each other."""
    if json:
        raise OptionError("--json", "goes with --coverage only")
    if words is not None and unit != "word":
        raise OptionError("--words", f"is a list of words; --unit is {unit}")
    if words is not None and (size is not None or min_count > 1):
        other = "--size" if size is not None else "--min-count"
        raise OptionError("--words", f"keeps every word of the list; {other} would not")
    if unit == "spm" and (min_count > 1 or classes is not None):
        other = "--min-count" if min_count > 1 else "--classes"
        raise OptionError(other, "goes with units word, char and byte; SentencePiece counts no tokens")


def _counted(
    text: tuple[str, ...], unit: str, size: int | None, min_count: int, words: str | None, special: tuple[str, ...]
) -> Vocabulary:
    from rnntool.text import counting
    from rnntool.text.vocabulary import read_vocabulary

    only = None if words is None else read_vocabulary(words).tokens
    counts = counting.count(_blocks(text), unit, only=only)
    counting.require_tokens(counts, _named(text))
    vocabulary = counting.build(counts, unit, size=size, min_count=min_count if only is None else 0, specials=special)
    known = 1 - vocabulary.counts[vocabulary.unk_id] / max(1, sum(vocabulary.counts) - counts.num_lines)
    report.detail(f"tokens {len(vocabulary)} lines {counts.num_lines} known {known:.2%}")
    return vocabulary


def _check_rereadable(text: tuple[str, ...]) -> None:
    """Refuse what can be read only once."""
    from rnntool.text.files import is_regular, shown

    for path in text:
        if path == "-" or not is_regular(path):
            raise OptionError("--class-method", f"exchange reads TEXT twice, and {shown(path)} is no file")


def _classed(vocabulary: Vocabulary, num_classes: int, method: str, text: tuple[str, ...]) -> Vocabulary:
    from rnntool.text import classes
    from rnntool.text.vocabulary import Vocabulary

    if method == "exchange":
        assigned = _exchanged(vocabulary, num_classes, text)
    else:
        assigned = classes.assign(vocabulary.counts, num_classes, method)
    report.detail(f"classes {max(assigned) + 1}")
    return Vocabulary(vocabulary.unit, vocabulary.tokens, vocabulary.counts, assigned)


def _exchanged(vocabulary: Vocabulary, num_classes: int, text: tuple[str, ...]) -> tuple[int, ...]:
    from rnntool.text.exchange import count_bigrams, exchange
    from rnntool.text.files import read_lines

    lines = (vocabulary.encode(line) for path in text for line in read_lines(path))
    bigrams = count_bigrams(lines, len(vocabulary), vocabulary.eos_id)

    def observe(number: int, moved: int, ppl: float) -> None:
        report.detail(f"pass {number} moved {moved} class_ppl {ppl:.2f}")

    return exchange(bigrams, num_classes, observe=observe)


def _write_model(text: tuple[str, ...], size: int, spm_type: str, special: tuple[str, ...], output: str) -> None:
    import sys

    from rnntool.text import pieces
    from rnntool.text.files import read_lines, whole_file

    if output == "-" and sys.stdout.isatty():
        raise OptionError("--output", "a SentencePiece model is no text for a terminal", "-o NAME.spm")
    lines = (line for path in text for line in read_lines(path))
    model = pieces.train(lines, size=size, model_type=spm_type, specials=special, where=_named(text))
    with whole_file(output) as out:
        out.write(model)


def _print_coverage(text: tuple[str, ...], vocabulary: str, output: str, as_json: bool) -> None:
    import json

    from rnntool.text.coverage import growth
    from rnntool.text.vocabulary import read_vocabulary

    names = ("tokens", "types", "oov", "oov_types", "oov_rate")
    rows = growth(_blocks(text), read_vocabulary(vocabulary))
    with report.output(output) as out:
        for number, row in enumerate(rows):
            if not row.tokens:
                raise InputError(_named(text), "no tokens")
            if not number and not as_json:
                out.write("\t".join(names) + "\n")
            values = [getattr(row, name) for name in names]
            if as_json:
                out.write(json.dumps(dict(zip(names, values, strict=True))) + "\n")
            else:
                out.write("\t".join(f"{value:.6g}" if isinstance(value, float) else str(value) for value in values))
                out.write("\n")


def _blocks(text: tuple[str, ...]) -> Iterator[bytes]:
    from rnntool.text.files import read_blocks

    for path in text:
        yield from read_blocks(path)


def _named(text: tuple[str, ...]) -> str:
    """The texts as a message names them."""
    from rnntool.text.files import shown

    return shown(text[0]) if len(text) == 1 else f"{len(text)} files"
