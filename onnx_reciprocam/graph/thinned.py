"""A model without weights, with its weighted sums taken in two small steps: the same shapes for a fraction of the arithmetic.

Zeros sum to zero in any order, so that a convolution may first sum its channels up to one, and a matrix product its columns:
outputs are what they were, and what does not fit still does not.
"""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
import onnx

from onnx_reciprocam.graph.checked import subgraphs

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    Shape = tuple[int, ...]


def thinned(light: onnx.ModelProto) -> dict[str, Shape]:
    """Cut the sums of a model in place.

    Args:
        light: A model whose weights are zeros made by ``ConstantOfShape``.

    Returns:
        The shapes of weights that nothing reads any more: they are gone.
    """
    graph = light.graph
    zeros = dict(_zeros(graph))
    made = {name: node for node in graph.node for name in node.output if name in zeros}
    kept: list[onnx.NodeProto] = []
    for node in graph.node:
        kept += _cut(node, zeros, made) if len(node.input) > 1 and node.input[1] in zeros else [node]
    read = Counter(name for node in kept for name in _reads(node)) + Counter(output.name for output in graph.output)
    gone = {name: shape for name, shape in zeros.items() if not read[name]}
    kept = [node for node in kept if node.output[0] not in gone]
    copies = [_like(node, node.input, node.output) for node in kept]  # emptying the list empties its nodes
    del graph.node[:]
    graph.node.extend(copies)
    return gone


def _zeros(graph: onnx.GraphProto) -> Iterator[tuple[str, Shape]]:
    """Names and shapes of what a ``ConstantOfShape`` makes of an initializer, if it is all zeros and not empty."""
    shapes = {tensor.name: tensor for tensor in graph.initializer if len(tensor.dims) == 1}
    for node in graph.node:
        if node.op_type == "ConstantOfShape" and node.input[0] in shapes:
            shape = tuple(onnx.numpy_helper.to_array(shapes[node.input[0]]).tolist())
            values = [attribute.t for attribute in node.attribute if attribute.name == "value"]
            if all(not onnx.numpy_helper.to_array(value).any() for value in values) and math.prod(shape):
                yield node.output[0], shape


def _cut(
    node: onnx.NodeProto, zeros: Mapping[str, Shape], made: Mapping[str, onnx.NodeProto]
) -> Sequence[onnx.NodeProto]:
    """The node behind one that sums up what it reads; itself alone where it is no weighted sum of many."""
    attributes = {attribute.name: onnx.helper.get_attribute_value(attribute) for attribute in node.attribute}
    shape = zeros[node.input[1]]
    if node.op_type in {"Conv", "FusedConv"} and len(shape) > 2:
        channels = shape[1] * attributes.get("group", 1)
        operator, summing, fewer = "Conv", (1, channels, *(1,) * len(shape[2:])), (shape[0], 1, *shape[2:])
    elif node.op_type == "MatMul" and len(shape) > 1:
        operator, summing, fewer = "MatMul", (*shape[:-1], 1), (1, shape[-1])
    elif node.op_type in {"Gemm", "FusedGemm"} and not attributes.get("transA"):
        columns, rows = shape if attributes.get("transB") else shape[::-1]
        operator, summing = "MatMul", (rows, 1)
        fewer = (columns, 1) if attributes.get("transB") else (1, columns)
    else:
        return [node]
    summed = f"reciprocam/summed/{node.output[0]}"
    nodes, names = [], []
    for what, lengths in (("summing", summing), ("weight", fewer)):
        names.append(f"reciprocam/{what}/{node.output[0]}")
        value = onnx.numpy_helper.from_array(np.array(lengths, np.int64))
        nodes.append(onnx.helper.make_node("Constant", [], [f"{names[-1]}/shape"], value=value))
        nodes.append(_like(made[node.input[1]], [f"{names[-1]}/shape"], [names[-1]]))
    nodes.append(onnx.helper.make_node(operator, [node.input[0], names[0]], [summed]))
    nodes.append(_like(node, [summed, names[1], *node.input[2:]], node.output))
    for attribute in nodes[-1].attribute:
        if attribute.name == "group":  # one channel is one group
            attribute.i = 1
    return nodes


def _like(node: onnx.NodeProto, inputs: Sequence[str], outputs: Sequence[str]) -> onnx.NodeProto:
    """Another of its kind."""
    copy = onnx.NodeProto()
    copy.CopyFrom(node)
    del copy.input[:], copy.output[:]
    copy.input.extend(inputs)
    copy.output.extend(outputs)
    return copy


def _reads(node: onnx.NodeProto) -> Iterator[str]:
    """What a node reads, and what the graphs in it do."""
    yield from node.input
    for graph in subgraphs(node):
        yield from (output.name for output in graph.output)
        for inner in graph.node:
            yield from _reads(inner)
