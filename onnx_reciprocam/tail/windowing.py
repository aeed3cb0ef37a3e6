"""Between ``Window`` and the other terms: flat lists of (mask, cell) pairs made, joined, summed up and multiplied out."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from onnx_reciprocam.tail.axes import BATCH, CELLS, is_batch, is_cell, is_pure
from onnx_reciprocam.tail.pairs import Pairs, every_mask_its_cell, gathered
from onnx_reciprocam.tail.terms import Misfit, Spot, Stacked, Window

if TYPE_CHECKING:
    from collections.abc import Sequence

    import onnx_graphsurgeon as gs
    from numpy.typing import NDArray

    from onnx_reciprocam.graph import Branch, Size
    from onnx_reciprocam.tail.axes import Axes
    from onnx_reciprocam.tail.pairs import Indices
    from onnx_reciprocam.tail.terms import StaticShape

ROWS = 1
"""The axis of the pairs in ``Window.own``."""


def others(axes: Axes) -> list[int]:
    """The lengths behind the pairs in ``own``: one per axis that runs over neither images nor cells.

    Where one axis runs over cells and channels (a flattened map), one per channel factor in it.
    """
    lengths = list[int]()
    for axis in axes:
        sizes = [factor.size for factor in axis if factor.label not in {BATCH, *CELLS}]
        mixed = is_cell(axis) or is_batch(axis)
        lengths.extend([size for size in sizes if size > 1] if mixed else [math.prod(sizes)])
    return lengths


def map_axes(axes: Axes) -> tuple[int, int] | None:
    """Where height and width stand, if each has an axis of its own."""
    places = {axis[0].label: i for i, axis in enumerate(axes) if len(axis) == 1 and is_cell(axis)}
    if sum(map(is_cell, axes)) != 2 or set(places) != set(CELLS):
        return None
    return places["h"], places["w"]


def batch_axis(axes: Axes) -> int | None:
    """Where the images stand, if they have an axis of their own."""
    places = [i for i, axis in enumerate(axes) if is_batch(axis)]
    return places[0] if len(places) == 1 and is_pure(axes[places[0]]) else None


def one_image(axes: Axes) -> tuple[int, ...]:
    """The shape of a background."""
    return tuple(math.prod(f.size for f in axis if f.label != BATCH) for axis in axes)


def rest_rows(window: Window) -> NDArray[np.generic]:
    """The background cell by cell, ``[cells, *others]``."""
    factors = [factor for axis in window.axes for factor in axis]
    apart = window.rest.reshape([1 if factor.label == BATCH else factor.size for factor in factors])
    order = sorted(range(len(factors)), key=lambda i: _order(factors[i].label))
    return apart.transpose(order).reshape(window.pairs.cells, *others(window.axes))


def _order(label: str) -> int:
    """Height, width, then the rest as it stands."""
    return CELLS.index(label) if label in CELLS else len(CELLS)


class Windower:
    """Makes and converts ``Window`` terms.

    Args:
        branch: Receives the nodes.
        height, width: The grid of masks.
        masks: Those that are carried; None for all.
    """

    def __init__(self, branch: Branch, height: Size, width: Size, masks: range | None = None) -> None:
        self.branch, self.masks = branch, masks
        self.grid = (height, width) if isinstance(height, int) and isinstance(width, int) else None
        self._windows: dict[str, Window] = {}
        self._stacked: dict[Window, Stacked] = {}
        self._expanded: dict[tuple[str, bytes], gs.Tensor] = {}

    # from and to the other terms ------------------------------------------------------------------------------------

    def of(self, spot: Spot) -> Window | Misfit:
        """One pair per mask, its own cell."""
        if self.grid is None:
            return Misfit("the grid is known at run time only")
        if map_axes(spot.axes) is None or batch_axis(spot.axes) is None:
            return Misfit("its cells do not lie on a map")
        if spot.own.name not in self._windows:
            rest = np.broadcast_to(spot.rest, one_image(spot.axes))
            pairs, cells = self.carried(every_mask_its_cell(*self.grid))
            own = self.rows(spot.own, spot.axes)
            own = own if self.masks is None else self.gather(own, cells)
            self._windows[spot.own.name] = Window(own, rest, pairs, spot.axes)
        return self._windows[spot.own.name]

    def carried(self, pairs: Pairs) -> tuple[Pairs, Indices]:
        """The pairs under the masks that are carried, and where among ``pairs`` they stand."""
        return pairs.under(range(pairs.masks) if self.masks is None else self.masks)

    def rows(self, value: gs.Tensor, axes: Axes) -> gs.Tensor:
        """A map cell by cell, ``[B, cells, *others]``."""
        height, width = map_axes(axes) or (0, 0)
        batch = batch_axis(axes) or 0
        rest = [i for i in range(len(axes)) if i not in {batch, height, width}]
        cells = math.prod(factor.size for i in (height, width) for factor in axes[i])
        moved = self.branch.transpose(value, [batch, height, width, *rest])
        return self.branch.reshape(moved, [-1, cells, *others(axes)])

    def stacked(self, window: Window, shape: StaticShape) -> Stacked:
        """One copy per mask: ``[B, N, ...]`` for channels first, else ``[N, *shape]``."""
        if window not in self._stacked:
            self._stacked[window] = self._multiplied_out(window, shape)
        return self._stacked[window]

    def _multiplied_out(self, window: Window, shape: StaticShape) -> Stacked:
        factors = [factor for axis in window.axes for factor in axis]
        lengths = [size for size in shape[1:] if size is not None]
        channels_first = batch_axis(window.axes) == 0 and map_axes(window.axes) == (len(shape) - 2, len(shape) - 1)
        if channels_first and len(lengths) == len(shape) - 1:
            rows = self.branch.reshape(self._everywhere(window), [-1, window.pairs.cells, math.prod(lengths[:-2])])
            value = self.branch.transpose(rows, [0, 2, 1])  # much faster in onnxruntime than moving all axes at once
            return Stacked(self.branch.reshape(value, [-1, window.pairs.masks, *lengths]), 1, shape)
        order = sorted(range(len(factors)), key=lambda i: _order(factors[i].label) if factors[i].label != BATCH else -1)
        sizes = [factors[i].size for i in order if factors[i].label != BATCH]
        value = self.branch.reshape(self._everywhere(window), [-1, window.pairs.masks, *sizes])
        places = [order.index(i) + 1 if factors[i].label != BATCH else 0 for i in range(len(factors))]
        value = self.branch.transpose(value, [1, *places])
        if len(factors) != len(shape):
            value = self.branch.reshape(value, [window.pairs.masks, *(-1 if size is None else size for size in shape)])
        return Stacked(value, 0, shape)

    # the background -------------------------------------------------------------------------------------------------

    def resting(self, window: Window, cells: Indices) -> gs.Tensor:
        """The background of these cells, ``[1, len(cells), *others]``, or with one row if they are all alike."""
        return self.looked_up(rest_rows(window), cells)

    def background(self, window: Window, pairs: Pairs, own: gs.Tensor) -> gs.Tensor:
        """What these pairs have where no mask changes them, for as many images as ``own`` has."""
        return self._for_every_image(self.resting(window, pairs.cell), own)

    def looked_up(self, rows: NDArray[np.generic], places: Indices) -> gs.Tensor:
        """``rows[places]`` as ``[1, len(places), ...]``: the file keeps every different row once, and an index."""
        flat = rows.reshape(len(rows), -1)
        used = np.unique(places)
        different, which = np.unique(flat[used], axis=0, return_inverse=True)
        table = self.branch.constant(different.reshape(1, -1, *rows.shape[1:]), rows.dtype, hint="background")
        if len(different) == 1:
            return table
        return self.gather(table, which.ravel()[np.searchsorted(used, places)])

    def gather(self, rows: gs.Tensor, table: Indices, axis: int = ROWS) -> gs.Tensor:
        """Rows by an index table of any shape."""
        return self.branch.op("Gather", rows, self.branch.constant(table, np.int32, hint="table"), axis=axis)

    def extended(self, window: Window, pairs: Pairs) -> gs.Tensor:
        """``own`` for other pairs: where there is none, the background."""
        if window.pairs.same(pairs):
            return window.own
        key = (window.own.name, pairs.keys.tobytes())
        if key not in self._expanded:
            self._expanded[key] = self._extended(window, pairs)
        return self._expanded[key]

    def _extended(self, window: Window, pairs: Pairs) -> gs.Tensor:
        placed = window.pairs.placed(pairs)
        missing = placed < 0
        if not missing.any():
            return self.gather(window.own, placed)
        values, resting = self._beside_background(window)
        placed[missing] = resting[pairs.cell[missing]]
        return self.gather(values, placed)

    def _beside_background(self, window: Window) -> tuple[gs.Tensor, Indices]:
        """``own`` and behind it every different row of the background; where in that each cell's row stands."""
        rows = rest_rows(window)
        different, which = np.unique(rows.reshape(len(rows), -1), axis=0, return_inverse=True)
        table = self.branch.constant(different.reshape(1, -1, *rows.shape[1:]), rows.dtype, hint="background")
        background = self._for_every_image(table, window.own)
        return self.branch.concat([window.own, background], ROWS), len(window.pairs) + which.ravel()

    def _everywhere(self, window: Window) -> gs.Tensor:
        """Every mask's every cell, ``[B, masks * cells, *others]``; the file says only where the pairs are, if they are few."""
        pairs = window.pairs
        masks, cells = np.divmod(np.arange(pairs.masks * pairs.cells), pairs.cells)
        if 2 * len(pairs) >= len(masks):
            return self.extended(window, Pairs(masks, cells, pairs.masks, *pairs.map))
        values, resting = self._beside_background(window)
        once = self.branch.constant(resting[None], np.int32, hint="table")
        every = self.branch.op("Expand", once, self.branch.vector([pairs.masks, pairs.cells]))
        there, own = (
            self.branch.constant(rows, np.int32, hint="table") for rows in (pairs.keys, np.arange(len(pairs)))
        )
        table = self.branch.scatter(self.branch.reshape(every, [-1]), there, own)
        return self.branch.op("Gather", values, table, axis=ROWS)

    def _for_every_image(self, rows: gs.Tensor, own: gs.Tensor) -> gs.Tensor:
        """``[1, ...]`` as often as ``own`` has images."""
        images = self.branch.sizes(own, [None])
        return self.branch.op("Expand", rows, self.branch.vector([*images, *[1] * (len(rows.shape) - 1)]))

    # many pairs to one ----------------------------------------------------------------------------------------------

    def combined(
        self, rows: gs.Tensor, tables: Sequence[Indices], how: str = "ReduceSum", axis: int = ROWS
    ) -> gs.Tensor:
        """Rows summed (or the largest taken) table by table: ``[B, answers, ...]``."""
        parts = []
        for table in tables:
            if table.shape[1] == 1:
                parts.append(self.gather(rows, table[:, 0], axis))
            else:
                parts.append(self.branch.reduce(how, self.gather(rows, table, axis), [axis + 1], keepdims=False))
        return parts[0] if len(parts) == 1 else self.branch.concat(parts, axis)

    def per_mask(self, rows: gs.Tensor, masks: Indices, how: str) -> gs.Tensor:
        """Rows summed (or the largest taken) by mask, in the order of the masks; each must have one."""
        found, tables = gathered(masks, np.arange(len(masks)))
        combined = self.combined(rows, tables, how)
        return combined if np.array_equal(found, np.arange(len(found))) else self.gather(combined, np.argsort(found))
