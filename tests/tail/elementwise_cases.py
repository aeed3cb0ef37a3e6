"""Operators that work value by value, on what their definition takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from bare_tail import MICROSOFT
from case import STACKED, WINDOW, Case, widened
from hypothesis import strategies as st
from onnx import TensorProto

if TYPE_CHECKING:
    from bare_tail import Tail
    from case import Build
    from hypothesis.strategies import DataObject


def real(tail: Tail) -> str:
    """Any numbers; resting cells differ from 0."""
    return tail.op("Add", tail.x, tail.per_channel(tail.normal(tail.channels)))


def unit(tail: Tail) -> str:
    """Numbers in (0, 1)."""
    return tail.op("Sigmoid", real(tail))


def above_one(tail: Tail) -> str:
    """Numbers above 1."""
    return tail.op("Add", unit(tail), 1.0)


def truth(tail: Tail) -> str:
    """Both truth values."""
    return tail.op("Greater", real(tail), 0.0)


def small(tail: Tail) -> str:
    """Whole numbers, 0 to 255."""
    return tail.op("Cast", tail.op("Mul", tail.op("Abs", real(tail)), 3.0), to=TensorProto.UINT8)


DOMAINS = {"real": real, "unit": unit, "above one": above_one, "truth": truth, "small": small}


def unary(kind: str, domain: str = "real", ms: str = "", **attrs: Any) -> Build:
    def build(tail: Tail, _data: DataObject) -> str:
        return tail.tested(kind, DOMAINS[domain](tail), domain=ms, **attrs)

    return build


def binary(kind: str, domain: str = "real", **attrs: Any) -> Build:
    """With a number, a vector over channels, or other masked values, on either side."""

    def build(tail: Tail, data: DataObject) -> str:
        x = DOMAINS[domain](tail)
        other = data.draw(st.sampled_from(["masked", "number", "vector"]), "other operand")
        y: Any = (
            DOMAINS[domain](tail)
            if other == "masked"
            else constant(tail, domain, 1 if other == "number" else tail.channels)
        )
        return tail.tested(kind, *data.draw(st.permutations([x, y]), "order"), **attrs)

    return build


def constant(tail: Tail, domain: str, length: int) -> Any:
    values = np.abs(tail.normal(length)) + np.float32(0.5)
    if domain == "truth":
        return tail.per_channel(values) > 1
    if domain == "small":
        return np.asarray(tail.per_channel(values * 2), np.uint8)
    return tail.per_channel(values)


def prelu(tail: Tail, _data: DataObject) -> str:
    return tail.tested("PRelu", real(tail), tail.per_channel(tail.normal(tail.channels)))


def clip(tail: Tail, data: DataObject) -> str:
    if tail.opset < 11:
        return tail.tested("Clip", real(tail), min=-0.5, max=0.5)
    low, high = np.float32(-0.5), np.float32(0.5)
    bounds: list[str | np.float32] = data.draw(st.sampled_from([["", high], [low], [low, high]]), "bounds")
    return tail.tested("Clip", real(tail), *bounds)


def where(tail: Tail, _data: DataObject) -> str:
    return tail.tested("Where", truth(tail), real(tail), tail.per_channel(tail.normal(tail.channels)))


def bias_gelu(tail: Tail, _data: DataObject) -> str:
    return tail.tested("BiasGelu", real(tail), tail.normal(tail.channels), domain=MICROSOFT)


def fast_gelu(tail: Tail, _data: DataObject) -> str:
    return tail.tested("FastGelu", real(tail), tail.normal(tail.channels), domain=MICROSOFT)


def cast_like(tail: Tail, _data: DataObject) -> str:
    return tail.tested("CastLike", tail.op("Mul", real(tail), 3.0), np.array([1], np.int64))


def position_embedding(tail: Tail, _data: DataObject) -> str:
    return tail.tested("Add", tail.x, tail.normal(*tail.grid))


def image_gate(tail: Tail, _data: DataObject) -> str:
    return tail.tested("Mul", real(tail), tail.input(tail.normal(tail.sizes["b"], 1, 1, 1)))


def gate(tail: Tail, _data: DataObject) -> str:
    pooled = tail.op("GlobalAveragePool", tail.x)
    return tail.tested("Mul", real(tail), tail.op("Sigmoid", pooled))


def image_bias(tail: Tail, _data: DataObject) -> str:
    return tail.tested("Add", real(tail), tail.normal(3, tail.channels, 1, 1))


def higher_rank(tail: Tail, _data: DataObject) -> str:
    return tail.tested("Mul", real(tail), tail.normal(2, 1, 1, 1, 1))


def folded_batch(tail: Tail, _data: DataObject) -> str:
    """A pooled vector of lower rank against a map of the same images."""
    vector = tail.op("Flatten", tail.op("GlobalAveragePool", tail.op("Relu", tail.x)))
    return tail.tested("Add", vector, tail.op("ReduceMean", tail.x, axes=[2, 3], keepdims=0))


PLAIN = (
    *("Abs", "Neg", "Floor", "Ceil", "Sign", "Relu", "Sigmoid", "Tanh", "Erf", "Exp", "Softplus", "Softsign"),
    *("Elu", "Selu", "LeakyRelu", "HardSigmoid", "Shrink", "Sin", "Cos", "Sinh", "Cosh"),
    *("Asinh", "Atan", "IsNaN"),
)
"""One operand, any number, since opset 9 or before."""

CASES = [
    *(Case(kind, unary(kind)) for kind in PLAIN),
    *(Case(kind, unary(kind, "unit")) for kind in ("Acos", "Asin", "Atanh", "Tan", "Log", "Sqrt", "Reciprocal")),
    Case("Acosh", unary("Acosh", "above one")),
    Case("ThresholdedRelu", unary("ThresholdedRelu"), since=10),
    Case("Round", unary("Round"), since=11),
    Case("IsInf", unary("IsInf"), since=10),
    Case("Celu", unary("Celu", alpha=0.5), since=12),
    Case("HardSwish", unary("HardSwish"), since=14),
    Case("Mish", unary("Mish"), since=18),
    Case("Gelu", unary("Gelu", approximate="tanh"), since=20),
    Case("Swish", unary("Swish"), since=24),
    Case("Not", unary("Not", "truth")),
    Case("BitwiseNot", unary("BitwiseNot", "small"), since=18),
    Case("Cast", unary("Cast", "truth", to=TensorProto.FLOAT)),
    Case("CastLike", cast_like, since=15),
    *(
        Case(kind, binary(kind))
        for kind in ("Add", "Sub", "Mul", "Div", "Max", "Min", "Sum", "Mean", "Greater", "Less")
    ),
    *(Case(kind, binary(kind), since=12) for kind in ("GreaterOrEqual", "LessOrEqual")),
    *(Case(kind, binary(kind, "truth")) for kind in ("And", "Or", "Xor", "Equal")),
    *(Case(kind, binary(kind, "small"), since=18) for kind in ("BitwiseAnd", "BitwiseOr", "BitwiseXor")),
    Case("BitShift", binary("BitShift", "small", direction="RIGHT"), since=11),
    Case("Mod", binary("Mod", "unit", fmod=1), since=10),
    Case("Pow", binary("Pow", "unit")),
    Case("PRelu", prelu),
    Case("Clip", clip, opsets=(9, 11, 13)),
    Case("Where", where),
    Case("com.microsoft:Gelu", unary("Gelu", ms=MICROSOFT)),
    Case("com.microsoft:QuickGelu", unary("QuickGelu", ms=MICROSOFT, alpha=1.5)),
    Case("com.microsoft:FastGelu", fast_gelu, layout="b h w c"),
    Case("com.microsoft:BiasGelu", bias_gelu, layout="b h w c"),
    Case(
        "Add",
        position_embedding,
        spot=WINDOW,
        note="positions",
    ),
    Case(
        "Mul", image_gate, spot=widened("the image decides what it does to the masked cells"), note="a gate per image"
    ),
    Case("Mul", gate, spot=STACKED, note="squeeze and excite"),
    Case(
        "Add",
        image_bias,
        spot=widened("it treats images of a batch differently"),
        note="a bias per image",
        batch=("three",),
    ),
    Case("Mul", higher_rank, spot=widened("it moves cells"), note="an axis in front"),
    Case("Add", folded_batch, spot=STACKED, note="vectors", opsets=(9, 11, 13)),
]
