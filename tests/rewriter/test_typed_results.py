"""What subgraphs hand out and take in has a declared type and rank, which runtimes other than onnxruntime do not infer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from onnx import TensorProto, helper
from onnxconverter_common.float16 import convert_float_to_float16
from precisions import network, through_bfloat16
from tiny_networks import Tiny

import onnx_reciprocam as rc

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import onnx

PRECISIONS: dict[str, Callable[[onnx.ModelProto], onnx.ModelProto]] = {
    "float32": lambda model: model,
    "float16": lambda model: convert_float_to_float16(model, keep_io_types=False),
    "bfloat16": through_bfloat16,
}
MAPS, CLASSES = (TensorProto.FLOAT, 4), (TensorProto.INT64, 2)


def declared(entries: Iterable[onnx.ValueInfoProto]) -> list[tuple[int, int]]:
    """Element types and ranks."""
    kinds = [entry.type.tensor_type for entry in entries]
    assert all(kind.HasField("shape") for kind in kinds)
    return [(kind.elem_type, len(kind.shape.dim)) for kind in kinds]


def subgraphs(model: onnx.ModelProto, operator: str) -> dict[str, onnx.GraphProto]:
    """Of the only node of its kind."""
    (node,) = (node for node in model.graph.node if node.op_type == operator)
    return {attribute.name: attribute.g for attribute in node.attribute if attribute.HasField("g")}


@pytest.mark.parametrize("classes", ["predicted", "all"])
@pytest.mark.parametrize("precision", PRECISIONS)
def test_both_branches_of_a_toggle(precision: str, classes: str) -> None:
    explained = rc.rewrite(PRECISIONS[precision](network()), toggle=True, classes=classes)
    branches = subgraphs(explained, "If")
    assert set(branches) == {"then_branch", "else_branch"}
    for branch in branches.values():
        assert declared(branch.output) == ([MAPS] if classes == "all" else [MAPS, CLASSES])


def accumulated(model: onnx.ModelProto) -> onnx.ModelProto:
    """With a CumSum in front of the pool, which runs per cell."""
    pool = next(node for node in model.graph.node if node.op_type == "GlobalAveragePool")
    place = list(model.graph.node).index(pool)
    model.graph.node.insert(place, helper.make_node("CumSum", [pool.input[0], "axis"], ["summed"], "cumsum"))
    model.graph.node[place + 1].input[0] = "summed"
    model.graph.initializer.append(helper.make_tensor("axis", TensorProto.INT64, [], [3]))
    return model


@pytest.mark.parametrize(("half", "kind"), [(False, TensorProto.FLOAT), (True, TensorProto.FLOAT16)])
def test_the_body_of_a_loop_over_the_masks(half: bool, kind: int) -> None:
    explained = rc.rewrite(accumulated(Tiny(half=half).build()), target="map")
    (body,) = subgraphs(explained, "Scan").values()
    assert declared(body.input) == [(kind, 4)]
    assert declared(body.output) == [(kind, 4)]
