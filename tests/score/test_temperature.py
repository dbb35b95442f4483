"""Temperatures of distributions."""

from __future__ import annotations

import pytest
import torch

from rnntool.config.output import Words, parse_output
from rnntool.nn.output.build import build_output
from rnntool.nn.output.layer import OutputLayer
from rnntool.score import temperature as module
from rnntool.score.network import NetworkScorer
from rnntool.score.temperature import nll_at
from tests.score.conftest import LINES, network, words


def layer(text: str) -> OutputLayer:
    built = build_output(parse_output(text), 8, Words([0] * 30))
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in built.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    return built


@pytest.mark.parametrize("text", ["full", "adaptive:10,20"])
@pytest.mark.parametrize("temperature", [0.5, 1.0, 1.3])
def test_every_probability_is_a_power_of_itself_scaled_to_sum_to_one(
    text: str, temperature: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BLOCK", 60)  # two rows at a time
    output = layer(text)
    h = torch.randn(1, 8, generator=torch.Generator().manual_seed(2)).expand(30, 8)
    powers = output.log_probs(h[:1]).double()[0].exp() ** (1 / temperature)
    found = nll_at(output, h, torch.arange(30), temperature)
    torch.testing.assert_close((-found.double()).exp(), powers / powers.sum(), rtol=1e-5, atol=0)
    assert len(nll_at(output, h[:0], torch.arange(0), temperature)) == 0


@pytest.mark.parametrize("context", ["carry", "reset"])
def test_a_scorer_at_a_temperature_is_the_logits_divided(context: str) -> None:
    """Of a full softmax, whose weight and bias are its logits."""
    lines = [words().encode(line) for line in LINES]
    divided = network()
    with torch.no_grad():
        for parameter in divided.output.parameters():
            parameter /= 1.7
    expected, _ = NetworkScorer(divided, words(), context).score(lines, divided.state0(1))
    warm = NetworkScorer(network(), words(), context, temperature=1.7)
    found, _ = warm.score(lines, warm.state0())
    for one, other in zip(found, expected, strict=True):
        assert one == pytest.approx(other, rel=1e-5)
