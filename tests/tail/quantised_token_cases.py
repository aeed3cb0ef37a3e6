"""Tails of tokens whose values are quantised: in parts where whole numbers are exact, multiplied out where sums are rounded."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from token_cases import TokenCase
from token_tail import CHANNELS

if TYPE_CHECKING:
    from token_tail import TokenTail

SCALE, ZERO = np.float32(0.05), np.uint8(100)
HELD = "something behind it rounds, so its sums are made in the file's own order"


def whole(t: TokenTail, x: str) -> str:
    return t.op("QuantizeLinear", x, SCALE, ZERO)


def floats(t: TokenTail, x: str) -> str:
    return t.op("DequantizeLinear", x, SCALE, ZERO)


def matrix(t: TokenTail, *shape: int) -> tuple[np.ndarray, np.float32, np.int8]:
    return t.random.integers(-100, 100, shape).astype(np.int8), np.float32(0.02), np.int8(0)


def quantised_last(t: TokenTail) -> str:
    """Nothing rounds behind the last pair."""
    return t.class_token(t.block(floats(t, whole(t, t.x))))


def quantised_by_channel(t: TokenTail) -> str:
    scales, zeros = np.abs(t.normal(CHANNELS)) + np.float32(0.1), np.full(CHANNELS, 90, np.uint8)
    values = t.op("QuantizeLinear", t.x, scales, zeros, axis=-1)
    return t.linear(t.op("DequantizeLinear", values, scales, zeros, axis=2), 3)


def quantised_by_token(t: TokenTail) -> str:
    scales = np.abs(t.normal(t.tokens)) + np.float32(0.1)
    return t.op("QuantizeLinear", t.x, scales, np.full(t.tokens, 90, np.uint8), axis=1)


def quantised_twice(t: TokenTail) -> str:
    return floats(t, whole(t, t.op("Sigmoid", floats(t, whole(t, t.x)))))


def whole_numbers(t: TokenTail) -> str:
    """A layer and a residual sum as one operator each."""
    x, own = whole(t, t.x), (SCALE, ZERO)
    y = t.op("QLinearMatMul", x, *own, *matrix(t, CHANNELS, CHANNELS), *own)
    total = t.op("QLinearAdd", x, *own, y, *own, *own, domain="com.microsoft")
    rows = t.reshape(total, -1, CHANNELS)
    bias = t.random.integers(-900, 900, 3).astype(np.int32)
    made = t.op("QGemm", rows, *own, *matrix(t, CHANNELS, 3), bias, *own, domain="com.microsoft")
    return floats(t, t.reshape(made, -1, t.tokens, 3))


def product_of_integers(t: TokenTail) -> str:
    weights, _, zero = matrix(t, CHANNELS, 3)
    return t.op("MatMulInteger", whole(t, t.x), weights, ZERO, zero)


def scale_of_all(t: TokenTail) -> list[str]:
    return t.many("DynamicQuantizeLinear", t.x, outputs=3)


def few_bits(t: TokenTail) -> str:
    wide = t.linear(t.x, 16)
    packed = t.random.integers(0, 256, (3, 1, 8)).astype(np.uint8)
    scales = np.abs(t.normal(3))
    return t.op("MatMulNBits", wide, packed, scales, domain="com.microsoft", K=16, N=3, bits=4, block_size=16)


CASES = [
    *(TokenCase(build) for build in (quantised_by_channel, whole_numbers, product_of_integers, few_bits)),
    TokenCase(quantised_last, aux=((1, 0), (2, 1))),
    TokenCase(quantised_by_token, "its scale differs between .+"),
    TokenCase(quantised_twice, HELD),
    TokenCase(scale_of_all, "its scale spans all cells and images"),
]
