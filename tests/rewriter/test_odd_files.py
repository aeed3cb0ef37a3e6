"""Files that are a little unlike the others: maps equal the naive explanation, ``strip`` undoes the rewrite."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from tiny_networks import CLASSES, Tiny, assemble

import onnx_reciprocam as rc


def check(plain: onnx.ModelProto, **options: Any) -> rc.Contract:
    explained = rc.rewrite(plain, **options)
    onnx.checker.check_model(explained, full_check=True)
    found = rc.verify(explained, plain, batches=(2,))
    assert found.passed, str(found)
    assert found.flat == 0
    assert rc.strip(explained) == plain
    return rc.Contract.from_metadata({entry.key: entry.value for entry in explained.metadata_props})


@pytest.mark.parametrize("classes", ["predicted", "all", "top:3", "input"])
@pytest.mark.parametrize("options", [{}, {"mask": "replicated", "score": "probability", "toggle": True}], ids=str)
@pytest.mark.parametrize("opset", [9, 10])
def test_the_oldest_opsets(opset: int, classes: str, options: dict[str, Any]) -> None:
    """TopK, Slice, Resize and the choice of classes are spelled otherwise there."""
    check(Tiny(opset=opset).build(), classes=classes, **options)


def pooled_scores(opset: int, ending: str) -> onnx.ModelProto:
    """As SqueezeNet ends: the pool's own ``[b, classes, 1, 1]`` are the scores."""
    axis: dict[str, Any] = {"axis": 1} if ending == "Softmax" else {}
    nodes = [
        helper.make_node("Conv", ["image", "w"], ["map"], "conv", kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
        helper.make_node("GlobalAveragePool", ["map"], ["pooled"], "pool"),
        helper.make_node(ending, ["pooled"], ["scores"], "ending", **axis),
    ]
    weights = {"w": np.random.default_rng(0).standard_normal((CLASSES, 3, 3, 3)).astype(np.float32)}
    return assemble(nodes, weights, {"image": ["b", 3, 3, 4]}, {"scores": ["b", CLASSES, 1, 1]}, opset=opset)


@pytest.mark.parametrize("classes", ["predicted", "all", "top:3", "input"])
@pytest.mark.parametrize("score", ["logit", "probability"])
@pytest.mark.parametrize("ending", ["Identity", "Softmax"])
@pytest.mark.parametrize("opset", [9, 17])
def test_scores_with_a_height_and_a_width(opset: int, ending: str, score: str, classes: str) -> None:
    check(pooled_scores(opset, ending), score=score, classes=classes)


def test_bytes_as_an_image() -> None:
    plain = Tiny(half=True).build()
    plain.graph.input[0].type.tensor_type.elem_type = TensorProto.UINT8
    check(plain, upsample="input")


@pytest.mark.parametrize("name", ["K", "map_height", "map_width", "saliency"])
def test_a_batch_that_is_named_like_a_length_of_ours(name: str) -> None:
    check(Tiny(batch=name).build(), classes="input", toggle=True)


def test_a_domain_that_is_spelled_out() -> None:
    plain = Tiny().build()
    plain.opset_import[0].domain = "ai.onnx"
    check(plain, upsample="input", toggle=True)


@pytest.mark.parametrize("output", ["scores", "probabilities"])
@pytest.mark.parametrize("score", ["logit", "probability"])
def test_logits_and_probabilities_are_both_outputs(output: str, score: str) -> None:
    plain = Tiny().build()
    plain.graph.node.append(helper.make_node("Softmax", ["scores"], ["probabilities"], "softmax", axis=1))
    entry = helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["batch", CLASSES])
    plain.graph.output.append(entry)
    contract = check(plain, output=output, score=score)
    assert contract.activation == ("softmax" if output == "probabilities" else "none")


def test_the_target_may_be_an_output_too() -> None:
    assert check(Tiny(aux=True).build(), target="map").target == "map"


def test_preprocessing_and_labels_travel_in_the_file() -> None:
    preprocessing = rc.Preprocessing(size=(6, 8), color="bgr", layout="nchw")
    labels = ["ant", "bee", "Käfer", "d,e", '"']
    contract = check(Tiny().build(), preprocessing=preprocessing, labels=labels)
    assert contract.preprocessing == preprocessing
    assert list(contract.labels) == labels


def test_the_same_call_writes_the_same_bytes() -> None:
    once, again = (rc.rewrite(Tiny().build(), toggle=True, classes="top:2") for _ in range(2))
    assert once.SerializeToString() == again.SerializeToString()
