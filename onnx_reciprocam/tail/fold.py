"""Running one node at rewrite time, on values that no input of the model changes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import onnx

from onnx_reciprocam.graph.shapes import quiet_session

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    import onnx_graphsurgeon as gs
    from numpy.typing import NDArray

    from onnx_reciprocam.graph import Model

BFLOAT16 = "bfloat16"
"""The type that numpy and onnxruntime do not hand each other."""


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
    halves = {name: value for name, value in given.items() if value.dtype.name == BFLOAT16}
    fed = {name: value for name, value in given.items() if name not in halves}
    inputs = [
        onnx.helper.make_tensor_value_info(name, onnx.helper.np_dtype_to_tensor_dtype(value.dtype), value.shape)
        for name, value in fed.items()
    ]
    outputs = [onnx.ValueInfoProto(name=name) for name in written.output if name]
    graph = onnx.helper.make_graph([written], "one_node", inputs, outputs)
    graph.initializer.extend(onnx.numpy_helper.from_array(value, name) for name, value in halves.items())
    proto = onnx.helper.make_model(
        graph,
        opset_imports=model.proto.opset_import,
        functions=model.proto.functions,
        ir_version=model.proto.ir_version,
    )
    session = quiet_session(proto.SerializeToString(), model)
    if not any(BFLOAT16 in output.type for output in session.get_outputs()):
        results: list[NDArray[np.generic]] = session.run(None, fed)
        return results
    return _run_to_bfloat16(proto, model, fed)


def _run_to_bfloat16(
    proto: onnx.ModelProto, model: Model, fed: Mapping[str, NDArray[np.generic]]
) -> list[NDArray[np.generic]]:
    """Results that onnxruntime hands to numpy as float32 only, which holds them exactly."""
    for output in proto.graph.output:
        wide = onnx.helper.make_node("Cast", [output.name], [f"{output.name}/wide"], to=onnx.TensorProto.FLOAT)
        proto.graph.node.append(wide)
        output.name = wide.output[0]
    narrow = onnx.helper.tensor_dtype_to_np_dtype(onnx.TensorProto.BFLOAT16)
    return [value.astype(narrow) for value in quiet_session(proto.SerializeToString(), model).run(None, fed)]
