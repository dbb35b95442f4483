"""Embedding, recurrent layers and softmax together."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from rnntool.config.network import NetworkConfig
from rnntool.config.output import Words
from rnntool.config.presets import PRESETS
from rnntool.models.network import EMBED_BOUND, Network, build_network
from rnntool.nn.noise import Noise

V = 7


def network(arch: str = "lstm:4", *, seed: int = 1, **options: object) -> Network:
    built = build_network(NetworkConfig(arch, **options), V)  # type: ignore[arg-type]
    built.init(torch.Generator().manual_seed(seed))
    with torch.no_grad():  # a softmax that has learnt something
        built.output.bias.copy_(torch.linspace(-1, 1, V))
        if built.direct_table is not None:
            built.direct_table.copy_(torch.linspace(-1, 1, len(built.direct_table)).sin())
    return built.double()


def ids(T: int = 5, B: int = 2) -> torch.Tensor:
    return torch.randint(V, (T, B), generator=torch.Generator().manual_seed(2))


@pytest.mark.parametrize(
    ("config", "parameters"),
    [
        # V E + 4 H (E + H + 1) + V (H + 1): 28 + 144 + 35
        (NetworkConfig("lstm:4"), 207),
        # E given: 7·3 + 4·4·(3 + 4 + 1) + 35
        (NetworkConfig("lstm:4", embed_size=3), 184),
        # tied: the softmax has a bias of its own alone
        (NetworkConfig("lstm:4", tied=True), 28 + 144 + 7),
        # two layers: another 4·4·(4 + 4 + 1)
        (NetworkConfig("lstm:2x4"), 207 + 144),
        # gain and bias for each layer
        (NetworkConfig("lstm:2x4", layer_norm=True), 207 + 144 + 16),
        # tied to another width: the last layer is as wide as the embedding (Merity et al. 2018): 5, 5 and 3 units
        (NetworkConfig("lstm:3x5", embed_size=3, tied=True), 21 + 180 + 220 + 108 + 7),
        # projected: 7·2 + 4·4·(2 + 2 + 1) + 2·4 + 7·3
        (NetworkConfig("lstm:4/2"), 14 + 80 + 8 + 21),
        # A and B are the embedding, 7·(4 + 3); R 16, P 12, b 4; softmax of width 7
        (NetworkConfig("scrn:4+3"), 49 + 16 + 12 + 4 + 7 * 8),
        # with embeddings of their own: 7·5, B 3·5, A 4·5
        (NetworkConfig("scrn:4+3", embed_size=5), 35 + 15 + 20 + 16 + 12 + 4 + 7 * 8),
        # 3·4·(4 + 4 + 1) + 4 for the bias inside the reset
        (NetworkConfig("gru:4"), 28 + 108 + 4 + 35),
        # a table beside all that
        (NetworkConfig("lstm:4", direct="50:3"), 207 + 50),
        # A is the embedding; R, b
        (NetworkConfig("elman:4"), 28 + 20 + 35),
        # above it, there is an A
        (NetworkConfig("elman:2x4"), 28 + 20 + 36 + 35),
        # Bengio et al. 2003, §2.1, without direct connections: |V| (1 + n m + h) + h (1 + (n − 1) m), n counting the word
        # that is predicted: here V (1 + m + h) + h (1 + (n − 1) m), since each word has one embedding of m numbers
        (NetworkConfig("ngram:5x4", embed_size=3), 7 * (1 + 3 + 4) + 4 * (1 + 4 * 3)),
        (NetworkConfig("ngram:5x4"), 7 * (1 + 4 + 4) + 4 * (1 + 4 * 4)),
        # direct connections: a row of 4 · 3 more for every word
        (NetworkConfig("ngram:5x4,direct", embed_size=3), 7 * (1 + 3 + 4 + 12) + 4 * (1 + 4 * 3)),
        # A 4·2, D 3·2, G 3·4, P 4·3, b 4, d 3
        (NetworkConfig("mrnn:4/3", embed_size=2), 14 + 8 + 6 + 12 + 12 + 7 + 35),
        # B has no other weight beside it
        (NetworkConfig("trace:4"), 28 + 16 + 35),
    ],
    ids=str,
)
def test_parameters_are_as_many_as_the_equations_have(config: NetworkConfig, parameters: int) -> None:
    with torch.device("meta"):
        built = build_network(config, V)
    assert built.num_parameters == parameters


@pytest.mark.parametrize(
    ("preset", "own", "parameters"),
    [
        # Zaremba et al. 2014, nothing tied: 4.65, 19.8 and 66.0 million; here every gate has one bias: with H units on
        # V = 10,000, V H + 2 · 4 H (2 H + 1) + V (H + 1)
        ("small", ("arch",), 4_651_600),
        ("medium", ("arch",), 19_775_200),
        ("large", ("arch",), 66_022_000),
        # Merity et al. 2018: 24 million; V · 400 + 4 · 1150 · 1551 + 4 · 1150 · 2301 + 4 · 400 · 1551 + V
        ("awd", ("arch", "embed_size", "tied"), 24_210_800),
    ],
)
def test_the_classic_networks_have_their_published_sizes(preset: str, own: tuple[str, ...], parameters: int) -> None:
    config = NetworkConfig(**{name: PRESETS[preset][name] for name in own})
    with torch.device("meta"):
        assert build_network(config, 10_000).num_parameters == parameters


@pytest.mark.parametrize(
    "arch",
    ["ngram:4x4", "elman:4", "lstm:2x4/3", "gru:2x4", "gru-before:4", "scrn:2x4+3", "trace:4", "jordan:4", "mrnn:4"],
)
@pytest.mark.parametrize(
    "options", [{}, {"tied": True}, {"residual": True, "layer_norm": True}, {"direct": "50:4"}], ids=str
)
def test_a_window_is_its_tokens_one_by_one(arch: str, options: dict[str, Any]) -> None:
    net = network(arch, **options)
    inputs, targets = ids(), ids().flip(0)
    nll, after = net.nll(inputs, targets, net.state0(2))
    state = net.state0(2)
    for t in range(len(inputs)):
        log_probs, state = net.step(inputs[t], state)
        torch.testing.assert_close(log_probs.exp().sum(dim=1), torch.ones(2).double())
        torch.testing.assert_close(-log_probs.gather(1, targets[t][:, None])[:, 0], nll[t], rtol=1e-12, atol=1e-12)
    for one, other in zip(state, after, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("keep", [0, 2, 5])
def test_the_words_of_direct_weights_are_kept_with_the_state(keep: int) -> None:
    net = network(direct="50:4")
    _, kept = net.run(ids(), net.state0(2), keep=keep)
    _, expected = net.run(ids()[:keep], net.state0(2)) if keep else (None, net.state0(2))
    for one, other in zip(kept, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)
    assert kept[-1].tolist() == torch.cat([torch.full((3, 2), -1), ids()[:keep]])[-3:].T.tolist()


def test_states_can_be_indexed_as_a_search_does() -> None:
    """Stream 1 twice and stream 0 once: each goes on as if it were alone."""
    net = network("lstm:2x4")
    _, state = net.run(ids(), net.state0(2))
    tokens = torch.tensor([1, 2, 3])
    chosen = torch.tensor([1, 0, 1])
    together, _ = net.step(tokens, tuple(s[chosen] for s in state))
    for row, (token, stream) in enumerate(zip(tokens, chosen, strict=True)):
        alone, _ = net.step(token[None], tuple(s[stream][None] for s in state))
        torch.testing.assert_close(together[row], alone[0], rtol=1e-12, atol=1e-12)


def test_training_starts_with_words_as_likely_as_they_occur() -> None:
    """The softmax's weight starts at zero; a tied one is the embedding, within ±0.1 (Zaremba et al. 2014)."""
    net = build_network(NetworkConfig("lstm:4"), Words([6, 3, 1]))
    net.init(torch.Generator().manual_seed(1))
    assert not net.output.weight.any()
    torch.testing.assert_close(net.output.bias.exp(), torch.tensor([0.6, 0.3, 0.1]))
    assert 0 < net.embedding.abs().max() <= EMBED_BOUND
    tied = build_network(NetworkConfig("lstm:4", tied=True), V)
    tied.init(torch.Generator().manual_seed(1))
    assert tied.output.weight is tied.embedding
    assert tied.embedding.any()
    torch.testing.assert_close(tied.output.bias.exp(), torch.full((V,), 1 / V))


def test_weights_are_a_function_of_the_seed() -> None:
    one, same, other = network(), network(), network(seed=2)
    assert torch.equal(one.embedding, same.embedding)
    assert not torch.equal(one.embedding, other.embedding)


def test_a_dropped_word_is_dropped_wherever_it_stands_but_can_still_be_predicted() -> None:
    """Tied: the rows that are read are dropped, the rows that predict are not."""
    net = network("trace:4@0", tied=True)
    noise = Noise(torch.Generator().manual_seed(1), embed=0.5)
    dropped = (noise.drop_words(torch.ones(V, 1), torch.arange(V), V) == 0)[:, 0]
    assert 0 < int(dropped.sum()) < V
    inputs = torch.arange(V).repeat(2)[:, None]
    noise.generator.manual_seed(1)
    h, _ = net.run(inputs, net.state0(1), noise=noise)
    silent = (h == 0).all(dim=2)[:, 0]
    assert torch.equal(silent, dropped.repeat(2))
    assert torch.isfinite(net.output.log_probs(h[:, 0])).all()


@pytest.mark.parametrize("arch", ["elman:4", "elman:2x4,tanh", "jordan:4", "scrn:4+3"])
def test_an_embedding_that_is_the_input_matrix_gives_the_same_network(arch: str) -> None:
    """A network with embeddings of that width, whose first input matrices together are the identity."""
    direct = network(arch)
    with_matrix = network(arch, embed_size=direct.embedding.shape[1])
    first = with_matrix.decoder.stack[0]
    weights = dict(direct.named_parameters())
    with torch.no_grad():
        for name, parameter in with_matrix.named_parameters():
            if name in weights:
                parameter.copy_(weights[name])
        identity = torch.eye(first.cell.input_size)
        for name, rows in zip(
            first.cell.inputs, identity.split([first.cell.shapes[n][0] for n in first.cell.inputs]), strict=True
        ):
            first.get_parameter(name).copy_(rows)
    state = direct.state0(2)
    ours, theirs = direct.run(ids(), state), with_matrix.run(ids(), state)
    torch.testing.assert_close(ours, theirs)
    torch.testing.assert_close(direct.step(ids()[0], state), with_matrix.step(ids()[0], state))
