"""The strings of --encoder and --link."""

from __future__ import annotations

import pytest

from rnntool.config.network import NetworkConfig
from rnntool.config.source import EncoderArch, LinkKind, parse_encoder, parse_link
from rnntool.errors import OptionError


def test_encoders() -> None:
    assert parse_encoder("none") is None
    assert parse_encoder("bag") == EncoderArch(None)
    both = parse_encoder("bi-lstm:2x100")
    assert both is not None and both.arch is not None
    assert (str(both.arch), both.is_both, both.output_size(7)) == ("lstm:2x100", True, 200)
    assert EncoderArch(None).output_size(7) == 7


def test_links() -> None:
    assert parse_link("none", "") is None
    assert parse_link("init", "") == LinkKind("", False)
    assert parse_link("each", "") == LinkKind("equal", True)
    assert parse_link("attention", "") == parse_link("attention:mlp", "prev") == LinkKind("mlp", True)
    assert parse_link("attention:dot", "") == LinkKind("dot", False)
    assert parse_link("attention:general", "prev") == LinkKind("general", True)


PAIRS = {"arch": "gru:8", "encoder": "bi-gru:4", "link": "attention", "context": "reset"}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"encoder": "cnn"}, "--encoder: unknown encoder 'cnn'; known are none, bag, ngram, elman,"),
        ({"encoder": "bi-gru:0"}, "--encoder: 'gru:0' has no units"),
        ({"link": "wire"}, "--link: unknown link 'wire'; known are none, init, each, attention[:KIND]"),
        ({"link": "attention:cos"}, "--link: unknown attention 'cos'; known are mlp, dot, general"),
        ({"link": "init", "attend_with": "prev"}, "--attend-with: --link init does not attend"),
        ({"encoder": "none"}, "--link: attention of what no encoder reads"),
        ({"link": "none"}, "--encoder: what bi-gru:4 reads reaches nobody"),
        ({"encoder": "none", "link": "none", "reverse_source": True}, "--reverse-source: there is no source"),
        ({"link": "each", "input_feeding": True}, ""),
        ({"link": "init", "input_feeding": True}, "--input-feeding: --link init makes nothing that is fed"),
        ({"context": "carry"}, "--context: pairs are independent of each other"),
        (
            {"link": "attention:dot", "encoder": "gru:5"},
            "--link: attention:dot is a product of 8 units of gru:8 and 5 of gru:5, which must be equally many",
        ),
    ],
)
def test_what_does_not_go_together_is_refused(settings: dict[str, object], message: str) -> None:
    config = NetworkConfig(**(PAIRS | settings))  # type: ignore[arg-type]
    if not message:
        config.check()
        return
    with pytest.raises(OptionError) as refused:
        config.check()
    assert str(refused.value).startswith(message)
