"""What the fork server has imported before it forks: all of the program, so that no test waits for its modules.

That each command imports no more than it needs is tested in processes of their own.
"""

from __future__ import annotations

import pkgutil
from importlib import import_module

import rnntool

UNTIL_THEY_ARE_NEEDED = ("rnntool.__main__", "rnntool.nn.kernels.softmax")
"""One runs the program, the other needs triton."""

for module in pkgutil.walk_packages(rnntool.__path__, "rnntool."):
    if module.name not in UNTIL_THEY_ARE_NEEDED:
        import_module(module.name)
