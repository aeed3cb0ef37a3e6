"""Widening a term to one copy per mask, and moving the mask axis where an operator can live with it.

This is what JAX calls batching (``vmap``): an added axis is always legal, and an operator that knows nothing of it
gets it merged into its batch. A reshape of the original keeps its meaning behind the new axis, so no shape in the file
ever needs to be guessed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from onnx_reciprocam.errors import UnsupportedModelError
from onnx_reciprocam.tail.axes import BATCH, cell_axes, cell_factors, in_order, is_cell, is_pure, rest_shape
from onnx_reciprocam.tail.terms import Shared, Spot, Stacked, Tokens, Window
from onnx_reciprocam.tail.tokens import Tokenizer
from onnx_reciprocam.tail.windowing import Windower

if TYPE_CHECKING:
    import onnx_graphsurgeon as gs
    from numpy.typing import NDArray

    from onnx_reciprocam.graph import Branch, Size
    from onnx_reciprocam.tail.axes import Axes
    from onnx_reciprocam.tail.terms import StaticShape, Term


class Stacker:
    """Conversions between terms, each emitted once.

    Args:
        branch: Receives the nodes.
        height, width: The grid.
        copies: How many masks are carried, as probed.
        masks: Those that are carried, by the numbers of their cells; None for all.
    """

    def __init__(self, branch: Branch, height: Size, width: Size, copies: int, masks: range | None = None) -> None:
        self.branch, self.height, self.width, self.masks = branch, height, width, masks
        self.cells = branch.product([height, width])
        self.count: Size = self.cells if masks is None else len(masks)
        self.windower = Windower(branch, height, width, masks)
        self.tokenizer = Tokenizer(branch, self.cells, copies, masks)
        self._fronts: dict[str, gs.Tensor] = {}
        self._rows: dict[str, gs.Tensor] = {}
        self._widened: dict[str, Stacked] = {}
        self._selectors: dict[Axes, gs.Tensor] = {}

    def of_masks(self, value: gs.Tensor, axis: int) -> gs.Tensor:
        """Of values that lie cell by cell along ``axis``, those of the masks' own cells."""
        return value if self.masks is None else self.branch.slice(value, self.masks.start, self.masks.stop, axis)

    def widen(self, term: Spot, shape: StaticShape) -> Stacked:
        """``Where(mask, own, rest)`` for every mask: ``[N, *shape]``."""
        if term.own.name not in self._widened:
            pure = all(map(is_pure, term.axes))
            value = self._chosen(self.selector(term.axes), term.own, term.rest) if pure else self._unmixed(term, shape)
            self._widened[term.own.name] = Stacked(value, 0, shape)
        return self._widened[term.own.name]

    def _unmixed(self, term: Spot, shape: StaticShape) -> gs.Tensor:
        """The same where an axis runs over cells and channels: chosen factor by factor, then laid out again."""
        self._need_static("cells and channels along one axis")
        factors = [factor for axis in term.axes for factor in axis]
        apart = tuple((factor,) for factor in factors)
        own = self.branch.reshape(term.own, [-1 if factor.label == BATCH else factor.size for factor in factors])
        value = self._chosen(self.selector(apart), own, term.rest.reshape(rest_shape(apart)))
        return self.branch.reshape(value, [self.count, *(-1 if size is None else size for size in shape)])

    def _chosen(self, mask: gs.Tensor, own: gs.Tensor, rest: NDArray[np.generic]) -> gs.Tensor:
        """``Where(mask, own, rest)``."""
        return self.branch.where(mask, own, self.branch.constant(rest, rest.dtype, hint="rest"), rest.dtype)

    def selector(self, axes: Axes) -> gs.Tensor:
        """The pixel masks, bool ``[N, *axes]`` with length 1 on every axis without cells."""
        if axes not in self._selectors:
            self._selectors[axes] = self._selector(axes)
        return self._selectors[axes]

    def _selector(self, axes: Axes) -> gs.Tensor:
        cells = self.branch.range(self.cells)
        own = self.of_masks(self.branch.reshape(cells, [-1, 1]), 0)
        eye = self.branch.equal(own, self.branch.reshape(cells, [1, -1]))
        factors = cell_factors(axes)
        order = in_order(factors)
        if order != list(range(len(factors))):
            self._need_static("cells out of row-major order")
            eye = self.branch.reshape(eye, [self.count, *(factors[i].size for i in order)])
            eye = self.branch.transpose(eye, [0, *(1 + order.index(i) for i in range(len(factors)))])
        return self.branch.reshape(eye, [self.count, *(self.length(axes, i) for i in range(len(axes)))])

    def length(self, axes: Axes, i: int) -> Size:
        """How many cells lie along axis ``i`` (1 if it has none)."""
        axis = axes[i]
        if not is_cell(axis):
            return 1
        if isinstance(self.height, int) and isinstance(self.width, int):
            return int(np.prod([factor.size for factor in axis]))
        if cell_axes(axes) == (i,):
            return self.cells
        labels = {factor.label for factor in axis}
        if len(cell_axes(axes)) != 2 or len(labels) != 1:
            self._need_static("a map cut into windows")
        return self.height if labels == {"h"} else self.width

    def _need_static(self, what: str) -> None:
        if not isinstance(self.cells, int):
            raise UnsupportedModelError(
                f"{what} needs a grid that is known when the file is rewritten", "Export with fixed height and width."
            )

    def stack(self, term: Term, shape: StaticShape) -> Stacked:
        """Any term with one copy per mask."""
        if isinstance(term, Stacked):
            return term
        if isinstance(term, Spot):
            return self.widen(term, shape)
        if isinstance(term, Tokens):
            return self.tokenizer.stacked(term, shape)
        if isinstance(term, Window):
            return self.windower.stacked(term, shape)
        lengths = [self.count, *([1] * len(shape))]
        single = self.branch.unsqueeze(term.tensor, [0])
        return Stacked(self.branch.op("Expand", single, self.branch.vector(lengths)), 0, shape)

    def front(self, term: Stacked) -> gs.Tensor:
        """The value as ``[N, *shape]``."""
        if term.axis == 0:
            return term.value
        name = term.value.name
        if name not in self._fronts:
            if term.axis is None:
                lengths = [self.count, -1, *self._lengths(term.value, term.shape[1:], skip=1)]
                self._fronts[name] = self.branch.reshape(term.value, lengths)
                self._rows[self._fronts[name].name] = term.value
            elif term.axis == 1 and term.shape[0] == 1 and None not in term.shape:
                self._fronts[name] = self.branch.reshape(term.value, [self.count, *(size or 1 for size in term.shape)])
            else:
                order = [i for i in range(len(term.shape) + 1) if i != term.axis]
                self._fronts[name] = self.branch.transpose(term.value, [term.axis, *order])
        return self._fronts[name]

    def rows(self, term: Stacked) -> gs.Tensor:
        """The value as ``[N * B, ...]``, for operators that treat every row of axis 0 alike."""
        if term.axis is None:
            return term.value
        front = self.front(term)
        if front.name not in self._rows:
            rows = self.branch.reshape(front, [-1, *self._lengths(front, term.shape[1:], skip=2)])
            self._rows[front.name] = rows
            self._fronts[rows.name] = front
        return self._rows[front.name]

    def _lengths(self, value: gs.Tensor, shape: StaticShape, skip: int) -> list[Size]:
        return self.branch.sizes(value, [*([0] * skip), *shape])[skip:]

    def last(self, term: Stacked) -> gs.Tensor:
        """The value as ``[*shape, N]``."""
        if term.axis == len(term.shape):
            return term.value
        front = self.front(term) if term.axis is None else term.value
        axis = term.axis or 0
        return self.branch.transpose(front, [*(i for i in range(len(term.shape) + 1) if i != axis), axis])


def aligned(branch: Branch, term: Shared, rank: int, axis: int, result_rank: int) -> gs.Tensor:
    """A shared operand of ``rank`` made to broadcast against a result with the mask axis at ``axis``."""
    missing = result_rank - rank
    return branch.unsqueeze(term.tensor, [axis - missing]) if axis > missing else term.tensor
