"""Multiply-adds of a node, from the shapes that the probe saw."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import onnx_graphsurgeon as gs

    from onnx_reciprocam.graph.shapes import Shape
    from onnx_reciprocam.tail.walk import Note

CONVOLUTIONS = frozenset({"Conv", "FusedConv", "ConvInteger", "QLinearConv"})
PRODUCTS = frozenset(
    {
        *("MatMul", "Gemm", "FusedMatMul", "FusedGemm", "MatMulInteger", "QLinearMatMul", "QGemm", "MatMulNBits"),
        *("MatMulIntegerToFloat", "DynamicQuantizeMatMul"),
    }
)


def multiply_adds(node: gs.Node, shape: Callable[[gs.Tensor], Shape]) -> int:
    """Multiply-adds of one run of ``node``; 0 for what is no convolution or matrix product.

    Args:
        node: Any node.
        shape: The shape of one of its tensors.
    """
    if node.op in CONVOLUTIONS:
        weight = node.inputs[3 if node.op == "QLinearConv" else 1]
        return math.prod(shape(node.outputs[0])) * math.prod(shape(weight)[1:])
    if node.op == "ConvTranspose":
        return math.prod(shape(node.inputs[0])) * math.prod(shape(node.inputs[1])[1:])
    if node.op in PRODUCTS:
        first = shape(node.inputs[0])
        inner = first[0] if node.attrs.get("transA") else first[-1]
        return math.prod(shape(node.outputs[0])) * inner
    return 0


def total_cost(notes: Iterable[Note]) -> int:
    """Multiply-adds of a whole walk, for the probed batch."""
    return sum(note.multiply_adds for note in notes)
