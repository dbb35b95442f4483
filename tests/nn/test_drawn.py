"""What training over few words aims at is what all words would give."""

from __future__ import annotations

from itertools import product

import pytest
import torch

from rnntool.config.output import Words, parse_output
from rnntool.nn.output.build import build_output
from rnntool.nn.output.drawn import DrawnLayer
from rnntool.nn.output.unigram import unigram

H, V = 5, 12
COUNTS = [100.0 / rank for rank in range(1, V + 1)]


def layer(text: str) -> DrawnLayer:
    built = build_output(parse_output(text), H, Words(COUNTS)).double()
    assert isinstance(built, DrawnLayer)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in built.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    return built


@pytest.mark.parametrize(("text", "power"), [("sampled:4000", 1.0), ("target:4000", 0.0), ("nce:4000", 0.75)])
def test_words_are_drawn_in_proportion_to_a_power_of_their_counts(text: str, power: float) -> None:
    """Against χ² of 11 degrees of freedom: above 31 once in a thousand seeds."""
    drawn = layer(text).draw(torch.Generator().manual_seed(1)).bincount(minlength=V)
    q = torch.tensor(COUNTS, dtype=torch.float64) ** power
    expected = 4000 * q / q.sum()
    assert float(((drawn - expected).square() / expected).sum()) < 31


def test_telling_from_samples_is_content_with_the_true_distribution() -> None:
    """As below, over all pairs of words that can be drawn."""
    built, p = truth("sampled:2")
    q = built._log_expected.double().exp() / 2
    h, targets = torch.zeros(V, H, dtype=torch.float64), torch.arange(V)
    mean = torch.zeros(V, dtype=torch.float64)
    largest = 0.0
    for drawn in product(range(V), repeat=2):
        loss, _ = built.loss_reference(h, targets, torch.tensor(drawn), weights=p)
        (gradient,) = torch.autograd.grad(loss, built.bias)
        mean += q[list(drawn)].prod() * gradient
        largest = max(largest, float(gradient.abs().max()))
    assert float(mean.abs().max()) < 1e-6
    assert largest > 0.01


def test_a_draw_that_meets_all_words_is_the_full_softmax() -> None:
    built = layer("target:4000")
    h = torch.randn(8, H, dtype=torch.float64, generator=torch.Generator().manual_seed(2), requires_grad=True)
    targets = torch.arange(8)
    loss, _ = built.loss_reference(h, targets, built.draw(None))
    assert float(loss.detach()) == pytest.approx(float(built.nll(h, targets).sum().detach()), rel=1e-12)


def truth(text: str) -> tuple[DrawnLayer, torch.Tensor]:
    """A layer whose biases are the logarithms of a distribution, and that distribution, (V,)."""
    built = layer(text)
    with torch.no_grad():
        built.weight.zero_()
        p = torch.rand(V, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
        p /= p.sum()
        built.bias.copy_(p.log())
    return built, p


def test_noise_contrast_is_content_with_the_true_distribution() -> None:
    """One h, targets as frequent as P says, noise as frequent as q says: no gradient is left."""
    built, p = truth("nce:12")
    h = torch.zeros(V, H, dtype=torch.float64)
    q = built._log_expected.double().exp() / 12
    each = [
        torch.autograd.grad(
            built.loss_reference(h, torch.arange(V), torch.full((12,), word), weights=p)[0], built.bias
        )[0]
        for word in range(V)
    ]
    mean = sum(share * gradient for share, gradient in zip(q, each, strict=True))
    assert float(mean.abs().max()) < 1e-6
    assert max(float(gradient.abs().max()) for gradient in each) > 0.01


@pytest.mark.parametrize("text", ["nce:3", "selfnorm:0.1"])
def test_self_normalised_layers_start_normalised(text: str) -> None:
    built = build_output(parse_output(text), H, Words(COUNTS))
    with torch.no_grad():
        built.init(unigram(COUNTS))
    assert built.is_self_normalized
    log_z = torch.addmm(built.bias, torch.zeros(1, H), built.weight.T).logsumexp(dim=1)
    assert float(log_z.detach()) == pytest.approx(0, abs=1e-6)


def test_a_sparse_gradient_has_the_rows_that_were_met_alone() -> None:
    built = layer("sampled:3")
    built.is_sparse = True
    h = torch.randn(2, H, dtype=torch.float64, requires_grad=True)
    loss, _ = built.loss(h, torch.tensor([0, 0]), dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    loss.backward()
    gradient = built.weight.grad
    assert gradient is not None
    assert gradient.is_sparse
    drawn = built.draw(torch.Generator().manual_seed(1))
    assert set(gradient.coalesce().indices()[0].tolist()) == {0, *drawn.tolist()}
