"""Operators that act in each cell alone if their axes are channels, and mix cells otherwise."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from bare_tail import MICROSOFT
from case import STACKED, WINDOW, Case, Outcome, looped, widened
from elementwise_cases import real
from hypothesis import strategies as st

if TYPE_CHECKING:
    from bare_tail import Tail
    from case import Build
    from hypothesis.strategies import DataObject
    from numpy.typing import NDArray

SIDES = st.integers(1, 3)


def convolution(
    tail: Tail, data: DataObject, kernel: list[int], kind: str = "Conv", domain: str = "", **attrs: Any
) -> str:
    """With groups and bias, or without."""
    groups = data.draw(st.sampled_from([g for g in (1, 2, 3, 4) if tail.channels % g == 0]), "groups")
    made = groups * data.draw(st.integers(1, 2), "channels made per group")
    weight = tail.normal(made, tail.channels // groups, *kernel)
    bias = [tail.normal(made)] if data.draw(st.booleans(), "bias") else []
    return tail.tested(kind, real(tail), weight, *bias, kernel_shape=kernel, group=groups, domain=domain, **attrs)


def pointwise(tail: Tail, data: DataObject) -> str:
    return convolution(tail, data, [1, 1])


def fused(tail: Tail, data: DataObject) -> str:
    return convolution(tail, data, [1, 1], "FusedConv", MICROSOFT, activation="Relu")


def spatial(tail: Tail, data: DataObject) -> str:
    """Any kernel but 1 x 1, any stride, padding and dilation that leave something."""
    kernel = list(data.draw(st.tuples(SIDES, SIDES).filter(lambda k: k != (1, 1)), "kernel"))
    strides = data.draw(st.lists(st.integers(1, 2), min_size=2, max_size=2), "strides")
    if data.draw(st.booleans(), "auto_pad"):
        return convolution(tail, data, kernel, strides=strides, auto_pad="SAME_UPPER")
    dilations = data.draw(st.lists(st.integers(1, 2), min_size=2, max_size=2), "dilations")
    ends = [max(0, (k - 1) * d + 1 - side) for k, d, side in zip(kernel, dilations, tail.grid, strict=True)]
    begin = int(strides[0] == 1)  # with a longer stride, a kernel on padding could step over the only row
    return convolution(tail, data, kernel, strides=strides, dilations=dilations, pads=[begin, 0, *ends])


def strided(tail: Tail, data: DataObject) -> str:
    return convolution(tail, data, [1, 1], strides=[2, 1])


def own_weights(tail: Tail, _data: DataObject) -> str:
    """A convolution whose kernel is computed from the masked map."""
    kernel = tail.op("Reshape", tail.op("GlobalAveragePool", tail.x), np.array([-1, tail.channels, 1, 1]))
    return tail.tested("Conv", tail.x, kernel)


def transposed(tail: Tail, _data: DataObject) -> str:
    return tail.tested("ConvTranspose", real(tail), tail.normal(tail.channels, 2, 2, 2), strides=[2, 2])


def batch_norm(tail: Tail, _data: DataObject) -> str:
    c = tail.channels
    variance = np.abs(tail.normal(c)) + np.float32(0.5)
    return tail.tested("BatchNormalization", real(tail), tail.normal(c), tail.normal(c), tail.normal(c), variance)


def matmul(tail: Tail, _data: DataObject) -> str:
    return tail.tested("MatMul", real(tail), tail.normal(tail.channels, 3))


def tokens(tail: Tail, name: str = "") -> str:
    """``b (h w) c`` of a map in ``b h w c``."""
    return tail.op("Reshape", name or real(tail), np.array([-1, tail.grid[0] * tail.grid[1], tail.channels]))


def matmul_from_left(tail: Tail, _data: DataObject) -> str:
    return tail.tested("MatMul", tail.normal(2, tail.grid[0] * tail.grid[1]), tokens(tail))


def attention(tail: Tail, _data: DataObject) -> str:
    x = tokens(tail)
    return tail.tested("MatMul", x, tail.op("Transpose", tokens(tail), perm=[0, 2, 1]))


def gemm(tail: Tail, data: DataObject) -> str:
    rows = tail.op("Reshape", real(tail), np.array([-1, tail.channels]))
    bias = [tail.normal(*data.draw(st.sampled_from([(3,), (1, 3), (1,), ()]), "bias"))]
    bias = [] if tail.opset >= 11 and data.draw(st.booleans(), "no bias") else bias
    flip = data.draw(st.integers(0, 1), "transB")
    weight = tail.normal(3, tail.channels) if flip else tail.normal(tail.channels, 3)
    return tail.tested("Gemm", rows, weight, *bias, transB=flip, alpha=0.5, beta=1.5)


def columns(tail: Tail, outputs: int) -> NDArray[np.float32]:
    """Weights of a layer behind a flattened map, so small that a sum over all its inputs is of order 1."""
    inputs = tail.channels * tail.grid[0] * tail.grid[1]
    return tail.normal(inputs, outputs) / np.float32(2 * inputs**0.5)


def flattened_gemm(tail: Tail, data: DataObject) -> str:
    """The first linear layer of VGG."""
    flip = data.draw(st.integers(0, 1), "transB")
    scales = data.draw(st.sampled_from([{}, {"alpha": 0.5, "beta": 1.5}]), "scales")
    weight = columns(tail, 3).T if flip else columns(tail, 3)
    return tail.tested("Gemm", tail.op("Flatten", real(tail)), weight, tail.normal(3), transB=flip, **scales)


def flattened_matmul(tail: Tail, _data: DataObject) -> str:
    return tail.tested("MatMul", tail.op("Flatten", real(tail)), columns(tail, 3))


def flattened_scale(tail: Tail, _data: DataObject) -> str:
    """A weight per cell and channel, so that the flattened map has to be multiplied out."""
    inputs = tail.channels * tail.grid[0] * tail.grid[1]
    return tail.tested("Mul", tail.op("Flatten", real(tail)), tail.normal(inputs))


def image_bias_gemm(tail: Tail, _data: DataObject) -> str:
    flat = tail.op("Flatten", tail.op("GlobalAveragePool", real(tail)))
    return tail.tested("Gemm", flat, tail.normal(tail.channels, 3), tail.normal(tail.sizes["b"], 3))


def softmax(kind: str, axis: int) -> Build:
    def build(tail: Tail, _data: DataObject) -> str:
        return tail.tested(kind, real(tail), axis=axis)

    return build


def softmax_by_default(kind: str) -> Build:
    """Opset 13 moved the axis that is meant where none is written."""

    def build(tail: Tail, _data: DataObject) -> str:
        pooled = tail.op("Flatten", tail.op("GlobalAveragePool", real(tail)))
        return tail.tested(kind, pooled)

    return build


def layer_norm(kind: str, *, bias: bool) -> Build:
    def build(tail: Tail, _data: DataObject) -> str:
        shift = [tail.normal(tail.channels)] if bias else []
        return tail.tested(kind, real(tail), tail.normal(tail.channels), *shift, axis=-1, epsilon=1e-3)

    return build


def lp_norm(tail: Tail, data: DataObject) -> str:
    return tail.tested("LpNormalization", real(tail), axis=tail.channel_axis, p=data.draw(st.integers(1, 2), "p"))


def split(tail: Tail, data: DataObject) -> list[str]:
    axis = data.draw(st.sampled_from([tail.channel_axis, tail.channel_axis - 4]), "axis")
    doubled = tail.op("Concat", real(tail), tail.x, axis=1)
    lengths = [1, 2 * tail.channels - 1]
    if tail.opset < 13:
        return tail.all_of_tested("Split", doubled, outputs=2, axis=axis, split=lengths)
    if tail.opset >= 18 and data.draw(st.booleans(), "equal parts"):
        return tail.all_of_tested("Split", doubled, outputs=2, axis=axis, num_outputs=2)
    return tail.all_of_tested("Split", doubled, np.array(lengths), outputs=2, axis=axis)


def gather(tail: Tail, data: DataObject) -> str:
    last = tail.channels - 1
    rows = data.draw(st.sampled_from([0, -1, [last], [last, 0, -1]]), "indices")
    return tail.tested("Gather", real(tail), np.array(rows), axis=data.draw(st.sampled_from([1, -3]), "axis"))


def top_k(tail: Tail, data: DataObject) -> list[str]:
    axis = data.draw(st.sampled_from([1, -3]), "axis") if tail.opset >= 11 else 1
    if tail.opset < 10:
        return tail.all_of_tested("TopK", real(tail), outputs=2, axis=axis, k=1)
    return tail.all_of_tested("TopK", real(tail), np.array([1]), outputs=2, axis=axis)


def arg(kind: str) -> Build:
    def build(tail: Tail, _data: DataObject) -> str:
        return tail.tested(kind, real(tail), axis=1)

    return build


def best_cell(kind: str) -> Build:
    def build(tail: Tail, data: DataObject) -> str:
        return tail.tested(kind, real(tail), axis=3, keepdims=data.draw(st.integers(0, 1), "keepdims"))

    return build


def one_column(tail: Tail, _data: DataObject) -> str:
    return tail.tested("Gather", real(tail), np.array(0), axis=3)


def batch_softmax(tail: Tail, _data: DataObject) -> str:
    return tail.tested("Softmax", real(tail), axis=0)


SOFTMAX = ("Softmax", "LogSoftmax", "Hardmax")
CASES = [
    Case("Conv", pointwise, note="1x1"),
    Case("com.microsoft:FusedConv", fused, window=widened("no rule for com.microsoft:FusedConv"), note="1x1"),
    Case("Conv", spatial, spot=WINDOW, note="kxk"),
    Case("Conv", strided, spot=WINDOW, note="strided"),
    Case(
        "Conv",
        own_weights,
        spot=looped("its weights depend on the mask"),
        stacked=looped("its weights depend on the mask"),
        note="own weights",
        batch=("one",),
    ),
    Case("ConvTranspose", transposed, spot=widened("no rule for ConvTranspose")),
    Case("BatchNormalization", batch_norm, opsets=(9, 14)),
    Case("MatMul", matmul, layout="b h w c"),
    Case(
        "MatMul",
        matmul_from_left,
        spot=widened("it multiplies cells with each other"),
        window=STACKED,
        layout="b h w c",
        note="from the left",
    ),
    Case(
        "MatMul",
        attention,
        spot=Outcome("Tokens"),
        window=STACKED,
        layout="b h w c",
        note="attention",
    ),
    Case("Gemm", gemm, window=STACKED, layout="b h w c", batch=("one",), channels=(2, 3, 4)),
    Case("Gemm", flattened_gemm, spot=STACKED, note="flattened", channels=(2, 3, 4)),
    Case("Gemm", flattened_gemm, spot=STACKED, note="flattened, channels last", channels=(2, 3, 4), layout="b h w c"),
    Case("MatMul", flattened_matmul, spot=STACKED, note="flattened", channels=(2, 3, 4)),
    Case("MatMul", flattened_matmul, spot=STACKED, note="flattened, one channel", channels=(1,), layout="b h w c"),
    *(
        Case(
            "Mul",
            flattened_scale,
            spot=widened("it adds or multiplies values that differ between cells"),
            note=f"flattened {layout}",
            layout=layout,
            channels=(2, 3, 4),
        )
        for layout in ("b c h w", "b h w c")
    ),
    Case(
        "Gemm",
        image_bias_gemm,
        spot=looped("its bias differs between images"),
        stacked=looped("its bias differs between images"),
        note="a bias per image",
        batch=("three",),
    ),
    *(Case(kind, softmax(kind, -1), layout="b h w c", opsets=(9, 13)) for kind in SOFTMAX),
    *(Case(kind, softmax(kind, 1), opsets=(13,), note="channels first") for kind in SOFTMAX),
    *(
        Case(
            kind,
            softmax(kind, 1),
            spot=widened("it normalises over cells or images"),
            opsets=(11,),
            note="and all behind",
        )
        for kind in SOFTMAX
    ),
    *(Case(kind, softmax_by_default(kind), spot=STACKED, opsets=(9, 13), note="by default") for kind in SOFTMAX),
    Case(
        "Softmax",
        batch_softmax,
        spot=widened("it normalises over cells or images"),
        opsets=(13,),
        note="over the batch",
        batch=("any", "three"),
    ),
    Case("LayerNormalization", layer_norm("LayerNormalization", bias=True), layout="b h w c", since=17),
    Case("RMSNormalization", layer_norm("RMSNormalization", bias=False), layout="b h w c", since=23),
    Case("SimplifiedLayerNormalization", layer_norm("SimplifiedLayerNormalization", bias=False), layout="b h w c"),
    Case("LpNormalization", lp_norm),
    Case("Split", split, opsets=(9, 13, 18)),
    Case("Gather", gather, opsets=(9, 13)),
    Case("Gather", one_column, spot=widened("it picks among cells or images"), note="a column"),
    Case("TopK", top_k, opsets=(9, 10, 11)),
    *(Case(kind, arg(kind)) for kind in ("ArgMax", "ArgMin")),
    *(
        Case(kind, best_cell(kind), spot=widened("it picks among cells or images"), note="of the cells")
        for kind in ("ArgMax", "ArgMin")
    ),
]
