"""What of an exported network is a weight, to be drawn from a law, and what is a constant of its architecture.

Window masks, coordinate tables and rotary angles repeat themselves, trained values never do: so a large float tensor
that compresses well is a constant, and is kept whole. One exception: a table of relative positions, gathered by the
exporter and added to attention scores, repeats trained values. It is drawn like any other bias.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from laws import Law, law_of
from onnx import numpy_helper

if TYPE_CHECKING:
    from numpy.typing import NDArray

KEPT_SIZE = 64
"""A float constant of no known role and at most so many values stays whole: a bound, a scale, a mask."""
FEW_VALUES = 256
"""A tensor made of no more values than this is a mask or a table of coordinates, whoever reads it."""
VIEWS = {"Cast", "Expand", "Flatten", "Gather", "Identity", "Reshape", "Squeeze", "Transpose", "Unsqueeze"}
"""What hands on the values of its first input."""


def drop_weights(model: onnx.ModelProto) -> None:
    """Replace the values of every weight by the law to draw them from."""
    readers, stored = _readers(model), {tensor.name for tensor in model.graph.initializer}
    for tensor in model.graph.initializer:
        if tensor.data_type != onnx.TensorProto.FLOAT:
            continue
        values = numpy_helper.to_array(tensor)
        law = _law(tensor, readers, stored)
        if values.size == 1 or (law is None and values.size <= KEPT_SIZE) or _is_constant(values, law):
            continue
        tensor.doc_string = (law or Law("normal", float(values.mean()), float(values.std()))).to_json()
        tensor.ClearField("raw_data")
        tensor.ClearField("float_data")


def drop_traces(model: onnx.ModelProto) -> None:
    """Forget the source files that the exporter recorded: they are this machine's."""
    for part in (model, model.graph, *model.graph.node, *model.graph.initializer):
        part.ClearField("doc_string")
    for node in model.graph.node:
        kept = [entry for entry in node.metadata_props if not entry.key.endswith("stack_trace")]
        del node.metadata_props[:]
        node.metadata_props.extend(kept)


Readers = dict[str, tuple[onnx.NodeProto, int]]


def _readers(model: onnx.ModelProto) -> Readers:
    """The last node that reads each tensor, and at which position."""
    return {name: (node, position) for node in model.graph.node for position, name in enumerate(node.input)}


def _law(tensor: onnx.TensorProto, readers: Readers, stored: set[str]) -> Law | None:
    """The law of a weight's role, looked for behind what only reshapes it; None where the role is not known."""
    if tensor.name not in readers:
        return None
    node, position = readers[tensor.name]
    reshaped = node.op_type in VIEWS and position == 0
    while reshaped and node.op_type in VIEWS and node.output[0] in readers:
        node, position = readers[node.output[0]]
    if node.op_type == "BatchNormalization" and not stored.issuperset(node.input[3:5]):
        return None  # it standardises filters by statistics that are worked out, and its scale is their gain
    law = law_of(node, position, tensor)
    return (
        None if law is None or (reshaped and law.kind == "filters") else law
    )  # a reshaped filter has its axes elsewhere


def _is_constant(values: NDArray[Any], law: Law | None) -> bool:
    if values.size <= KEPT_SIZE:
        return False
    raw = values.tobytes()
    if len(zlib.compress(raw, 1)) > len(raw) / 2:
        return False
    return law is None or law.center != 0 or len(np.unique(values)) <= FEW_VALUES
