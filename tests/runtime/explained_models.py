"""Explained files small enough to write down: their scores and maps are plain arithmetic on the picture."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from onnx_reciprocam.contract import Contract, Preprocessing

WEIGHTS = np.array([[1.0, 0.0, 0.0], [0.0, 2.0, 0.0], [0.0, 0.0, 3.0], [-1.0, -1.0, -1.0]], np.float32)
"""``[classes, channels]``: classes look for red, green, blue and black."""

CELL = 4
"""Pixels of a cell's side."""

RAW = Preprocessing(crop=None, mean=(0.0,), std=(1.0,), scale=1 / 255)


def contract(classes: str, inputs: dict[str, str], **changes: Any) -> Contract:
    outputs = {"score": "logits", "saliency": "saliency"}
    if classes != "all":
        outputs["saliency_classes"] = "saliency_classes"
    settings: dict[str, Any] = {
        "target": "cells", "method": "reciprocam", "mask": "pixel", "score": "logit", "classes": classes,
        "normalize": "none", "upsample": "none", "layout": "b c h w", "grid": (None, None), "outputs": outputs,
        "inputs": inputs, "namespace": "reciprocam/", "source_sha256": "0" * 64, **changes,
    }  # fmt: skip
    return Contract(**settings)


def explained(
    classes: str = "predicted",
    *,
    shape: tuple[int | str, ...] = ("B", 3, "H", "W"),
    dtype: int = TensorProto.FLOAT,
    toggle: bool = False,
    extra_input: bool = False,
    preprocessing: Preprocessing | None = RAW,
    labels: tuple[str, ...] = ("red", "green", "blue", "black"),
) -> bytes:
    """A file that averages cells, then scores their mean colour; a map is the score of each cell's own colour.

    ``classes`` is ``predicted``, ``all`` or ``input``.
    """
    # Names here are the file's own, as a real rewrite may have to choose them.
    inputs = {"image": "pixels"}
    graph_inputs = [helper.make_tensor_value_info("pixels", dtype, shape)]
    constants = {"weights": WEIGHTS, "kernel": WEIGHTS[..., None, None]}
    nodes = [
        helper.make_node("Cast", ["pixels"], ["exact"], to=TensorProto.FLOAT),
        helper.make_node("AveragePool", ["exact"], ["cells"], kernel_shape=[CELL, CELL], strides=[CELL, CELL]),
        helper.make_node("GlobalAveragePool", ["cells"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["vector"]),
        helper.make_node("Gemm", ["vector", "weights"], ["scores"], transB=1),
        helper.make_node("Conv", ["cells", "kernel"], ["every_map"]),
    ]
    if extra_input:
        graph_inputs.append(helper.make_tensor_value_info("bias", TensorProto.FLOAT, ["classes"]))
        nodes.append(helper.make_node("Add", ["scores", "bias"], ["logits"]))
    else:
        nodes.append(helper.make_node("Identity", ["scores"], ["logits"]))
    outputs = [("logits", TensorProto.FLOAT, [shape[0], 4]), ("vector", TensorProto.FLOAT, [shape[0], 3])]
    if classes == "predicted":
        nodes.append(helper.make_node("ArgMax", ["logits"], ["chosen"], axis=1))
    elif classes == "input":
        inputs["saliency_class_ids"] = "ids"
        graph_inputs.append(helper.make_tensor_value_info("ids", TensorProto.INT64, [shape[0], "K"]))
        nodes.append(helper.make_node("Identity", ["ids"], ["chosen"]))
    if classes == "all":
        nodes.append(helper.make_node("Identity", ["every_map"], ["maps"]))
    else:
        constants |= {"depth": np.array(4), "one_hot": np.array([0.0, 1.0], np.float32)}
        nodes += _choose()
    if toggle:
        inputs["explain"] = "switch"
        graph_inputs.append(helper.make_tensor_value_info("switch", TensorProto.BOOL, []))
        constants |= {"switch": np.array(True), "column": np.array([1]), "none": np.array([0])}
        nodes += _switch()
    else:
        nodes.append(helper.make_node("Identity", ["maps"], ["saliency"]))
        if classes != "all":
            nodes.append(helper.make_node("Identity", ["chosen"], ["saliency_classes"]))
    outputs.append(("saliency", TensorProto.FLOAT, [shape[0], "K", "h", "w"]))
    if classes != "all":
        outputs.append(("saliency_classes", TensorProto.INT64, [shape[0], "K"]))
    graph = helper.make_graph(
        nodes, "g", graph_inputs, [helper.make_tensor_value_info(*output) for output in outputs],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    written = contract(classes, inputs, preprocessing=preprocessing, labels=labels)
    helper.set_model_props(model, written.to_metadata())
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def _choose() -> list[onnx.NodeProto]:
    """``maps[b, k] = every_map[b, chosen[b, k]]``."""
    return [
        helper.make_node("OneHot", ["chosen", "depth", "one_hot"], ["selector"]),
        helper.make_node("Einsum", ["selector", "every_map"], ["maps"], equation="bkc,bchw->bkhw"),
    ]


def _switch() -> list[onnx.NodeProto]:
    """The first ``K * switch`` maps."""
    return [
        helper.make_node("Shape", ["chosen"], ["count"], start=1),
        helper.make_node("Cast", ["switch"], ["on"], to=TensorProto.INT64),
        helper.make_node("Mul", ["count", "on"], ["kept"]),
        helper.make_node("Slice", ["maps", "none", "kept", "column"], ["saliency"]),
        helper.make_node("Slice", ["chosen", "none", "kept", "column"], ["saliency_classes"]),
    ]
