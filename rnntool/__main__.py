"""`python -m rnntool`: the same program as `rnntool`."""

from __future__ import annotations

import sys

from rnntool.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
