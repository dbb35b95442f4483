"""Dynamic evaluation, against its equations in plain torch."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest
import torch

from rnntool.config.adaptation import Dynamic
from rnntool.errors import TrainingError
from rnntool.models.network import Network
from rnntool.score.dynamic import EPSILON, DynamicScorer, usual_sizes
from tests.score.conftest import LINES, network, scorer, words

IDS = [words().encode(line) for line in LINES]
EOS = words().eos_id

SGD = Dynamic(rule="sgd", lr=0.05, decay=0.01, bptt=5)
RMS = Dynamic(rule="rms", lr=0.01, decay=0.02, bptt=7)


def dynamic(context: str, settings: Dynamic, **others: float) -> DynamicScorer:
    return DynamicScorer(network(scale=0.4), words(), context, settings, **others)


def reference(net: Network, streams: list[list[int]], settings: Dynamic) -> list[float]:
    """The equations; each stream begins with the state of nothing read."""
    sizes = usual_sizes(net, EOS, settings.bptt)
    mean = torch.cat([size.flatten() for size in sizes]).mean()
    net = copy.deepcopy(net)
    trained = [parameter.detach().clone() for parameter in net.parameters()]
    answers = []
    for stream in streams:
        ids, state = torch.tensor([EOS, *stream])[:, None], net.state0(1)
        for first in range(0, len(stream), settings.bptt):
            part = ids[first : first + settings.bptt + 1]
            nll, after = net.nll(part[:-1], part[1:], state)
            answers += (-nll[:, 0]).tolist()
            gradients = torch.autograd.grad(nll.sum() / settings.bptt, list(net.parameters()))
            state = tuple(value.detach() for value in after)
            with torch.no_grad():
                for theta, theta_0, g, r in zip(net.parameters(), trained, gradients, sizes, strict=True):
                    if settings.rule == "sgd":
                        theta += settings.decay * (theta_0 - theta) - settings.lr * g
                    else:
                        back = (settings.decay * r / mean).clamp(max=1)
                        theta += back * (theta_0 - theta) - settings.lr * g / (r + EPSILON * mean)
    return answers


@pytest.mark.parametrize("settings", [SGD, RMS], ids=str)
def test_it_is_its_equations_on_one_stream(settings: Dynamic) -> None:
    stream = [id_ for line in IDS for id_ in (*line, EOS)]
    expected = reference(network(scale=0.4), [stream], settings)
    learning = dynamic("carry", settings)
    found, _ = learning.score(IDS, learning.state0())
    np.testing.assert_allclose(np.concatenate(found), expected, rtol=1e-4)


@pytest.mark.parametrize("settings", [SGD, RMS], ids=str)
def test_it_is_its_equations_on_lines_that_stand_alone(settings: Dynamic) -> None:
    expected = reference(network(scale=0.4), [[*line, EOS] for line in IDS], settings)
    learning = dynamic("reset", settings)
    found, _ = learning.score(IDS, learning.state0())
    np.testing.assert_allclose(np.concatenate(found), expected, rtol=1e-4)


@pytest.mark.parametrize("context", ["carry", "reset"])
@pytest.mark.parametrize("settings", [SGD, RMS], ids=str)
@pytest.mark.parametrize("size", [1, 7])
def test_how_lines_are_grouped_changes_nothing(context: str, settings: Dynamic, size: int) -> None:
    learning = dynamic(context, settings)
    whole, _ = learning.score(IDS, learning.state0())
    found, state = [], learning.state0()
    for first in range(0, len(IDS), size):
        part, state = learning.score(IDS[first : first + size], state)
        found += part
    np.testing.assert_allclose(np.concatenate(found), np.concatenate(whole), rtol=1e-5)
    assert learning.score([], state) == ([], state)


@pytest.mark.parametrize("context", ["carry", "reset"])
def test_what_is_carried_is_a_value(context: str) -> None:
    """Asked again with an earlier state, it answers as it did; and the network it was made of is as it was."""
    given = network(scale=0.4)
    before = [parameter.clone() for parameter in given.parameters()]
    learning = DynamicScorer(given, words(), context, SGD)
    first, state = learning.score(IDS[:20], learning.state0())
    then, _ = learning.score(IDS[20:40], state)
    again, _ = learning.score(IDS[:20], learning.state0())
    and_then, _ = learning.score(IDS[20:40], state)
    for one, other in ((first, again), (then, and_then)):
        np.testing.assert_array_equal(np.concatenate(one), np.concatenate(other))
    for parameter, value in zip(given.parameters(), before, strict=True):
        assert torch.equal(parameter, value)


@pytest.mark.parametrize("arch", ["elman:8", "gru:8", "scrn:8+4", "lstm:8/4"])
def test_it_learns_what_repeats_itself(arch: str) -> None:
    """A sentence said forty times becomes likelier, with any cell."""
    line = words().encode("the cat sat on the mat")
    learning = DynamicScorer(network(arch, scale=0.3), words(), "carry", Dynamic(rule="sgd", lr=0.5, bptt=7))
    scores, _ = learning.score([line] * 40, learning.state0())
    assert scores[-1].sum() > scores[1].sum() + 1


def test_with_steps_of_nothing_it_is_the_network() -> None:
    for context in ("carry", "reset"):
        plain = scorer(context)
        expected, _ = plain.score(IDS, plain.state0())
        learning = DynamicScorer(network(), words(), context, Dynamic(rule="sgd", lr=1e-12, decay=0.5))
        found, _ = learning.score(IDS, learning.state0())
        np.testing.assert_allclose(np.concatenate(found), np.concatenate(expected), rtol=1e-5)


def test_a_step_too_large_is_an_error_and_no_number() -> None:
    learning = dynamic("carry", Dynamic(rule="sgd", lr=1e38))
    with pytest.raises(TrainingError) as stopped:
        learning.score(IDS, learning.state0())
    assert str(stopped.value) == "--dynamic: with lr 1e+38 the weights are no numbers any more"
    assert stopped.value.hint == "a smaller lr"


def test_usual_sizes_are_those_of_what_the_network_writes() -> None:
    """All weights zero but the output's bias: words are drawn independently with p = softmax(b).

    Over a segment of n words the bias's gradient is 1/n Σ (p − 1_y), whose mean square is p (1 − p) / n.
    """
    silent = network(scale=0.0)
    with torch.no_grad():
        silent.output.bias.copy_(torch.linspace(-1, 1, silent.vocab_size))
    p = silent.output.bias.detach().softmax(dim=0)
    names = [name for name, _ in silent.named_parameters()]
    sizes = dict(zip(names, usual_sizes(silent, EOS, 10), strict=True))
    torch.testing.assert_close(sizes["output.bias"], (p * (1 - p) / 10).sqrt(), rtol=0.25, atol=0)
    assert float(sizes["output.weight"].max()) == 0  # the states are zero
    assert all(math.isfinite(float(size.sum())) for size in sizes.values())


def test_usual_sizes_are_always_the_same() -> None:
    for one, other in zip(usual_sizes(network(), EOS, 5), usual_sizes(network(), EOS, 5), strict=True):
        assert torch.equal(one, other)
