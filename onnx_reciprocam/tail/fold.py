"""Running one node at rewrite time, on values that no input of the model changes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import onnx

from onnx_reciprocam.graph.shapes import quiet_session

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import onnx_graphsurgeon as gs
    from numpy.typing import NDArray

    from onnx_reciprocam.graph import Model


def run_node(model: Model, node: gs.Node, values: Sequence[NDArray[np.generic] | None]) -> list[NDArray[np.generic]]:
    """The outputs of ``node`` in onnxruntime.

    Args:
        model: Gives the node as written, the opsets and the local functions.
        node: One of the model's.
        values: One per input, None for an omitted optional one.
    """
    written = onnx.NodeProto()
    written.CopyFrom(model.written[node.outputs[0].name])
    names = [f"input_{i}" if value is not None else "" for i, value in enumerate(values)]
    written.input[:] = names
    given = {name: value for name, value in zip(names, values, strict=True) if value is not None}
    inputs = [
        onnx.helper.make_tensor_value_info(name, onnx.helper.np_dtype_to_tensor_dtype(value.dtype), value.shape)
        for name, value in given.items()
    ]
    outputs = [onnx.ValueInfoProto(name=name) for name in written.output if name]
    graph = onnx.helper.make_graph([written], "one_node", inputs, outputs)
    proto = onnx.helper.make_model(
        graph,
        opset_imports=model.proto.opset_import,
        functions=model.proto.functions,
        ir_version=model.proto.ir_version,
    )
    results: list[NDArray[np.generic]] = quiet_session(proto.SerializeToString(), model).run(None, given)
    return results
