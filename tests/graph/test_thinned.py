"""Shapes of the thinned model are those of the model itself, and what does not fit is still found out."""

from __future__ import annotations

import numpy as np
import onnx
import onnx.parser
import onnxruntime as ort
import pytest
from onnx import numpy_helper

from onnx_reciprocam.errors import ProbeError
from onnx_reciprocam.graph import load, probe
from onnx_reciprocam.graph.shapes import weightless
from onnx_reciprocam.graph.thinned import thinned

SUMS = {
    "convolution": ("5, 8, 9, 7", "y = Conv <strides = [2, 1], pads = [1, 0, 2, 1]> (x, w)", {"w": (12, 8, 3, 2)}),
    "groups": ("5, 8, 9, 7", "y = Conv <group = 4> (x, w)", {"w": (36, 2, 3, 3)}),
    "depthwise": ("5, 40, 9, 7", 'y = Conv <group = 40, auto_pad = "SAME_UPPER"> (x, w)', {"w": (40, 1, 3, 3)}),
    "one axis": ("5, 8, 90", "y = Conv <dilations = [3]> (x, w)", {"w": (12, 8, 5)}),
    "bias": ("5, 8, 9, 7", "y = Conv (x, w, b)", {"w": (12, 8, 3, 3), "b": (12,)}),
    "product": ("5, 9, 40", "y = MatMul(x, w)", {"w": (40, 30)}),
    "product of a vector": ("40", "y = MatMul(x, w)", {"w": (40, 30)}),
    "products": ("5, 3, 9, 40", "y = MatMul(x, w)", {"w": (3, 40, 30)}),
    "weight first": ("5, 40, 9", "y = MatMul(w, x)", {"w": (30, 40)}),
    "gemm": ("5, 40", "y = Gemm(x, w)", {"w": (40, 30)}),
    "gemm, turned": ("5, 40", "y = Gemm <transB = 1> (x, w, b)", {"w": (30, 40), "b": (30,)}),
    "gemm, both turned": ("40, 5", "y = Gemm <transA = 1, transB = 1> (x, w)", {"w": (30, 40)}),
    "read twice": ("5, 40", "h = MatMul(x, w) t = Transpose(w) y = MatMul(h, t)", {"w": (40, 30)}),
    "an output too": ("5, 40", "y = MatMul(x, w) s = Shape(w)", {"w": (40, 30)}),
    "read in a branch": (
        "5, 40",
        (
            "h = MatMul(x, w) c = Constant <value = bool {1}> ()"
            " y = If (c) <then_branch = t () => (float[5, 30] p) { p = MatMul(x, w) },"
            " else_branch = e () => (float[5, 30] q) { q = Identity(h) }>"
        ),
        {"w": (40, 30)},
    ),
}


def model(shape: str, body: str, weights: dict[str, tuple[int, ...]]) -> onnx.ModelProto:
    signature = f"(float[{shape}] x) => (float y)"
    made = onnx.parser.parse_model(f'<ir_version: 8, opset_import: ["": 17]> net {signature} {{ {body} }}')
    rng = np.random.default_rng(0)
    for name, lengths in weights.items():
        made.graph.initializer.append(numpy_helper.from_array(rng.standard_normal(lengths).astype(np.float32), name))
    return made


@pytest.mark.parametrize(("shape", "body", "weights"), SUMS.values(), ids=SUMS)
def test_shapes_are_those_of_the_model_itself(shape: str, body: str, weights: dict[str, tuple[int, ...]]) -> None:
    plain = model(shape, body, weights)
    names = [name for node in plain.graph.node for name in node.output]
    found = probe(load(plain)).seen
    del plain.graph.output[:]
    plain.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    session = ort.InferenceSession(plain.SerializeToString())
    values = session.run(None, {"x": np.ones([int(length) for length in shape.split(",")], np.float32)})
    assert {name: found[name] for name in names} == {
        name: np.shape(value) for name, value in zip(names, values, strict=True)
    }
    assert {name: found[name] for name in weights if np.prod(weights[name]) > 256} == {
        name: lengths for name, lengths in weights.items() if np.prod(lengths) > 256
    }


def test_a_sum_is_taken_in_two_steps_and_its_weight_is_gone() -> None:
    light = weightless(model(*SUMS["convolution"]))
    assert thinned(light) == {"w": (12, 8, 3, 2)}
    assert [node.op_type for node in light.graph.node] == ["Constant", "ConstantOfShape"] * 2 + ["Conv", "Conv"]


@pytest.mark.parametrize("name", ["convolution", "groups", "product", "products", "gemm", "gemm, turned"])
def test_what_does_not_fit_is_refused(name: str) -> None:
    shape, body, weights = SUMS[name]
    channels = "40" if "40" in shape else "8"
    with pytest.raises(ProbeError):
        probe(load(model(shape.replace(channels, "n"), body, weights)))
