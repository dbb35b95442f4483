"""Which products may be rounded, and that nothing leaks out of a training."""

from __future__ import annotations

import pytest
import torch

from rnntool.errors import OptionError
from rnntool.nn import precision
from rnntool.nn.precision import exact_products, has_bf16, product_dtype

CPU = torch.device("cpu")


def test_auto_takes_bfloat16_where_it_is_native() -> None:
    assert product_dtype("fp32", CPU) == torch.float32
    assert product_dtype("auto", CPU) == (torch.bfloat16 if has_bf16(CPU) else torch.float32)


def test_bfloat16_is_refused_where_it_is_not_native(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "has_bf16", lambda device: False)
    assert product_dtype("auto", CPU) == torch.float32
    with pytest.raises(OptionError) as caught:
        product_dtype("bf16", CPU)
    assert str(caught.value) == "--precision: cpu does not compute in bfloat16 by itself"


def test_exact_products_end_with_their_block_even_after_an_error() -> None:
    switch = torch.backends.mkldnn.matmul
    before = switch.fp32_precision
    switch.fp32_precision = "bf16"
    try:
        with pytest.raises(ZeroDivisionError), exact_products():
            assert switch.fp32_precision == "ieee"
            raise ZeroDivisionError
        assert switch.fp32_precision == "bf16"
    finally:
        switch.fp32_precision = before
