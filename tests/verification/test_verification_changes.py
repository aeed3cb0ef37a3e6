"""Files that were changed by more than the rewrite fail, each in the check that is about the change."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import pytest
from handmade_explained import Explained, failures, metadata
from handmade_plain import Plain
from onnx import helper, numpy_helper

from onnx_reciprocam.verification import verify

make = helper.make_node
Edit = Callable[[onnx.ModelProto], Any]


def _drop_initializer(model: onnx.ModelProto) -> None:
    del model.graph.initializer[2]  # fc.bias


def _change_weight(model: onnx.ModelProto) -> None:
    weight = numpy_helper.to_array(model.graph.initializer[0]) * np.float32(1.5)
    model.graph.initializer[0].CopyFrom(numpy_helper.from_array(weight, "filters"))


def _rename_node(model: onnx.ModelProto) -> None:
    model.graph.node[0].name = "renamed"


def _change_node(model: onnx.ModelProto) -> None:
    model.graph.node[1].op_type = "Abs"


def _name_outside(model: onnx.ModelProto) -> None:
    model.graph.node[-1].name = "mine"


def _add_output(model: onnx.ModelProto) -> None:
    model.graph.output.append(onnx.ValueInfoProto(name="right"))


def _reorder_outputs(model: onnx.ModelProto) -> None:
    outputs = list(model.graph.output)
    del model.graph.output[:]
    model.graph.output.extend([*outputs[1:], outputs[0]])


def _rename_batch(model: onnx.ModelProto) -> None:
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "other"


def _change_author(model: onnx.ModelProto) -> None:
    helper.set_model_props(model, metadata(model) | {"author": "somebody else"})


def _add_metadata(model: onnx.ModelProto) -> None:
    helper.set_model_props(model, metadata(model) | {"editor": "somebody else"})


def _import_domain(model: onnx.ModelProto) -> None:
    model.opset_import.append(helper.make_opsetid("com.example", 1))


def _raise_opset(model: onnx.ModelProto) -> None:
    model.opset_import[0].version = 16


def _swap_source(model: onnx.ModelProto) -> None:
    helper.set_model_props(model, metadata(model) | {"reciprocam.source_sha256": "0" * 64})


def _scale_predictions(model: onnx.ModelProto) -> None:
    """A node of the rewrite's own stands before the output."""
    identity = next(node for node in model.graph.node if node.output[0] == "scores")
    identity.input[0] = "rc/twice"
    double = make("Add", ["rows", "rows"], ["rc/twice"], name="rc/double")
    position = list(model.graph.node).index(identity)
    model.graph.node.insert(position, double)


def _lose_output(model: onnx.ModelProto) -> None:
    del model.graph.output[0]


def _lose_saliency(model: onnx.ModelProto) -> None:
    del model.graph.output[1]


def _double_precision(model: onnx.ModelProto) -> None:
    last = next(node for node in model.graph.node if node.output[0] == "saliency")
    last.op_type = "Cast"
    last.attribute.append(helper.make_attribute("to", onnx.TensorProto.DOUBLE))
    model.graph.output[1].type.tensor_type.elem_type = onnx.TensorProto.DOUBLE


@pytest.mark.parametrize(
    ("edit", "failed"),
    [
        (_drop_initializer, {"initializers", "loads"}),
        (_change_weight, {"initializers", "predictions", "predictions unoptimised", "maps"}),
        (_rename_node, {"nodes", "namespace"}),
        (_change_node, {"nodes", "namespace", "predictions", "predictions unoptimised", "maps"}),
        (_name_outside, {"namespace"}),
        (_add_output, {"outputs"}),
        (_reorder_outputs, {"outputs"}),
        (_lose_output, {"outputs", "runs"}),
        (_lose_saliency, {"outputs", "maps"}),
        (_double_precision, {"maps"}),
        (_rename_batch, {"inputs"}),
        (_change_author, {"metadata"}),
        (_add_metadata, {"metadata"}),
        (_import_domain, {"opsets"}),
        (_raise_opset, {"opsets"}),
        (_swap_source, {"source"}),
        (_scale_predictions, {"nodes", "namespace", "predictions", "predictions unoptimised"}),
    ],
)
def test_a_changed_file(edit: Edit, failed: set[str]) -> None:
    explained = Explained().build()
    edit(explained)
    assert failures(verify(explained, Plain().build())) == failed


def test_a_last_bit_of_a_prediction_counts_without_optimisations() -> None:
    explained = Explained().build()
    identity = next(node for node in explained.graph.node if node.output[0] == "scores")
    identity.op_type = "Mul"
    identity.input.append("rc/almost_one")
    explained.graph.initializer.append(
        numpy_helper.from_array(np.array(np.nextafter(np.float32(1), np.float32(2))), "rc/almost_one")
    )
    found = failures(verify(explained, Plain().build()))
    assert "predictions unoptimised" in found
    assert "predictions" not in found
