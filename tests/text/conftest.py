"""How properties are tried: as often as usual, and without a clock, which says more about a busy machine than about us."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("without a clock", deadline=None)
settings.load_profile("without a clock")
