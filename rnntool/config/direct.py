"""Direct weights by name.

    none
    SIZE[:ORDER]        SIZE is a number, of thousands or of millions with k or M: 200k, 2M, 2.5M

Knows numbers; what they mean is in `rnntool.nn.output.direct`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from rnntool.errors import OptionError

LARGEST_SIZE = 2**30
"""Numbers in a table: 4 GiB."""

ORDERS = range(2, 10)

DEFAULT_ORDER = 3

_FORM = re.compile(r"(?P<number>[0-9]{1,10}(?:\.[0-9]{1,6})?)(?P<unit>[kM]?)(?::(?P<order>[0-9]{1,2}))?", re.ASCII)
_UNITS = {"": 1, "k": 1000, "M": 1_000_000}


@dataclass(frozen=True)
class Direct:
    """A table of weights of n-grams.

    Args:
        size: numbers in it.
        order: words of the longest n-gram, the predicted one among them.
    """

    size: int
    order: int = DEFAULT_ORDER

    def check(self, num_rows: int) -> None:
        """Raise OptionError if an output layer of so many rows cannot have it."""
        if self.size < num_rows:
            what = f"{self.size} weights cannot hold those of one history, {num_rows}"
            raise OptionError("--direct", what, f"--direct 10M:{self.order}")

    def __str__(self) -> str:
        """The canonical string: `parse_direct(str(direct)) == direct`."""
        return f"{self.size}:{self.order}"


def parse_direct(text: str) -> Direct | None:
    """The table that `text` names; None for none.

    Raises:
        OptionError: it is not of the form above, or a number is out of range.
    """
    if text == "none":
        return None
    match = _FORM.fullmatch(text)
    size = float(match["number"]) * _UNITS[match["unit"]] if match else 0.0
    if match is None or size % 1:
        raise OptionError("--direct", f"'{text}' is not of the form SIZE[:ORDER]", "--direct 10M:3")
    if not 1 <= size <= LARGEST_SIZE:
        raise OptionError("--direct", f"a table of '{text}' is not between 1 and {LARGEST_SIZE} numbers")
    order = int(match["order"] or DEFAULT_ORDER)
    if order not in ORDERS:
        raise OptionError("--direct", f"n-grams have {ORDERS[0]} to {ORDERS[-1]} words, not {order}")
    return Direct(int(size), order)
