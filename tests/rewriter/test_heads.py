"""Ends that classifiers have, and every opset and IR version."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper
from tiny_networks import CLASSES, Tiny, assemble

import onnx_reciprocam as rc

if TYPE_CHECKING:
    from collections.abc import Callable

make = helper.make_node
TOO_NEW = re.compile("IR version|opset", re.IGNORECASE)
"""What an older onnxruntime says of newer files."""


def keras(flatten: str) -> onnx.ModelProto:
    """As Keras ends a small network: Flatten or Reshape, MatMul, Add, Softmax."""
    rng = np.random.default_rng(2)
    shapes = {"w": (4, 3, 3, 3), "fc": (48, CLASSES), "b": (CLASSES,)}
    weights = {name: rng.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}
    weights |= {"rows": np.array([-1, 48])} if flatten == "Reshape" else {}
    nodes = [
        make("Conv", ["image", "w"], ["map"], "conv", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]),
        make("Transpose", ["map"], ["map.nhwc"], "nhwc", perm=[0, 2, 3, 1]),
        make(flatten, ["map.nhwc", "rows"][: 1 + (flatten == "Reshape")], ["flat"], "flat"),
        make("MatMul", ["flat", "fc"], ["product"], "fc"),
        make("Add", ["product", "b"], ["logits"], "bias"),
        make("Softmax", ["logits"], ["scores"], "softmax", axis=-1),
    ]
    return assemble(nodes, weights, {"image": ["b", 3, 6, 8]}, {"scores": ["b", CLASSES]})


def labelled() -> onnx.ModelProto:
    """As scikit-learn orders them: the label first, then the scores."""
    plain = Tiny().build()
    plain.graph.node.append(make("ArgMax", ["scores"], ["label"], "argmax", axis=1))
    plain.graph.output.insert(0, helper.make_tensor_value_info("label", TensorProto.INT64, ["batch", 1]))
    return plain


HEADS: dict[str, Callable[[], onnx.ModelProto]] = {
    "Keras, Flatten": lambda: keras("Flatten"),
    "Keras, Reshape": lambda: keras("Reshape"),
    "several labels": lambda: Tiny(ending="Sigmoid").build(),
    "one logit": lambda: Tiny(classes=1).build(),
    "one probability": lambda: Tiny(classes=1, ending="Sigmoid").build(),
    "label and scores": labelled,
}


@pytest.mark.parametrize("head", HEADS)
def test_heads_that_are_taken(head: str) -> None:
    plain = HEADS[head]()
    for score in ("logit", "probability"):
        found = rc.verify(rc.rewrite(plain, score=score), plain, batches=(2,))
        assert found.passed, str(found)


def needs_runtime(plain: onnx.ModelProto) -> onnx.ModelProto:
    """``plain``, if the onnxruntime at hand is new enough for it."""
    try:
        ort.InferenceSession(plain.SerializeToString(), providers=["CPUExecutionProvider"])
    except Exception as error:
        if not TOO_NEW.search(str(error)):
            raise
        pytest.skip(str(error))
    return plain


@pytest.mark.parametrize("opset", range(9, onnx.defs.onnx_opset_version() + 1))
def test_every_opset_that_onnxruntime_takes(opset: int) -> None:
    plain = needs_runtime(Tiny(opset=opset, ending="Softmax").build())
    found = rc.verify(rc.rewrite(plain, classes="top:2"), plain, batches=(2,))
    assert found.passed, str(found)


@pytest.mark.parametrize("ir_version", range(3, onnx.IR_VERSION + 1))
def test_every_ir_version(ir_version: int) -> None:
    plain = needs_runtime(Tiny(opset=9, ir_version=ir_version).build())
    explained = rc.rewrite(plain)
    assert explained.ir_version == ir_version
    found = rc.verify(explained, plain, batches=(2,))
    assert found.passed, str(found)
