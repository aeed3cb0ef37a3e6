"""The file as the walk sees it: local functions inlined, fused operators taken apart. What is written stays as it is.

A tensor that only the view has is *unwritten*: it can be no target, and where the new nodes need it, they make it again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import onnx
import onnx.inliner

if TYPE_CHECKING:
    from collections.abc import Iterable


def inlined(proto: onnx.ModelProto) -> onnx.ModelProto:
    """``proto`` with the bodies of its local functions in place of their calls; itself where it has none.

    A function that is written in another opset than the file stays a call: its nodes cannot stand among the file's own.
    """
    functions = [(function.domain, function.name) for function in _fitting(proto)]
    if not functions:
        return proto
    flat = onnx.inliner.inline_selected_functions(proto, functions, exclude=False)
    return renamed(flat, proto)


def _fitting(proto: onnx.ModelProto) -> list[onnx.FunctionProto]:
    own = {function.domain for function in proto.functions}
    imports = _versions(proto.opset_import)
    return [
        function
        for function in proto.functions
        if not function.overload
        and all(
            domain in own or imports.get(domain) == version
            for domain, version in _versions(function.opset_import).items()
        )
    ]


def _versions(imports: Iterable[onnx.OperatorSetIdProto]) -> dict[str, int]:
    return {"" if entry.domain == "ai.onnx" else entry.domain: entry.version for entry in imports}


def renamed(flat: onnx.ModelProto, proto: onnx.ModelProto) -> onnx.ModelProto:
    """Without the names of nodes that ``proto`` has not: nobody can find those in the file."""
    written = {name: node for node in proto.graph.node for name in node.output if name}
    for node in flat.graph.node:
        same = written.get(next(filter(None, node.output), ""))
        if same is None or same.name != node.name:
            node.ClearField("name")
    return flat
