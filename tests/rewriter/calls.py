"""Some nodes of a file as a local function, called where they stood."""

from __future__ import annotations

from typing import TYPE_CHECKING

import onnx
from onnx import helper

if TYPE_CHECKING:
    from collections.abc import Sequence

DOMAIN = "of.mine"


def called(
    model: onnx.ModelProto, function: str, names: Sequence[str], *, opset: int | None = None, imported: str = ""
) -> onnx.ModelProto:
    """A copy in which the nodes ``names`` are the body of ``function``; the call is named after it.

    Args:
        model: May have such functions already, whose calls may be among the nodes.
        function: Its name.
        names: Nodes that stand together.
        opset: Of the body, where it is not the file's.
        imported: A domain that only the body imports.
    """
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    nodes = list(copy.graph.node)
    body = [node for node in nodes if node.name in names]
    made = {name for node in body for name in node.output}
    inputs = list(dict.fromkeys(name for node in body for name in node.input if name not in made))
    read = {name for node in nodes if node not in body for name in node.input}
    read.update(output.name for output in copy.graph.output)
    outputs = [name for node in body for name in node.output if name in read]
    own = next(entry.version for entry in model.opset_import if not entry.domain)
    imports = [helper.make_opsetid("", opset or own), helper.make_opsetid(DOMAIN, 1)]
    imports += [helper.make_opsetid(imported, 1)] if imported else []
    copy.functions.append(helper.make_function(DOMAIN, function, inputs, outputs, body, imports))
    call = helper.make_node(function, inputs, outputs, function, domain=DOMAIN)
    place = nodes.index(body[-1])
    del copy.graph.node[:]
    copy.graph.node.extend(
        call if i == place else node for i, node in enumerate(nodes) if i == place or node not in body
    )
    if DOMAIN not in {entry.domain for entry in copy.opset_import}:
        copy.opset_import.append(helper.make_opsetid(DOMAIN, 1))
    copy.ir_version = max(copy.ir_version, 8)
    return copy
