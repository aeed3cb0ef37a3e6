"""How much memory nodes behind a model take at a time: their tensors' sizes, and when each was last read.

An estimate: onnxruntime rounds buffers up, keeps the holes between them, and needs scratch space inside an operator.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import onnx

from onnx_reciprocam.graph.shapes import weightless
from onnx_reciprocam.tail.registry import ELEMENTWISE, REGROUPING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from onnx_reciprocam.graph import Model, Shapes

SAME_BUFFER = frozenset({*REGROUPING, "Identity"})
"""Operators whose result is their first input's memory."""
OVERWRITING = frozenset({*ELEMENTWISE, "Softmax"})
"""Operators that write over an input that nobody reads any more."""

HELD = 3.5
"""What onnxruntime holds over what tensors take: holes between buffers, and from the second run on a block of its own plan
beside what the first left; 1.5 to 3.3 measured (docs/decisions/0008-masks-in-chunks.md)."""


def peak_bytes(model: Model, shapes: Shapes, branch: onnx.GraphProto, batch: int) -> int:
    """The most that ``branch`` adds to a run, in bytes; for one image where the batch is open.

    Counted are results that are still to be read, and constants that onnxruntime works out once and keeps; not the
    model's own tensors and weights.

    Args:
        model: What the nodes read.
        shapes: Of the model's tensors.
        branch: The nodes in an order in which they can run.
        batch: How many images the shapes are of.
    """
    sizes = _sizes(model, shapes, branch, batch)
    weights = {t.name for t in model.proto.graph.initializer} | {
        name for node in model.proto.graph.node if node.op_type == "Constant" for name in node.output
    }
    nodes, kept = _unfolded(branch, weights)
    return sum(sizes.get(name, 0) for name in kept) + round(HELD * _peak(nodes, sizes))


def _unfolded(branch: onnx.GraphProto, weights: set[str]) -> tuple[list[onnx.NodeProto], set[str]]:
    """The nodes that are left once onnxruntime has loaded the file, and which of the others' results those read."""
    constants = weights | {tensor.name for tensor in branch.initializer}
    nodes, folded = [], set[str]()
    for node in branch.node:
        if all(name in constants for name in node.input if name):
            constants.update(node.output)
            folded.update(node.output)
        else:
            nodes.append(node)
    return nodes, folded & {name for node in nodes for name in node.input}


def _peak(nodes: list[onnx.NodeProto], sizes: Mapping[str, int]) -> int:
    """The largest sum of the buffers that are in use at a time."""
    owner: dict[str, str] = {}  # of the memory that a tensor lies in
    for node in nodes:
        for name in node.output:
            owner[name] = owner.get(node.input[0], "") if node.op_type in SAME_BUFFER else name
    last = {owner[name]: i for i, node in enumerate(nodes) for name in (*node.output, *node.input) if name in owner}
    held: dict[str, int] = {}
    peak = 0
    for i, node in enumerate(nodes):
        given = 0
        if node.op_type in OVERWRITING:
            dying = [held.get(owner[name], 0) for name in node.input if name in owner and last[owner[name]] == i]
            given = max(dying, default=0)
        made = {name: _bytes(node, name, sizes) for name in node.output if owner[name] == name}
        held.update(made)
        peak = max(peak, sum(held.values()) - min(given, sum(made.values())))
        held = {name: size for name, size in held.items() if last.get(name, -1) > i}
    return peak


def _bytes(node: onnx.NodeProto, name: str, sizes: Mapping[str, int]) -> int:
    """The size of a result; as much as the largest input where inference does not tell."""
    return sizes.get(name) or max((sizes.get(source, 0) for source in node.input), default=0)


def _sizes(model: Model, shapes: Shapes, branch: onnx.GraphProto, batch: int) -> dict[str, int]:
    """Bytes by tensor, as far as shape inference tells."""
    light = weightless(model.view)
    graph = light.graph
    for entry in graph.input:
        if entry.name in shapes.inputs:
            kind, shape = entry.type.tensor_type.elem_type, _of_one_image(shapes, entry.name, batch)
            entry.CopyFrom(onnx.helper.make_tensor_value_info(entry.name, kind, shape))
    known = [name for name in shapes.seen if name not in shapes.inputs and shapes.types.get(name)]
    graph.value_info.extend(
        onnx.helper.make_tensor_value_info(name, shapes.types[name], _of_one_image(shapes, name, batch))
        for name in known
    )
    graph.value_info.extend(branch.value_info)
    graph.node.extend(branch.node)
    graph.initializer.extend(branch.initializer)
    graph.input.extend(branch.input)
    del graph.output[:]
    graph.output.extend(branch.output)
    inferred = onnx.shape_inference.infer_shapes(light, data_prop=True).graph
    return {entry.name: size for entry in (*inferred.value_info, *inferred.output) if (size := _size_of(entry))}


def _of_one_image(shapes: Shapes, name: str, batch: int) -> list[int]:
    """The shape with lengths that follow the batch divided by it."""
    axes = zip(shapes.seen[name], shapes.moving[name], strict=True)
    return [size // batch if moves and size % batch == 0 else size for size, moves in axes]


def _size_of(entry: onnx.ValueInfoProto) -> int:
    """Bytes of a tensor; 0 where its shape is unknown."""
    tensor = entry.type.tensor_type
    dims = tensor.shape.dim
    if not tensor.HasField("shape") or not tensor.elem_type or not all(dim.HasField("dim_value") for dim in dims):
        return 0
    lengths: list[int] = [dim.dim_value for dim in dims]
    itemsize: int = onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type).itemsize
    return math.prod(lengths) * itemsize
