"""What exporters and quantisers leave in a file stays, and names that are taken stay with their owners."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper
from tiny_networks import CLASSES, Tiny, residual

import onnx_reciprocam as rc
from onnx_reciprocam.errors import AlreadyRewrittenError, NotRewrittenError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def metadata(model: onnx.ModelProto) -> None:
    helper.set_model_props(model, {"author": "someone", "reciproca": "near miss", "labels": '["a", "b"]'})
    model.doc_string, model.producer_name, model.producer_version = "what it is", "pytorch", "2.13"
    model.domain, model.model_version = "org.example", 7
    model.graph.doc_string = "the graph"
    model.graph.metadata_props.add(key="of the graph", value="1")


def node_metadata(model: onnx.ModelProto) -> None:
    for i, node in enumerate(model.graph.node):
        node.metadata_props.add(key="pkg.torch.onnx.stack_trace", value=f"line {i}")
        node.doc_string, node.overload = f"doc {i}", ""
    for entry in (*model.graph.input, *model.graph.output, *model.graph.initializer):
        entry.doc_string = f"doc of {entry.name}"
        entry.metadata_props.add(key="origin", value=entry.name)


def value_info(model: onnx.ModelProto) -> None:
    inferred = onnx.shape_inference.infer_shapes(model)
    model.graph.value_info.extend(inferred.graph.value_info)


def value_info_of_saliency(model: onnx.ModelProto) -> None:
    model.graph.value_info.append(helper.make_tensor_value_info("saliency", TensorProto.FLOAT, [1]))


def quantisation(model: onnx.ModelProto) -> None:
    for name, value in (("map.scale", 0.1), ("map.zero", 3.0)):
        model.graph.initializer.append(helper.make_tensor(name, TensorProto.FLOAT, [], [value]))
    note = model.graph.quantization_annotation.add(tensor_name="map")
    note.quant_parameter_tensor_names.add(key="SCALE_TENSOR", value="map.scale")
    note.quant_parameter_tensor_names.add(key="ZERO_POINT_TENSOR", value="map.zero")


def local_functions(model: onnx.ModelProto) -> None:
    """The last Relu becomes a call."""
    body = [helper.make_node("Relu", ["x"], ["y"])]
    model.functions.append(helper.make_function("of.mine", "Act", ["x"], ["y"], body, [helper.make_opsetid("", 17)]))
    model.opset_import.append(helper.make_opsetid("of.mine", 1))
    node = next(node for node in model.graph.node if "map" in node.output)
    node.op_type, node.domain = "Act", "of.mine"


def unused_opset(model: onnx.ModelProto) -> None:
    model.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    model.opset_import.append(helper.make_opsetid("ai.onnx.ml", 3))


def sparse_weights(model: onnx.ModelProto) -> None:
    values = helper.make_tensor("sparse", TensorProto.FLOAT, [2], [1.0, 2.0])
    indices = helper.make_tensor("sparse.at", TensorProto.INT64, [2], [0, 3])
    model.graph.sparse_initializer.append(helper.make_sparse_tensor(values, indices, [CLASSES]))
    model.graph.node.append(helper.make_node("Add", ["scores", "sparse"], ["shifted"]))
    model.graph.output.append(helper.make_tensor_value_info("shifted", TensorProto.FLOAT, ["batch", CLASSES]))


def unused_parts(model: onnx.ModelProto) -> None:
    """Dead nodes, dead weights, an input that nobody reads."""
    model.graph.initializer.append(helper.make_tensor("dead.weight", TensorProto.FLOAT, [2], [1.0, 2.0]))
    model.graph.node.append(helper.make_node("Relu", ["relu0.out"], ["dead.out"], "dead"))
    model.graph.input.append(helper.make_tensor_value_info("dead.input", TensorProto.FLOAT, ["batch", 1]))


def overridable_weight(model: onnx.ModelProto) -> None:
    model.graph.input.append(helper.make_tensor_value_info("fc.bias", TensorProto.FLOAT, [CLASSES]))


def training_info(model: onnx.ModelProto) -> None:
    node = helper.make_node("Constant", [], ["lr"], value=helper.make_tensor("lr", TensorProto.FLOAT, [], [0.1]))
    out = helper.make_tensor_value_info("lr", TensorProto.FLOAT, [])
    model.training_info.add().algorithm.CopyFrom(helper.make_graph([node], "train", [], [out]))


def future_fields(model: onnx.ModelProto) -> None:
    """A field that this release of onnx does not know, as a newer one might write it: number 900, the string "new"."""
    model.MergeFromString(b"\xa2\x38\x03new")


@pytest.mark.parametrize(
    "leave",
    [
        metadata,
        node_metadata,
        value_info,
        quantisation,
        local_functions,
        unused_opset,
        sparse_weights,
        unused_parts,
        overridable_weight,
        training_info,
        future_fields,
    ],
    ids=lambda function: function.__name__,
)
@pytest.mark.parametrize("toggle", [False, True])
def test_it_stays_and_strip_gives_it_back(leave: Callable[[onnx.ModelProto], None], toggle: bool) -> None:
    plain = Tiny().build()
    leave(plain)
    explained = rc.rewrite(plain, toggle=toggle)
    inferable = leave is not sparse_weights  # onnx's shape inference knows no sparse constants
    onnx.checker.check_model(explained, full_check=inferable)
    found = rc.verify(explained, plain, batches=(2,))
    assert found.passed, str(found)
    assert original_part(explained, plain) == plain
    assert rc.strip(explained).SerializeToString(deterministic=True) == plain.SerializeToString(deterministic=True)


def original_part(explained: onnx.ModelProto, plain: onnx.ModelProto) -> onnx.ModelProto:
    """The file with its lists cut to the plain model's lengths: what was added has to come last."""
    cut = onnx.ModelProto()
    cut.CopyFrom(explained)
    for field in ("node", "initializer", "input", "output"):
        del getattr(cut.graph, field)[len(getattr(plain.graph, field)) :]
    del cut.metadata_props[len(plain.metadata_props) :]
    return cut


PUBLIC = {"saliency": "saliency", "saliency_classes": "saliency_classes"}


@pytest.mark.parametrize("taken", ["saliency", "saliency_classes", "saliency_class_ids", "explain", "reciprocam"])
@pytest.mark.parametrize("owner", ["node", "tensor", "weight", "output", "input"])
def test_a_taken_name_stays_with_its_owner(taken: str, owner: str) -> None:
    plain = renamed(Tiny(aux=True).build(), owner, taken)
    onnx.checker.check_model(plain, full_check=True)
    check_names(plain, {name: name + "_1" * (name == taken) for name in PUBLIC})


@pytest.mark.parametrize("taken", ["reciprocam/x", "reciprocam/Identity", "reciprocam_1/x", "reciprocam/saliency"])
@pytest.mark.parametrize("owner", ["node", "tensor", "weight"])
def test_a_taken_namespace_stays_with_its_owner(taken: str, owner: str) -> None:
    check_names(renamed(Tiny(aux=True).build(), owner, taken), PUBLIC)


def test_several_suffixes_may_be_needed() -> None:
    plain = renamed(renamed(Tiny(aux=True).build(), "output", "saliency"), "node", "saliency_1")
    check_names(plain, {**PUBLIC, "saliency": "saliency_2"})


def test_a_name_that_only_value_info_knows_is_taken() -> None:
    plain = Tiny().build()
    value_info_of_saliency(plain)
    check_names(plain, {**PUBLIC, "saliency": "saliency_1"})


def renamed(model: onnx.ModelProto, owner: str, name: str) -> onnx.ModelProto:
    """The model with one of its names replaced everywhere."""
    old = {"node": "fc", "tensor": "relu0.out", "weight": "fc.weight", "output": "other", "input": "image"}[owner]
    parts = (model.graph.input, model.graph.output, model.graph.initializer)
    for entry in () if owner == "node" else (entry for part in parts for entry in part if entry.name == old):
        entry.name = name
    for node in model.graph.node:
        if owner == "node":
            node.name = name if node.name == old else node.name
        else:
            node.input[:] = [name if tensor == old else tensor for tensor in node.input]
            node.output[:] = [name if tensor == old else tensor for tensor in node.output]
    return model


def check_names(plain: onnx.ModelProto, outputs: dict[str, str]) -> None:
    """All public names at once: asked classes and the toggle too."""
    explained = rc.rewrite(plain, classes="input", toggle=True)
    onnx.checker.check_model(explained, full_check=True)
    found = rc.verify(explained, plain, batches=(2,))
    assert found.passed, str(found)
    assert rc.strip(explained) == plain
    contract = rc.Contract.from_metadata({entry.key: entry.value for entry in explained.metadata_props})
    assert {name: contract.outputs[name] for name in PUBLIC} == outputs


def opened(model: onnx.ModelProto) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.log_severity_level = 4
    return ort.InferenceSession(model.SerializeToString(), options)


def test_switched_off_there_are_no_maps_and_the_predictions_stay() -> None:
    plain = Tiny().build()
    explained = rc.rewrite(plain, toggle=True, classes="top:2")
    session, original = opened(explained), opened(plain)
    images = np.random.default_rng(3).standard_normal((3, 3, 6, 8)).astype(np.float32)
    scores, maps, ids = session.run(None, {"image": images, "explain": np.array(False)})
    assert (maps.shape, maps.dtype, ids.shape, ids.dtype) == ((3, 0, 3, 4), np.float32, (3, 0), np.int64)
    np.testing.assert_array_equal(scores, original.run(None, {"image": images})[0])
    shown = session.run(None, {"image": images})
    assert shown[1].shape == (3, 2, 3, 4)
    np.testing.assert_array_equal(shown[0], scores)


@pytest.mark.parametrize(
    ("opset", "score", "classes"),
    [
        (9, "logit", [0, CLASSES - 1]),
        (9, "logit", [-1, -CLASSES]),
        (9, "probability", [0, CLASSES - 1]),
        pytest.param(9, "probability", [-1, -CLASSES]),
        (17, "logit", [-1, -CLASSES]),
        (17, "probability", [-1, -CLASSES]),
    ],
)
def test_asked_classes_count_from_either_end(opset: int, score: str, classes: list[int]) -> None:
    explained, every = (
        rc.rewrite(Tiny(opset=opset).build(), classes=which, score=score, normalize="none")
        for which in ("input", "all")
    )
    images = np.random.default_rng(3).standard_normal((2, 3, 6, 8)).astype(np.float32)
    asked = np.array([classes, classes[::-1]])
    maps = opened(explained).run(["saliency"], {"image": images, "saliency_class_ids": asked})[0]
    all_maps = opened(every).run(["saliency"], {"image": images})[0]
    wanted = np.take_along_axis(all_maps, asked[:, :, None, None] % CLASSES, 1)
    np.testing.assert_allclose(maps, wanted, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("outside", [CLASSES, -CLASSES - 1])
@pytest.mark.parametrize(
    ("opset", "options"),
    [
        (17, {}),
        (17, {"score": "probability"}),
        (17, {"toggle": True}),
        (9, {}),
        pytest.param(9, {"score": "probability"}),
    ],
)
def test_a_class_that_does_not_exist_is_refused_by_the_runtime(
    outside: int, opset: int, options: dict[str, Any]
) -> None:
    session = opened(rc.rewrite(Tiny(opset=opset).build(), classes="input", **options))
    feeds = {"image": np.zeros((1, 3, 6, 8), np.float32), "saliency_class_ids": np.array([[outside]])}
    with pytest.raises(Exception, match=r"out of data bounds|Out of range value in index tensor"):
        session.run(None, feeds)


def test_a_rewritten_file_is_not_rewritten_and_a_plain_one_not_stripped(tmp_path: Path) -> None:
    plain, explained = tmp_path / "plain.onnx", tmp_path / "explained.onnx"
    onnx.save(residual(), plain)
    rc.rewrite(plain, explained)
    with pytest.raises(AlreadyRewrittenError, match=r"explained\.onnx is explained already.*strip"):
        rc.rewrite(explained, tmp_path / "twice.onnx")
    with pytest.raises(AlreadyRewrittenError, match="is explained already"):
        rc.inspect(explained)
    with pytest.raises(NotRewrittenError, match=r"plain\.onnx is a plain model"):
        rc.strip(plain, tmp_path / "stripped.onnx")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["explained.onnx", "plain.onnx"]
    rc.strip(explained, tmp_path / "stripped.onnx")
    assert onnx.load(tmp_path / "stripped.onnx") == onnx.load(plain)
