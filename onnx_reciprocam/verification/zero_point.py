"""What stands for zero in whole numbers: the zero point with which everybody reads them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import onnx
from onnx import numpy_helper

from onnx_reciprocam.errors import UnsupportedModelError
from onnx_reciprocam.verification.cut import references

if TYPE_CHECKING:
    from collections.abc import Iterator

_MOVES = {"Identity", "Flatten", "Reshape", "Squeeze", "Unsqueeze", "Transpose", "MaxPool", "Slice", "Split"}
"""Operators that hand whole numbers on, with the zero point that they have."""


def zero_point(graph: onnx.GraphProto, name: str) -> int:
    """The zero point of a quantised tensor.

    Raises:
        UnsupportedModelError: Its readers give none that is constant, or several.
    """
    known = {"": 0} | {tensor.name: int(numpy_helper.to_array(tensor).item()) for tensor in _single_values(graph)}
    found = {known.get(zero) for zero in _zeros(graph, name)}
    zero = found.pop() if len(found) == 1 else None
    if zero is None:
        remedy = "Only values with one zero point can be masked: rewrite the original at another target."
        raise UnsupportedModelError(f"the target {name!r} holds whole numbers of no one zero point", remedy)
    return zero


def _single_values(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    """Initializers and Constant nodes of one whole number each."""
    tensors = [*graph.initializer]
    for node in graph.node:
        if node.op_type == "Constant" and node.attribute[0].name == "value":
            value = onnx.TensorProto()
            value.CopyFrom(node.attribute[0].t)
            value.name = node.output[0]
            tensors.append(value)
    kinds = {onnx.TensorProto.INT8, onnx.TensorProto.UINT8, onnx.TensorProto.INT16, onnx.TensorProto.UINT16}
    return (tensor for tensor in tensors if tensor.data_type in kinds and math.prod(tensor.dims) == 1)


def _zeros(graph: onnx.GraphProto, name: str) -> Iterator[str]:
    """The names of the zero points that follow ``name`` wherever it is read."""
    for node in graph.node:
        if name not in references(node):
            continue
        if node.op_type in _MOVES:
            for output in node.output:
                yield from _zeros(graph, output)
            continue
        zeros = [*node.input[2:], "", ""]  # every operator on quantised values reads value, scale, zero point
        yield from (zero for read, zero in zip(node.input, zeros, strict=True) if read == name)
