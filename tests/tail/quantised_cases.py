"""Operators on quantised values, and weights of a few bits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from bare_tail import MICROSOFT
from case import STACKED, WINDOW, Case, looped, widened
from elementwise_cases import real
from hypothesis import strategies as st

if TYPE_CHECKING:
    from bare_tail import Operand, Tail
    from case import Build
    from hypothesis.strategies import DataObject
    from numpy.typing import NDArray

SCALE, ZERO = np.float32(0.05), np.uint8(100)
RESULT = (np.float32(0.1), np.uint8(90))
"""Scale and zero point of what the tested operator makes."""


def whole(tail: Tail) -> str:
    """Quantised values that rest at no zero point."""
    return tail.op("QuantizeLinear", real(tail), SCALE, ZERO)


def weights(tail: Tail, *shape: int) -> tuple[NDArray[np.int8], np.float32, np.int8]:
    return tail.random.integers(-100, 100, shape).astype(np.int8), np.float32(0.02), np.int8(3)


def scales_by_channel(tail: Tail) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    return np.abs(tail.normal(tail.channels)) + np.float32(0.1), np.full(tail.channels, 100, np.uint8)


def quantize(tail: Tail, data: DataObject) -> str:
    if tail.opset < 13 or data.draw(st.booleans(), "per tensor"):
        return tail.tested("QuantizeLinear", real(tail), SCALE, ZERO)
    axis = data.draw(st.sampled_from([1, -3]), "axis")
    return tail.tested("QuantizeLinear", real(tail), *scales_by_channel(tail), axis=axis)


def quantize_features(tail: Tail, _data: DataObject) -> str:
    """What the file made of the live cell already."""
    return tail.tested("QuantizeLinear", tail.x, SCALE, np.int8(-20))


def quantize_columns(tail: Tail, _data: DataObject) -> str:
    scales = np.abs(tail.normal(tail.grid[1])) + np.float32(0.1)
    return tail.tested("QuantizeLinear", real(tail), scales, np.full(tail.grid[1], 9, np.uint8), axis=3)


def dequantize(tail: Tail, data: DataObject) -> str:
    if tail.opset < 13 or data.draw(st.booleans(), "per tensor"):
        return tail.tested("DequantizeLinear", whole(tail), SCALE, ZERO)
    return tail.tested("DequantizeLinear", whole(tail), *scales_by_channel(tail), axis=1)


def dequantize_before_rounding(tail: Tail, _data: DataObject) -> str:
    """A runtime may fuse it with what follows, so it must stay in front of that."""
    value = tail.tested("DequantizeLinear", whole(tail), SCALE, ZERO)
    return tail.op("QuantizeLinear", tail.op("Sigmoid", value), *RESULT)


def mean_before_rounding(tail: Tail, _data: DataObject) -> str:
    pooled = tail.tested("GlobalAveragePool", real(tail))
    return tail.op("QuantizeLinear", pooled, *RESULT)


def tested(tail: Tail, kind: str, *inputs: Operand, **attrs: Any) -> str:
    """One of the runtime's own operators, read as floats: onnx's inference does not know what it makes."""
    return tail.op("DequantizeLinear", tail.tested(kind, *inputs, domain=MICROSOFT, **attrs), *RESULT)


def unary(kind: str, **attrs: Any) -> Build:
    def build(tail: Tail, _data: DataObject) -> str:
        return tested(tail, kind, whole(tail), SCALE, ZERO, *RESULT, **attrs)

    return build


def binary(kind: str) -> Build:
    """With other masked values, or a vector over channels."""

    def build(tail: Tail, data: DataObject) -> str:
        vector = np.asarray(tail.per_channel(np.abs(tail.normal(tail.channels)) * 50), np.uint8)
        other = whole(tail) if data.draw(st.booleans(), "masked too") else vector
        return tested(tail, kind, whole(tail), SCALE, ZERO, other, SCALE, ZERO, *RESULT)

    return build


def conv(kernel: int, **attrs: Any) -> Build:
    def build(tail: Tail, _data: DataObject) -> str:
        matrix, scale, zero = weights(tail, 2, tail.channels, kernel, kernel)
        bias = np.array([5, -300], np.int32)
        return tail.tested("QLinearConv", whole(tail), SCALE, ZERO, matrix, scale, zero, *RESULT, bias, **attrs)

    return build


def conv_integer(tail: Tail, _data: DataObject) -> str:
    matrix = np.abs(weights(tail, 2, tail.channels, 1, 1)[0]).astype(np.uint8)
    return tail.tested("ConvInteger", whole(tail), matrix, ZERO)


def product(tail: Tail, _data: DataObject) -> str:
    return tail.tested("QLinearMatMul", whole(tail), SCALE, ZERO, *weights(tail, tail.channels, 3), *RESULT)


def product_of_masked(tail: Tail, _data: DataObject) -> str:
    """Keys with queries, say."""
    turned = tail.op("Transpose", whole(tail), perm=[0, 1, 3, 2])
    return tail.tested("QLinearMatMul", whole(tail), SCALE, ZERO, turned, SCALE, ZERO, *RESULT)


def product_of_integers(tail: Tail, _data: DataObject) -> str:
    matrix, _, zero = weights(tail, tail.channels, 3)
    return tail.tested("MatMulInteger", whole(tail), matrix, ZERO, zero)


def dynamic_product(tail: Tail, _data: DataObject) -> str:
    value, _, zero = tail.many("DynamicQuantizeLinear", real(tail), outputs=3)
    return tail.tested("MatMulInteger", value, weights(tail, tail.channels, 3)[0], zero)


def gemm(tail: Tail, _data: DataObject) -> str:
    rows = tail.op("Flatten", whole(tail), axis=3)
    bias = np.array([7, -9, 100], np.int32)
    matrix = weights(tail, tail.channels, 3)
    return tested(tail, "QGemm", rows, SCALE, ZERO, *matrix, bias, *RESULT)


def concat(tail: Tail, _data: DataObject) -> str:
    pieces = [whole(tail), SCALE, ZERO, whole(tail), SCALE, ZERO]
    return tested(tail, "QLinearConcat", *RESULT, *pieces, axis=1)


def few_bits(tail: Tail, _data: DataObject) -> str:
    """Sixteen inputs, one block."""
    wide = tail.op("MatMul", real(tail), tail.normal(tail.channels, 16))
    packed = tail.random.integers(0, 256, (3, 1, 8)).astype(np.uint8)
    sizes = {"K": 16, "N": 3, "bits": 4, "block_size": 16}
    return tail.tested("MatMulNBits", wide, packed, np.abs(tail.normal(3)), domain=MICROSOFT, **sizes)


def narrow_or_not(op: str, build: Build, **kwargs: Any) -> Case:
    """A case with a rule for ``Spot`` and none for ``Window``."""
    return Case(op, build, window=widened(f"no rule for {op}"), since=13, **kwargs)


def multiplied_out(op: str, build: Build, **kwargs: Any) -> Case:
    return Case(op, build, spot=widened(f"no rule for {op}"), since=13, **kwargs)


PAIRS = (10, 13, 21)
HELD = "something behind it rounds, so its sums are made in the file's own order"
CASES = [
    Case("QuantizeLinear", quantize, opsets=PAIRS),
    Case("QuantizeLinear", quantize_features, opsets=PAIRS, note="features"),
    Case("QuantizeLinear", quantize_columns, spot=widened("its scale differs between cells"), since=13, note="columns"),
    Case("DequantizeLinear", dequantize, opsets=PAIRS),
    Case("DequantizeLinear", dequantize_before_rounding, spot=widened(HELD), since=13, note="before rounding"),
    Case("GlobalAveragePool", mean_before_rounding, spot=widened(HELD), since=13, note="before rounding"),
    *(narrow_or_not(f"{MICROSOFT}:{kind}", binary(kind)) for kind in ("QLinearAdd", "QLinearMul")),
    narrow_or_not(f"{MICROSOFT}:QLinearSigmoid", unary("QLinearSigmoid")),
    narrow_or_not(f"{MICROSOFT}:QLinearLeakyRelu", unary("QLinearLeakyRelu", alpha=0.1)),
    narrow_or_not("QLinearConv", conv(1)),
    Case(
        "QLinearConv",
        conv(3, pads=[1, 1, 1, 1]),
        spot=widened("a 3x3 convolution mixes neighbouring cells"),
        since=13,
        note="3x3",
    ),
    Case("QLinearConv", conv(1, strides=[2, 1]), spot=widened(".+ the grid"), since=13, note="stride"),
    narrow_or_not("QLinearMatMul", product, layout="b h w c"),
    Case("QLinearMatMul", product_of_masked, spot=widened("it sums over cells"), since=13, note="of masked values"),
    Case(f"{MICROSOFT}:QGemm", gemm, window=STACKED, since=13, layout="b h w c", batch=("one",)),
    multiplied_out("ConvInteger", conv_integer),
    multiplied_out("MatMulInteger", product_of_integers, layout="b h w c"),
    Case(
        "MatMulInteger",
        dynamic_product,
        spot=looped(".*"),
        stacked=looped("its scale depends on the mask"),
        since=13,
        layout="b h w c",
        note="dynamic",
    ),
    multiplied_out(f"{MICROSOFT}:QLinearConcat", concat),
    multiplied_out(f"{MICROSOFT}:QLinearSoftmax", unary("QLinearSoftmax", axis=1, opset=13)),
    multiplied_out(f"{MICROSOFT}:QLinearGlobalAveragePool", unary("QLinearGlobalAveragePool", channels_last=0)),
    multiplied_out(f"{MICROSOFT}:QLinearAveragePool", unary("QLinearAveragePool", kernel_shape=[1, 1])),
    Case(f"{MICROSOFT}:MatMulNBits", few_bits, window=WINDOW, since=13, layout="b h w c"),
]
