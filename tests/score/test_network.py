"""A line's score: the same whatever is computed beside it, before it in the same call, or after it."""

from __future__ import annotations

import itertools
import random

import numpy as np
import pytest
import torch

from rnntool.score import network as module
from rnntool.score.network import NetworkScorer
from rnntool.score.perplexity import score_lines
from tests.score.conftest import LINES, network, scorer, words

ARCHS = ["lstm:2x16", "gru:16", "elman:16", "scrn:16+8", "gru-before:16", "jordan:16"]

NEAR = {"rtol": 1e-6, "atol": 0}  # what is promised: float32, summed in another order by batches of another size


def ids(lines: list[str]) -> list[list[int]]:
    return [words().encode(line) for line in lines]


def flat(scores: list[np.ndarray]) -> np.ndarray:
    return np.concatenate(scores)


@pytest.mark.parametrize("arch", ARCHS)
def test_a_line_scores_the_same_in_batches_of_1_7_and_64(arch: str) -> None:
    lines = ids(LINES)
    alone, _ = scorer("reset", arch=arch, batch_size=1).score(lines, ())
    for batch_size in (7, 64):
        beside, _ = scorer("reset", arch=arch, batch_size=batch_size).score(lines, ())
        for one, other in zip(alone, beside, strict=True):
            np.testing.assert_allclose(one, other, **NEAR)


@pytest.mark.parametrize("arch", ARCHS)
def test_a_line_scores_the_same_in_any_order_and_company(arch: str) -> None:
    lines = ids(LINES)
    reset = scorer("reset", arch=arch)
    scores, _ = reset.score(lines, ())
    order = list(range(len(lines)))
    random.Random(1).shuffle(order)
    shuffled, _ = reset.score([lines[n] for n in order], ())
    for n, other in zip(order, shuffled, strict=True):
        np.testing.assert_allclose(scores[n], other, **NEAR)
    for n in (0, 1, 5, 79):
        (alone,), _ = reset.score([lines[n]], ())
        np.testing.assert_allclose(scores[n], alone, **NEAR)


def test_a_long_neighbour_changes_nothing() -> None:
    """It makes the batch longer than one window, and the short lines end in its first."""
    lines = ids(LINES[:5])
    long = [2] * (module.WINDOW + 100)
    scores, _ = scorer("reset").score([*lines, long], ())
    expected, _ = scorer("reset").score(lines, ())
    for one, other in zip(scores, expected, strict=False):
        np.testing.assert_allclose(one, other, **NEAR)
    assert len(scores[-1]) == len(long) + 1


def test_equal_lines_score_equal_where_the_context_is_reset() -> None:
    scores, _ = scorer("reset").score(ids(LINES), ())
    for n in range(8, 80):
        np.testing.assert_allclose(scores[n], scores[n % 8], **NEAR)


@pytest.mark.parametrize("context", ["carry", "reset"])
def test_every_token_and_every_line_end_has_a_score(context: str) -> None:
    lines = ids(LINES)
    one = scorer(context)
    scores, _ = one.score(lines, one.state0())
    assert [len(score) for score in scores] == [len(line) + 1 for line in lines]
    assert all(score.dtype == np.float64 and (score < 0).all() for score in scores)


@pytest.mark.parametrize("arch", ARCHS)
def test_carried_lines_are_one_long_stream_however_they_are_grouped(arch: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Against the network itself, token by token in float64; groups of 1, 3 and all; windows of five tokens."""
    eos = words().eos_id
    stream = [eos, *(id_ for line in ids(LINES) for id_ in [*line, eos])]
    exact = network(arch).double()
    state = exact.state0(1)
    expected = []
    with torch.no_grad():
        for before, after in itertools.pairwise(stream):
            log_probs, state = exact.step(torch.tensor([before]), state)
            expected.append(float(log_probs[0, after]))
    for window in (512, 5):
        monkeypatch.setattr(module, "WINDOW", window)
        for size in (1, 3, 80):
            carried = scorer("carry", arch=arch)
            carry = carried.state0()
            found = []
            for first in range(0, 80, size):
                scores, carry = carried.score(ids(LINES)[first : first + size], carry)
                found += scores
            np.testing.assert_allclose(flat(found), expected, rtol=2e-5, atol=1e-6)


def test_reset_lines_are_what_the_network_says_from_a_line_end_on() -> None:
    eos = words().eos_id
    exact = network().double()
    scores, _ = scorer("reset").score(ids(LINES), ())
    for line, score in zip(ids(LINES[:8]), scores, strict=False):
        stream = torch.tensor([eos, *line, eos])[:, None]
        with torch.no_grad():
            nll, _ = exact.nll(stream[:-1], stream[1:], exact.state0(1))
        np.testing.assert_allclose(score, -nll[:, 0].numpy(), rtol=2e-5, atol=1e-6)


def test_a_carried_line_depends_on_the_one_before_and_a_reset_one_does_not() -> None:
    for context, same in (("carry", False), ("reset", True)):
        one = scorer(context)
        scores, _ = one.score(ids(["the cat", "a dog", "the cat"]), one.state0())
        assert np.allclose(scores[0], scores[2], rtol=1e-6) == same


@pytest.mark.parametrize("context", ["carry", "reset"])
def test_no_lines_have_no_scores_and_leave_the_state(context: str) -> None:
    one = scorer(context)
    state = one.state0()
    scores, after = one.score([], state)
    assert scores == []
    assert all(torch.equal(a, b) for a, b in zip(after, state, strict=True))


def test_scores_are_exact_whatever_was_chosen_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    one = scorer("reset")
    nll = one.network.output.nll
    monkeypatch.setattr(
        one.network.output,
        "nll",
        lambda *given: (seen.append(torch.backends.mkldnn.matmul.fp32_precision), nll(*given))[1],
    )
    switch = torch.backends.mkldnn.matmul
    before = switch.fp32_precision
    switch.fp32_precision = "bf16"
    try:
        one.score(ids(["the cat"]), ())
    finally:
        switch.fp32_precision = before
    assert seen == ["ieee"]


def test_groups_of_text_are_scored_as_lines_are(monkeypatch: pytest.MonkeyPatch) -> None:
    one = scorer("carry")
    together = [line for group in score_lines(one, [LINES]) for line in group]
    apart = [line for group in score_lines(scorer("carry"), [[line] for line in LINES]) for line in group]
    assert [line.text for line in together] == LINES
    for a, b in zip(together, apart, strict=True):
        np.testing.assert_allclose(a.log_probs, b.log_probs, rtol=2e-6)


def test_a_network_is_not_changed_by_scoring() -> None:
    net = network()
    before = {name: p.clone() for name, p in net.named_parameters()}
    one = NetworkScorer(net, words(), "reset")
    one.score(ids(LINES), ())
    assert all(torch.equal(before[name], p) and p.grad is None for name, p in net.named_parameters())
