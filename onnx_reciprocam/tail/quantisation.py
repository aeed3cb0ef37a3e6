"""Which operators work on quantised values, and where the order of sums matters because something rounds behind them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onnx_reciprocam.graph import reads
from onnx_reciprocam.tail.registry import PASSING, REGROUPING, SELECTING, operator

if TYPE_CHECKING:
    from collections.abc import Sequence

    import onnx_graphsurgeon as gs

PAIRED = ("QuantizeLinear", "DequantizeLinear")
"""The two halves of a Q-DQ pair."""
QUANTISED_ELEMENTWISE = (
    *("com.microsoft:QLinearAdd", "com.microsoft:QLinearMul"),
    *("com.microsoft:QLinearSigmoid", "com.microsoft:QLinearLeakyRelu"),
)
"""Elementwise operators on quantised values, each operand followed by its scale and zero point."""
QUANTISED_ROWWISE = (
    *("QLinearConv", "com.microsoft:QLinearAveragePool", "com.microsoft:QLinearGlobalAveragePool"),
    *("com.microsoft:QGemm", "ConvInteger"),
)
"""Operators on quantised values that answer every entry of axis 0 of their first input by itself."""
QUANTISED_PRODUCTS = {"QLinearMatMul": (0, 3), "MatMulInteger": (0, 1)}
"""Matrix products of quantised values, and where their factors stand."""
NBITS = "com.microsoft:MatMulNBits"
"""A matrix product with weights of a few bits, unpacked as it runs."""
ROUNDING = frozenset(
    {"QuantizeLinear", "DynamicQuantizeLinear", "com.microsoft:QuantizeLinear", "com.microsoft:DynamicQuantizeMatMul"}
)
"""Operators that round floats to whole numbers."""
EXACT = frozenset(
    {
        *("QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "QLinearConv", "QLinearMatMul"),
        *("Abs", "Add", "And", "Cast", "Ceil", "Clip", "Concat", "Div", "Equal", "Floor", "Greater", "GreaterOrEqual"),
        *("Less", "LessOrEqual", "Max", "MaxPool", "Min", "Mul", "Neg", "Not", "Or", "Pad", "Relu", "ReduceMax"),
        *("ReduceMin", "Round", "Sign", "Slice", "Sqrt", "Sub", "ThresholdedRelu", "Transpose", "Where"),
        *("GlobalMaxPool", "LeakyRelu", "PRelu"),
        *(*PASSING, *REGROUPING, *SELECTING, *QUANTISED_ELEMENTWISE, "com.microsoft:QGemm"),
    }
)
"""Operators whose narrow rules give bit for bit what the operator itself gives: one correctly rounded step, or none."""
HELD = "something behind it rounds, so its sums are made in the file's own order"


def rounds(node: gs.Node) -> bool:
    """Whether a node rounds the floats that it reads."""
    return operator(node) in ROUNDING or (operator(node) == NBITS and node.attrs.get("accuracy_level", 0) == 4)


def rounded(nodes: Sequence[gs.Node]) -> set[str]:
    """The tensors that something rounds, or rounds what is made of them.

    A sum made in another order differs in its last bit. Where it is rounded to a whole number, that bit may become one
    of 256 steps: more than any tolerance.
    """
    found: set[str] = set()
    for node in reversed(nodes):
        if rounds(node) or any(tensor.name in found for tensor in node.outputs):
            found.update(reads(node))
    return found
