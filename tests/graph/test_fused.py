"""What a fused operator is taken apart into computes what onnxruntime's own does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper

from onnx_reciprocam.graph import load, probe, taken_apart

if TYPE_CHECKING:
    from numpy.typing import NDArray

MICROSOFT = "com.microsoft"

Case = tuple[str, dict[str, tuple[int, ...]], list[str], dict[str, Any]]
PRODUCTS: list[Case] = [
    ("FusedMatMul", {"a": (2, 3, 4), "b": (2, 4, 5)}, ["y"], {"alpha": 0.5}),
    ("FusedMatMul", {"a": (2, 4, 3), "b": (2, 5, 4)}, ["y"], {"transA": 1, "transB": 1}),
    ("FusedMatMul", {"a": (3, 2, 4), "b": (2, 4, 5)}, ["y"], {"transBatchA": 1}),
    ("FusedMatMul", {"a": (2, 6, 3, 4), "b": (5, 2, 6, 4)}, ["y"], {"transB": 1, "transBatchB": 1, "alpha": 2.0}),
    ("FusedMatMul", {"a": (4, 2, 6, 3), "b": (2, 6, 4, 5)}, ["y"], {"transA": 1, "transBatchA": 1}),
    ("FusedGemm", {"a": (3, 4), "b": (5, 4), "c": (5,)}, ["y"], {"transB": 1, "alpha": 0.5, "activation": "Relu"}),
    (
        "FusedGemm",
        {"a": (3, 4), "b": (4, 5), "c": (1,)},
        ["y"],
        {"activation": "LeakyRelu", "activation_alpha": 0.3},
    ),
]
CONVOLUTIONS: list[Case] = [
    (
        "FusedConv",
        {"x": (2, 3, 5, 5), "w": (4, 3, 3, 3), "b": (4,)},
        ["y"],
        {"activation": kind, "activation_params": params, "pads": [1, 1, 1, 1]},
    )
    for kind, params in {
        "Tanh": [0.0],
        "LeakyRelu": [0.2],
        "Clip": [-0.5, 1.0],
        "HardSigmoid": [0.3, 0.4],
    }.items()
]
CONVOLUTIONS += [
    (
        "FusedConv",
        {"x": (2, 3, 4, 4), "w": (4, 3, 1, 1), "b": (4,), "z": (2, 4, 4, 4)},
        ["y"],
        {"activation": "Relu", "activation_params": [0.0]},
    )
]
NORMS: list[Case] = [
    (
        "SkipLayerNormalization",
        {"x": (2, 3, 4), "skip": (2, 3, 4), "gamma": (4,), "beta": (4,)},
        ["y", "", "", "sum"],
        {"epsilon": 0.1},
    ),
    (
        "SkipLayerNormalization",
        {"x": (2, 3, 4), "skip": (2, 3, 4), "gamma": (4,), "beta": (4,), "bias": (4,)},
        ["y", "", "", "sum"],
        {},
    ),
    (
        "SkipSimplifiedLayerNormalization",
        {"x": (2, 3, 4), "skip": (2, 3, 4), "gamma": (4,), "bias": (4,)},
        ["y"],
        {"epsilon": 0.1},
    ),
]
ATTENTION: list[Case] = [
    ("Attention", {"x": (2, 3, 4), "w": (4, 12), "b": (12,)}, ["y"], {"num_heads": 2}),
    (
        "MultiHeadAttention",
        {"q": (2, 3, 4), "k": (2, 3, 4), "v": (2, 3, 4), "b": (12,)},
        ["y"],
        {"num_heads": 2, "scale": 0.3},
    ),
]


def build(case: Case, opset: int) -> onnx.ModelProto:
    op, inputs, outputs, attrs = case
    node = helper.make_node(op, list(inputs), outputs, "fused", domain=MICROSOFT, **attrs)
    starts = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in inputs.items()]
    lengths = [None] * max(map(len, inputs.values()))
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, lengths) for name in outputs if name]
    imports = [helper.make_opsetid("", opset), helper.make_opsetid(MICROSOFT, 1)]
    return helper.make_model(helper.make_graph([node], "one", starts, ends), opset_imports=imports, ir_version=8)


def run(model: onnx.ModelProto, feeds: dict[str, NDArray[np.float32]]) -> list[NDArray[np.float32]]:
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return list(session.run(None, feeds))


@pytest.mark.parametrize("opset", [10, 13, 17, 18, 20])
@pytest.mark.parametrize("case", [*PRODUCTS, *CONVOLUTIONS, *NORMS, *ATTENTION], ids=lambda case: case[0])
def test_the_parts_compute_the_same(case: Case, opset: int) -> None:
    plain = build(case, opset)
    model = load(plain)
    apart = taken_apart(model.view, probe(model), opset)
    assert apart is not None
    assert MICROSOFT not in {node.domain for node in apart.graph.node}
    assert apart.graph.node[-1].name == "fused"
    rng = np.random.default_rng(0)
    feeds = {name: rng.standard_normal(shape).astype(np.float32) for name, shape in case[1].items()}
    for got, wanted in zip(run(apart, feeds), run(plain, feeds), strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-5)


UNTOUCHED: list[Case] = [
    ("SkipLayerNormalization", {"x": (2, 3, 4), "skip": (2, 3, 4), "gamma": (4,)}, ["y", "mean"], {}),
    ("Attention", {"x": (2, 3, 4), "w": (4, 12), "b": (12,)}, ["y"], {"num_heads": 2, "unidirectional": 1}),
    ("MultiHeadAttention", {"q": (2, 3, 4), "k": (2, 3, 4), "v": (2, 3, 4)}, ["y"], {"num_heads": 2}),
]


@pytest.mark.parametrize("case", UNTOUCHED, ids=lambda case: case[0])
def test_what_has_an_extra_stays_as_it_is(case: Case) -> None:
    model = load(build(case, 17))
    apart = taken_apart(model.view, probe(model), 17)
    assert apart is None or list(apart.graph.node) == list(model.proto.graph.node)
