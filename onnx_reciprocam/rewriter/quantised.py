"""Targets of quantised networks: what stands for zero in whole numbers, and which tensors a runtime never makes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from onnx_reciprocam.contract import Mask
from onnx_reciprocam.errors import OptionError
from onnx_reciprocam.tail.registry import PASSING, REGROUPING, operator

if TYPE_CHECKING:
    from collections.abc import Sequence

    import onnx_graphsurgeon as gs

    from onnx_reciprocam.graph import Model
    from onnx_reciprocam.rewriter.network import Target

ZERO_POINTS = {
    "QuantizeLinear": 2,
    "QLinearConv": 7,
    "QLinearMatMul": 7,
    "com.microsoft:QLinearAdd": 7,
    "com.microsoft:QLinearMul": 7,
    "com.microsoft:QGemm": 8,
    "com.microsoft:QLinearConcat": 1,
    **{
        f"com.microsoft:QLinear{kind}": 4
        for kind in ("GlobalAveragePool", "AveragePool", "Sigmoid", "LeakyRelu", "Softmax", "ReduceMean")
    },
}
"""Which input of an operator is the zero point of what it makes."""
ACTIVATIONS = frozenset({"Relu", "Clip"})
"""Operators that the range of the whole numbers behind them can stand for."""
HANDING_ON = frozenset({*PASSING, *REGROUPING, "Transpose", "MaxPool", "Slice", "Split", "Pad"})
"""Operators that keep the zero point of their first input."""


SIGNED = (
    "Its activations are int8. On x86 onnxruntime runs such layers in whole numbers only where nobody else reads what they make, "
    "so predictions may move by a rounding step (`verify` says by how much); with uint8 activations they do not."
)
"""Of a file with :func:`has_signed_pairs`."""


def has_signed_pairs(model: Model) -> bool:
    """Whether what the network makes of an image, not only its weights, is quantised to int8 and back."""
    for node in model.graph.nodes:
        if node.op == "QuantizeLinear" and node.inputs[0].inputs and len(node.inputs) > 2:
            zero = model.constant(node.inputs[2])
            if (
                zero is not None
                and zero.dtype == np.int8
                and any(r.op == "DequantizeLinear" for r in node.outputs[0].outputs)
            ):
                return True
    return False


def zero_point(model: Model, tensor: gs.Tensor) -> int | None:
    """What stands for zero in quantised values; None where that is no one constant."""
    while tensor.inputs:
        node = tensor.inputs[0]
        place = ZERO_POINTS.get(operator(node))
        if place is not None:
            if place >= len(node.inputs) or not node.inputs[place].name:
                return 0
            values = model.constant(node.inputs[place])
            return int(values.item()) if values is not None and values.size == 1 else None
        if node.op not in HANDING_ON:
            return None
        tensor = node.inputs[0]
    return None


def rounded_at_once(tensor: gs.Tensor) -> gs.Tensor | None:
    """The whole numbers that a float becomes, where they alone are read: then a runtime need not make the float."""
    readers = tensor.outputs
    if len(readers) == 1 and readers[0].op == "QuantizeLinear" and readers[0].inputs[0] is tensor:
        return readers[0].outputs[0]
    return None


def pairs_behind(nodes: Sequence[gs.Node]) -> dict[str, gs.Tensor]:
    """By tensor, the next whole numbers, where nothing but activations stand between a Q-DQ pair and them.

    onnxruntime makes one pair of such two, unless somebody reads what is between, and then predicts otherwise.

    Args:
        nodes: In the order in which they run.
    """
    behind: dict[str, tuple[gs.Tensor | None, bool]] = {}  # the whole numbers, and whether a pair ends before them
    found = {}
    for node in reversed(nodes):
        for tensor in node.outputs:
            whole, paired = rounded_at_once(tensor), False
            if len(tensor.outputs) == 1 and (reader := tensor.outputs[0]).op in {"DequantizeLinear", *ACTIVATIONS}:
                whole, paired = behind[reader.outputs[0].name]
                paired |= reader.op == "DequantizeLinear"
            behind[tensor.name] = whole, paired
            if whole is not None and (paired or node.op == "DequantizeLinear"):
                found[tensor.name] = whole
    return found


def dequantised_from(tensor: gs.Tensor) -> gs.Tensor | None:
    """The whole numbers that a tensor is made of, one by one; None if it is not."""
    node = tensor.inputs[0] if tensor.inputs else None
    return node.inputs[0] if node is not None and node.op == "DequantizeLinear" else None


def check_mask(target: Target, mask: Mask) -> None:
    """Refuse a mask that weighs cells where these are whole numbers.

    Raises:
        OptionError: Only cells that are kept or not can be masked there.
    """
    if target.whole and mask is not Mask.PIXEL:
        allowed = f"pixel, since {target.node!r} holds whole numbers, which have no weighted copies"
        raise OptionError("--mask", mask.value, (allowed,))
