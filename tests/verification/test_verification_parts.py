"""Each part of the oracle against another's implementation."""

from __future__ import annotations

import cv2
import numpy as np
import onnx
import onnxruntime as ort
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from onnx_reciprocam.errors import OutputError, ShapeMismatchError
from onnx_reciprocam.masks import masked_copies
from onnx_reciprocam.verification import cut
from onnx_reciprocam.verification.finish import minmax, upsample
from onnx_reciprocam.verification.layouts import Layout, masked_copy
from onnx_reciprocam.verification.loading import Model
from onnx_reciprocam.verification.naive import by_class
from onnx_reciprocam.verification.running import Runtime, quiet_options
from onnx_reciprocam.verification.samples import SIZES, noise

make = helper.make_node
sides = st.integers(1, 6)


@pytest.mark.parametrize("mask", ["pixel", "gaussian", "replicated"])
@given(height=sides, width=sides)
def test_one_masked_copy_is_one_of_all(mask: str, height: int, width: int) -> None:
    features = np.random.default_rng(0).standard_normal((2, 3, height, width)).astype(np.float32)
    copies = [masked_copy(features, mask, cell) for cell in range(height * width)]
    np.testing.assert_array_equal(copies, masked_copies(features, mask, height, width))


def test_a_pixel_mask_multiplies_no_infinities() -> None:
    assert np.isfinite(masked_copy(np.full((1, 1, 2, 2), np.inf), "pixel", 0)[0, 0, 1]).all()


@given(height=sides, width=sides, factor=st.sampled_from([(1, 1), (4, 4), (32, 7), (3, 16)]))
def test_enlarging_is_opencvs(height: int, width: int, factor: tuple[int, int]) -> None:
    small = np.random.default_rng(0).standard_normal((height, width))
    size = height * factor[0], width * factor[1]
    # opencv rounds its weights to float32
    np.testing.assert_allclose(upsample(small, size), cv2.resize(small, size[::-1]).reshape(size), rtol=0, atol=1e-5)


def test_minmax() -> None:
    maps = np.array([[1.0, 3.0, 2.0], [4.0, 4.0, 4.0]])
    np.testing.assert_array_equal(minmax(maps), [[0, 1, 0.5], [0, 0, 0]])


@pytest.mark.parametrize(
    ("text", "shape"),
    [
        ("b c h w", (2, 5, 3, 4)),
        ("b h w c", (2, 3, 4, 5)),
        ("b 1+hw c", (2, 13, 5)),
        ("2+hw b c", (14, 2, 5)),
        ("b hw c", (2, 12, 5)),
        ("b c hw", (2, 5, 12)),
    ],
)
def test_every_layout_goes_to_cells_and_back(text: str, shape: tuple[int, ...]) -> None:
    features = np.arange(np.prod(shape)).reshape(shape)
    layout = Layout.parse(text, (3, 4))
    cells = layout.cells(features)
    assert cells.shape == (2, 5, 3, 4)
    np.testing.assert_array_equal(layout.features(cells, features), features)


def test_aux_tokens_stay_under_every_mask() -> None:
    features = np.arange(1, 2 * 13 * 5 + 1).reshape(2, 13, 5)
    layout = Layout.parse("b 1+hw c", (3, 4))
    masked = layout.features(masked_copy(layout.cells(features), "pixel", 6), features)
    kept = np.zeros_like(features)
    kept[:, 0], kept[:, 1 + 6] = features[:, 0], features[:, 1 + 6]
    np.testing.assert_array_equal(masked, kept)


@given(height=sides, width=sides, down=st.integers(0, 15), across=st.integers(0, 15), known=st.sampled_from([0, 1, 2]))
def test_the_grid_of_tokens_is_shaped_as_the_picture(
    height: int, width: int, down: int, across: int, known: int
) -> None:
    """Whatever of the picture the last patch leaves out."""
    grid = ((None, None), (height, None), (None, width))[known]
    tokens = np.zeros((1, 1 + height * width, 3))
    picture = (height * 16 + down * (height > 2), width * 16 + across * (width > 2))
    settled = Layout.parse("b 1+hw c", grid).settled(tokens, picture)
    assert settled.cells(tokens).shape == (1, 3, height, width)


@pytest.mark.parametrize(
    ("text", "shape"), [("b c h w", (2, 5, 3, 5)), ("b c h w", (2, 5, 12)), ("b 1+hw c", (2, 12, 5))]
)
def test_features_of_another_shape(text: str, shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeMismatchError, match="has shape"):
        Layout.parse(text, (3, 4)).cells(np.zeros(shape))


@pytest.mark.parametrize(
    ("shape", "batch", "rows"),
    [((2, 5), 2, (2, 5)), ((2, 5, 1, 1), 2, (2, 5)), ((5,), 1, (1, 5)), ((1, 1), 1, (1, 1)), ((2,), 2, (2, 1))],
)
def test_scores_by_class(shape: tuple[int, ...], batch: int, rows: tuple[int, int]) -> None:
    assert by_class(np.zeros(shape), batch, "scores").shape == rows


@pytest.mark.parametrize(("shape", "batch"), [((10,), 2), ((1, 5), 2), ((2, 5, 7), 2), ((3, 5), 1)])
def test_scores_of_another_shape(shape: tuple[int, ...], batch: int) -> None:
    with pytest.raises(OutputError, match="no row of class scores"):
        by_class(np.zeros(shape), batch, "scores")


def model_of(nodes: list[onnx.NodeProto], output: str, **inputs: list[int | str | None]) -> onnx.ModelProto:
    declared = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in inputs.items()]
    graph = helper.make_graph(nodes, "g", declared, [onnx.ValueInfoProto(name=output)])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def run(part: onnx.ModelProto, **feeds: np.ndarray) -> np.ndarray:
    session = ort.InferenceSession(part.SerializeToString(), quiet_options())
    (result,) = session.run(None, feeds)
    return np.asarray(result)


def test_a_sibling_of_the_target_stays_unmasked() -> None:
    nodes = [make("Split", ["x"], ["target", "sibling"], axis=1), make("Add", ["target", "sibling"], ["score"])]
    part, (fed,) = cut.tail(model_of(nodes, "score", x=[1, 4]), {"target": "tensor(float)"}, "score")
    x = np.array([[1, 2, 3, 4]], np.float32)
    np.testing.assert_array_equal(run(part, x=x, **{fed: np.array([[10, 20]], np.float32)}), [[13, 24]])


def test_a_target_that_a_subgraph_captures() -> None:
    branches = {
        f"{name}_branch": helper.make_graph(
            [make(operator, ["target", "x"], [name])], name, [], [onnx.ValueInfoProto(name=name)]
        )
        for name, operator in (("then", "Add"), ("else", "Sub"))
    }
    nodes = [
        make("Neg", ["x"], ["target"]),
        make("ReduceSum", ["x"], ["sum"], keepdims=0),
        make("Cast", ["sum"], ["positive"], to=TensorProto.BOOL),
        make("If", ["positive"], ["score"], **branches),
    ]
    part, (fed,) = cut.tail(model_of(nodes, "score", x=[2]), {"target": "tensor(float)"}, "score")
    assert [node.op_type for node in part.graph.node] == ["ReduceSum", "Cast", "If"]
    x = np.array([1, 2], np.float32)
    np.testing.assert_array_equal(run(part, x=x, **{fed: np.array([5, 5], np.float32)}), [6, 7])


def test_a_local_function_goes_along() -> None:
    body = helper.make_function(
        "mine", "Twice", ["a"], ["b"], [make("Add", ["a", "a"], ["b"])], [helper.make_opsetid("", 17)]
    )
    nodes = [make("Relu", ["x"], ["target"]), make("Twice", ["target"], ["score"], domain="mine")]
    model = model_of(nodes, "score", x=[2])
    model.opset_import.append(helper.make_opsetid("mine", 1))
    model.functions.append(body)
    part, (fed,) = cut.tail(model, {"target": "tensor(float)"}, "score")
    np.testing.assert_array_equal(run(part, **{fed: np.array([3, 4], np.float32)}), [6, 8])


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("channels_last", [False, True])
def test_an_undeclared_size_is_found(size: tuple[int, int], *, channels_last: bool) -> None:
    wanted = [2, *size, 3] if channels_last else [2, 3, *size]
    nodes = [make("Reshape", ["x", "shape"], ["y"])]
    model = model_of(nodes, "y", x=["b", "h", "w", 3] if channels_last else ["b", "c", "h", "w"])
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.array(wanted), "shape"))
    runner = Runtime(["CPUExecutionProvider"], quiet_options).open(Model.load(model, "a model"))
    (feeds,) = noise(runner, "x", [2], seed=0).batches
    assert feeds["x"].shape == tuple(wanted)


def test_every_type_of_input_gets_noise() -> None:
    kinds = {"f": TensorProto.FLOAT16, "i": TensorProto.INT32, "u": TensorProto.UINT8, "o": TensorProto.BOOL}
    declared = [helper.make_tensor_value_info(name, kind, ["b", 3, 8, 8]) for name, kind in kinds.items()]
    nodes = [make("Cast", [name], [f"{name}/float"], to=TensorProto.FLOAT) for name in kinds]
    nodes.append(make("Sum", [f"{name}/float" for name in kinds], ["y"]))
    graph = helper.make_graph(nodes, "g", declared, [onnx.ValueInfoProto(name="y")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    runner = Runtime(["CPUExecutionProvider"], quiet_options).open(Model.load(model, "a model"))
    (feeds,) = noise(runner, "f", [2], seed=0).batches
    assert {name: array.dtype.name for name, array in feeds.items()} == {
        "f": "float16",
        "i": "int32",
        "u": "uint8",
        "o": "bool",
    }
    assert all(len(np.unique(array)) > 1 for array in feeds.values())


@pytest.mark.parametrize(("reader", "half"), [("Cast", False), ("Mul", True)])
def test_float16_that_is_only_stored_allows_no_more_rounding(reader: str, half: bool) -> None:
    weight = numpy_helper.from_array(np.ones(3, np.float16), "w")
    inputs, attributes = (["w"], {"to": TensorProto.FLOAT}) if reader == "Cast" else (["w", "w"], {})
    graph = helper.make_graph([make(reader, inputs, ["y"], **attributes)], "stored", [], [], [weight])
    assert Model("stored", helper.make_model(graph)).is_half == half
