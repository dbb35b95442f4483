"""A lexicon: for words of one language words of another, `word⇥word`, one entry on each line.

Of several entries for a word the first counts, and what stands in further columns does not: such are the files of
fast_align and of other programs that align words, sorted by probability.
"""

from __future__ import annotations

from rnntool.errors import InputError
from rnntool.text.files import read_lines, shown
from rnntool.text.formats import quoted


def read_lexicon(path: str) -> dict[str, str]:
    """The entries of a file.

    Raises:
        InputError: it cannot be read, or a line has no tab; with the line.
    """
    entries: dict[str, str] = {}
    for number, line in enumerate(read_lines(path), 1):
        word, *others = line.split("\t")
        if not others or not word:
            what = f"{quoted(line)} is no entry of a lexicon, which is a word, a tab, and a word"
            raise InputError(f"{shown(path)}:{number}", what)
        entries.setdefault(word, others[0])
    return entries
