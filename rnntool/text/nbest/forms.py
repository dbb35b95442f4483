"""The formats of n-best lists by name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from rnntool.text.files import read_lines, shown
from rnntool.text.nbest import keyed, moses, srilm
from rnntool.text.nbest.lists import NbestList


@dataclass(frozen=True)
class Form:
    """A format.

    Args:
        read: from the lines of a file and its name to its lists.
        write: from a list to its lines, or to its whole file where a file has one list.
    """

    read: Callable[[Iterable[str], str], Iterator[NbestList]]
    write: Callable[[NbestList], str]


FORMS = {
    "moses": Form(moses.read, moses.write),
    "srilm": Form(srilm.read, srilm.write),
    "rnnlm": Form(keyed.read_rnnlm, keyed.write_rnnlm),
    "kaldi": Form(keyed.read_kaldi, keyed.write_kaldi),
}
"""Name → format."""


def read_nbest(paths: Sequence[str], form: str) -> Iterator[NbestList]:
    """The lists of files, one file after another, each list as soon as it is known to be over.

    Args:
        paths: files, or `-`.
        form: a name of `FORMS`.

    Raises:
        InputError: a file cannot be read or is no such file; the lists before have been yielded.
    """
    for path in paths:
        yield from FORMS[form].read(read_lines(path), shown(path))
