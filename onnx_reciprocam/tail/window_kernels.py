"""Rules for ``Window`` that mix neighbouring cells: convolutions and pools, in the form that costs what has changed.

A convolution is linear, so its answer is what it says to the background, worked out when the file is rewritten, plus
what it says to the differences. Each pair goes through the taps of the kernel once, as one matrix product for all pairs
of all masks, and an index table adds up what meets in the same cell (scatter form).
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from onnx_reciprocam.tail.axes import Factor, axes_of, is_cell
from onnx_reciprocam.tail.fold import run_node
from onnx_reciprocam.tail.pairs import Kernel, cells_under, spread
from onnx_reciprocam.tail.terms import Misfit, Stacked, Window
from onnx_reciprocam.tail.window_call import carries_windows, difference, on_map
from onnx_reciprocam.tail.window_cost import grown_over
from onnx_reciprocam.tail.window_sums import extreme, pooled
from onnx_reciprocam.tail.windowing import map_axes

if TYPE_CHECKING:
    import onnx_graphsurgeon as gs
    from numpy.typing import NDArray

    from onnx_reciprocam.tail.axes import Axes
    from onnx_reciprocam.tail.pairs import Block, Indices, Pairs
    from onnx_reciprocam.tail.window_call import WindowCall

Answer = list[Window] | Misfit
CHANNELS_FIRST = ("b", "h", "w")
"""What stands on axes 0, 2 and 3 where ONNX's convolutions and pools look at a map."""


@carries_windows("Conv")
def _conv(call: WindowCall) -> Answer:
    """See the module."""
    kernel = kernel_of(call, call.attr("kernel_shape") or call.shape(1)[2:])
    if isinstance(kernel, Misfit):
        return kernel
    axes, window = axes_of("b c h w", call.result()), call.window
    if math.prod(kernel.size) == 1 and call.attr("group", 1) == 1 and kernel.out == window.pairs.map:
        call.spend(_images(call) * len(window.pairs) * math.prod(call.shape(1)))
        return call.answer(_pointwise(call), axes)
    reached = spread(window.pairs, kernel)
    if not len(reached.pairs):
        return untouched(call, axes, reached.pairs)
    if reason := grown_over(call, reached):
        return Misfit(reason)
    moved = difference(call, window)
    products = [_products(call, moved, block, len(window.pairs)) for block in reached.blocks]
    grouped = _grouped(call)
    axis = 2 if grouped else 1
    rows = products[0] if len(products) == 1 else call.branch.concat(products, axis)
    own = call.windower.combined(rows, reached.tables, axis=axis)
    if grouped:  # b g p c -> b p (g c)
        own = call.branch.transpose(own, [0, 2, 1, 3])
        own = call.branch.reshape(own, [-1, len(reached.pairs), call.result()[1]])
    taps = sum(block.pairs.size * block.taps.size for block in reached.blocks)
    call.spend(_images(call) * taps * math.prod(call.shape(1)[:2]))
    return on_background(call, own, axes, reached.pairs)


def kernel_of(call: WindowCall, size: tuple[int, ...]) -> Kernel | Misfit:
    """The geometry of a convolution or pool over a map of channels first."""
    axes = call.windows[0].axes
    labels = tuple(axes[i][0].label for i in (0, 2, 3) if len(axes) == 4 and len(axes[i]) == 1)
    if not call.only_first() or labels != CHANNELS_FIRST or len(size) != 2:
        return Misfit("it does not run over a map of channels first")
    strides, dilations = (tuple(call.attr(name) or (1, 1)) for name in ("strides", "dilations"))
    out = call.result()[2:]
    begins = tuple(call.attr("pads") or (0, 0, 0, 0))[:2]
    if (auto := call.attr("auto_pad", "NOTSET")) in {"SAME_UPPER", "SAME_LOWER"}:
        reach = [(o - 1) * s + (k - 1) * d + 1 for o, s, k, d in zip(out, strides, size, dilations, strict=True)]
        totals = [max(need - have, 0) for need, have in zip(reach, call.shape(0)[2:], strict=True)]
        begins = tuple((total + (auto == "SAME_LOWER")) // 2 for total in totals)
    elif auto == "VALID":
        begins = (0, 0)
    return Kernel(tuple(size), strides, dilations, begins, tuple(out))  # type: ignore[arg-type]


def _images(call: WindowCall) -> int:
    """How many the probe fed."""
    return call.shape(0)[0]


def on_background(call: WindowCall, own: gs.Tensor, axes: Axes, pairs: Pairs) -> Answer:
    """Differences back on the background of the result."""
    answer = call.answer(own, axes, pairs)
    if isinstance(answer, Misfit) or not answer[0].rest.any():
        return answer
    value = call.branch.op("Add", own, call.windower.resting(answer[0], pairs.cell))
    return [Window(value, answer[0].rest, pairs, axes)]


def untouched(call: WindowCall, axes: Axes, none: Pairs) -> Answer:
    """A background alone, where strides pass every pair over; the list keeps one pair, which is as the background is."""
    first = none.picked(np.zeros(1, np.int64), *none.map)
    answer = call.answer(call.window.own, axes, first)
    if isinstance(answer, Misfit):
        return answer
    return [replace(answer[0], own=call.windower.background(answer[0], first, call.window.own))]


def _pointwise(call: WindowCall) -> gs.Tensor:
    """A convolution of one tap: a matrix product."""
    branch, window = call.branch, call.window
    out, channels = call.shape(1)[:2]
    weights = branch.reshape(call.node.inputs[1], [out, channels])
    rows = branch.reshape(window.own, [-1, channels])
    bias = call.node.inputs[2] if len(call.node.inputs) > 2 else branch.constant([0], window.rest.dtype)
    product = branch.op("Gemm", rows, weights, bias, transB=1)
    return branch.reshape(product, [-1, len(window.pairs), out])


def _grouped(call: WindowCall) -> bool:
    """Whether the products are made group by group, ``[B, g, P, c]``: neither one group nor one per channel."""
    return call.attr("group", 1) > 1 and not _depthwise(call)


def _depthwise(call: WindowCall) -> bool:
    out, per_group = call.shape(1)[:2]
    return call.attr("group", 1) == out and per_group == 1


def _products(call: WindowCall, moved: gs.Tensor, block: Block, count: int) -> gs.Tensor:
    """Every pair of the block times every tap: ``[B, p * t, out]``, or ``[B, g, p * t, out / g]`` for groups."""
    branch, group = call.branch, call.attr("group", 1)
    out, per_group = call.shape(1)[:2]
    taps = len(block.taps)
    rows = moved if len(block.pairs) == count else call.windower.gather(moved, block.pairs)
    flat = branch.reshape(call.node.inputs[1], [out, per_group, -1])
    weights = flat if taps == math.prod(call.shape(1)[2:]) else call.windower.gather(flat, block.taps, axis=2)
    if _depthwise(call):
        by_tap = branch.transpose(branch.reshape(weights, [out, taps]), [1, 0])
        product = branch.op("Mul", branch.unsqueeze(rows, [2]), by_tap)
        return branch.reshape(product, [-1, len(block.pairs) * taps, out])
    if group == 1:
        by_tap = branch.reshape(branch.transpose(weights, [1, 2, 0]), [per_group, taps * out])
        return branch.reshape(branch.op("MatMul", rows, by_tap), [-1, len(block.pairs) * taps, out])
    split = branch.reshape(weights, [group, out // group, per_group, taps])
    by_tap = branch.reshape(branch.transpose(split, [0, 2, 3, 1]), [group, per_group, taps * (out // group)])
    rows = branch.transpose(branch.reshape(rows, [-1, len(block.pairs), group, per_group]), [0, 2, 1, 3])
    product = branch.op("MatMul", rows, by_tap)
    return branch.reshape(product, [-1, group, len(block.pairs) * taps, out // group])


@carries_windows("AveragePool", "MaxPool")
def _pool(call: WindowCall) -> Answer | Stacked:
    """The mean of differences, or the largest of own and background values; over the whole map, one value per mask."""
    if _covers_map(call):
        return pooled(call, "ReduceMean" if call.node.op == "AveragePool" else "ReduceMax", (2, 3))
    kernel = kernel_of(call, tuple(call.attr("kernel_shape")))
    if isinstance(kernel, Misfit):
        return kernel
    if len(call.node.outputs) != 1:
        return Misfit("it counts places over the whole batch")
    axes, window = axes_of("b c h w", call.result()), call.window
    reached = spread(window.pairs, kernel)
    if not len(reached.pairs):
        return untouched(call, axes, reached.pairs)
    taps = [np.repeat(block.pairs, len(block.taps)) for block in reached.blocks]
    rows = np.concatenate(taps)  # a pool has no weights: each product is the pair itself
    tables = [rows[table] for table in reached.tables]
    under = cells_under(kernel, *window.pairs.map)
    if call.node.op == "AveragePool":
        own = call.windower.combined(difference(call, window), tables)
        shares = _shares(call, under)[reached.pairs.cell]
        own = call.branch.op("Mul", own, call.windower.looked_up(shares, np.arange(len(shares))))
        return on_background(call, own, axes, reached.pairs)
    own = call.windower.combined(window.own, tables, "ReduceMax")
    own = extreme(call, window, own, op="Max", masks=reached.pairs.mask, under=under[reached.pairs.cell])
    return call.answer(own, axes, reached.pairs)


def _covers_map(call: WindowCall) -> bool:
    whole = tuple(call.attr("kernel_shape")) == call.shape(0)[2:] and not any(call.attr("pads") or ())
    return whole and math.prod(call.result()[2:]) == 1 and len(call.node.outputs) == 1


def _shares(call: WindowCall, under: Indices) -> NDArray[np.generic]:
    """What one cell counts in each answer, ``[answers, 1]``, however the operator counts padding: asked of itself."""
    ones = np.ones((1, 1, *call.window.pairs.map), call.window.rest.dtype)
    answers = run_node(call.walk.model, call.node, [ones])[0].reshape(-1, 1)
    return np.asarray(answers / (under >= 0).sum(1, keepdims=True).astype(ones.dtype))


@carries_windows("Pad")
def _pad(call: WindowCall) -> Answer:
    """A frame around the map: the pairs move, nothing is computed."""
    window, given = call.window, call.attr("pads")
    pads = given if given is not None else call.constant(1)
    named = len(call.node.inputs) > 3 and bool(call.node.inputs[3].name)
    if (
        pads is None
        or named
        or not on_map(window)
        or not call.only_first()
        or call.attr("mode", "constant") != "constant"
    ):
        return Misfit("it is no frame of one value")
    widths = np.ravel(pads).reshape(2, -1)
    if min(np.ravel(pads)) < 0 or any(widths[:, i].any() for i, axis in enumerate(window.axes) if not is_cell(axis)):
        return Misfit("it pads other axes than height and width")
    down, right = map_axes(window.axes) or (0, 0)
    height, width = call.result()[down], call.result()[right]
    row, column = np.divmod(window.pairs.cell, window.pairs.width)
    keys = (window.pairs.mask * height + row + widths[0, down]) * width + column + widths[0, right]
    sizes = zip(window.axes, call.result(), strict=True)
    axes = tuple((Factor(axis[0].label, size),) if is_cell(axis) else axis for axis, size in sizes)
    return call.answer(window.own, axes, window.pairs.picked(keys, height, width))
