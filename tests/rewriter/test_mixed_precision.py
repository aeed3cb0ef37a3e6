"""Files whose map and scores have different element types."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import onnx_reciprocam as rc


def half_head(ending: list[onnx.NodeProto]) -> onnx.ModelProto:
    """A float32 map behind which all is float16, the scores included."""
    rng = np.random.default_rng(0)
    weights = {"k": rng.standard_normal((4, 3, 3, 3), np.float32), "w": rng.standard_normal((5, 4)).astype(np.float16)}
    nodes = [
        helper.make_node("Conv", ["x", "k"], ["c"], "conv", pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c"], ["r"], "relu"),
        helper.make_node("GlobalAveragePool", ["r"], ["p"], "pool"),
        helper.make_node("Flatten", ["p"], ["f"], "flatten"),
        helper.make_node("Cast", ["f"], ["h"], "half", to=TensorProto.FLOAT16),
        helper.make_node("Gemm", ["h", "w"], ["y"], "head", transB=1),
        *ending,
    ]
    image = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["b", 3, 3, 4])
    scores = helper.make_tensor_value_info(nodes[-1].output[0], TensorProto.FLOAT16, ["b", 5])
    tensors = [numpy_helper.from_array(array, name) for name, array in weights.items()]
    graph = helper.make_graph(nodes, "half", [image], [scores], tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


@pytest.mark.parametrize(
    "ending", [[], [helper.make_node("Softmax", ["y"], ["s"], "softmax")]], ids=["logits", "softmax"]
)
@pytest.mark.parametrize("classes", ["predicted", "all"])
def test_maps_of_half_scores_are_float32(ending: list[onnx.NodeProto], classes: str) -> None:
    explained = rc.rewrite(half_head(ending), classes=classes, normalize="none")
    images = np.random.default_rng(1).standard_normal((2, 3, 3, 4), np.float32)
    result = rc.ExplainedSession(explained.SerializeToString())(images)
    assert result.saliency.dtype == np.float32
    assert result.saliency.shape == (2, 5 if classes == "all" else 1, 3, 4)
