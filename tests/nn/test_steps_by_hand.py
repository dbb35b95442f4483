"""Single steps of the cells that no library has, with numbers worked out by hand.

σ(0) = 0.5; σ(ln 3) = 3/4, σ(−ln 3) = 1/4; tanh(ln 2) = (4 − 1) / (4 + 1) = 0.6.
"""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from rnntool.config.arch import parse_arch
from rnntool.nn.cells.build import build_cell
from rnntool.nn.kernels import reference
from tests.nn.conftest import Draw

LN2, LN3 = math.log(2), math.log(3)


def tensor(*rows: list[float]) -> Tensor:
    return torch.tensor(rows, dtype=torch.float64)


def vector(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def close(actual: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(actual, expected, rtol=1e-14, atol=1e-14)


SCRN = {
    "weight_is": tensor([2.0, 0.0], [0.0, 4.0]),  # B
    "weight_ih": tensor([1.0, -1.0]),  # A
    "weight_hh": tensor([10.0]),  # R
    "weight_sh": tensor([0.5, 0.25]),  # P
    "bias": vector(0.0),
}


def test_scrn_mixes_its_slow_state_before_the_fast_one_reads_it() -> None:
    """x = (1, 1), s = (8, 4), α = 0.75.

    s' = ¼ (2, 4) + ¾ (8, 4) = (6.5, 4); P s' = 3.25 + 1 = 4.25; A x = 0; R h = 10 h.
    With 10 h = ln 3 − 4.25 the sum is ln 3, and h' = ¾.
    """
    cell = build_cell(parse_arch("scrn:1+2@0.75"), 2)
    h = tensor([(LN3 - 4.25) / 10])
    out, state = cell.step(SCRN, tensor([1.0, 1.0]), (h, tensor([8.0, 4.0])))
    close(out, tensor([0.75, 6.5, 4.0]))
    close(state[0], tensor([0.75]))
    close(state[1], tensor([6.5, 4.0]))


def test_scrn_prev_reads_the_slow_state_of_the_step_before() -> None:
    """As above, but P s = 4 + 1 = 5: with 10 h = −ln 3 − 5, h' = ¼; s' is the same."""
    cell = build_cell(parse_arch("scrn:1+2@0.75,prev"), 2)
    out, _ = cell.step(SCRN, tensor([1.0, 1.0]), (tensor([(-LN3 - 5) / 10]), tensor([8.0, 4.0])))
    close(out, tensor([0.25, 6.5, 4.0]))


def test_scrn_learn_has_a_decay_for_every_unit() -> None:
    """a = (ln 3, −ln 3): α = (¾, ¼); s' = (¼·2 + ¾·8, ¾·4 + ¼·4) = (6.5, 4)."""
    cell = build_cell(parse_arch("scrn:1+2,learn"), 2)
    weights = SCRN | {"decay": vector(LN3, -LN3)}
    _, (_, s) = cell.step(weights, tensor([1.0, 1.0]), (tensor([0.0]), tensor([8.0, 4.0])))
    close(s, tensor([6.5, 4.0]))


def test_a_trace_fades_by_its_decay() -> None:
    """s' = ½ (2·1, 4·3) + ½ (8, 4) = (5, 8); then, without input, (2.5, 4)."""
    cell = build_cell(parse_arch("trace:2@0.5"), 2)
    h, (s,) = reference.run(cell, SCRN, tensor([1.0, 3.0], [0.0, 0.0])[:, None], (tensor([8.0, 4.0]),))
    close(h[:, 0], tensor([5.0, 8.0], [2.5, 4.0]))
    close(s, tensor([2.5, 4.0]))


@pytest.mark.parametrize("words", ["", ",learn"])
def test_scrn_without_fast_units_is_the_trace(words: str, draw: Draw) -> None:
    scrn = build_cell(parse_arch(f"scrn:0+3@0.8{words}"), 3)
    trace = build_cell(parse_arch(f"trace:3@0.8{words}"), 3)
    assert scrn.shapes == trace.shapes
    weights, x, state = draw(scrn, T=5)
    ours, theirs = reference.run(scrn, weights, x, state), reference.run(trace, weights, x, state)
    assert torch.equal(ours[0], theirs[0])
    assert torch.equal(ours[1][0], theirs[1][0])


def test_jordan_remembers_its_outputs() -> None:
    """μ = ½, y = ½, s = 1: s' = ½ + ½ = 1; A x + S s' = 2·3 + (ln 3 − 6)·1 = ln 3; y' = ¾.

    Then, x = 0: s'' = ½ + ¾ = 1.25; y'' = σ(1.25 (ln 3 − 6)).
    """
    cell = build_cell(parse_arch("jordan:1@0.5"), 1)
    weights = {"weight_ih": tensor([2.0]), "weight_hh": tensor([LN3 - 6]), "bias": vector(0.0)}
    h, (y, s) = reference.run(cell, weights, tensor([3.0], [0.0])[:, None], (tensor([0.5]), tensor([1.0])))
    close(h[0], tensor([0.75]))
    close(s, tensor([1.25]))
    close(y, tensor([1 / (1 + math.exp(-1.25 * (LN3 - 6)))]))
    assert torch.equal(y, h[1])


def test_jordan_with_tanh() -> None:
    """s' = 1 as above; A x + S s' = 6 + (ln 2 − 6) = ln 2; y' = 0.6."""
    cell = build_cell(parse_arch("jordan:1@0.5,tanh"), 1)
    weights = {"weight_ih": tensor([2.0]), "weight_hh": tensor([LN2 - 6]), "bias": vector(0.0)}
    close(cell.step(weights, tensor([3.0]), (tensor([0.5]), tensor([1.0])))[0], tensor([0.6]))


def test_an_ngram_network_sees_its_last_words_alone() -> None:
    """n = 3, x = 2 after 5 and 7: the window becomes (2, 5); A s = 2 − 0.2·5 = 1, and with b = ln 2 − 1, h = 0.6."""
    weights = {"weight_ih": tensor([1.0, -0.2]), "bias": vector(LN2 - 1)}
    out, (window,) = build_cell(parse_arch("ngram:3x1"), 1).step(weights, tensor([2.0]), (tensor([5.0, 7.0]),))
    close(out, tensor([0.6]))
    close(window, tensor([2.0, 5.0]))
    out, _ = build_cell(parse_arch("ngram:3x1,direct"), 1).step(weights, tensor([2.0]), (tensor([5.0, 7.0]),))
    close(out, tensor([0.6, 2.0, 5.0]))


def test_the_lectures_ngram_network_has_sigmoids_on_words_and_units() -> None:
    """σ of the window (ln 3, −ln 3) is (¾, ¼); A g = 2·¾ + 2·¼ = 2, and with b = ln 3 − 2, h = ¾."""
    weights = {"weight_ih": tensor([2.0, 2.0]), "bias": vector(LN3 - 2)}
    cell = build_cell(parse_arch("ngram:3x1,sigmoid,direct"), 1)
    out, (window,) = cell.step(weights, tensor([LN3]), (tensor([-LN3, 9.0]),))
    close(out, tensor([0.75, 0.75, 0.25]))
    close(window, tensor([LN3, -LN3]))


def test_a_multiplicative_network_multiplies_its_state_by_its_input() -> None:
    """x = 1, h = ½: D x + d = 3, G h = 4·½ = 2, f' = 6; A x + P f' + b = 1 − 3 + (2 + ln 2) = ln 2; h' = 0.6."""
    weights = {
        "weight_ih": tensor([1.0]),
        "weight_if": tensor([1.0]),
        "bias_f": vector(2.0),
        "weight_hf": tensor([4.0]),
        "weight_fh": tensor([-0.5]),
        "bias": vector(2 + LN2),
    }
    out, (h,) = build_cell(parse_arch("mrnn:1"), 1).step(weights, tensor([1.0]), (tensor([0.5]),))
    close(out, tensor([0.6]))
    assert out is h


def test_gru_before_resets_before_the_recurrent_product() -> None:
    """One unit, h = 4, x = 1, rows r z h̃.

    r = σ(ln 3 − 0.25·4 + 1) = ¾; z = σ(−ln 3) = ¼; h̃ = tanh(ln 2 − 3 + 1·(¾·4)) = tanh(ln 2) = 0.6;
    h' = ¾·4 + ¼·0.6 = 3.15.
    """
    cell = build_cell(parse_arch("gru-before:1"), 1)
    weights = {
        "weight_ih": tensor([LN3], [-LN3], [LN2]),
        "weight_hh": tensor([-0.25], [0.0], [1.0]),
        "bias": vector(1.0, 0.0, -3.0),
    }
    out, (h,) = cell.step(weights, tensor([1.0]), (tensor([4.0]),))
    close(out, tensor([3.15]))
    assert out is h


def test_the_two_grus_differ_where_units_share_a_product() -> None:
    """Two units, h = (1, 1), no input, U_h = [[0, ln 2], [0, 0]], r = (1, ½) up to 1e-15, z half.

    Before: h̃₁ = tanh(½ ln 2) = (2 − 1) / (2 + 1) = ⅓.  After: h̃₁ = tanh(1·ln 2) = 0.6.  h' = ½ + ½ h̃ in both.
    """
    weights = {
        "weight_ih": torch.zeros(6, 1, dtype=torch.float64),
        "weight_hh": torch.cat([torch.zeros(4, 2, dtype=torch.float64), tensor([0.0, LN2], [0.0, 0.0])]),
        "bias": vector(36.0, 0.0, 0.0, 0.0, 0.0, 0.0),
        "bias_n": vector(0.0, 0.0),
    }
    x, h = tensor([0.0]), tensor([1.0, 1.0])
    close(build_cell(parse_arch("gru-before:2"), 1).step(weights, x, (h,))[0], tensor([0.5 + 1 / 6, 0.5]))
    close(build_cell(parse_arch("gru:2"), 1).step(weights, x, (h,))[0], tensor([0.8, 0.5]))
