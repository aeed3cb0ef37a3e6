"""A residual classifier of a few hundred weights, and broken relatives of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

CHANNELS, CLASSES, SIDE = 4, 5, 16


def classifier(seed: int = 0, image: tuple[int | str, ...] = ("batch", 3, SIDE, SIDE)) -> onnx.ModelProto:
    """``stem > relu > branch + relu > add > last > pool > flat > fc``; the last feature map is an output too."""
    make = helper.make_node
    sides: dict[str, Any] = {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}
    nodes = [
        make("Conv", ["image", "w.stem"], ["stem.out"], "stem", strides=[2, 2], **sides),
        make("Relu", ["stem.out"], ["first.out"], "first"),
        make("Conv", ["first.out", "w.branch"], ["branch.out"], "branch", **sides),
        make("Add", ["branch.out", "first.out"], ["add.out"], "add"),
        make("Relu", ["add.out"], ["features"], "last"),
        make("GlobalAveragePool", ["features"], ["pool.out"], "pool"),
        make("Flatten", ["pool.out"], ["flat.out"], "flat"),
        make("Gemm", ["flat.out", "w.fc"], ["logits"], "fc", transB=1),
    ]
    rng = np.random.default_rng(seed)
    shapes: dict[str, tuple[int, ...]] = {
        "w.stem": (CHANNELS, 3, 3, 3), "w.branch": (CHANNELS, CHANNELS, 3, 3), "w.fc": (CLASSES, CHANNELS),
    }  # fmt: skip
    weights = [numpy_helper.from_array(rng.standard_normal(s).astype(np.float32), n) for n, s in shapes.items()]
    outputs = [_entry("logits", image[0], CLASSES), _entry("features", image[0], CHANNELS, "h", "w")]
    graph = helper.make_graph(nodes, "tiny", [_entry("image", *image)], outputs, weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def unchecked() -> onnx.ModelProto:
    """One that onnx's checker refuses: a node reads a tensor that nothing makes."""
    model = classifier()
    model.graph.node[-1].input[0] = "nowhere"
    return model


def _entry(name: str, *shape: Any) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
