"""`rnntool encode`: from text to pieces or ids, line for line."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from rnntool.cli import options, report
from rnntool.errors import OptionError

if TYPE_CHECKING:
    from rnntool.text.vocabulary import Vocabulary


@options.command("encode")
@options.vocabulary()
@options.option("--ids", is_flag=True, help="Write ids, numbers from 0, instead of pieces.")
@options.option(
    "--sample",
    type=options.Real(0),
    metavar="ALPHA",
    help="Draw one of the ways to cut a line (SentencePiece only): ALPHA sharpens a unigram model's choice, "
    "or is the share of merges that a BPE model drops.",
)
@options.option(
    "--nbest",
    type=options.Whole(2, 512),
    metavar="N",
    help="With --sample: draw among the N best ways; default: among all.",
)
@options.output()
@options.seed(0, help="Seed of --sample.")
@options.quiet
@options.text
def command(
    vocab: str, ids: bool, sample: float | None, nbest: int | None, output: str, seed: int, text: tuple[str, ...]
) -> None:
    r"""Cut the lines of TEXT into the tokens of a vocabulary.

    Reads TEXT, or standard input, and writes for every line its pieces with
    one space between them: words, characters (a space is \s), bytes (<0x61>)
    or SentencePiece pieces, as the vocabulary has it. rnntool decode is the way
    back. Lines leave as they arrive; memory grows with the longest line.

    Examples:
      rnntool encode -V joint.spm < train.en > train.pieces
      rnntool encode -V words.tsv --ids text.txt > text.ids
    """
    from rnntool.text.files import is_regular, read_blocks
    from rnntool.text.vocabulary import read_vocabulary

    if nbest is not None and sample is None:
        raise OptionError("--nbest", "goes with --sample only")
    if vocab == "-" and "-" in text:
        raise OptionError("--vocab", "the standard input is the text; it cannot be the vocabulary too")
    vocabulary = read_vocabulary(vocab)
    encoded: Callable[[bytes], Iterable[bytes]]
    if sample is None:
        encoded = vocabulary.id_lines if ids else vocabulary.piece_lines
    else:
        encoded = _sampler(vocabulary, ids, sample, nbest, seed)
    with report.output(output) as out:
        for path in text:
            keep = is_regular(path)
            for block in read_blocks(path):
                for part in encoded(block):
                    out.write(part.decode())
                if not keep:  # whoever sends lines one by one waits for each
                    out.flush()


def _sampler(
    vocabulary: Vocabulary, ids: bool, alpha: float, nbest: int | None, seed: int
) -> Callable[[bytes], Iterable[bytes]]:
    """A way to encode blocks with draws that depend on the seed and the number of the line alone."""
    from itertools import count

    if vocabulary.unit != "spm":
        raise OptionError("--sample", f"is for SentencePiece vocabularies; this one has unit {vocabulary.unit}")
    seeds = count(seed << 40)  # each line has its own, so that no draw depends on how the lines arrive
    draw: Callable[..., list[Any]] = vocabulary.sample if ids else vocabulary.sample_pieces

    def encoded(block: bytes) -> Iterator[bytes]:
        for line in block[:-1].decode().split("\n"):
            tokens = draw(line, alpha=alpha, nbest=nbest or -1, seed=next(seeds))
            yield " ".join(map(str, tokens)).encode() + b"\n"

    return encoded
