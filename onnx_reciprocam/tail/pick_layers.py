"""Linear layers, however they are written: Gemm, MatMul, and Conv with a kernel of one cell."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import onnx

from onnx_reciprocam.tail.registry import operator

if TYPE_CHECKING:
    import numpy as np
    import onnx_graphsurgeon as gs

    from onnx_reciprocam.tail.walk import Walk


@dataclass(frozen=True)
class Layer:
    """``y[k] = alpha * sum_c weights[k, c] x[c] + beta * bias[k]`` at every place of a map, or of a vector.

    Args:
        node: What the file has. Its first input is ``x``.
        axis: Of the channels in ``x``.
        weights: ``[classes, C]`` with lengths of 1 behind, or ``[C, classes]``; no mask changes them.
        classes: The axis of ``weights`` that runs over classes.
        bias: One value per class, or one for all; None if there is none.
        alpha, beta: Numbers.
    """

    node: gs.Node
    axis: int
    weights: gs.Tensor
    classes: int
    bias: gs.Tensor | None = None
    alpha: float = 1.0
    beta: float = 1.0

    def scaled(self, walk: Walk, value: gs.Tensor, factor: float) -> gs.Tensor:
        """``value * factor``, and no node for a factor of 1."""
        if factor == 1.0:
            return value
        return walk.branch.op("Mul", value, walk.branch.constant(factor, dtype_of(walk, self.node.outputs[0])))


def layer_of(walk: Walk, node: gs.Node, axis: int) -> Layer | None:
    """``node`` as a linear layer whose classes lie along ``axis`` of its result, if it is one."""
    kinds = {"Gemm": _gemm, "MatMul": _matmul, "Conv": _conv}
    kind = kinds.get(operator(node))
    if kind is None or any(tensor.name and walk.depends(tensor) for tensor in node.inputs[1:]):
        return None
    return kind(walk, node, axis)


def _gemm(walk: Walk, node: gs.Node, axis: int) -> Layer | None:
    attrs, bias = node.attrs, _bias(node)
    same_for_batch = bias is None or len(walk.seen(bias)) < 2 or walk.static(bias)[0] == 1
    if attrs.get("transA", 0) or axis != 1 or not same_for_batch:
        return None
    scales = attrs.get("alpha", 1.0), attrs.get("beta", 1.0)
    return Layer(node, 1, node.inputs[1], 1 - attrs.get("transB", 0), bias, *scales)


def _matmul(walk: Walk, node: gs.Node, axis: int) -> Layer | None:
    last = len(walk.seen(node.inputs[0])) - 1
    plain = len(walk.seen(node.inputs[1])) == 2 and axis == last
    return Layer(node, last, node.inputs[1], 1) if plain else None


def _conv(walk: Walk, node: gs.Node, axis: int) -> Layer | None:
    before, after, weights = (walk.seen(t) for t in (node.inputs[0], node.outputs[0], node.inputs[1]))
    grouped = node.attrs.get("group", 1) != 1 or axis != 1
    if grouped or math.prod(weights[2:]) != 1 or any(node.attrs.get("pads", [])) or before[2:] != after[2:]:
        return None
    return Layer(node, 1, node.inputs[1], 0, _bias(node))


def _bias(node: gs.Node) -> gs.Tensor | None:
    return node.inputs[2] if len(node.inputs) > 2 and node.inputs[2].name else None


def dtype_of(walk: Walk, tensor: gs.Tensor) -> np.dtype[np.generic]:
    """The element type of ``tensor``; float32 where inference does not know."""
    return onnx.helper.tensor_dtype_to_np_dtype(walk.shapes.types.get(tensor.name, onnx.TensorProto.FLOAT))
