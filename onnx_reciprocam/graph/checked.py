"""What a model must be before anything else looks at it: whole, valid, and with its external data where it says."""

from __future__ import annotations

import math
import warnings
from typing import TYPE_CHECKING

import onnx
from onnx.external_data_helper import uses_external_data

from onnx_reciprocam.errors import ModelFileError, UnsupportedModelError
from onnx_reciprocam.external_data import data_file

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SINCE = {"LayerNormalization": 17, "SimplifiedLayerNormalization": 1 << 30}
"""Operators that onnxruntime also knows in older opsets, where its optimiser writes them; ONNX has them since."""
SMALL = {"INT4": 4, "UINT4": 4, "FLOAT4": 4, "INT2": 2, "UINT2": 2}
"""Bits of the types that are stored several to a byte, by how their names begin."""
MAX_NODES = 1_000_000
"""With local functions inlined; a thousand times what a large classifier has."""


def check(proto: onnx.ModelProto, path: Path | None, name: str) -> None:
    """Raise for a model that is not.

    Raises:
        ModelFileError: It fails onnx's checker, its external data is missing, too short or outside its folder, or its
            functions expand to more than anybody writes.
        UnsupportedModelError: External files hold more than initializers.
    """
    for tensor in external(proto):
        _check_data(tensor, path.parent if path else None, name)
    _check_functions(proto, name)
    bodies = (proto.graph, *proto.functions)
    if (node := next((node for body in bodies for node in _nodes_with_external_values(body)), None)) is not None:
        raise UnsupportedModelError(
            f"{name} keeps the value of {node.op_type} {node.name or node.output[0]!r} in an external file",
            "Take it in, only initializers may be outside: onnx.save(onnx.load(MODEL), NEW)",
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            onnx.checker.check_model(_in_onnx(proto) or (str(path) if path else proto))
    except (onnx.checker.ValidationError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise ModelFileError(name, f"fails onnx's checker: {reason[:200]}") from None


def _in_onnx(proto: onnx.ModelProto) -> onnx.ModelProto | None:
    """A copy that says whose operators onnxruntime's own are, for onnx's checker; None where there are none."""
    opset = max((entry.version for entry in proto.opset_import if entry.domain in {"", "ai.onnx"}), default=0)
    if not any(_is_runtimes(node, opset) for node in proto.graph.node):
        return None
    copy = onnx.ModelProto()
    copy.CopyFrom(proto)
    for node in copy.graph.node:
        if _is_runtimes(node, opset):
            node.domain = "com.microsoft"
    copy.opset_import.add(domain="com.microsoft", version=1)
    given = {entry.name for entry in copy.graph.input}
    for tensor in list(external(copy)):  # the checker would look for their files in the working folder
        if tensor.name not in given:
            copy.graph.input.append(onnx.helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims))
        copy.graph.initializer.remove(tensor)
    return copy


def _is_runtimes(node: onnx.NodeProto, opset: int) -> bool:
    return node.domain in {"", "ai.onnx"} and opset < SINCE.get(node.op_type, 0)


def external(proto: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    """Initializers that lie in other files."""
    return (tensor for tensor in proto.graph.initializer if uses_external_data(tensor))


def _nodes_with_external_values(graph: onnx.GraphProto | onnx.FunctionProto) -> Iterator[onnx.NodeProto]:
    for node in graph.node:
        for attribute in node.attribute:
            for subgraph in (attribute.g, *attribute.graphs):
                yield from _nodes_with_external_values(subgraph)
                if any(map(uses_external_data, subgraph.initializer)):
                    yield node
            if any(map(uses_external_data, (attribute.t, *attribute.tensors))):
                yield node


def location(tensor: onnx.TensorProto) -> str:
    """The file, relative to the model's folder, that holds an external tensor; empty where none is named."""
    return str(next((entry.value for entry in tensor.external_data if entry.key == "location"), ""))


def _check_data(tensor: onnx.TensorProto, folder: Path | None, name: str) -> None:
    """See that a tensor's file is one that may be read, and holds what the tensor declares, before anything is allocated."""
    if folder is None:
        raise ModelFileError(name, "keeps its weights in external files: pass the path of the .onnx file instead.")
    size = data_file(folder, location(tensor), name).stat().st_size
    told = {entry.key: entry.value for entry in tensor.external_data}
    offset, length = told.get("offset", "0"), told.get("length", "0")
    if not (_counts(offset) and _counts(length) and int(offset) + max(int(length), _bytes(tensor)) <= size):
        reason = f"its external data {location(tensor)!r} ends before the values of {tensor.name!r} do"
        raise ModelFileError(name, f"{reason}: copy the whole file beside the .onnx file.")


def _counts(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 20


def _bytes(tensor: onnx.TensorProto) -> int:
    """What the tensor's values take in a file."""
    kind = onnx.TensorProto.DataType.Name(tensor.data_type)
    bits = next((bits for ending, bits in SMALL.items() if kind.startswith(ending)), 0)
    bits = bits or 8 * int(onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize)
    return int(-(-math.prod(tensor.dims) * bits // 8))


def _check_functions(proto: onnx.ModelProto, name: str) -> None:
    """Refuse functions that call each other until few bytes are a billion nodes: they are read, and run, inlined."""
    bodies = {(function.domain, function.name): function for function in proto.functions}
    sizes: dict[tuple[str, str], int] = {}

    def size(graph: onnx.GraphProto | onnx.FunctionProto) -> int:
        return sum(called((node.domain, node.op_type)) + sum(map(size, subgraphs(node))) for node in graph.node)

    def called(key: tuple[str, str]) -> int:
        if key in bodies and key not in sizes:
            sizes[key] = 0  # a cycle, which onnx's checker tells
            sizes[key] = size(bodies[key])
        return 1 + sizes.get(key, 0)

    try:
        nodes = size(proto.graph)
    except RecursionError:
        raise ModelFileError(name, "its local functions call each other too deeply to be read.") from None
    if nodes > MAX_NODES:
        raise ModelFileError(name, f"its local functions expand to more than {MAX_NODES:,} nodes.")


def subgraphs(node: onnx.NodeProto) -> Iterator[onnx.GraphProto]:
    """The graphs in a node: branches, bodies."""
    for attribute in node.attribute:
        yield from (graph for graph in (attribute.g, *attribute.graphs) if graph.node)
