"""What sacreBLEU is asked, and what is said where it would fail in its own words."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest
import sacrebleu
from sacrebleu.significance import PairedTest

from rnntool.config.metrics import MetricConfig
from rnntool.errors import OptionError, RnntoolWarning
from rnntool.score import bleu

HYPS = ["The old king sees it.", "A rose", "", "No river follows the sea, he says."]
REFS = [
    ["The old king saw it.", "A rose.", "It is.", "No river follows the sea, she says."],
    ["An old king sees it!", "Roses", "", "The river, she says, follows the sea."],
]
CONFIGS = [
    ("bleu", MetricConfig(), sacrebleu.BLEU()),
    ("bleu", MetricConfig(lowercase=True, tokenize="char"), sacrebleu.BLEU(lowercase=True, tokenize="char")),
    (
        "bleu",
        MetricConfig(smooth="floor", smooth_value=0.3, tokenize="intl"),
        sacrebleu.BLEU(smooth_method="floor", smooth_value=0.3, tokenize="intl"),
    ),
    ("chrf", MetricConfig(), sacrebleu.CHRF()),
    (
        "chrf",
        MetricConfig(chrf_word_order=2, chrf_beta=3, chrf_char_order=4, lowercase=True, chrf_whitespace=True),
        sacrebleu.CHRF(word_order=2, beta=3, char_order=4, lowercase=True, whitespace=True),
    ),
    ("chrf", MetricConfig(chrf_eps_smoothing=True), sacrebleu.CHRF(eps_smoothing=True)),
    ("ter", MetricConfig(), sacrebleu.TER()),
    (
        "ter",
        MetricConfig(
            ter_normalized=True, ter_no_punct=True, ter_asian_support=True, ter_case_sensitive=True, lowercase=True
        ),
        sacrebleu.TER(normalized=True, no_punct=True, asian_support=True, case_sensitive=True),
    ),
]
every_config = pytest.mark.parametrize(("name", "config", "theirs"), CONFIGS)


@every_config
def test_a_text_has_their_score_and_signature(name: str, config: MetricConfig, theirs: Any) -> None:
    found = bleu.score(bleu.build(name, config, REFS), HYPS, width=4)
    expected = theirs.corpus_score(HYPS, REFS)
    assert found.value == expected.score
    assert found.line == expected.format(4, False, theirs.get_signature().format())
    assert found.record["score"] == round(expected.score, 4)
    assert found.record["signature"] == theirs.get_signature().format()


@every_config
def test_statistics_add_up_to_the_score(name: str, config: MetricConfig, theirs: Any) -> None:
    metric = bleu.build(name, config, REFS)
    statistics_of = bleu.statistics(metric)
    summed = [
        sum(column) for column in zip(*(statistics_of(place, hyp) for place, hyp in enumerate(HYPS)), strict=True)
    ]
    assert metric._compute_score_from_stats(summed).score == theirs.corpus_score(HYPS, REFS).score


@pytest.mark.parametrize(("test", "theirs"), [("bootstrap", "bs"), ("randomization", "ar")])
def test_paired_tests_are_theirs_for_all_metrics(test: str, theirs: str) -> None:
    systems = [("a", HYPS), ("b", REFS[1]), ("c", HYPS[::-1])]
    metrics = [bleu.build(name, MetricConfig(), REFS[:1]) for name in ("bleu", "chrf", "ter")]
    found = list(bleu.compare(metrics, systems, test=test, num_samples=50))
    paired = PairedTest(systems, dict(zip("abc", metrics, strict=True)), None, theirs, n_samples=50)
    signatures, scores = paired()
    assert [[each.metric for each in row] for row in found] == [["BLEU", "chrF2", "TER"]] * 3
    for place, row in enumerate(found):
        for each in row:
            expected = scores[each.metric][place]
            assert each.signature == signatures[each.metric].format()
            assert (each.score, each.p_value) == (expected.score, expected.p_value)
            assert (each.mean, each.interval) == (expected.mean, expected.ci)


def test_text_is_read_without_white_space_at_the_ends_of_lines() -> None:
    assert bleu.read_text(["a b \t", "\u00a0c\u00a0\u2028", ""]) == ["a b", "\u00a0c", ""]


def test_text_that_has_been_cut_into_words_is_warned_of() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        bleu.warn_if_tokenized(["It is ."] * 99 + ["It is."] * 100, "hyp")
    with pytest.warns(RnntoolWarning) as caught:
        bleu.warn_if_tokenized(["It is ."] * 100, "hyp")
    expected = "hyp: 100 lines end in ' .': tokenised text scores otherwise than text; see --tokenize none"
    assert str(caught[0].message) == expected


def test_a_tokenizer_that_is_not_there_is_an_error_and_nothing_is_fetched(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sacrebleu.utils, "SACREBLEU_DIR", str(tmp_path))
    with pytest.raises(OptionError) as refused:
        bleu.build("bleu", MetricConfig(tokenize="flores200"), REFS)
    place = tmp_path / "models" / "flores200sacrebleuspm"
    assert str(refused.value) == f"--tokenize: flores200 needs {place}, which is not there"
    assert refused.value.hint == f"curl -L --create-dirs -o {place} https://tinyurl.com/flores200sacrebleuspm"
    assert list(tmp_path.iterdir()) == []


def test_a_tokenizer_of_a_later_version_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sacrebleu.BLEU, "TOKENIZERS", ["13a"])
    with pytest.raises(OptionError) as refused:
        bleu.build("bleu", MetricConfig(tokenize="zh"), REFS)
    assert str(refused.value) == f"--tokenize: zh is unknown to sacrebleu {sacrebleu.__version__}"


def test_a_tokenizer_whose_packages_are_missing_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    from sacrebleu.tokenizers import tokenizer_ja_mecab

    monkeypatch.setattr(tokenizer_ja_mecab, "MeCab", None)
    with pytest.raises(OptionError) as refused:
        bleu.build("bleu", MetricConfig(tokenize="ja-mecab"), REFS)
    assert str(refused.value) == "--tokenize: ja-mecab needs packages that are not installed"
    assert refused.value.hint == "pip install 'sacrebleu[ja]'"
