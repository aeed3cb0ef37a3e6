"""Shapes read off a run: what is fixed, what moves, and that weights do not matter."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnx.parser
import onnxruntime as ort
import pytest
import skeleton
from networks import EVERY_WAY
from onnx import TensorProto, helper, numpy_helper

from onnx_reciprocam.errors import ProbeError, UnsupportedModelError
from onnx_reciprocam.graph import InputSpec, Shapes, input_specs, load, probe


def parsed(signature: str, body: str, **weights: tuple[int, ...]) -> onnx.ModelProto:
    """A model of opset 17 with weights of these shapes."""
    model = onnx.parser.parse_model(f'<ir_version: 8, opset_import: ["": 17]> net {signature} {{ {body} }}')
    rng = np.random.default_rng(0)
    for name, shape in weights.items():
        array = rng.standard_normal(shape).astype(np.float32)
        model.graph.initializer.append(numpy_helper.from_array(array, name))
    return model


CONV = "f = Conv <pads = [1, 1, 1, 1]> (x, w) p = GlobalAveragePool(f) y = Flatten(p)"


def conv(image: str) -> Shapes:
    return probe(load(parsed(f"(float[{image}] x) => (float[n, 4] y)", CONV, w=(4, 3, 3, 3))))


def test_all_is_declared() -> None:
    shapes = conv("5, 3, 6, 8")
    assert shapes.inputs == {"x": (5, 3, 6, 8)}
    assert (shapes.static("f"), shapes.static("y")) == ((5, 4, 6, 8), (5, 4))


def test_the_batch_is_open() -> None:
    shapes = conv("batch, 3, 6, 8")
    assert (shapes.static("x"), shapes.static("f"), shapes.static("y")) == (
        (None, 3, 6, 8),
        (None, 4, 6, 8),
        (None, 4),
    )


def test_height_and_width_are_open() -> None:
    shapes = conv("2, 3, height, width")
    assert (shapes.static("f"), shapes.static("p"), shapes.static("y")) == ((2, 4, None, None), (2, 4, 1, 1), (2, 4))
    assert shapes.seen["f"] == (2, 4, 224, 224)


def test_one_side_is_open() -> None:
    assert conv("1, 3, 48, width").static("f") == (1, 4, 48, None)


def test_all_is_open_and_the_caller_knows_the_size() -> None:
    model = load(parsed("(float[b, c, h, w] x) => (float[n, 4] y)", CONV, w=(4, 3, 3, 3)))
    shapes = probe(model, (12, 16))
    assert shapes.seen["f"][2:] == (12, 16)
    assert shapes.static("f") == (None, 4, None, None)


def test_a_batch_that_the_network_fixes_though_it_is_declared_open() -> None:
    model = parsed("(float[batch, 3, 4, 4] x) => (float[n, 48] y)", "y = Reshape(x, one)", one=(1,))
    del model.graph.initializer[:]
    model.graph.initializer.append(numpy_helper.from_array(np.array([1, 48]), "one"))
    shapes = probe(load(model))
    assert shapes.inputs == {"x": (1, 3, 4, 4)}
    assert shapes.static("y") == (1, 48)


def test_a_size_that_the_network_fixes_though_it_is_declared_open() -> None:
    body = "f = Flatten(x) y = MatMul(f, w)"
    shapes = probe(load(parsed("(float[b, 3, h, w_] x) => (float[b, 2] y)", body, w=(3 * 32 * 32, 2))))
    assert shapes.seen["x"][1:] == (3, 32, 32)
    assert shapes.static("f") == (None, 3 * 32 * 32)


def test_sequences_and_missing_outputs_have_no_shape() -> None:
    body = "s = SplitToSequence <axis = 1> (x) a = SequenceAt(s, zero) m, q = Dropout(a) y = Relu(m)"
    model = parsed("(float[b, 3] x) => (float[b, 1] y)", body)
    model.graph.initializer.append(numpy_helper.from_array(np.array(0), "zero"))
    shapes = probe(load(model))
    assert "s" not in shapes.seen
    assert shapes.static("y") == (None, 1)


def test_types_are_told() -> None:
    body = "h = Cast <to = 10> (x) a = ArgMax <axis = 1> (h) y = Cast <to = 1> (h)"
    types = probe(load(parsed("(float[b, 3] x) => (float[b, 3] y)", body))).types
    assert (types["x"], types["h"], types["a"]) == (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.INT64)


def test_a_model_that_does_not_run() -> None:
    body = "y = MatMul(x, w)"
    with pytest.raises(ProbeError, match=r"does not run in onnxruntime, so its shapes stay unknown: .+"):
        probe(load(parsed("(float[b, 3] x) => (float[b, 2] y)", body, w=(300, 2))))


def test_a_model_that_does_not_load() -> None:
    node = helper.make_node("NoSuchOperator", ["x"], ["y"], domain="of.nobody")
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3]) for name in "xy"]
    imports = [helper.make_opsetid("", 17), helper.make_opsetid("of.nobody", 1)]
    graph = helper.make_graph([node], "custom", ends[:1], ends[1:])
    with pytest.raises(ProbeError, match="NoSuchOperator"):
        probe(load(helper.make_model(graph, opset_imports=imports, ir_version=8)))


def test_an_input_that_is_no_tensor() -> None:
    sequence = helper.make_tensor_sequence_value_info("x", TensorProto.FLOAT, [1, 3])
    end = helper.make_tensor_value_info("y", TensorProto.FLOAT, [2, 3])
    node = helper.make_node("ConcatFromSequence", ["x"], ["y"], axis=0)
    graph = helper.make_graph([node], "sequence", [sequence], [end])
    model = load(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8))
    with pytest.raises(UnsupportedModelError, match="input 'x' is no tensor but a sequence_type"):
        input_specs(model)


def test_weights_that_are_inputs_need_not_be_fed() -> None:
    model = parsed("(float[b, 3] x, float[3, 2] w) => (float[b, 2] y)", "y = MatMul(x, w)", w=(3, 2))
    assert input_specs(load(model)) == [InputSpec("x", (None, 3), TensorProto.FLOAT, ("b", ""))]


@pytest.mark.parametrize(
    ("shape", "axes"),
    [
        ((None, 3, 224, 224), (2, 3)),
        ((None, 224, 224, 3), (1, 2)),
        ((None, None, None, 3), (1, 2)),
        ((None, None, None, None), (2, 3)),
        ((1, 1, 28, 28), (2, 3)),
        ((1, 3, 4, 4), (2, 3)),
        ((1, 8), ()),
    ],
)
def test_where_height_and_width_stand(shape: tuple[int | None, ...], axes: tuple[int, ...]) -> None:
    assert InputSpec("x", shape, TensorProto.FLOAT).spatial == axes


STATIC = [entry for entry in skeleton.names() if entry[0] in EVERY_WAY and entry[1].endswith("1")]
"""Of the other networks a map would be wrong if a shape were: ``tests/zoo`` looks at those."""


def check_against_the_real_weights(name: str, exporter: str) -> None:
    """The true model's own intermediate values have the shapes that zeros in place of its weights gave."""
    model = skeleton.load(name, exporter)
    shapes = probe(load(model))
    shown = onnx.ModelProto()
    shown.CopyFrom(model)
    del shown.graph.output[:]
    made = [tensor for node in model.graph.node for tensor in node.output if tensor]
    shown.graph.output.extend(onnx.ValueInfoProto(name=tensor) for tensor in made)
    options = ort.SessionOptions()
    options.intra_op_num_threads = 2
    feeds: dict[str, Any] = {
        key: np.random.default_rng(0).standard_normal(shape).astype(np.float32) for key, shape in shapes.inputs.items()
    }
    values = ort.InferenceSession(shown.SerializeToString(), options).run(None, feeds)
    assert {tensor: value.shape for tensor, value in zip(made, values, strict=True)} == {
        tensor: shapes.seen[tensor] for tensor in made
    }


@pytest.mark.parametrize(("name", "exporter"), [("squeezenet1_1", "ts1"), ("mobilenet_v3_small", "dynamo1")])
def test_zeros_have_the_shapes_of_the_weights(name: str, exporter: str) -> None:
    check_against_the_real_weights(name, exporter)


@pytest.mark.slow  # one image each: all intermediate values of several at once are gigabytes
@pytest.mark.parametrize(("name", "exporter"), STATIC)
def test_zeros_always_have_the_shapes_of_the_weights(name: str, exporter: str) -> None:
    check_against_the_real_weights(name, exporter)
