"""Which opsets the installed onnxruntime runs: tests go as far as it does."""

from __future__ import annotations

import onnx
import onnxruntime as ort
from onnx import TensorProto, helper


def newest_runnable(at_most: int) -> int:
    """The newest opset up to ``at_most`` that both onnx and onnxruntime know."""
    known = range(min(at_most, onnx.defs.onnx_opset_version()), 8, -1)
    return next(opset for opset in known if _runs(opset))


def _runs(opset: int) -> bool:
    value = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "relu", value[:1], value[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    options = ort.SessionOptions()
    options.log_severity_level = 4
    try:
        ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    except Exception:  # noqa: BLE001 - onnxruntime's errors have no common base
        return False
    return True
