"""Nodes in other words that compute the same, in which onnx-ad has a gradient for them; every shape is known here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import onnx
from onnx.helper import get_attribute_value, make_attribute, make_node

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import DTypeLike, NDArray

    Form: TypeAlias = "Callable[[Written], list[onnx.NodeProto] | None]"


@dataclass(frozen=True)
class Written:
    """A node with what is known of it.

    Args:
        node: As the file has it.
        shapes: Of tensors.
        constants: Those whose values are known.
        dtype: Of the first output.
        opset: Of the file.
    """

    node: onnx.NodeProto
    shapes: Mapping[str, Sequence[int]]
    constants: Callable[[str], NDArray[Any] | None]
    dtype: np.dtype[np.generic]
    opset: int

    def attribute(self, name: str, default: Any = None) -> Any:
        """Its value, or the default."""
        return next((get_attribute_value(entry) for entry in self.node.attribute if entry.name == name), default)

    @property
    def windows(self) -> tuple[Sequence[int], ...]:
        """How many there are along each axis, how long each is, the steps between them and within them."""
        kernel = self.attribute("kernel_shape") or self.shapes[self.node.input[1]][2:]
        steps = (self.attribute(name) or [1] * len(kernel) for name in ("strides", "dilations"))
        return (self.shapes[self.node.output[0]][2:], kernel, *steps)

    def known(self, place: int) -> NDArray[Any] | None:
        """The values of an input that is there and constant."""
        there = place < len(self.node.input) and self.node.input[place]
        return self.constants(self.node.input[place]) if there else None

    def changed(self, **attributes: Any) -> list[onnx.NodeProto]:
        """The node with other attributes; without those that are None."""
        copy = onnx.NodeProto()
        copy.CopyFrom(self.node)
        kept = [entry for entry in self.node.attribute if entry.name not in attributes]
        del copy.attribute[:]
        copy.attribute.extend(kept)
        copy.attribute.extend(make_attribute(name, value) for name, value in attributes.items() if value is not None)
        return [copy]

    def constant(self, hint: str, values: Any, dtype: DTypeLike = np.int64) -> onnx.NodeProto:
        """A node that makes numbers, under a name of its own."""
        tensor = onnx.numpy_helper.from_array(np.asarray(values, dtype))
        return make_node("Constant", [], [f"{self.node.output[0]}/reciprocam/{hint}"], value=tensor)


def in_normal_form(written: Written) -> list[onnx.NodeProto]:
    """The node itself, or others that make the same output."""
    form = FORMS.get(written.node.op_type) if written.node.domain in {"", "ai.onnx"} else None
    return (form and form(written)) or [written.node]


def _windows(written: Written) -> list[onnx.NodeProto] | None:
    """Padding in numbers, and in front where onnx-ad would put it elsewhere.

    What SAME means is known with the image's size, and how far windows hang over the end. Back goes a ConvTranspose that
    is told how large its result is: onnxruntime then pads in front by half of what is too much, rounded up, whatever
    ``pads`` says.
    """
    node, given = written.node, written.shapes.get(written.node.input[0])
    if given is None or node.output[0] not in written.shapes:
        return None
    over = [
        (out - 1) * stride + (side - 1) * dilation + 1 - size
        for out, side, stride, dilation, size in zip(*written.windows, given[2:], strict=True)
    ]
    if (pads := _pads(written, over)) is None:
        return None
    explicit: dict[str, Any] = {"auto_pad": None, "pads": pads}
    if node.op_type == "AveragePool":
        explicit["ceil_mode"] = None
    half = [max(total, 0) - max(total, 0) // 2 for total in over]
    if node.op_type == "MaxPool" or pads[: len(over)] == half:
        return written.changed(**explicit)
    return _padded(written, pads, explicit)


def _pads(written: Written, over: Sequence[int]) -> list[int] | None:
    """In front and behind, along all axes; ``over``: by how much the windows are wider than what is not padded."""
    axes, mode = len(over), written.attribute("auto_pad", b"NOTSET").decode()
    if mode.startswith("SAME"):
        totals = [max(total, 0) for total in over]
        front = [(total + (mode == "SAME_LOWER")) // 2 for total in totals]
        return [*front, *(total - first for total, first in zip(totals, front, strict=True))]
    pads = list(written.attribute("pads") or [0] * 2 * axes) if mode == "NOTSET" else [0] * 2 * axes
    if written.node.op_type != "AveragePool" or not written.attribute("ceil_mode"):
        return pads
    more = [max(total - pads[i] - pads[axes + i], 0) for i, total in enumerate(over)]
    if any(more) and written.attribute("count_include_pad"):
        return None  # what hangs over does not count, what is padded does
    return [*pads[:axes], *(pad + further for pad, further in zip(pads[axes:], more, strict=True))]


def _padded(written: Written, pads: Sequence[int], explicit: Mapping[str, Any]) -> list[onnx.NodeProto]:
    """Zeros around in a node of their own; where a mean leaves them out, it is of fewer."""
    node, axes = written.node, len(pads) // 2
    name = f"{node.output[0]}/reciprocam"
    around = [0, 0, *pads[:axes], 0, 0, *pads[axes:]]
    if written.opset < 11:
        front = [make_node("Pad", [node.input[0]], [f"{name}/padded"], pads=around)]
    else:
        widths = written.constant("widths", around)
        front = [widths, make_node("Pad", [node.input[0], widths.output[0]], [f"{name}/padded"])]
    (moved,) = written.changed(**{**explicit, "pads": None})
    moved.input[0] = f"{name}/padded"
    if node.op_type != "AveragePool" or written.attribute("count_include_pad"):
        return [*front, moved]
    moved.output[0] = f"{name}/mean"
    share = written.constant("share", _whole_over_counted(written, pads), written.dtype)
    return [*front, moved, share, make_node("Mul", [moved.output[0], share.output[0]], [node.output[0]])]


def _whole_over_counted(written: Written, pads: Sequence[int]) -> NDArray[np.float64]:
    """Of each window, how many places it has for each that is not padded, ``[1, 1, ...]``."""
    sizes, shares = written.shapes[written.node.input[0]][2:], np.ones((1, 1))
    for out, side, stride, dilation, size, pad in zip(*written.windows, sizes, pads[: len(sizes)], strict=True):
        places = np.arange(out)[:, None] * stride - pad + np.arange(side) * dilation
        counted = ((places >= 0) & (places < size)).sum(axis=1)
        shares = shares[..., None] * (side / counted)
    return shares


def _slice(written: Written) -> list[onnx.NodeProto] | None:
    """Every k-th place along an axis, and places from the last to the first, gathered."""
    shape, starts, ends = written.shapes.get(written.node.input[0]), written.known(1), written.known(2)
    if shape is None or starts is None or ends is None or written.opset < 10:
        return None
    axes = np.arange(len(starts)) if (given := written.known(3)) is None else given
    steps = np.ones(len(starts), np.int64) if (given := written.known(4)) is None else given
    if all(step == 1 for step in steps):
        return None
    nodes, source = list[onnx.NodeProto](), written.node.input[0]
    for i, (axis, start, end, step) in enumerate(zip(axes, starts, ends, steps, strict=True)):
        places = written.constant(f"places_{i}", range(shape[axis])[int(start) : int(end) : int(step)])
        last = i == len(axes) - 1
        result = written.node.output[0] if last else f"{written.node.output[0]}/reciprocam/part_{i}"
        nodes += [places, make_node("Gather", [source, places.output[0]], [result], axis=int(axis))]
        source = result
    return nodes


def _gather(written: Written) -> list[onnx.NodeProto] | None:
    """One place along an axis, such as a class token, cut out: before opset 16 onnx-ad gathers nothing back."""
    shape, places = written.shapes.get(written.node.input[0]), written.known(1)
    if shape is None or places is None or places.ndim or not 13 <= written.opset < 16:
        return None
    axis = written.attribute("axis", 0) % len(shape)
    place = int(places) % shape[axis]
    start, end, along = (
        written.constant(hint, [v]) for hint, v in (("start", place), ("end", place + 1), ("axis", axis))
    )
    cut = f"{written.node.output[0]}/reciprocam/cut"
    return [
        start,
        end,
        along,
        make_node("Slice", [written.node.input[0], *(n.output[0] for n in (start, end, along))], [cut]),
        make_node("Squeeze", [cut, along.output[0]], [written.node.output[0]]),
    ]


FORMS: dict[str, Form] = {
    "AveragePool": _windows,
    "Conv": _windows,
    "Gather": _gather,
    "LpPool": _windows,
    "MaxPool": _windows,
    "Slice": _slice,
}
"""By operator; None where the node is differentiated as it is, or not at all."""
