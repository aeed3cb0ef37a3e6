"""Where pushing the choice backwards ends: what is wanted of a tensor is read off its term."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from onnx_reciprocam.tail.axes import cell_factors, in_order, is_batch
from onnx_reciprocam.tail.pick_wanted import Classes, Rows
from onnx_reciprocam.tail.terms import Spot, Stacked, Window
from onnx_reciprocam.tail.windowing import rest_rows

if TYPE_CHECKING:
    import onnx_graphsurgeon as gs
    from numpy.typing import NDArray

    from onnx_reciprocam.tail.axes import Axes
    from onnx_reciprocam.tail.pairs import Indices, Pairs
    from onnx_reciprocam.tail.walk import Note, Walk


@dataclass(frozen=True, eq=False)
class Ask:
    """A question: ``wanted`` of the channels along ``axis`` of ``tensor``, whose axis 0 is the batch.

    Its other axes are its places: cells, or lengths of 1.
    """

    tensor: gs.Tensor
    axis: int
    wanted: Classes | Rows


@dataclass(frozen=True, eq=False)
class Patches:
    """Where a ``Window`` has its values.

    Args:
        pairs: The mask and the cell of each of its P own values.
        kinds: Which of U different backgrounds every cell has, ``[cells]``.
    """

    pairs: Pairs
    kinds: Indices


@dataclass(frozen=True)
class Chosen:
    """The answer, K values per image and place.

    Args:
        parts: ``[B, K, places * N]``, every place under every mask. Or ``own`` and ``rest``: of a ``Spot``, ``[B, K, N]``
            and ``[B, K, 1]``; of a ``Window``, ``[B, K, P]`` and ``[B, K, U]``; ``rest`` may be a constant 0.
        notes: What the layers cost whose rows were multiplied, for one class per image.
        patches: Of a ``Window``.
    """

    parts: tuple[gs.Tensor, ...]
    notes: tuple[Note, ...] = ()
    patches: Patches | None = None

    def plus(self, walk: Walk, bias: gs.Tensor) -> Chosen:
        """The same with ``bias``, ``[B, K, 1]`` or one number, added at every place."""
        return replace(self, parts=tuple(walk.branch.op("Add", part, bias) for part in self.parts))


def narrow(walk: Walk, ask: Ask) -> Chosen | None:
    """Read off the values of a ``Spot`` or ``Window``, if its places are its cells, row by row."""
    term = walk.term(ask.tensor)
    if not isinstance(term, Spot | Window) or not _cell_by_cell(term.axes, ask.axis):
        return None
    return _spot(walk, ask, term) if isinstance(term, Spot) else _window(walk, ask, term)


def _spot(walk: Walk, ask: Ask, term: Spot) -> Chosen:
    channels = walk.seen(ask.tensor)[ask.axis]
    own = ask.wanted.of(_channels_second(walk, term.own, ask.axis, len(term.axes), channels), channels)
    own = walk.stacker.of_masks(own, 2)
    rest, extra = _resting(walk, ask, term.rest.reshape(channels, 1))
    return Chosen((own, rest), _notes(walk, ask, vectors=walk.copies + extra))


def _window(walk: Walk, ask: Ask, term: Window) -> Chosen | None:
    """For a layer's rows, and where every mask changes something."""
    pairs, channels = term.pairs, walk.seen(ask.tensor)[ask.axis]
    if isinstance(ask.wanted, Classes) or len(np.unique(pairs.mask)) < pairs.masks:
        return None
    columns = walk.branch.transpose(walk.branch.reshape(term.own, [0, len(pairs), channels]), [0, 2, 1])
    backgrounds, kinds = np.unique(rest_rows(term).reshape(pairs.cells, channels), axis=0, return_inverse=True)
    rest, extra = _resting(walk, ask, backgrounds.T)
    notes = _notes(walk, ask, vectors=len(pairs) + extra)
    return Chosen((ask.wanted.of(columns, channels), rest), notes, Patches(pairs, kinds.ravel()))


def _resting(walk: Walk, ask: Ask, rest: NDArray[np.generic]) -> tuple[gs.Tensor, int]:
    """What is wanted of constant vectors ``[channels, X]``, and how many were multiplied for it: none if all are 0."""
    if not rest.any():
        return walk.branch.constant([[[0]]], rest.dtype), 0
    return ask.wanted.of_each(walk.branch.constant(rest, rest.dtype, hint="rest")), rest.shape[1]


def stacked(walk: Walk, ask: Ask) -> Chosen | None:
    """Read off one copy per mask. A whole map is worth it for a layer's rows only; classes wait until it is pooled."""
    shape, term = walk.seen(ask.tensor), walk.term(ask.tensor)
    channels = shape[ask.axis]
    places = math.prod(shape[1:]) // channels
    if not isinstance(term, Stacked) or (isinstance(ask.wanted, Classes) and places > 1):
        return None
    value = _channels_second(walk, walk.stacker.last(term), ask.axis, len(shape) + 1, channels)
    return Chosen((ask.wanted.of(value, channels),), _notes(walk, ask, vectors=places * walk.copies))


def _cell_by_cell(axes: Axes, axis: int) -> bool:
    """Whether the axes beside the batch and the channels are the cells in row-major order."""
    places = [f for i, factors in enumerate(axes) if i not in {0, axis} for f in factors if f.size > 1]
    cells = [f for f in cell_factors(axes) if f.size > 1]
    return places == cells and in_order(cells) == list(range(len(cells))) and not is_batch(axes[axis])


def _channels_second(walk: Walk, value: gs.Tensor, axis: int, rank: int, channels: int) -> gs.Tensor:
    """``[B, ...]`` with channels along ``axis`` -> ``[B, channels, the rest]``."""
    order = [0, axis, *(i for i in range(1, rank) if i != axis)]
    moved = walk.branch.transpose(value, order)
    return moved if rank == 3 else walk.branch.reshape(moved, [0, channels, -1])


def _notes(walk: Walk, ask: Ask, *, vectors: int) -> tuple[Note, ...]:
    """The notes of an answer for which so many vectors of channels per image were multiplied."""
    if isinstance(ask.wanted, Classes):
        return ()
    shape = walk.seen(ask.tensor)
    return ask.wanted.spent(shape[0] * shape[ask.axis] * vectors)
