"""The original in two: a head that ends in the target, and a tail that starts from it and ends in the score."""

from __future__ import annotations

from typing import TYPE_CHECKING

import onnx
from onnx import TensorProto, helper

from onnx_reciprocam.errors import UnsupportedModelError, VerificationError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

FLOAT_TYPES = {
    "tensor(float16)": TensorProto.FLOAT16,
    "tensor(bfloat16)": TensorProto.BFLOAT16,
    "tensor(float)": TensorProto.FLOAT,
    "tensor(double)": TensorProto.DOUBLE,
}

_TRANSPARENT = {"Identity", "Cast", "Flatten", "Reshape", "Squeeze", "Unsqueeze", "Dropout"}
_ACTIVATIONS = {"Softmax", "LogSoftmax", "Sigmoid"}
_MAIN_DOMAINS = {"", "ai.onnx"}
_BRIDGE = "/as_float32"


def head(model: onnx.ModelProto, target: str, kind: str | None = None) -> tuple[onnx.ModelProto, str]:
    """The part that computes ``target``, and the name of its only output.

    A bfloat16 ``kind`` leaves as float32, which holds it exactly and which numpy knows.
    """
    part = _extract(model, [target], None)
    output = target
    if kind == "tensor(bfloat16)":
        output = target + _BRIDGE
        part.graph.node.append(helper.make_node("Cast", [target], [output], to=TensorProto.FLOAT))
    part.graph.output.append(onnx.ValueInfoProto(name=output))
    return part, output


def tail(model: onnx.ModelProto, target: str, score: str, kind: str) -> tuple[onnx.ModelProto, str]:
    """The part that computes ``score`` from a fed ``target``, and the name to feed it by.

    The model's own inputs stay where the score also needs them.

    Raises:
        UnsupportedModelError: The target holds no floats, so that zero masks nothing.
        VerificationError: The score does not depend on the target.
    """
    if kind not in FLOAT_TYPES:
        remedy = "Only float tensors can be masked with zeros: rewrite the original at one."
        raise UnsupportedModelError(f"the target {target!r} holds {kind}", remedy)
    part = _extract(model, [score], target)
    if not any(target in references(node) for node in part.graph.node):
        raise VerificationError(f"{score!r} does not depend on the target {target!r}")
    fed, given = target, FLOAT_TYPES[kind]
    if given == TensorProto.BFLOAT16:
        fed, given = target + _BRIDGE, TensorProto.FLOAT
        part.graph.node.insert(0, helper.make_node("Cast", [fed], [target], to=TensorProto.BFLOAT16))
    part.graph.input.append(helper.make_tensor_value_info(fed, given, None))
    part.graph.output.append(onnx.ValueInfoProto(name=score))
    return part, fed


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


def _extract(model: onnx.ModelProto, outputs: Sequence[str], fed: str | None) -> onnx.ModelProto:
    """The nodes, weights and inputs that ``outputs`` need when the tensor ``fed`` is given; no outputs declared yet."""
    producers = {name: index for index, node in enumerate(model.graph.node) for name in node.output if name}
    seen, kept, waiting = {fed}, set[int](), list(outputs)
    while waiting:
        if (name := waiting.pop()) in seen:
            continue
        seen.add(name)
        if name in producers and producers[name] not in kept:
            kept.add(producers[name])
            waiting.extend(references(model.graph.node[producers[name]]))
    seen.discard(fed)
    part = onnx.ModelProto(ir_version=model.ir_version, opset_import=model.opset_import, functions=model.functions)
    part.graph.name = model.graph.name
    part.graph.node.extend(_without_output(model.graph.node[index], fed) for index in sorted(kept))
    part.graph.input.extend(value for value in model.graph.input if value.name in seen)
    part.graph.initializer.extend(tensor for tensor in model.graph.initializer if tensor.name in seen)
    sparse = (tensor for tensor in model.graph.sparse_initializer if tensor.values.name in seen)
    part.graph.sparse_initializer.extend(sparse)
    return part


def _without_output(node: onnx.NodeProto, fed: str | None) -> onnx.NodeProto:
    """A copy that no longer makes ``fed``: a node that is kept for another of its outputs (Split, say)."""
    copy = onnx.NodeProto()
    copy.CopyFrom(node)
    copy.output[:] = [f"{name}/unmasked" if name == fed else name for name in node.output]
    return copy
