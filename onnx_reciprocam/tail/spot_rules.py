"""Rules for ``Spot``: what a cell-wise network does to one live cell among resting ones, paid once.

A rule answers with a term, or with a :class:`~.terms.Misfit` that says why it does not apply.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from onnx_reciprocam.tail.axes import (
    Axes,
    cell_axes,
    is_batch,
    is_cell,
    is_pure,
    permute,
    regroup,
    resized,
    rest_shape,
)
from onnx_reciprocam.tail.live_inputs import is_flattened, live_inputs
from onnx_reciprocam.tail.registry import (
    BIASED,
    ELEMENTWISE,
    NORMALISING,
    PASSING,
    REGROUPING,
    SELECTING,
    SPOT,
    carries,
    default_axis,
)
from onnx_reciprocam.tail.terms import Misfit, Shared, Spot, Stacked

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from onnx_reciprocam.tail.call import Call
    from onnx_reciprocam.tail.terms import Term

Answer = list[Spot] | Misfit


@carries(SPOT, *PASSING)
def _passing(call: Call) -> Term | Misfit:
    """Unchanged, and no node."""
    return call.spots[0] if len(call.node.outputs) == 1 else Misfit("its mask output is read")


@carries(SPOT, *ELEMENTWISE, *BIASED)
def elementwise(call: Call) -> Answer:
    """Cell by cell: ``f(own)`` where the mask looks, ``f(rest)`` elsewhere."""
    axes = call.spots[0].axes
    if any(spot.axes != axes for spot in call.spots):
        return Misfit("its operands hold their cells in different places")
    for term, node_input in zip(call.terms, call.node.inputs, strict=True):
        if isinstance(term, Shared) and _varies(call.walk.seen(node_input), axes):
            return Misfit("it adds or multiplies values that differ between cells")
    return each_cell(call, axes)


def _varies(shape: Sequence[int], axes: Axes) -> bool:
    """Whether a broadcast operand of this shape has different values for different cells."""
    offset = len(axes) - len(shape)
    return any(i >= offset and shape[i - offset] != 1 for i in cell_axes(axes))


def each_cell(call: Call, axes: Axes) -> Answer:
    """The node on ``own`` and on ``rest``; every result must keep the cells where they were."""
    results = [resized(axes, call.result(i)) for i in range(len(call.node.outputs))]
    return both(call, [result for result in results if result is not None])


def both(call: Call, results: Sequence[Axes]) -> Answer:
    """The node on ``own`` and on ``rest``, with the cells of each output in ``results``."""
    if len(results) != len(call.node.outputs):
        return Misfit("it moves cells")
    rests = call.fold()
    if isinstance(rests, Misfit):
        return rests
    fitted = [_fitted(rest, rest_shape(axes)) for rest, axes in zip(rests, results, strict=True)]
    if any(rest is None for rest in fitted):
        return Misfit("it treats images of a batch differently")
    owns = call.replay(
        *(t.own if isinstance(t, Spot) else n for t, n in zip(call.terms, call.node.inputs, strict=True))
    )
    return [Spot(o, r, a) for o, r, a in zip(owns, fitted, results, strict=True) if r is not None]


def _fitted(rest: NDArray[np.generic], shape: tuple[int, ...]) -> NDArray[np.generic] | None:
    try:
        return np.broadcast_to(rest, shape)
    except ValueError:
        return None


@carries(SPOT, "BatchNormalization")
def _batch_normalization(call: Call) -> Answer:
    """A scale and a shift per channel, if the statistics are the trained ones."""
    if call.attr("training_mode", 0) or is_cell(call.spots[0].axes[1]):
        return Misfit("it normalises with the statistics of the batch")
    return each_cell(call, call.spots[0].axes)


@carries(SPOT, "Conv", "com.microsoft:FusedConv")
def _conv(call: Call) -> Answer:
    """A 1x1 convolution is a matrix product in each cell."""
    axes = call.spots[0].axes
    kernel = call.attr("kernel_shape") or call.shape(1)[2:]
    if not call.only_first():
        return Misfit("its weights depend on the mask")
    if math.prod(kernel) != 1 or is_cell(axes[0]) or is_cell(axes[1]):
        return Misfit(f"a {'x'.join(map(str, kernel))} convolution mixes neighbouring cells")
    if not in_place(call):
        return Misfit("its stride or padding changes the grid")
    return each_cell(call, axes)


def in_place(call: Call) -> bool:
    """Whether a kernel of one cell meets every cell exactly once: no stride, no padding."""
    return all(step == 1 for step in call.attr("strides", [])) and not any(call.attr("pads", []))


@carries(SPOT, "MatMul")
def _matmul(call: Call) -> Answer | list[Stacked]:
    """A matrix product over channels acts in each cell alone; over a flattened map see :mod:`~.live_inputs`."""
    axes = call.spots[0].axes
    if is_flattened(axes):
        return live_inputs(call)
    if not isinstance(call.terms[0], Spot) or not isinstance(call.terms[1], Shared):
        return Misfit("it multiplies cells with each other")
    if is_cell(axes[-1]) or len(call.shape(1)) != 2:
        return Misfit("it sums over cells")
    return each_cell(call, axes)


@carries(SPOT, "Gemm")
def _gemm(call: Call) -> Answer | list[Stacked]:
    """The same with a bias, for cells along the rows."""
    axes = call.spots[0].axes
    if is_flattened(axes):
        return live_inputs(call)
    if not call.only_first() or call.attr("transA", 0) or is_cell(axes[1]):
        return Misfit("it sums over cells")
    if len(call.terms) > 2 and _varies(call.shape(2), axes):
        return Misfit("its bias differs between cells")
    return each_cell(call, axes)


@carries(SPOT, *NORMALISING)
def _normalising(call: Call) -> Answer:
    """Softmax or LayerNormalization over channels act in each cell alone."""
    axes = call.spots[0].axes
    axis = call.attr("axis", default_axis(call.node.op, call.walk.model.opset)) % len(axes)
    reach = range(axis, len(axes)) if reaches_on(call) else [axis]
    if any(is_cell(axes[i]) or is_batch(axes[i]) for i in reach) or not call.only_first():
        return Misfit("it normalises over cells or images")
    return each_cell(call, axes)


def reaches_on(call: Call) -> bool:
    """Whether the operator couples its axis and all that follow."""
    softmax = call.node.op in {"Softmax", "LogSoftmax", "Hardmax"}
    return call.walk.model.opset < 13 if softmax else str(call.node.op) != "LpNormalization"


@carries(SPOT, *SELECTING)
def _selecting(call: Call) -> Answer:
    """Picking channels acts in each cell alone."""
    if not isinstance(call.terms[0], Spot) or not call.only_first():
        return Misfit("what it picks depends on the mask")
    axes = call.spots[0].axes
    axis = call.attr("axis", default_axis(call.node.op, call.walk.model.opset)) % len(axes)
    if is_cell(axes[axis]) or is_batch(axes[axis]):
        return Misfit("it picks among cells or images")
    if call.node.op == "Gather" and call.shape(1) == ():
        return both(call, [(*axes[:axis], *axes[axis + 1 :])])
    return each_cell(call, axes)


@carries(SPOT, "Slice")
def _slice(call: Call) -> Answer:
    """Slicing channels acts in each cell alone; a slice that drops cells or images changes their axis."""
    axes = call.spots[0].axes
    results = resized(axes, call.result())
    fixed = any(call.static(0)[i] != call.static_result()[i] for i in cell_axes(axes))
    if results is None or results[0] != axes[0] or fixed or _backwards(call):
        return Misfit("it drops or turns cells")
    return each_cell(call, axes)


def _backwards(call: Call) -> bool:
    """Whether a slice may step backwards."""
    steps = call.constant(4)
    return len(call.node.inputs) > 4 and (steps is None or min(steps.tolist()) < 0)


@carries(SPOT, "Concat")
def _concat(call: Call) -> Answer:
    """Joining channels acts in each cell alone."""
    axes = call.spots[0].axes
    axis = call.attr("axis") % len(axes)
    if len(call.spots) != len(call.terms):
        return Misfit("it joins cells with what no mask changes")
    places = {tuple(a for i, a in enumerate(spot.axes) if i != axis) for spot in call.spots}
    if is_cell(axes[axis]) or len(places) > 1:
        return Misfit("it joins different cells")
    return each_cell(call, axes)


@carries(SPOT, "Transpose")
def _transpose(call: Call) -> Answer:
    """The cells move with their axes."""
    axes = call.spots[0].axes
    perm = call.attr("perm") or list(range(len(axes)))[::-1]
    return both(call, [permute(axes, perm)])


@carries(SPOT, *REGROUPING)
def _regrouping(call: Call) -> Answer:
    """A reshape regroups factors; it fits while no axis mixes cells with anything else."""
    spot = call.spots[0]
    axes = regrouped(call, spot.axes)
    if axes is None or not (all(map(is_pure, axes)) or is_flattened(axes)):
        return Misfit("it lays cells and channels along one axis")
    shape = rest_shape(axes)
    if math.prod(shape) != spot.rest.size:
        return Misfit("it regroups a broadcast axis")
    return [Spot(call.replay_with(spot.own)[0], spot.rest.reshape(shape), axes)]


def regrouped(call: Call, axes: Axes) -> Axes | None:
    """The axes after a reshape; one that names the axes that it drops is believed, for several may have length 1."""
    dropped = call.axes() if call.node.op == "Squeeze" else None
    if dropped is not None and len(axes) - len(dropped) == len(call.result()):
        return tuple(axis for i, axis in enumerate(axes) if i not in dropped)
    return regroup(axes, call.result())
