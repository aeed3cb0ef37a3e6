"""Rules that take all cells of a ``Spot`` to one number: pools and reductions over the whole map."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from onnx_reciprocam.tail.axes import cell_axes, cell_factors, in_order, is_batch, is_pure
from onnx_reciprocam.tail.registry import REDUCING, SPOT, carries
from onnx_reciprocam.tail.spot_rules import Answer, both, each_cell, in_place
from onnx_reciprocam.tail.terms import Misfit, Stacked

if TYPE_CHECKING:
    import onnx_graphsurgeon as gs

    from onnx_reciprocam.graph import Size
    from onnx_reciprocam.tail.call import Call


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
    if math.prod(kernel) == 1 and in_place(call):
        return each_cell(call, call.spots[0].axes)
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
    return both(call, [results])


def _pooled(call: Call, kind: str, reduced: tuple[int, ...]) -> Stacked | Misfit:
    """All cells to one number: the live cell among ``N - 1`` resting ones.

    The mean is ``(own_n + (N - 1) rest) / N``, the sum and the largest likewise, so the scores of all masks lie where
    the cells lay, and nothing is copied. With ``rest = 0`` and a linear layer behind it this is CAM.
    """
    spot = call.spots[0]
    cells = cell_axes(spot.axes)
    factors = cell_factors(spot.axes)
    contiguous = all(map(is_pure, spot.axes)) and cells == tuple(range(cells[0], cells[-1] + 1))
    if cells != reduced or not contiguous or in_order(factors) != list(range(len(factors))):
        return Misfit("it reduces over a part of the cells or over other axes too")
    own, rest, count = spot.own, spot.rest, math.prod(factor.size for factor in factors)
    if not isinstance(call.stacker.cells, int) and rest.any():
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
    count = call.stacker.cells
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
    lengths.insert(axis, call.stacker.cells)
    return Stacked(call.stacker.of_masks(call.branch.reshape(value, lengths), axis), axis, shape)
