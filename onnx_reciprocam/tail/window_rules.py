"""Rules for ``Window`` that treat each cell alone: what they do to the background, and to every pair in the list."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from onnx_reciprocam.tail.axes import is_batch, is_cell, permute, resized
from onnx_reciprocam.tail.live_inputs import is_flattened
from onnx_reciprocam.tail.registry import (
    BIASED,
    ELEMENTWISE,
    NORMALISING,
    PASSING,
    REGROUPING,
    SELECTING,
    default_axis,
    operator,
)
from onnx_reciprocam.tail.spot_rules import reaches_on, regrouped
from onnx_reciprocam.tail.terms import Misfit, Stacked, Window
from onnx_reciprocam.tail.window_call import carries_windows, column, on_map, operand
from onnx_reciprocam.tail.window_sums import live_rows
from onnx_reciprocam.tail.windowing import map_axes, one_image, others

if TYPE_CHECKING:
    import onnx_graphsurgeon as gs

    from onnx_reciprocam.tail.axes import Axes
    from onnx_reciprocam.tail.pairs import Pairs
    from onnx_reciprocam.tail.window_call import WindowCall

Answer = list[Window] | Misfit


@carries_windows(*PASSING)
def _passing(call: WindowCall) -> Window | Misfit:
    """Unchanged, and no node."""
    return call.window if len(call.node.outputs) == 1 else Misfit("its mask output is read")


@carries_windows(*ELEMENTWISE, *BIASED)
def _elementwise(call: WindowCall) -> Answer:
    """Pair by pair; operands with other pairs are filled up with their background."""
    axes = _common_axes(call)
    if isinstance(axes, Misfit):
        return axes
    if operator(call.node) in BIASED and is_cell(axes[-1]):
        return Misfit("its bias differs between cells")
    pairs = joined(call.windows)
    operands: list[gs.Tensor] = []
    for i, term in enumerate(call.terms):
        made = call.windower.extended(term, pairs) if isinstance(term, Window) else operand(call, i, pairs, axes)
        if made is None:
            return Misfit("the image decides what it does to the masked cells")
        operands.append(made)
    return call.answer(call.replay(*operands)[0], axes, pairs)


def _common_axes(call: WindowCall) -> Axes | Misfit:
    """The axes of the result, if every operand holds its cells in the same places."""
    found = [resized(window.axes, call.result()) for window in call.windows if on_map(window)]
    axes = found[0] if len(found) == len(call.windows) else None
    if axes is None or any(other is None or map_axes(other) != map_axes(axes) for other in found):
        return Misfit("its operands hold their cells in different places")
    return axes


def joined(windows: list[Window]) -> Pairs:
    """The pairs of any, in the order of the longest list."""
    longest, *shorter = sorted((window.pairs for window in windows), key=len, reverse=True)
    for pairs in shorter:
        longest = longest if longest.same(pairs) else longest.joined(pairs)
    return longest


@carries_windows("BatchNormalization")
def _batch_normalization(call: WindowCall) -> Answer:
    """A scale and a shift per channel, if the statistics are the trained ones."""
    axes, branch = call.window.axes, call.branch
    if call.attr("training_mode", 0) or is_cell(axes[1]) or is_batch(axes[1]):
        return Misfit("it normalises with the statistics of the batch")
    scale, shift, mean, variance = call.node.inputs[1:5]
    epsilon = branch.constant([call.attr("epsilon", 1e-5)], call.window.rest.dtype)
    factor = branch.op("Div", scale, branch.op("Sqrt", branch.op("Add", variance, epsilon)))
    offset = branch.op("Sub", shift, branch.op("Mul", mean, factor))
    lengths = [-1] + [1] * (len(others(axes)) - 1)  # the channels are the first of the others
    own = branch.op("Mul", call.window.own, branch.reshape(factor, lengths))
    return call.answer(branch.op("Add", own, branch.reshape(offset, lengths)), axes)


@carries_windows("MatMul")
def _matmul(call: WindowCall) -> Answer | list[Stacked]:
    """A matrix product over channels acts in each cell alone; for a flattened map see :mod:`~.window_sums`."""
    axes = call.windows[0].axes
    if is_flattened(axes):
        return live_rows(call)
    if not call.only_first() or is_cell(axes[-1]) or is_batch(axes[-1]) or len(call.shape(1)) != 2:
        return Misfit("it sums over cells")
    result = resized(axes, call.result())
    call.spend(len(call.window.pairs) * _per_cell(call))
    return Misfit("it moves cells") if result is None else call.answer(call.replay_with(call.window.own)[0], result)


def _per_cell(call: WindowCall) -> int:
    """Multiply-adds of a plain run for each cell of the map."""
    return call.walk.multiply_adds(call.node) // call.window.pairs.cells


@carries_windows(*NORMALISING)
def _normalising(call: WindowCall) -> Answer:
    """Softmax or LayerNormalization over channels act in each cell alone."""
    axes = call.windows[0].axes
    axis = call.attr("axis", default_axis(call.node.op, call.walk.model.opset)) % len(axes)
    reach = range(axis, len(axes)) if reaches_on(call) else [axis]
    if any(is_cell(axes[i]) or is_batch(axes[i]) for i in reach) or not call.only_first():
        return Misfit("it normalises over cells or images")
    if len(call.node.outputs) > 1:
        return Misfit("its statistics are read")
    own = call.replay_with(call.window.own, axis=column(axes, axis))[0]
    return call.answer(own, axes)


@carries_windows(*SELECTING)
def _selecting(call: WindowCall) -> Answer:
    """Picking channels acts in each cell alone."""
    axes = call.windows[0].axes
    axis = call.attr("axis", default_axis(call.node.op, call.walk.model.opset)) % len(axes)
    if not call.only_first() or is_cell(axes[axis]) or is_batch(axes[axis]):
        return Misfit("it picks among cells or images")
    owns = call.replay_with(call.window.own, axis=column(axes, axis))
    if call.node.op == "Gather" and call.shape(1) == ():
        return call.answer(owns[0], (*axes[:axis], *axes[axis + 1 :]))
    results = [resized(axes, call.result(i)) for i in range(len(owns))]
    rests = call.fold()
    if isinstance(rests, Misfit):
        return rests
    return call.answers(owns, rests, [result for result in results if result is not None])


@carries_windows("Slice")
def _slice(call: WindowCall) -> Answer:
    """Slicing channels acts in each cell alone."""
    axes = call.windows[0].axes
    result = resized(axes, call.result())
    spelled = "starts" in call.node.attrs  # opset 9
    named = (call.attr("axes") or range(len(call.attr("starts")))) if spelled else call.constant(3)
    if result is None or named is None or not call.only_first():
        return Misfit("it drops or turns cells")
    sliced = [axis % len(axes) for axis in np.ravel(named).tolist()]
    if any(is_cell(axes[axis]) or is_batch(axes[axis]) for axis in sliced):
        return Misfit("it drops or turns cells")
    columns = [column(axes, axis) for axis in sliced]
    if spelled:
        return call.answer(call.replay(call.window.own, axes=columns)[0], result)
    moved = call.branch.constant(columns, call.node.inputs[1].dtype or np.int64, hint="axes")
    return call.answer(call.replay(call.window.own, *call.node.inputs[1:3], moved, *call.node.inputs[4:])[0], result)


@carries_windows("Concat")
def _concat(call: WindowCall) -> Answer:
    """Joining channels acts in each cell alone."""
    axes = call.windows[0].axes
    axis = call.attr("axis") % len(axes)
    if len(call.windows) != len(call.terms) or is_cell(axes[axis]) or is_batch(axes[axis]):
        return Misfit("it joins cells, or joins them with what no mask changes")
    if any(not on_map(window) or map_axes(window.axes) != map_axes(axes) for window in call.windows):
        return Misfit("it joins different cells")
    result, pairs = resized(axes, call.result()), joined(call.windows)
    owns = [call.windower.extended(window, pairs) for window in call.windows]
    own = call.branch.concat(owns, column(axes, axis))
    return Misfit("it moves cells") if result is None else call.answer(own, result, pairs)


@carries_windows("Transpose")
def _transpose(call: WindowCall) -> Answer:
    """The pairs stay; the other axes follow."""
    axes = call.window.axes
    perm = call.attr("perm") or list(range(len(axes)))[::-1]
    if not on_map(call.window):
        return Misfit("its cells do not lie on a map")
    moved = [column(axes, axis) for axis in perm if not is_cell(axes[axis]) and not is_batch(axes[axis])]
    return call.answer(call.branch.transpose(call.window.own, [0, 1, *moved]), permute(axes, perm))


@carries_windows(*REGROUPING)
def _regrouping(call: WindowCall) -> Answer:
    """A reshape regroups factors; cells keep an axis each, or the whole image becomes one row."""
    window = call.window
    axes = regrouped(call, window.axes)
    if axes is None or not (is_flattened(axes) or map_axes(axes) is not None):
        return Misfit("it lays cells and channels along one axis")
    lengths = others(axes)
    same = lengths == others(window.axes)
    own = window.own if same else call.branch.reshape(window.own, [-1, len(window.pairs), *lengths])
    return call.answers([own], [window.rest.reshape(one_image(axes))], [axes])
