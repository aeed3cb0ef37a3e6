"""Local functions are read as if their bodies stood in the graph, and written as they were; control flow ahead of the target."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from calls import called
from onnx import TensorProto, helper, numpy_helper
from tiny_networks import Tiny, residual

import onnx_reciprocam as rc
from onnx_reciprocam.contract import Normalize, RewriteOptions
from onnx_reciprocam.errors import NodeNotFoundError, UnsupportedModelError
from onnx_reciprocam.rewriter.rewrite import rewrite_with

PLAIN = Tiny(ending="Softmax").build()
HEAD, TAIL = ("conv0", "relu0", "conv1", "relu1"), ("pool", "flatten", "fc")
make = helper.make_node


def check(plain: onnx.ModelProto, same_as: onnx.ModelProto | None = None, **options: Any) -> rc.Contract:
    """Exact, and as cheap as the file without functions."""
    onnx.checker.check_model(plain)
    spliced = rewrite_with(plain, None, RewriteOptions(normalize=Normalize.NONE, **options))
    onnx.checker.check_model(spliced.model, full_check=True)
    found = rc.verify(spliced.model, plain, batches=(2,))
    assert found.passed, str(found)
    assert found.flat == 0
    assert rc.strip(spliced.model) == plain
    if same_as is not None:
        wanted = rewrite_with(same_as, None, RewriteOptions(normalize=Normalize.NONE, **options))
        assert (spliced.cost, spliced.plain_cost) == (wanted.cost, wanted.plain_cost)
    return spliced.contract


@pytest.mark.parametrize("names", [HEAD, TAIL, (*TAIL, "ending"), ("pool", "flatten")], ids=str)
def test_a_function_ahead_of_the_target_or_behind_it(names: tuple[str, ...]) -> None:
    contract = check(called(PLAIN, "Part", names), PLAIN)
    assert (contract.target, contract.activation) == ("map", "softmax")


@pytest.mark.parametrize("score", ["logit", "probability"])
def test_a_softmax_inside_a_function(score: str) -> None:
    plain = called(PLAIN, "Part", (*TAIL, "ending"))
    found = rc.verify(rc.rewrite(plain, score=score, classes="top:3", toggle=True), plain)
    assert found.passed, str(found)


def test_functions_that_call_functions() -> None:
    inner = called(PLAIN, "Inner", ("pool", "flatten"))
    outer = called(inner, "Outer", ("Inner", "fc"))
    assert check(called(outer, "Outermost", ("Outer", "ending")), PLAIN).target == "map"


def test_a_function_called_twice() -> None:
    plain = residual()
    plain.functions.append(
        helper.make_function(
            "of.mine", "Act", ["x"], ["y"], [make("Relu", ["x"], ["y"])], [helper.make_opsetid("", 17)]
        )
    )
    plain.opset_import.append(helper.make_opsetid("of.mine", 1))
    plain.ir_version = 8
    for node in plain.graph.node:
        if node.op_type == "Relu":
            node.op_type, node.domain = "Act", "of.mine"
    check(plain, residual(), target="stem.out")
    check(plain, residual())


def test_what_the_maps_need_of_a_functions_inside_is_made_again() -> None:
    """The gate is inside; the tail multiplies by it, and no mask changes it."""
    plain = gated()
    contract = check(called(plain, "Part", ("gate.pool", "gate.sigmoid", "gate.mul")), None, target="map")
    assert contract.target == "map"


def gated() -> onnx.ModelProto:
    """``map * sigmoid(mean(vector))`` before the pool."""
    plain = Tiny(vector=True).build()
    nodes = [
        make("ReduceMax", ["vector"], ["gate.max"], "gate.pool", keepdims=1),
        make("Sigmoid", ["gate.max"], ["gate"], "gate.sigmoid"),
        make("Mul", ["map", "gate"], ["gated"], "gate.mul"),
    ]
    kept = list(plain.graph.node)
    place = [node.name for node in kept].index("pool")
    kept[place].input[0] = "gated"
    del plain.graph.node[:]
    plain.graph.node.extend([*kept[:place], *nodes, *kept[place:]])
    return plain


def test_a_function_of_another_opset_is_run_per_mask() -> None:
    plain = called(PLAIN, "Part", TAIL, opset=13)
    check(plain)
    spliced = rewrite_with(plain, None, RewriteOptions())
    assert [(note.op, note.term) for note in spliced.notes] == [("Part", "per cell")]


@pytest.mark.parametrize("name", ["Part", "map"])
def test_a_call_and_its_result_are_targets(name: str) -> None:
    assert check(called(PLAIN, "Part", HEAD), target=name).target == "map"


@pytest.mark.parametrize("name", ["conv1", "relu0.out"])
def test_what_is_inside_cannot_be_named(name: str) -> None:
    with pytest.raises(NodeNotFoundError, match=r"RC120"):
        rc.rewrite(called(PLAIN, "Part", HEAD), target=name)


def test_a_network_that_is_one_function() -> None:
    plain = called(PLAIN, "Whole", [node.name for node in PLAIN.graph.node])
    with pytest.raises(
        UnsupportedModelError, match=r"inside a local function\. Inline .*inline_local_functions.*RC114"
    ):
        rc.rewrite(plain)


# control flow -------------------------------------------------------------------------------------------------------


def behind(name: str, op: str) -> onnx.ModelProto:
    """The tiny network with an ``If`` or a ``Loop`` that reads what node ``name`` makes."""
    plain = Tiny().build()
    nodes = list(plain.graph.node)
    place = [node.name for node in nodes].index(name)
    source = nodes[place].output[0]
    for node in nodes[place + 1 :]:
        node.input[:] = ["controlled" if value == source else value for value in node.input]
    nodes.insert(place + 1, _if(source) if op == "If" else _loop(source, captured=op == "Loop that captures"))
    del plain.graph.node[:]
    plain.graph.node.extend(nodes)
    plain.graph.initializer.extend(
        [numpy_helper.from_array(np.array(True), "yes"), numpy_helper.from_array(np.array(2), "trips")]
    )
    return plain


def _if(source: str) -> onnx.NodeProto:
    branches = {
        branch: helper.make_graph(
            [make(op, [source], [f"{branch}.out"])],
            branch,
            [],
            [helper.make_tensor_value_info(f"{branch}.out", TensorProto.FLOAT, None)],
        )
        for branch, op in (("then_branch", "Identity"), ("else_branch", "Neg"))
    }
    return make("If", ["yes"], ["controlled"], "control", **branches)


def _loop(source: str, *, captured: bool) -> onnx.NodeProto:
    info = helper.make_tensor_value_info
    body = helper.make_graph(
        [make("Identity", ["go"], ["on"]), make("Add", ["x", source if captured else "x"], ["sum"])],
        "body",
        [info("i", TensorProto.INT64, []), info("go", TensorProto.BOOL, []), info("x", TensorProto.FLOAT, None)],
        [info("on", TensorProto.BOOL, []), info("sum", TensorProto.FLOAT, None)],
    )
    return make("Loop", ["trips", "yes", source], ["controlled"], "control", body=body)


@pytest.mark.parametrize("op", ["If", "Loop", "Loop that captures"])
def test_control_flow_ahead_of_the_target(op: str) -> None:
    assert check(behind("relu0", op)).target == "map"


@pytest.mark.parametrize("op", ["If", "Loop that captures"])
def test_control_flow_that_reads_masked_values(op: str) -> None:
    with pytest.raises(UnsupportedModelError, match=r"'control' reads the masked features inside a subgraph.*RC113"):
        rc.rewrite(behind("flatten", op))


def test_a_loop_that_is_handed_masked_values() -> None:
    """It runs once per mask, on all that it reads."""
    assert check(behind("flatten", "Loop")).target == "map"
