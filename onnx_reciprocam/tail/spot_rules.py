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
    cell_factors,
    in_order,
    is_batch,
    is_cell,
    is_pure,
    permute,
    regroup,
    resized,
    rest_shape,
)
from onnx_reciprocam.tail.registry import (
    BIASED,
    ELEMENTWISE,
    NORMALISING,
    PASSING,
    REDUCING,
    REGROUPING,
    SELECTING,
    SPOT,
    carries,
    default_axis,
)
from onnx_reciprocam.tail.terms import Misfit, Shared, Spot, Stacked

if TYPE_CHECKING:
    from collections.abc import Sequence

    import onnx_graphsurgeon as gs
    from numpy.typing import NDArray

    from onnx_reciprocam.graph import Size
    from onnx_reciprocam.tail.call import Call
    from onnx_reciprocam.tail.terms import Term

Answer = list[Spot] | Misfit


@carries(SPOT, *PASSING)
def _passing(call: Call) -> Term | Misfit:
    """Unchanged, and no node."""
    return call.spots[0] if len(call.node.outputs) == 1 else Misfit("its mask output is read")


@carries(SPOT, *ELEMENTWISE, *BIASED)
def _elementwise(call: Call) -> Answer:
    """Cell by cell: ``f(own)`` where the mask looks, ``f(rest)`` elsewhere."""
    axes = call.spots[0].axes
    if any(spot.axes != axes for spot in call.spots):
        return Misfit("its operands hold their cells in different places")
    for term, node_input in zip(call.terms, call.node.inputs, strict=True):
        if isinstance(term, Shared) and _varies(call.walk.seen(node_input), axes):
            return Misfit("it adds or multiplies values that differ between cells")
    return _each_cell(call, axes)


def _varies(shape: Sequence[int], axes: Axes) -> bool:
    """Whether a broadcast operand of this shape has different values for different cells."""
    offset = len(axes) - len(shape)
    return any(i >= offset and shape[i - offset] != 1 for i in cell_axes(axes))


def _each_cell(call: Call, axes: Axes) -> Answer:
    """The node on ``own`` and on ``rest``; every result must keep the cells where they were."""
    results = [resized(axes, call.result(i)) for i in range(len(call.node.outputs))]
    return _both(call, [result for result in results if result is not None])


def _both(call: Call, results: Sequence[Axes]) -> Answer:
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
    return _each_cell(call, call.spots[0].axes)


@carries(SPOT, "Conv", "com.microsoft:FusedConv")
def _conv(call: Call) -> Answer:
    """A 1x1 convolution is a matrix product in each cell."""
    axes = call.spots[0].axes
    kernel = call.attr("kernel_shape") or call.shape(1)[2:]
    if not call.only_first():
        return Misfit("its weights depend on the mask")
    if math.prod(kernel) != 1 or is_cell(axes[0]) or is_cell(axes[1]):
        return Misfit(f"a {'x'.join(map(str, kernel))} convolution mixes neighbouring cells")
    if not _in_place(call):
        return Misfit("its stride or padding changes the grid")
    return _each_cell(call, axes)


def _in_place(call: Call) -> bool:
    """Whether a kernel of one cell meets every cell exactly once: no stride, no padding."""
    return all(step == 1 for step in call.attr("strides", [])) and not any(call.attr("pads", []))


@carries(SPOT, "MatMul")
def _matmul(call: Call) -> Answer:
    """A matrix product over channels acts in each cell alone."""
    axes = call.spots[0].axes
    if not isinstance(call.terms[0], Spot) or not isinstance(call.terms[1], Shared):
        return Misfit("it multiplies cells with each other")
    if is_cell(axes[-1]) or len(call.shape(1)) != 2:
        return Misfit("it sums over cells")
    return _each_cell(call, axes)


@carries(SPOT, "Gemm")
def _gemm(call: Call) -> Answer:
    """The same with a bias, for cells along the rows."""
    axes = call.spots[0].axes
    if not call.only_first() or call.attr("transA", 0) or is_cell(axes[1]):
        return Misfit("it sums over cells")
    if len(call.terms) > 2 and _varies(call.shape(2), axes):
        return Misfit("its bias differs between cells")
    return _each_cell(call, axes)


@carries(SPOT, *NORMALISING)
def _normalising(call: Call) -> Answer:
    """Softmax or LayerNormalization over channels act in each cell alone."""
    axes = call.spots[0].axes
    axis = call.attr("axis", default_axis(call.node.op, call.walk.model.opset)) % len(axes)
    reach = range(axis, len(axes)) if _reaches_on(call) else [axis]
    if any(is_cell(axes[i]) or is_batch(axes[i]) for i in reach) or not call.only_first():
        return Misfit("it normalises over cells or images")
    return _each_cell(call, axes)


def _reaches_on(call: Call) -> bool:
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
        return _both(call, [(*axes[:axis], *axes[axis + 1 :])])
    return _each_cell(call, axes)


@carries(SPOT, "Slice")
def _slice(call: Call) -> Answer:
    """Slicing channels acts in each cell alone; a slice that drops cells or images changes their axis."""
    axes = call.spots[0].axes
    results = resized(axes, call.result())
    fixed = any(call.static(0)[i] != call.static_result()[i] for i in cell_axes(axes))
    if results is None or results[0] != axes[0] or fixed or _backwards(call):
        return Misfit("it drops or turns cells")
    return _each_cell(call, axes)


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
    return _each_cell(call, axes)


@carries(SPOT, "Transpose")
def _transpose(call: Call) -> Answer:
    """The cells move with their axes."""
    axes = call.spots[0].axes
    perm = call.attr("perm") or list(range(len(axes)))[::-1]
    return _both(call, [permute(axes, perm)])


@carries(SPOT, *REGROUPING)
def _regrouping(call: Call) -> Answer:
    """A reshape regroups factors; it fits while no axis mixes cells with anything else."""
    spot = call.spots[0]
    axes = regroup(spot.axes, call.result())
    if axes is None or not all(map(is_pure, axes)):
        return Misfit("it lays cells and channels along one axis")
    shape = rest_shape(axes)
    if math.prod(shape) != spot.rest.size:
        return Misfit("it regroups a broadcast axis")
    return [Spot(call.replay_with(spot.own)[0], spot.rest.reshape(shape), axes)]


@carries(SPOT, "GlobalAveragePool", "GlobalMaxPool")
def _global_pool(call: Call) -> Stacked | Misfit:
    """See :func:`_pooled`."""
    kind = "ReduceMean" if call.node.op == "GlobalAveragePool" else "ReduceMax"
    return _pooled(call, kind, tuple(range(2, len(call.shape(0)))))


@carries(SPOT, "AveragePool", "MaxPool")
def _pool(call: Call) -> Answer | Stacked:
    """A window of one cell changes nothing; a window over the whole map is a global pool."""
    kernel = tuple(call.attr("kernel_shape"))
    if len(call.node.outputs) != 1:
        return Misfit("it counts places over the whole batch")
    if math.prod(kernel) == 1 and _in_place(call):
        return _each_cell(call, call.spots[0].axes)
    if kernel != call.static(0)[2:] or any(call.attr("pads", [])) or math.prod(call.result()[2:]) != 1:
        return Misfit(f"a {'x'.join(map(str, kernel))} pool mixes neighbouring cells")
    kind = "ReduceMean" if call.node.op == "AveragePool" else "ReduceMax"
    return _pooled(call, kind, tuple(range(2, len(kernel) + 2)))


@carries(SPOT, *REDUCING)
def _reduce(call: Call) -> Answer | Stacked:
    """Over channels, in each cell alone; over all cells, a global pool."""
    axes, reduced = call.spots[0].axes, call.axes()
    if reduced is None:
        return Misfit("its axes are no constant")
    if set(cell_axes(axes)) & set(reduced):
        return _pooled(call, call.node.op, reduced)
    if any(is_batch(axes[i]) for i in reduced):
        return Misfit("it reduces over the batch")
    kept = bool(call.attr("keepdims", 1))
    results = tuple(() if i in reduced else axis for i, axis in enumerate(axes) if kept or i not in reduced)
    return _both(call, [results])


def _pooled(call: Call, kind: str, reduced: tuple[int, ...]) -> Stacked | Misfit:
    """All cells to one number: the live cell among ``N - 1`` resting ones.

    The mean is ``(own_n + (N - 1) rest) / N``, the sum and the largest likewise, so the scores of all masks lie where
    the cells lay, and nothing is copied. With ``rest = 0`` and a linear layer behind it this is CAM.
    """
    spot = call.spots[0]
    cells = cell_axes(spot.axes)
    factors = cell_factors(spot.axes)
    contiguous = cells == tuple(range(cells[0], cells[-1] + 1))
    if cells != reduced or not contiguous or in_order(factors) != list(range(len(factors))):
        return Misfit("it reduces over a part of the cells or over other axes too")
    own, rest, count = spot.own, spot.rest, math.prod(factor.size for factor in factors)
    if not isinstance(call.stacker.count, int) and rest.any():
        return Misfit("how many cells rest is known at run time only")
    constant = call.branch.constant
    if kind in {"ReduceMax", "ReduceMin"}:
        value = call.branch.op(kind.removeprefix("Reduce"), own, constant(rest, rest.dtype, hint="rest"))
    elif kind in {"ReduceMean", "ReduceSum"}:
        value = own
        if rest.any():
            total = (rest.astype(np.float64) * (count - 1)).astype(rest.dtype)
            value = call.branch.op("Add", value, constant(total, rest.dtype, hint="rest"))
        if kind == "ReduceMean":
            value = call.branch.op("Div", value, _count(call, rest.dtype))
    else:
        return Misfit(f"no short form of {kind}")
    return _cells_to_masks(call, value, cells)


def _count(call: Call, dtype: np.dtype[np.generic]) -> gs.Tensor:
    count = call.stacker.count
    return call.branch.constant(count, dtype, hint="N") if isinstance(count, int) else call.branch.cast(count, dtype)


def _cells_to_masks(call: Call, value: gs.Tensor, cells: tuple[int, ...]) -> Stacked | Misfit:
    """The cell axes of ``value`` become the mask axis, with lengths 1 around it where the result keeps them."""
    shape = call.static_result()
    kept = len(shape) == len(call.shape(0))
    at_end = kept and cells[-1] == len(shape) - 1
    axis = len(shape) if at_end else cells[0]  # b c h w -> b c 1 1 n; b h w c -> b n 1 1 c
    lengths: list[Size] = [-1 if size is None else size for size in shape]
    if lengths.count(-1) > 1:
        return Misfit("more than the batch is dynamic")
    lengths.insert(axis, call.stacker.count)
    return Stacked(call.branch.reshape(value, lengths), axis, shape)
