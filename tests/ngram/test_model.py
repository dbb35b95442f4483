"""Many words at once, compared with one after another."""

from __future__ import annotations

import math
from random import Random

import numpy as np
import pytest

from rnntool.ngram.kneser_ney import KneserNey
from rnntool.ngram.model import NgramModel
from tests.ngram.conftest import GOLDEN, LINES, Table, estimated, parsed, random_lines, tables

MODELS = {
    "unigram": estimated(LINES, KneserNey(modified=True), 1).model,
    "trigram": estimated(LINES, KneserNey(modified=True), 3).model,
    "5-gram": estimated(random_lines(3), KneserNey(modified=True), 5, prune=(0, 0, 1)).model,
}

every_model = pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)


def log10_prob_reference(found: list[Table], words: tuple[str, ...]) -> float:
    """The definition: log₁₀ P of the last word after the others."""
    words = words[-len(found) :]
    if words in found[len(words) - 1]:
        return found[len(words) - 1][words][0]
    history = words[:-1]
    _, backoff = found[len(history) - 1].get(history, (0, 0.0))
    return backoff + log10_prob_reference(found, words[1:])


def scores_reference(model: NgramModel, line: list[int]) -> list[float]:
    tokens = model.vocabulary.tokens
    words = ("<s>", *(tokens[id_] for id_ in line), "</s>")
    found = tables(model)
    return [math.log(10) * log10_prob_reference(found, words[: end + 1]) for end in range(1, len(words))]


def drawn_lines(model: NgramModel, number: int = 40) -> list[list[int]]:
    random = Random(5)
    return [[random.randrange(len(model.vocabulary)) for _ in range(random.randrange(9))] for _ in range(number)]


@every_model
def test_scores_are_those_of_the_definition(model: NgramModel) -> None:
    """Of lines of the text, and of lines that hardly have an n-gram in it, some with `</s>` among their words."""
    lines = [model.vocabulary.encode(line) for line in LINES] + drawn_lines(model)
    for line, scores in zip(lines, model.log_probs(lines), strict=True):
        np.testing.assert_allclose(scores, scores_reference(model, line), rtol=1e-12)


def test_a_model_may_lack_what_its_n_grams_end_with() -> None:
    """As after pruning by SRILM: `a b c` is there and `b c` is not, so that P(c | a b) is found though P(c | b) is not.

    P(c | b) is then b(b) P(c), and P(b | c a) is P(b | a), since `c a` has no weight.
    """
    model = parsed(
        "\\data\\\nngram 1=6\nngram 2=2\nngram 3=1\n\n"
        "\\1-grams:\n-1\t<unk>\n-99\t<s>\n-1\t</s>\n-0.5\ta\t-0.25\n-0.6\tb\t-0.125\n-0.7\tc\n\n"
        "\\2-grams:\n-0.1\ta b\t-0.3\n-0.2\t<s> c\n\n"
        "\\3-grams:\n-0.05\ta b c\n\n\\end\\\n"
    )
    a, b, c = map(model.vocabulary.tokens.index, "abc")
    (scores,) = model.log_probs([[c, a, b, c, b, c]])
    expected = [-0.2, -0.5, -0.1, -0.05, -0.6, -0.125 - 0.7, -1]
    np.testing.assert_allclose(scores / math.log(10), expected, rtol=1e-12)


@every_model
def test_lines_are_scored_alone_as_together(model: NgramModel) -> None:
    lines = drawn_lines(model)
    together = model.log_probs(lines)
    for line, scores in zip(lines, together, strict=True):
        assert model.log_probs([line])[0].tolist() == scores.tolist()
    assert model.log_probs([]) == []


@every_model
def test_word_after_word_is_as_line_after_line(model: NgramModel) -> None:
    """Several histories side by side, each one word longer at a time."""
    lines = [line for line in drawn_lines(model, 200) if len(line) == 6][:8]
    assert len(lines) == 8
    expected = np.array([scores[:6] for scores in model.log_probs(lines)])
    contexts = np.repeat(model.begin(), len(lines), axis=0)
    words = np.array(lines)
    for place in range(6):
        log_probs = model.next_log_probs(contexts)
        assert log_probs.shape == (len(lines), len(model.vocabulary))
        np.testing.assert_allclose(log_probs[np.arange(len(lines)), words[:, place]], expected[:, place], rtol=1e-12)
        contexts = model.after(contexts, words[:, place])


def test_what_is_asked_is_not_changed() -> None:
    model = MODELS["trigram"]
    before = [*model.log10_probs, *model.log10_backoffs]
    copies = [array.copy() for array in before]
    contexts = model.begin()
    model.next_log_probs(contexts)
    model.after(contexts, np.array([3]))
    assert contexts.tolist() == model.begin().tolist()
    assert all((array == copy).all() for array, copy in zip(before, copies, strict=True))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "trigram",
            [
                [-0.23944822, -0.7265465, -0.6373697, -0.55670965, -0.026932543, -0.43134454, -0.2563192],
                [-1.314883],
                [-1.0770504, -2.2238984, -1.453384, -1.5303879, -0.30249196, -0.31657788],
                [-2.205246, -1.2488121, -1.5633763, -0.45739222, -0.69067734],
            ],
        ),
        (
            "pruned",
            [
                [-0.24257866, -0.7008559, -0.48140508, -0.62777877, -0.033255637, -0.69456744, -0.27439594],
                [-1.3536738],
                [-1.0990597, -0.57253855, -1.7150311, -1.6763222, -0.3076727, -0.30707762],
                [-2.678688, -1.3266805, -1.6862935, -0.7885395, -0.96785533],
            ],
        ),
    ],
)
def test_scores_are_those_of_kenlms_query(name: str, expected: list[list[float]]) -> None:
    """KenLM 0.3.0, query -v word, on its own models; `zebra` is not in them, and a blank line is its end."""
    model = parsed((GOLDEN / f"{name}.arpa").read_text())
    lines = ["the cat sat by the fire", "", "a zebra slept all day", "home the mouse ran"]
    for scores, golden in zip(model.log_probs([*map(model.vocabulary.encode, lines)]), expected, strict=True):
        np.testing.assert_allclose(scores / math.log(10), golden, atol=1e-6)
