"""Translation by packed products, with a stand-in that packs nothing, so that it can be told from the network itself."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from rnntool.config.network import NetworkConfig
from rnntool.models import packed as packed_models
from rnntool.models.network import build_network
from rnntool.nn import link, recurrent
from rnntool.nn.packed import Packed
from rnntool.search.beam import beam_search
from rnntool.search.translator import Translator
from tests.search.conftest import EOS

V = 12
SOURCES = [[[3, 4, 5], [6], [7, 8, 9, 3, 4]]]


class Whole(Packed):
    """All bits of a matrix; counts its products."""

    num_products = 0

    def product(self, x: Tensor) -> Tensor:
        Whole.num_products += 1
        return x @ self._whole.T


@pytest.mark.parametrize(
    ("settings", "num_matrices"),
    [
        ({"link": "attention:mlp", "attend_with": "cur"}, 5),
        ({"link": "attention:mlp", "attend_with": "prev", "input_feeding": True}, 5),
        ({"link": "attention:dot"}, 4),
        ({"link": "init"}, 3),
    ],
    ids=str,
)
def test_every_product_of_a_step_is_packed(
    settings: dict[str, str], num_matrices: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two of a GRU, the output layer's, that of h and c, and the query's; the targets are those of the network."""
    config = NetworkConfig("gru:6", encoder="bi-gru:3", context="reset", output="full", **settings)  # type: ignore[arg-type]
    network = build_network(config, V, V)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.normal_(generator=torch.Generator().manual_seed(len(parameter)))
    for module in (link, recurrent, packed_models):
        monkeypatch.setattr(module, "pack", lambda weight, packing: Whole(weight))
    found = []
    for precision in ("fp64", "int8"):
        translator = Translator([network], [1.0], eos_id=EOS, source_ends=[EOS], precision=precision)
        begun = translator.read(SOURCES)
        Whole.num_products = 0
        translator.step(begun)
        assert Whole.num_products == (num_matrices if precision == "int8" else 0)
        found.append(beam_search(translator, begun, beam_size=3, num_best=3, max_tokens=8, length_penalty=1.0))
    for one, other in zip(*found, strict=True):
        assert [each.ids for each in one] == [each.ids for each in other]
        assert [each.logprob for each in one] == pytest.approx([each.logprob for each in other], rel=1e-5)


def test_in_bfloat16_sources_are_read_so_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Their products have 8 bits, each off by up to 2⁻⁹."""
    config = NetworkConfig("gru:6", encoder="bi-gru:3", context="reset", link="init", output="full")
    network = build_network(config, V, V)
    network.init(torch.Generator().manual_seed(1))
    for module in (link, recurrent, packed_models):
        monkeypatch.setattr(module, "pack", lambda weight, packing: Whole(weight))
    found = []
    for precision in ("fp32", "int8", "bf16"):
        translator = Translator([network], [1.0], eos_id=EOS, source_ends=[EOS], precision=precision)
        found.append(translator.read(SOURCES).state[0])
    assert torch.equal(found[0], found[1])
    assert 0 < (found[2] - found[0]).norm() < 0.02 * found[0].norm()
