"""The original in two: heads that end in what is masked, and a tail that starts from it and ends in the score."""

from __future__ import annotations

from typing import TYPE_CHECKING

import onnx
from onnx import TensorProto, helper

from onnx_reciprocam.errors import UnsupportedModelError, VerificationError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

FLOAT_TYPES = {
    "tensor(float16)": TensorProto.FLOAT16,
    "tensor(bfloat16)": TensorProto.BFLOAT16,
    "tensor(float)": TensorProto.FLOAT,
    "tensor(double)": TensorProto.DOUBLE,
}
WHOLE_TYPES = {f"tensor({name.lower()})": getattr(TensorProto, name) for name in ("INT8", "UINT8", "INT16", "UINT16")}
"""Types of quantised values."""
MASKED_TYPES = FLOAT_TYPES | WHOLE_TYPES

_TRANSPARENT = {"Identity", "Cast", "Flatten", "Reshape", "Squeeze", "Unsqueeze", "Dropout"}
_ACTIVATIONS = {"Softmax", "LogSoftmax", "Sigmoid"}
_MAIN_DOMAINS = {"", "ai.onnx"}
_BRIDGE = "/as_float32"


def head(model: onnx.ModelProto, target: str, kind: str | None = None) -> tuple[onnx.ModelProto, str]:
    """The part that computes ``target``, and the name of its only output.

    A bfloat16 ``kind`` leaves as float32, which holds it exactly and which numpy knows.
    """
    part = _extract(model, [target], [])
    output = target
    if kind == "tensor(bfloat16)":
        output = target + _BRIDGE
        part.graph.node.append(helper.make_node("Cast", [target], [output], to=TensorProto.FLOAT))
    part.graph.output.append(onnx.ValueInfoProto(name=output))
    return part, output


def tail(model: onnx.ModelProto, kinds: Mapping[str, str], score: str) -> tuple[onnx.ModelProto, list[str]]:
    """The part that computes ``score`` from fed tensors, and the names to feed them by.

    The model's own inputs stay where the score also needs them.

    Args:
        model: The original.
        kinds: The types of the fed tensors by their names: the target, and the norm behind it if that is masked too.
        score: What to compute.

    Raises:
        UnsupportedModelError: A fed tensor holds neither floats nor quantised values, so that zero masks nothing.
        VerificationError: The score depends on none of them.
    """
    for name, kind in kinds.items():
        if kind not in MASKED_TYPES:
            remedy = "Only floats and quantised values can be masked: rewrite the original at such a tensor."
            raise UnsupportedModelError(f"the target {name!r} holds {kind}", remedy)
    part = _extract(model, [score], kinds)
    if not any(name in references(node) for node in part.graph.node for name in kinds):
        raise VerificationError(f"{score!r} does not depend on the target {' and '.join(map(repr, kinds))}")
    fed = [_feed(part, name, MASKED_TYPES[kind]) for name, kind in kinds.items()]
    part.graph.output.append(onnx.ValueInfoProto(name=score))
    return part, fed


def _feed(part: onnx.ModelProto, name: str, kind: int) -> str:
    """Make ``name`` an input, bfloat16 as float32; the name to feed it by."""
    fed = name
    if kind == TensorProto.BFLOAT16:
        fed, kind = name + _BRIDGE, TensorProto.FLOAT
        part.graph.node.insert(0, helper.make_node("Cast", [fed], [name], to=TensorProto.BFLOAT16))
    part.graph.input.append(helper.make_tensor_value_info(fed, kind, None))
    return fed


def between(model: onnx.ModelProto, start: str, end: str) -> list[onnx.NodeProto]:
    """The nodes that make ``end`` of ``start``, and of what is fixed."""
    return list(_extract(model, [end], [start]).graph.node)


def past(model: onnx.ModelProto, start: str, end: str, score: str) -> list[onnx.NodeProto]:
    """The nodes that read ``start`` on the ways to ``score`` that avoid ``end``."""
    return [node for node in _extract(model, [score], [start, end]).graph.node if start in references(node)]


def trailing_activation(graph: onnx.GraphProto, output: str) -> onnx.NodeProto | None:
    """The Softmax, LogSoftmax or Sigmoid that made ``output``, found through nodes that only reshape or cast."""
    producers = {name: node for node in graph.node for name in node.output if node.domain in _MAIN_DOMAINS}
    node = producers.get(output)
    while node is not None and node.op_type in _TRANSPARENT:
        node = producers.get(node.input[0])
    return node if node is not None and node.op_type in _ACTIVATIONS else None


def score_tensor(graph: onnx.GraphProto, output: str, score: str) -> tuple[str, bool]:
    """The tensor that is explained, and whether numpy must still make probabilities of it.

    Args:
        graph: The original.
        output: The explained output.
        score: ``logit`` for the value before a trailing activation, ``probability`` for that after it.
    """
    activation = trailing_activation(graph, output)
    if score == "logit":
        return (activation.input[0] if activation else output), False
    return output, activation is None or activation.op_type == "LogSoftmax"


def references(node: onnx.NodeProto) -> Iterator[str]:
    """Every tensor that a node reads, those that its subgraphs capture included."""
    yield from node.input
    for attribute in node.attribute:
        for graph in (attribute.g, *attribute.graphs):
            yield from (output.name for output in graph.output)
            for inner in graph.node:
                yield from references(inner)


def _extract(model: onnx.ModelProto, outputs: Sequence[str], fed: Collection[str]) -> onnx.ModelProto:
    """The nodes, weights and inputs that ``outputs`` need when the tensors ``fed`` are given; no outputs declared yet."""
    producers = {name: index for index, node in enumerate(model.graph.node) for name in node.output if name}
    seen, kept, waiting = set(fed), set[int](), list(outputs)
    while waiting:
        if (name := waiting.pop()) in seen:
            continue
        seen.add(name)
        if name in producers and producers[name] not in kept:
            kept.add(producers[name])
            waiting.extend(references(model.graph.node[producers[name]]))
    seen.difference_update(fed)
    part = onnx.ModelProto(ir_version=model.ir_version, opset_import=model.opset_import, functions=model.functions)
    part.graph.name = model.graph.name
    for index in sorted(kept):
        part.graph.node.extend(_from_sum(_without_output(model.graph.node[index], fed), model.graph.node[index], fed))
    part.graph.input.extend(value for value in model.graph.input if value.name in seen)
    part.graph.initializer.extend(tensor for tensor in model.graph.initializer if tensor.name in seen)
    sparse = (tensor for tensor in model.graph.sparse_initializer if tensor.values.name in seen)
    part.graph.sparse_initializer.extend(sparse)
    return part


def _without_output(node: onnx.NodeProto, fed: Collection[str]) -> onnx.NodeProto:
    """A copy that no longer makes what is ``fed``: a node that is kept for another of its outputs (Split, say)."""
    copy = onnx.NodeProto()
    copy.CopyFrom(node)
    copy.output[:] = [f"{name}/unmasked" if name in fed else name for name in node.output]
    return copy


def _from_sum(node: onnx.NodeProto, original: onnx.NodeProto, fed: Collection[str]) -> list[onnx.NodeProto]:
    """``node``; a norm that adds its operands itself, if their sum is ``fed``, normalises what is fed plus zero."""
    bias = {"SkipLayerNormalization": 4, "SkipSimplifiedLayerNormalization": 3}.get(node.op_type)
    if bias is None or len(original.output) < 4 or (total := original.output[3]) not in fed:
        return [node]
    zero = f"{total}/zero"
    node.input[:] = [total, zero, *node.input[2:bias]]
    return [helper.make_node("Sub", [total, total], [zero]), node]
