"""The way that is right for every operator: run the node once per mask, inside the graph."""

from __future__ import annotations

from typing import TYPE_CHECKING

import onnx
import onnx_graphsurgeon as gs

from onnx_reciprocam.tail.terms import Shared

if TYPE_CHECKING:
    from onnx_reciprocam.tail.call import Call
    from onnx_reciprocam.tail.terms import Stacked


def per_cell(call: Call) -> list[Stacked]:
    """A ``Scan`` over the masks whose body is the node as the file has it.

    It needs to know nothing of the operator: custom ones, local functions and those that couple the images of a batch
    see exactly the shapes that they see in the plain model.
    """
    sliced: list[gs.Variable] = []
    scanned: list[gs.Tensor] = []
    inputs: list[gs.Tensor] = []
    for i, (term, tensor) in enumerate(zip(call.terms, call.node.inputs, strict=True)):
        if term is None or isinstance(term, Shared):
            inputs.append(call.branch.read(tensor))
            continue
        scanned.append(call.stacker.front(call.stack(i)))
        sliced.append(_typed(call, tensor, "one_mask"))
        inputs.append(sliced[-1])
    made = [_result(call, i) for i in range(len(call.node.outputs))]
    node = gs.Node(call.node.op, call.branch.name("body"), dict(call.node.attrs), inputs, made, domain=call.node.domain)
    body = gs.Graph([node], sliced, made, name=call.branch.name("per_mask"), opset=call.branch.opset)
    results = call.branch.emit("Scan", scanned, outputs=len(made), body=body, num_scan_inputs=len(scanned))
    return call.stacked(results, 0)


def _result(call: Call, i: int) -> gs.Variable:
    """Output ``i`` of one run."""
    return _typed(call, call.node.outputs[i], "one_result")


def _typed(call: Call, tensor: gs.Tensor, hint: str) -> gs.Variable:
    """What stands for ``tensor`` in the body, with its type and rank, which no runtime infers of every operator."""
    name = call.branch.name(hint)
    elem_type = call.walk.shapes.types.get(tensor.name)
    if not elem_type:
        return gs.Variable(name)
    static = call.walk.static(tensor)
    shape = [f"{name}_{axis}" if size is None else size for axis, size in enumerate(static)]
    return gs.Variable(name, onnx.helper.tensor_dtype_to_np_dtype(elem_type), shape)
