"""What a model must be before anything else looks at it: whole, valid, and with its external data where it says."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import onnx
from onnx.external_data_helper import uses_external_data

from onnx_reciprocam.errors import ModelFileError, UnsupportedModelError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SINCE = {"LayerNormalization": 17, "SimplifiedLayerNormalization": 1 << 30}
"""Operators that onnxruntime also knows in older opsets, where its optimiser writes them; ONNX has them since."""


def check(proto: onnx.ModelProto, path: Path | None, name: str) -> None:
    """Raise for a model that is not.

    Raises:
        ModelFileError: It fails onnx's checker, or its external data is missing.
        UnsupportedModelError: External files hold more than initializers.
    """
    for tensor in external(proto):
        _external_path(tensor, path.parent if path else None, name)
    if (node := next(_nodes_with_external_values(proto.graph), None)) is not None:
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
    return copy


def _is_runtimes(node: onnx.NodeProto, opset: int) -> bool:
    return node.domain in {"", "ai.onnx"} and opset < SINCE.get(node.op_type, 0)


def external(proto: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    """Initializers that lie in other files."""
    return (tensor for tensor in proto.graph.initializer if uses_external_data(tensor))


def _nodes_with_external_values(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
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


def _external_path(tensor: onnx.TensorProto, folder: Path | None, name: str) -> Path:
    if folder is None:
        raise ModelFileError(name, "keeps its weights in external files: pass the path of the .onnx file instead.")
    path = folder / location(tensor)
    if not path.is_file():
        raise ModelFileError(name, f"its external data {str(path)!r} is missing: copy it beside the .onnx file.")
    return path
