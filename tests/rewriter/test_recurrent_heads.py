"""A recurrent head whose state goes in and out as tensors: a further input whose batch is not its first axis."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import onnx_reciprocam as rc

HIDDEN = 5


def reader(batch: int | str) -> onnx.ModelProto:
    """``Conv, Relu`` read cell by cell by a GRU, whose last state is scored and handed out."""
    rng = np.random.default_rng(0)
    shapes = {"kernel": (4, 3, 3, 3), "w": (1, 3 * HIDDEN, 4), "r": (1, 3 * HIDDEN, HIDDEN), "b": (1, 6 * HIDDEN)}
    shapes |= {"fc": (HIDDEN, 6), "bias": (6,)}
    weights = {name: rng.standard_normal(shape).astype(np.float32) / 2 for name, shape in shapes.items()}
    tables = {"rows": np.array([0, 4, -1]), "layer": np.array([0])}
    nodes = [
        helper.make_node("Conv", ["image", "kernel"], ["conv"], "conv", pads=[1, 1, 1, 1], strides=[2, 2]),
        helper.make_node("Relu", ["conv"], ["map"], "relu"),
        helper.make_node("Reshape", ["map", "rows"], ["flat"], "flatten"),
        helper.make_node("Transpose", ["flat"], ["steps"], "to_steps", perm=[2, 0, 1]),
        helper.make_node("GRU", ["steps", "w", "r", "b", "", "before"], ["all", "after"], "gru", hidden_size=HIDDEN),
        helper.make_node("Squeeze", ["after", "layer"], ["last"], "squeeze"),
        helper.make_node("Gemm", ["last", "fc", "bias"], ["scores"], "fc"),
    ]
    shapes_of: dict[str, list[Any]] = {
        "image": [batch, 3, 6, 8],
        "before": [1, batch, HIDDEN],
        "scores": [batch, 6],
        "after": [1, batch, HIDDEN],
    }
    infos = {name: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes_of.items()}
    stored = [numpy_helper.from_array(values, name) for name, values in (weights | tables).items()]
    graph = helper.make_graph(
        nodes, "reader", [infos["image"], infos["before"]], [infos["scores"], infos["after"]], stored
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


@pytest.mark.parametrize("options", [{}, {"toggle": True}, {"mask": "gaussian"}], ids=str)
@pytest.mark.parametrize("batch", ["images", 2])
def test_its_state_is_a_further_input(batch: int | str, options: dict[str, Any]) -> None:
    plain = reader(batch)
    found = rc.verify(rc.rewrite(plain, **options), plain, batches=(1, 3))
    assert found.passed, found
    assert found.flat == 0


def test_a_session_takes_it_by_name() -> None:
    rng = np.random.default_rng(1)
    session = rc.ExplainedSession(rc.rewrite(reader("images")).SerializeToString())
    images = rng.standard_normal((3, 3, 6, 8)).astype(np.float32)
    one, other = (session(images, before=np.full((1, 3, HIDDEN), value, np.float32)) for value in (0, 1))
    assert one.saliency is not None
    assert other.saliency is not None
    assert one.saliency.shape == (3, 1, 3, 4)
    assert not np.allclose(one.predictions, other.predictions)
