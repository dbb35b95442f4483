"""Presets: plain named sets of options, each of which the command line can say and override."""

from __future__ import annotations

from typing import Any

PRESETS: dict[str, dict[str, Any]] = {
    "tiny": {"arch": "lstm:64", "max_epochs": 4},
    "small": {"arch": "lstm:2x200"},
    "medium": {"arch": "lstm:2x650"},
    "large": {"arch": "lstm:2x1500"},
    "awd": {"arch": "lstm:3x1150"},
}
"""Name → option (as a keyword) → value."""
