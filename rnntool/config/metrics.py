"""How translations are compared with references: sacreBLEU's three metrics and all that changes their numbers.

The names and the defaults are sacreBLEU's, so that a score here has its signature and equals it.
"""

from __future__ import annotations

from dataclasses import dataclass

METRICS = ("bleu", "chrf", "ter")
TOKENIZERS = ("13a", "none", "intl", "char", "zh", "ja-mecab", "ko-mecab", "flores101", "flores200", "spBLEU-1K")
"""All of sacreBLEU's but `spm`, an old name of flores101."""
SMOOTHINGS = ("exp", "floor", "add-k", "none")


@dataclass(frozen=True)
class MetricConfig:
    """The settings of all three metrics; each reads its own."""

    # BLEU
    tokenize: str = "13a"
    """How a line is cut into words: a name of `TOKENIZERS`; `none` takes them as they are separated by spaces."""
    smooth: str = "exp"
    """What stands for an n-gram count of zero: a name of `SMOOTHINGS`."""
    smooth_value: float | None = None
    """What `floor` puts in its place, or `add-k` adds; None: 0.1 and 1."""

    # BLEU and chrF
    lowercase: bool = False
    """Whether case is ignored."""

    # chrF
    chrf_char_order: int = 6
    """Longest n-gram of characters."""
    chrf_word_order: int = 0
    """Longest n-gram of words; 2 makes it chrF++."""
    chrf_beta: int = 2
    """How many times as much recall weighs as precision."""
    chrf_whitespace: bool = False
    """Whether spaces are characters."""
    chrf_eps_smoothing: bool = False
    """Whether an order without n-grams counts as nearly zero, as in chrF++.py, and is not left out of the mean."""

    # TER
    ter_normalized: bool = False
    """Whether punctuation is cut from words, as in tercom's normalisation."""
    ter_no_punct: bool = False
    """Whether punctuation is removed."""
    ter_asian_support: bool = False
    """Whether characters of East Asian scripts are words."""
    ter_case_sensitive: bool = False
    """Whether case counts."""
