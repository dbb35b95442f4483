"""`rnntool decode`: from pieces or ids back to text, line for line."""

from __future__ import annotations

from rnntool.cli import options, report
from rnntool.errors import OptionError


@options.command("decode")
@options.vocabulary()
@options.option("--ids", is_flag=True, help="Read ids instead of pieces.")
@options.output()
@options.quiet
@options.text
def command(vocab: str, ids: bool, output: str, text: tuple[str, ...]) -> None:
    """Put the pieces or ids of TEXT together again.

    The way back from rnntool encode, with the same vocabulary and --ids or
    not. Characters and bytes come back as they were; words with one space
    between them; SentencePiece's pieces as its normalised text. Lines leave as
    they arrive; memory grows with the longest line.

    Examples:
      rnntool encode -V joint.spm < in.txt | rnntool decode -V joint.spm
      rnntool decode -V words.tsv --ids text.ids > text.txt
    """
    from rnntool.text.decoding import decoder
    from rnntool.text.files import is_regular, read_blocks, shown
    from rnntool.text.vocabulary import read_vocabulary

    if vocab == "-" and "-" in text:
        raise OptionError("--vocab", "the standard input is the text; it cannot be the vocabulary too")
    decode = decoder(read_vocabulary(vocab), ids=ids)
    with report.output(output) as out:
        for path in text:
            keep = is_regular(path)
            number = 1
            for block in read_blocks(path):
                for line in decode(block, shown(path), number):
                    out.write(line + "\n")
                number += block.count(b"\n")
                if not keep:  # whoever sends lines one by one waits for each
                    out.flush()
