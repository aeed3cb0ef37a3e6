"""Operators that onnxruntime's optimiser fuses, taken apart again into those they stand for.

The formulas are those of onnxruntime's documentation of its contributed operators. What has a mask, a cache or another
extra is left as it is.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import ArrayLike

    from onnx_reciprocam.graph.shapes import Shapes

    Recipe = Callable[["Parts"], bool]

DOMAIN = "com.microsoft"


@dataclass
class Parts:
    """One fused node and what is to stand in its place.

    Args:
        node: As the file has it.
        opset: Of the file.
        shapes: By tensor, weights included.
        elem_type: Of its result.
        nodes: Its parts so far.
    """

    node: onnx.NodeProto
    opset: int
    shapes: Mapping[str, Sequence[int]]
    elem_type: int
    nodes: list[onnx.NodeProto] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.attrs = {entry.name: helper.get_attribute_value(entry) for entry in self.node.attribute}

    def given(self, i: int) -> str:
        """The name of input ``i``, empty if it is omitted."""
        return self.node.input[i] if i < len(self.node.input) else ""

    def asked(self, i: int) -> str:
        """The name of output ``i``, empty if nobody reads it."""
        return self.node.output[i] if i < len(self.node.output) else ""

    def only(self, inputs: Sequence[int], outputs: Sequence[int] = (0,)) -> bool:
        """Whether no other input is given and no other output asked for."""
        given = all(not name or i in inputs for i, name in enumerate(self.node.input))
        return given and all(not name or i in outputs for i, name in enumerate(self.node.output))

    def put(self, op: str, *inputs: str, output: str = "", **attrs: Any) -> str:
        """One part; the name of its result."""
        name = output or f"{self.node.output[0]}/{op}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, inputs, [name], **attrs))
        return name

    def constant(self, values: ArrayLike, dtype: Any = None) -> str:
        """A constant of the result's type, or of another."""
        kind = dtype or helper.tensor_dtype_to_np_dtype(self.elem_type)
        return self.put("Constant", value=numpy_helper.from_array(np.asarray(values, kind)))

    def mean(self, x: str) -> str:
        """Over the last axis, which stays."""
        if self.opset < 18:
            return self.put("ReduceMean", x, axes=[-1], keepdims=1)
        return self.put("ReduceMean", x, self.constant([-1], np.int64), keepdims=1)

    def thirds(self, x: str, axis: int) -> list[str]:
        """Three equal pieces."""
        names = [f"{self.node.output[0]}/{letter}_{len(self.nodes)}" for letter in "qkv"]
        counted: dict[str, Any] = {} if self.opset < 18 else {"num_outputs": 3}
        self.nodes.append(helper.make_node("Split", [x], names, axis=axis, **counted))
        return names

    def finish(self) -> None:
        """The last part makes the node's own result, under the node's own name."""
        self.nodes[-1].output[0] = self.node.output[0]
        self.nodes[-1].name = self.node.name


def taken_apart(proto: onnx.ModelProto, shapes: Shapes, opset: int) -> onnx.ModelProto | None:
    """A copy in which every fused node that can be is taken apart; None where there is none."""
    if not any(_recipe(node) for node in proto.graph.node):
        return None
    known = {**{tensor.name: tuple(tensor.dims) for tensor in proto.graph.initializer}, **shapes.seen}
    nodes: list[onnx.NodeProto] = []
    for node in proto.graph.node:
        parts = Parts(node, opset, known, shapes.types.get(node.output[0]) or onnx.TensorProto.FLOAT)
        recipe = _recipe(node)
        if recipe is not None and recipe(parts):
            parts.finish()
            nodes += parts.nodes
        else:
            nodes.append(node)
    copy = onnx.ModelProto()
    copy.CopyFrom(proto)
    del copy.graph.node[:]
    copy.graph.node.extend(nodes)
    return copy


def _recipe(node: onnx.NodeProto) -> Recipe | None:
    return RECIPES.get(node.op_type) if node.domain == DOMAIN and node.output[0] else None


# products -----------------------------------------------------------------------------------------------------------


def _matmul(parts: Parts) -> bool:
    """``alpha * A @ B``, either of them transposed: its first axis moved behind the other batch axes, the last two swapped."""
    operands = []
    for i, letter in enumerate("AB"):
        if parts.given(i) not in parts.shapes:
            return False
        rank = len(parts.shapes[parts.given(i)])
        order = list(range(rank))
        if parts.attrs.get(f"transBatch{letter}"):
            order = [*order[1:-1], 0, rank - 1]
        if parts.attrs.get(f"trans{letter}"):
            order[-2:] = order[-2:][::-1]
        moved = order != sorted(order)
        operands.append(parts.put("Transpose", parts.given(i), perm=order) if moved else parts.given(i))
    product, alpha = parts.put("MatMul", *operands), parts.attrs.get("alpha", 1.0)
    if alpha != 1.0:
        parts.put("Mul", product, parts.constant(alpha))
    return True


def _gemm(parts: Parts) -> bool:
    """A Gemm and its activation."""
    kept = {name: value for name, value in parts.attrs.items() if not name.startswith("activation")}
    gemm = parts.put("Gemm", *parts.node.input, **kept)
    params = [parts.attrs[key] for key in ("activation_alpha", "activation_beta") if key in parts.attrs]
    return _activation(parts, gemm, params)


def _conv(parts: Parts) -> bool:
    """A convolution, what is added to it, and their activation."""
    kept = {name: value for name, value in parts.attrs.items() if not name.startswith("activation")}
    made = parts.put("Conv", *filter(None, parts.node.input[:3]), **kept)
    if parts.given(3):
        made = parts.put("Add", made, parts.given(3))
    return _activation(parts, made, list(parts.attrs.get("activation_params", [])))


def _activation(parts: Parts, x: str, params: Sequence[float]) -> bool:
    name = parts.attrs.get("activation", b"").decode()
    named = {"Relu": (), "Tanh": (), "Sigmoid": (), "LeakyRelu": ("alpha",), "HardSigmoid": ("alpha", "beta")}
    if name in named:
        attrs: dict[str, Any] = dict(zip(named[name], params, strict=False))
        parts.put(name, x, **attrs)
    elif name == "Clip" and parts.opset < 11:
        parts.put("Clip", x, min=params[0], max=params[1])
    elif name == "Clip":
        parts.put("Clip", x, *map(parts.constant, params))
    return name in {"", "Clip", *named}


# norms --------------------------------------------------------------------------------------------------------------


def _skip_norm(parts: Parts) -> bool:
    """``norm(x + skip + bias)``, and the sum."""
    if not parts.only(range(5), (0, 3)):
        return False
    simple = parts.node.op_type == "SkipSimplifiedLayerNormalization"
    beta, bias = ("", parts.given(3)) if simple else (parts.given(3), parts.given(4))
    total = parts.put("Add", parts.given(0), parts.given(1), output="" if bias else parts.asked(3))
    if bias:
        total = parts.put("Add", total, bias, output=parts.asked(3))
    epsilon = parts.attrs.get("epsilon", 1e-12)
    if parts.opset >= 17 and not simple:
        weights = filter(None, (parts.given(2), beta))
        parts.put("LayerNormalization", total, *weights, axis=-1, epsilon=epsilon)
        return True
    centred = total if simple else parts.put("Sub", total, parts.mean(total))
    variance = parts.mean(parts.put("Mul", centred, centred))
    deviation = parts.put("Sqrt", parts.put("Add", variance, parts.constant(epsilon)))
    scaled = parts.put("Mul", parts.put("Div", centred, deviation), parts.given(2))
    if beta:
        parts.put("Add", scaled, beta)
    return True


# attention ----------------------------------------------------------------------------------------------------------


def _attention(parts: Parts) -> bool:
    """Queries, keys and values from one product over ``[B, T, D]``."""
    if not parts.only((0, 1, 2, 5)) or any(parts.attrs.get(key) for key in ("qkv_hidden_sizes", "do_rotary")):
        return False
    made = parts.put("MatMul", parts.given(0), parts.given(1))
    if parts.given(2):
        made = parts.put("Add", made, parts.given(2))
    return _attended(parts, parts.thirds(made, 2), parts.shapes[parts.given(1)][1] // 3, parts.given(5))


def _multi_head(parts: Parts) -> bool:
    """The same with queries, keys and values given, to which a bias is added; without one, the walk knows it whole."""
    widths = {parts.shapes.get(parts.given(i), ())[2:] for i in range(3)}
    if not parts.only((0, 1, 2, 3, 5)) or not (parts.given(3) or parts.given(5)) or len(widths) != 1:
        return False
    ((width,),) = widths
    operands = list(parts.node.input[:3])
    if parts.given(3):
        biases = parts.thirds(parts.given(3), 0)
        operands = [parts.put("Add", x, bias) for x, bias in zip(operands, biases, strict=True)]
    return _attended(parts, operands, width, parts.given(5))


def _attended(parts: Parts, operands: Sequence[str], width: int, bias: str) -> bool:
    heads = parts.attrs["num_heads"]
    if parts.attrs.get("unidirectional"):
        return False
    apart = parts.constant([0, 0, heads, width // heads], np.int64)
    perms = ([0, 2, 1, 3], [0, 2, 3, 1], [0, 2, 1, 3])
    query, keys, values = (
        parts.put("Transpose", parts.put("Reshape", x, apart), perm=perm)
        for x, perm in zip(operands, perms, strict=True)
    )
    scale = parts.attrs.get("scale") or 1 / math.sqrt(width // heads)
    scores = parts.put("Mul", parts.put("MatMul", query, keys), parts.constant(scale))
    if bias:
        scores = parts.put("Add", scores, bias)
    mixed = parts.put("MatMul", parts.put("Softmax", scores, axis=3), values)
    together = parts.constant([0, 0, width], np.int64)
    parts.put("Reshape", parts.put("Transpose", mixed, perm=[0, 2, 1, 3]), together)
    return True


RECIPES: dict[str, Recipe] = {
    "Attention": _attention,
    "FusedConv": _conv,
    "FusedGemm": _gemm,
    "FusedMatMul": _matmul,
    "MultiHeadAttention": _multi_head,
    "SkipLayerNormalization": _skip_norm,
    "SkipSimplifiedLayerNormalization": _skip_norm,
}
"""By operator: fills in the parts, or answers False."""
