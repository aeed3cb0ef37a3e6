"""Which tensor scores the classes."""

from __future__ import annotations

import difflib
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import onnx

from onnx_reciprocam.errors import OutputError
from onnx_reciprocam.tail.registry import PASSING, REGROUPING, default_axis

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import onnx_graphsurgeon as gs

    from onnx_reciprocam.graph import InputSpec, Model, Shapes

SQUASHING = frozenset({"Softmax", "LogSoftmax", "Sigmoid"})
FLOATS = frozenset(
    {onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16, onnx.TensorProto.BFLOAT16, onnx.TensorProto.DOUBLE}
)


@dataclass(frozen=True)
class Scores:
    """The explained output and what lies behind it.

    Args:
        output: What the file returns, ``[B, classes]`` or with axes of length 1 besides.
        logits: The tensor before the trailing Softmax, LogSoftmax or Sigmoid, or the output itself.
        probabilities: What comes out of the trailing Softmax or Sigmoid, or None if the file has none.
        activation: The trailing operator in small letters, or ``none``.
        classes: How many.
    """

    output: gs.Tensor
    logits: gs.Tensor
    probabilities: gs.Tensor | None
    activation: str
    classes: int


def find_scores(model: Model, shapes: Shapes, name: str | None, images: Sequence[InputSpec]) -> Scores:
    """The named output, or the first that has one score per class.

    Raises:
        OutputError: There is no such output, or it has another shape.
    """
    outputs = {output.name: output for output in model.graph.outputs}
    if name is not None and name not in outputs:
        close = difflib.get_close_matches(name, outputs, n=1)
        raise OutputError(name, f"there is none; the outputs are {', '.join(map(repr, close or outputs))}.")
    problems = {key: _problem(key, model, shapes, images) for key in ([name] if name else outputs)}
    chosen = next((key for key, problem in problems.items() if problem is None), None)
    if chosen is None:
        first, reason = next(iter(problems.items()))
        elsewhere = "Choose another with --output NAME." if len(outputs) > 1 else "It is the only output."
        remedy = _remedy(model, problems) or elsewhere
        raise OutputError(first, f"{reason}; class scores [B, classes] are needed. {remedy}")
    output = outputs[chosen]
    squashed = _squashed(output, model.opset, shapes)
    classes = math.prod(shapes.seen[chosen][1:])
    if squashed is None:
        return Scores(output, output, None, "none", classes)
    node = squashed.inputs[0]
    probabilities = None if node.op == "LogSoftmax" else squashed
    return Scores(output, node.inputs[0], probabilities, node.op.lower(), classes)


def _remedy(model: Model, names: Iterable[str]) -> str:
    """How to get at the scores behind labels and dictionaries."""
    made = {name: tensor.inputs[0] for name in names if (tensor := model.tensors[name]).inputs}
    for name, node in made.items():
        if node.op == "ZipMap":
            return f"{name!r} is a ZipMap, a dictionary per image: export with options={{'zipmap': False}}."
        if node.op == "ArgMax":
            source = node.inputs[0].name
            return f"{name!r} is the label alone: make the scores {source!r}, from which ArgMax takes it, an output."
        if (best := _best_alone(model.tensors[name])) is not None:
            return f"Make the scores {best.inputs[0].name!r}, from which TopK takes them, an output."
    return ""


def _problem(name: str, model: Model, shapes: Shapes, images: Sequence[InputSpec]) -> str | None:
    if shapes.types.get(name, onnx.TensorProto.FLOAT) not in FLOATS or name not in shapes.seen:
        return "it holds no floating-point numbers"
    if not model.tensors[name].inputs:
        return "it is an input handed through"
    if _best_alone(model.tensors[name]) is not None:
        return "it holds the best scores alone, and not whose they are"
    shape = shapes.seen[name]
    batch = shapes.inputs[images[0].name][0]
    spelled = "x".join("?" if size is None else str(size) for size in shapes.static(name))
    if len(shape) < 2 or shape[0] != batch or sum(size != 1 for size in shape[1:]) > 1:
        return f"its shape is {spelled or 'a scalar'}"
    return None


def _best_alone(tensor: gs.Tensor) -> gs.Node | None:
    """The TopK that an output comes out of: its places are ranks and no classes."""
    while tensor.inputs:
        node = tensor.inputs[0]
        if node.op == "TopK":
            return node
        if node.op not in {*PASSING, *REGROUPING, *SQUASHING, "Cast"}:
            return None
        tensor = node.inputs[0]
    return None


def _squashed(output: gs.Tensor, opset: int, shapes: Shapes) -> gs.Tensor | None:
    """What comes out of the trailing Softmax, LogSoftmax or Sigmoid, or None if the file ends in logits."""
    tensor = output
    while tensor.inputs:
        node = tensor.inputs[0]
        if node.op in SQUASHING:
            return tensor if node.op == "Sigmoid" or _over_classes(node, opset, shapes) else None
        if node.op not in {*PASSING, *REGROUPING, "Cast"}:
            break
        tensor = node.inputs[0]
    return None


def _over_classes(node: gs.Node, opset: int, shapes: Shapes) -> bool:
    """Whether a Softmax runs over the axis of the classes."""
    shape = shapes.seen[node.outputs[0].name]
    axis = node.attrs.get("axis", default_axis(node.op, opset)) % len(shape)
    reach = shape[axis:] if opset < 13 else shape[axis : axis + 1]
    return math.prod(reach) == math.prod(shape[1:])
