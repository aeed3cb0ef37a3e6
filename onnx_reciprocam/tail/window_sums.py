"""Rules that take all cells of a ``Window`` to one value per mask: pools and reductions over the map, linear layers."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from onnx_reciprocam.tail.axes import is_batch, is_cell, is_pure
from onnx_reciprocam.tail.live_inputs import is_flattened, places_of, weights_by_cell
from onnx_reciprocam.tail.registry import REDUCING
from onnx_reciprocam.tail.terms import Misfit, Stacked, Window
from onnx_reciprocam.tail.window_call import carries_windows, column, difference, on_map
from onnx_reciprocam.tail.windowing import map_axes, rest_rows

if TYPE_CHECKING:
    import onnx_graphsurgeon as gs

    from onnx_reciprocam.tail.pairs import Indices, Pairs
    from onnx_reciprocam.tail.window_call import WindowCall


@carries_windows("GlobalAveragePool", "GlobalMaxPool")
def _global_pool(call: WindowCall) -> Stacked | Misfit:
    """See :func:`pooled`."""
    kind = "ReduceMean" if call.node.op == "GlobalAveragePool" else "ReduceMax"
    return pooled(call, kind, tuple(range(2, len(call.shape(0)))))


@carries_windows(*REDUCING)
def _reduce(call: WindowCall) -> list[Window] | Stacked | Misfit:
    """Over channels, in each cell alone; over all cells, a global pool."""
    axes, reduced = call.window.axes, call.axes()
    if reduced is None or not call.only_first():
        return Misfit("its axes are no constant")
    if any(is_cell(axes[i]) for i in reduced):
        return pooled(call, call.node.op, reduced)
    if any(is_batch(axes[i]) for i in reduced) or not all(map(is_pure, axes)):
        return Misfit("it reduces over the batch")
    if not reduced:
        return [call.window]
    kept = bool(call.attr("keepdims", 1))
    results = tuple(() if i in reduced else axis for i, axis in enumerate(axes) if kept or i not in reduced)
    own = call.branch.reduce(call.node.op, call.window.own, [column(axes, i) for i in reduced], keepdims=kept)
    return call.answer(own, results)


def pooled(call: WindowCall, kind: str, reduced: tuple[int, ...]) -> Stacked | Misfit:
    """The pairs of each mask to one value, and the background of the cells that it leaves alone."""
    window, branch = _without_gaps(call), call.branch
    if not on_map(window) or set(map_axes(window.axes) or ()) != set(reduced):
        return Misfit("it reduces over a part of the cells or over other axes too")
    pairs = window.pairs
    if kind in {"ReduceMax", "ReduceMin"}:
        own = call.windower.per_mask(window.own, pairs.mask, kind)
        masks = np.arange(pairs.masks)
        under = np.broadcast_to(np.arange(pairs.cells), (pairs.masks, pairs.cells))
        return _one_per_mask(call, extreme(call, window, own, op=kind.removeprefix("Reduce"), masks=masks, under=under))
    if kind not in {"ReduceMean", "ReduceSum"}:
        return Misfit(f"no short form of {kind}")
    value = call.windower.per_mask(window.own, pairs.mask, "ReduceSum")
    if window.rest.any():
        value = branch.op("Add", value, _outside(call, window))
    if kind == "ReduceMean":
        value = branch.op("Div", value, branch.constant(pairs.cells, window.rest.dtype))
    return _one_per_mask(call, value)


def _without_gaps(call: WindowCall) -> Window:
    """The window with at least one pair for every mask: its first cell where a stride has passed a mask over."""
    window = call.window
    missing = np.setdiff1d(np.arange(window.pairs.masks), window.pairs.mask)
    if not len(missing):
        return window
    pairs = window.pairs.picked(np.concatenate([window.pairs.keys, missing * window.pairs.cells]), *window.pairs.map)
    return Window(call.windower.extended(window, pairs), window.rest, pairs, window.axes)


def _outside(call: WindowCall, window: Window) -> gs.Tensor:
    """The sum of the background outside each mask's pairs, ``[1, N, *others]``: made by nodes, the file keeps one map."""
    dtype, rows = window.rest.dtype, rest_rows(window)
    outside = call.branch.constant(window.pairs.elsewhere, dtype, hint="outside")
    background = call.branch.constant(rows.reshape(len(rows), -1), dtype, hint="background")
    total = call.branch.op("MatMul", outside, background)
    return call.branch.reshape(total, [1, window.pairs.masks, *rows.shape[1:]])


def _one_per_mask(call: WindowCall, value: gs.Tensor) -> Stacked | Misfit:
    """``[B, N, *others]`` with lengths 1 where the result keeps the cells."""
    shape = call.static_result()
    lengths = [-1 if size is None else size for size in shape]
    if lengths.count(-1) > 1:
        return Misfit("more than the batch is dynamic")
    lengths.insert(1, call.window.pairs.masks)
    return Stacked(call.branch.reshape(value, lengths), 1, shape)


def extreme(call: WindowCall, window: Window, own: gs.Tensor, *, op: str, masks: Indices, under: Indices) -> gs.Tensor:
    """The larger (or smaller) of ``own`` and the background under each answer.

    Args:
        call: Emits the nodes.
        window: Whose values are looked at.
        own: The largest (smallest) of the answers' own pairs, ``[B, answers, *others]``.
        op: ``Max`` or ``Min``.
        masks: The mask of each answer.
        under: The cells under each answer, -1 for padding.
    """
    cells = rest_rows(window)
    seen = (under >= 0) & window.pairs.elsewhere[masks[:, None], under]
    if not seen.any():
        return own
    nothing = np.full_like(cells[:1], -np.inf if op == "Max" else np.inf)
    kinds, which = np.unique(np.sort(np.where(seen, under, len(cells)), axis=1), axis=0, return_inverse=True)
    looked_at = np.concatenate([cells, nothing])[kinds]
    values = looked_at.max(axis=1) if op == "Max" else looked_at.min(axis=1)
    return call.branch.op(op, own, call.windower.looked_up(values, which.ravel()))


@carries_windows("Gemm")
def _gemm(call: WindowCall) -> list[Stacked] | Misfit:
    """The first linear layer behind a flattened map: only the inputs of the changed cells are multiplied."""
    if call.attr("transA", 0) or not is_flattened(call.windows[0].axes):
        return Misfit("it sums over cells")
    return live_rows(call)


def live_rows(call: WindowCall) -> list[Stacked] | Misfit:
    """Cell by cell, the differences of all masks that change it, times the weights of that cell; then mask by mask."""
    places = places_of(call.windows[0].axes)
    rests = call.fold()
    if not call.only_first() or len(call.shape(1)) != 2 or places is None or isinstance(rests, Misfit):
        return rests if isinstance(rests, Misfit) else Misfit("its inputs do not lie cell by cell")
    window, windower, branch = _without_gaps(call), call.windower, call.branch
    channels, out = places.before * places.behind, call.result()[1]
    table, where = by_cell(window.pairs)
    own = branch.reshape(difference(call, window), [-1, len(window.pairs), channels])
    rows = branch.reshape(windower.gather(own, table.ravel()), [-1, *table.shape, channels])
    rows = branch.reshape(branch.transpose(rows, [1, 0, 2, 3]), [len(table), -1, channels])  # cells, (b pairs), C
    # one axis moved at a time: onnxruntime has a fast path for that alone
    product = branch.op("MatMul", weights_by_cell(call, places), branch.transpose(rows, [0, 2, 1]))
    product = branch.reshape(branch.transpose(product, [0, 2, 1]), [len(table), -1, table.shape[1], out])
    product = branch.reshape(branch.transpose(product, [1, 0, 2, 3]), [-1, table.size, out])
    if (alpha := call.attr("alpha", 1.0)) != 1.0:
        product = branch.op("Mul", product, branch.constant(alpha, window.rest.dtype))
    value = windower.per_mask(windower.gather(product, where), window.pairs.mask, "ReduceSum")
    answer = branch.op("Add", value, branch.constant(rests[0], rests[0].dtype, hint="resting"))
    call.walk.reordered[call.node.outputs[0].name] = math.prod(call.shape(1)) * rests[0].dtype.itemsize
    call.spend(call.shape(0)[0] * table.size * channels * out)
    return call.stacked([answer], 1)


def by_cell(pairs: Pairs) -> tuple[Indices, Indices]:
    """The pairs of each cell, ``[cells, most]``, short rows filled up with pair 0; and where in it each pair stands."""
    order = np.argsort(pairs.cell, kind="stable")
    cells = pairs.cell[order]
    rank = np.arange(len(cells)) - np.searchsorted(cells, cells)
    table = np.zeros((pairs.cells, rank.max() + 1), np.int64)
    table[cells, rank] = order
    where = np.empty(len(cells), np.int64)
    where[order] = cells * table.shape[1] + rank
    return table, where
