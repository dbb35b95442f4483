"""Which products may be rounded, and that nothing leaks out of a training."""

from __future__ import annotations

import pytest
import torch

from rnntool.nn.precision import fast_products, product_dtype

CPU = torch.device("cpu")


def test_a_precision_that_is_asked_for_is_taken() -> None:
    assert product_dtype("fp32", CPU) == torch.float32
    assert product_dtype("bf16", CPU) == torch.bfloat16
    assert product_dtype("auto", CPU) in (torch.float32, torch.bfloat16)


def test_fast_products_end_with_their_block_even_after_an_error() -> None:
    before = torch.backends.mkldnn.matmul.fp32_precision
    with pytest.raises(ZeroDivisionError), fast_products():
        assert torch.backends.mkldnn.matmul.fp32_precision == "bf16"
        raise ZeroDivisionError
    assert torch.backends.mkldnn.matmul.fp32_precision == before
