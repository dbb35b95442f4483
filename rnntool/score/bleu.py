"""BLEU, chrF and TER as sacreBLEU computes them, with its signatures, confidence intervals and paired tests.

sacreBLEU is imported here and nowhere else, and only when something is computed.  Its statistics of a line (counts of
n-grams that match, lengths, edits) add up over lines to those of a text, from which its score follows; they are handed
out for searching (`statistics`).  Its tests draw random numbers from a seed that it reads from the environment
(SACREBLEU_SEED), 12345 if it is not there.

Source: Post 2018, "A Call for Clarity in Reporting BLEU Scores"; Papineni et al. 2002; Popović 2015; Snover et al. 2006;
Koehn 2004 (bootstrap); Riezler and Maxwell 2005 (approximate randomization).
"""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from rnntool.config.metrics import MetricConfig
from rnntool.errors import OptionError, RnntoolWarning

Statistics = Callable[[int, str], list[float]]
"""From the number of a line, from 0, and a hypothesis for it to its statistics."""

TOKENIZED = 100
"""Hypotheses that end in a full stop of its own: with so many of them the text has been cut into words before."""

_EXTRAS = {"ja-mecab": "ja", "ko-mecab": "ko"}


@dataclass(frozen=True)
class Result:
    """One score of one text.

    Args:
        value: the score.
        line: in sacreBLEU's words: metric, signature, score, and what it is made of.
        record: the same under the names of sacreBLEU's JSON.
    """

    value: float
    line: str
    record: dict[str, Any]


@dataclass(frozen=True)
class Comparison:
    """One system in a paired test.

    Args:
        metric: as sacreBLEU calls it: BLEU, chrF2, TER.
        signature: with the number of samples or trials and the seed.
        score: of the whole text.
        mean: of the resampled texts; None without resampling.
        interval: half the width of the interval that holds 95 % of them; None without resampling.
        p_value: how likely such a difference from the first system is by chance; None for the first system.
    """

    metric: str
    signature: str
    score: float
    mean: float | None
    interval: float | None
    p_value: float | None


def build(
    name: str, config: MetricConfig, references: Sequence[Sequence[str]] | None = None, *, sentences: bool = False
) -> Any:
    """A sacreBLEU metric.

    Args:
        name: of `METRICS`.
        config: its settings.
        references: one or more texts as lines, all as long; None to hand them in line by line.
        sentences: whether lines are scored one by one, each by the orders of n-grams that it has.

    Raises:
        OptionError: a tokenizer needs what is not installed or not there.
    """
    from sacrebleu import BLEU, CHRF, TER

    if name == "bleu":
        _require_tokenizer(config.tokenize)
        return BLEU(
            lowercase=config.lowercase,
            force=True,  # `warn_if_tokenized` has our words for it
            tokenize=config.tokenize,
            smooth_method=config.smooth,
            smooth_value=config.smooth_value,
            effective_order=sentences,
            references=references,
        )
    if name == "chrf":
        return CHRF(
            char_order=config.chrf_char_order,
            word_order=config.chrf_word_order,
            beta=config.chrf_beta,
            lowercase=config.lowercase,
            whitespace=config.chrf_whitespace,
            eps_smoothing=config.chrf_eps_smoothing,
            references=references,
        )
    assert name == "ter", f"no metric {name}"
    return TER(
        normalized=config.ter_normalized,
        no_punct=config.ter_no_punct,
        asian_support=config.ter_asian_support,
        case_sensitive=config.ter_case_sensitive,
        references=references,
    )


def _require_tokenizer(name: str) -> None:
    """Raise OptionError if a tokenizer is not at hand: sacreBLEU would fetch a model for it, or say so in its words."""
    from sacrebleu import BLEU, __version__
    from sacrebleu.metrics.bleu import _get_tokenizer
    from sacrebleu.tokenizers import tokenizer_spm
    from sacrebleu.utils import SACREBLEU_DIR

    if name not in BLEU.TOKENIZERS:
        what = f"{name} is unknown to sacrebleu {__version__}"
        raise OptionError("--tokenize", what, "pip install --upgrade sacrebleu")
    if name in tokenizer_spm.SPM_MODELS:
        url = tokenizer_spm.SPM_MODELS[name]["url"]
        path = os.path.join(SACREBLEU_DIR, "models", os.path.basename(url))
        if not os.path.exists(path):
            raise OptionError(
                "--tokenize", f"{name} needs {path}, which is not there", f"curl -L --create-dirs -o {path} {url}"
            )
    elif name in _EXTRAS:
        try:
            _get_tokenizer(name)()
        except (RuntimeError, ImportError):
            extra = _EXTRAS[name]
            what = f"{name} needs packages that are not installed"
            raise OptionError("--tokenize", what, f"pip install 'sacrebleu[{extra}]'") from None


def read_text(lines: Iterable[str]) -> list[str]:
    """A text as sacreBLEU's program reads it: lines without white space at their ends."""
    return [line.rstrip() for line in lines]


def warn_if_tokenized(hypotheses: Sequence[str], name: str) -> None:
    """Warn if a text looks as if it had been cut into words, which BLEU's tokenizer will do again."""
    stops = sum(hypothesis.endswith(" .") for hypothesis in hypotheses)
    if stops >= TOKENIZED:
        what = f"{stops} lines end in ' .': tokenised text scores otherwise than text; see --tokenize none"
        warnings.warn(RnntoolWarning(name, what), stacklevel=2)


def score(
    metric: Any, hypotheses: Sequence[str], *, num_samples: int = 0, width: int = 1, score_only: bool = False
) -> Result:
    """The score of a text against the references of the metric.

    Args:
        metric: from `build`, with references as long as the text, which is not empty.
        hypotheses: the text.
        num_samples: resampled texts for an interval of confidence; 0 for none.
        width: digits after the point.
        score_only: whether the line is the score alone.
    """
    found = metric.corpus_score(hypotheses, None, n_bootstrap=max(1, num_samples))
    return _result(found, metric, width, score_only)


def score_sentence(
    metric: Any, hypothesis: str, references: Sequence[str], *, width: int = 1, score_only: bool = False
) -> Result:
    """The score of one line.

    Args:
        metric: from `build` for sentences.
        hypothesis: the line.
        references: one or more.
        width: digits after the point.
        score_only: whether the line is the score alone.
    """
    return _result(metric.sentence_score(hypothesis, references), metric, width, score_only)


def _result(found: Any, metric: Any, width: int, score_only: bool) -> Result:
    signature = metric.get_signature().format()
    line = found.format(width, score_only, signature)
    return Result(float(found.score), line, json.loads(found.format(width, False, signature, True)))


def compare(
    metrics: Sequence[Any], systems: Sequence[tuple[str, Sequence[str]]], *, test: str, num_samples: int
) -> Iterator[list[Comparison]]:
    """A paired test of every system against the first.

    Args:
        metrics: from `build`, with references.
        systems: name and text of each, at least two.
        test: `bootstrap` (paired bootstrap resampling) or `randomization` (approximate randomization).
        num_samples: samples or trials.

    Yields:
        For each system, a comparison for each metric.
    """
    from sacrebleu.significance import PairedTest

    paired = PairedTest(
        list(systems),
        {str(place): metric for place, metric in enumerate(metrics)},
        None,
        test_type={"bootstrap": "bs", "randomization": "ar"}[test],
        n_samples=num_samples,
    )
    signatures, columns = paired()
    for place in range(len(systems)):
        yield [_comparison(name, signature.format(), columns[name][place]) for name, signature in signatures.items()]


def _comparison(metric: str, signature: str, found: Any) -> Comparison:
    optional = (None if value is None else float(value) for value in (found.mean, found.ci, found.p_value))
    return Comparison(metric, signature, float(found.score), *optional)


def statistics(metric: Any) -> Statistics:
    """The statistics of hypotheses under a metric with references.

    For BLEU they are the lengths of hypothesis and reference, then n-grams that match and n-grams of the hypothesis, for
    n from 1; for chrF, for every order, n-grams of the hypothesis, of the reference, and those that match.
    """

    def of_line(place: int, hypothesis: str) -> list[float]:
        segment = metric._preprocess_segment(hypothesis)
        counts: list[float] = metric._compute_segment_statistics(segment, metric._ref_cache[place])
        return counts

    return of_line


def segments(metric: Any, texts: Iterable[str]) -> list[str]:
    """Lines as the metric compares them: cut into words, in lower case if it ignores case."""
    return [metric._preprocess_segment(text) for text in texts]
