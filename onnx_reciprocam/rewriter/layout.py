"""Which axes of a tensor are batch, channels, height and width: followed from the convolutions, not guessed by size."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from onnx_reciprocam.tail.axes import Axes, Factor, axes_of, permute, regroup
from onnx_reciprocam.tail.registry import REGROUPING, operator

if TYPE_CHECKING:
    from collections.abc import Sequence

    import onnx_graphsurgeon as gs

    from onnx_reciprocam.graph import Model, Shapes

MAPS = ("b c h w", "b h w c")
"""Layouts whose cells can be masked."""
CHANNELS_FIRST = frozenset(
    {"Conv", "ConvTranspose", "MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool", "InstanceNormalization"}
    | {"LRN", "DepthToSpace", "SpaceToDepth", "BatchNormalization", "LpPool", "com.microsoft:FusedConv", "QLinearConv"}
)
"""Operators that ONNX defines on ``b c h w``."""


def layouts(model: Model, shapes: Shapes) -> dict[str, str]:
    """The layout of every tensor that is a map of cells, as einops writes it."""
    known: dict[str, Axes] = {}
    for node in model.graph.nodes:
        if len(node.outputs) == 0 or node.outputs[0].name not in shapes.seen:
            continue
        for output in node.outputs:
            if output.name in shapes.seen and (axes := _axes(node, shapes.seen[output.name], known)) is not None:
                known[output.name] = axes
    named = {name: _spelled(axes) for name, axes in known.items()}
    return {name: layout for name, layout in named.items() if layout in MAPS}


def _axes(node: gs.Node, shape: Sequence[int], known: dict[str, Axes]) -> Axes | None:
    """The axes of an output of ``node`` with this shape, if those of its inputs tell."""
    op = operator(node)
    if op in CHANNELS_FIRST and len(shape) == 4:
        return axes_of("b c h w", shape)
    sources = [known[tensor.name] for tensor in node.inputs if tensor.name in known]
    if op == "Transpose" and sources:
        return permute(sources[0], node.attrs.get("perm") or list(range(len(sources[0])))[::-1])
    if op in REGROUPING and sources:
        return regroup(sources[0], shape)
    return next((_relabelled(axes, shape) for axes in sources if len(axes) == len(shape)), None)


def _relabelled(axes: Axes, shape: Sequence[int]) -> Axes:
    """The same axes with other lengths: a pad, a slice, a product over channels."""
    return tuple(
        axis
        if math.prod(factor.size for factor in axis) == size
        else (Factor(axis[0].label if len(axis) == 1 else "", size),)
        for axis, size in zip(axes, shape, strict=True)
    )


def _spelled(axes: Axes) -> str:
    return " ".join(axis[0].label if len(axis) == 1 else "?" for axis in axes)
