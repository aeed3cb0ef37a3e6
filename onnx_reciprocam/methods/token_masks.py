"""The masks on patch tokens: they act on the tokens themselves, and keep class, distillation and register tokens."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from onnx_reciprocam.contract import Mask
from onnx_reciprocam.methods.open_grid import gaussian_weights
from onnx_reciprocam.tail import Stacked, Tokens, neighbours
from onnx_reciprocam.tail.axes import BATCH, Factor
from onnx_reciprocam.tail.terms import Part
from onnx_reciprocam.tail.tokens import OWN, REST, TOKEN, place, span

if TYPE_CHECKING:
    import onnx_graphsurgeon as gs
    from numpy.typing import NDArray

    from onnx_reciprocam.tail import Axes, Term, Walk
    from onnx_reciprocam.tail.terms import StaticShape


def is_tokens(axes: Axes) -> bool:
    """Whether the target's cells are tokens along one axis."""
    return any(span(factor.label) for axis in axes for factor in axis)


def masked_tokens(
    walk: Walk,
    tensor: gs.Tensor,
    axes: Axes,
    mask: Mask,
    dtype: np.dtype[np.generic],
    *,
    zero: int = 0,
    naive: bool = False,
) -> Term:
    """The tokens under every mask; cf. :func:`~.reciprocam.masked`.

    Args:
        walk: Behind whose target the term stands.
        tensor: The target, or one of its shape.
        axes: The target's, one of them ``hw`` with the numbers of tokens around it.
        mask: Which mask.
        dtype: The tensor's.
        zero: What stands for zero in it.
        naive: Multiply the masks out at once.

    Returns:
        ``Tokens`` that rest at zero, with one live patch per mask for ``pixel``, otherwise with its neighbours too;
        one copy per mask where no patch rests under any mask, or only a run knows its neighbours.
    """
    before, after = next(ends for axis in axes if (ends := span(axis[0].label)))
    named = tuple((Factor(TOKEN, axis[0].size),) if span(axis[0].label) else axis for axis in axes)
    parts = walk.stacker.tokenizer.originals(tensor, named, before, after)
    shape = [1 if axis[0].label in {TOKEN, BATCH} else math.prod(f.size for f in axis) for axis in named]
    parts[REST] = Part(lambda: np.full(shape, zero, dtype), constant=True)
    cells = None
    if mask is not Mask.PIXEL:
        if (grid := walk.stacker.windower.grid) is None:
            return _multiplied_out(walk, Tokens(parts, named, before, after), mask, dtype, walk.static(tensor))
        cells, weights = _lit(*grid, walk.stacker.masks)
        sources = cells if mask is Mask.GAUSSIAN else np.repeat(cells[:, :1], cells.shape[1], axis=1)
        patches = walk.stacker.tokenizer.patches(tensor, named, before, after)
        parts[OWN] = _weighted(walk, patches, sources, weights.astype(dtype), place(named))
    tokens = Tokens(parts, named, before, after, cells=cells)
    nothing_rests = tokens.live == walk.stacker.tokenizer.seen and walk.stacker.tokenizer.is_static
    return walk.stacker.stack(tokens, walk.static(tensor)) if naive or nothing_rests else tokens


def _multiplied_out(walk: Walk, tokens: Tokens, mask: Mask, dtype: np.dtype[np.generic], shape: StaticShape) -> Stacked:
    """One copy of all tokens per mask, where only a run knows the neighbours."""
    stacker, axis = walk.stacker, place(tokens.axes)
    lengths = [stacker.count if i in (axis, axis + 1) else 1 for i in range(len(tokens.axes) + 1)]
    masks_or_cells = axis + 1 if mask is Mask.REPLICATED else axis
    patches = walk.branch.unsqueeze(stacker.tokenizer.tensor(tokens.parts[OWN]), [masks_or_cells])
    weighted = walk.branch.op("Mul", patches, gaussian_weights(walk, lengths, dtype))
    return Stacked(stacker.tokenizer.around(tokens, weighted), axis, shape)


def _lit(height: int, width: int, masks: range | None) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Each of the masks' own cell, its neighbours, and at the border others of weight zero: cells and weights, ``[N, L]``."""
    every, values = neighbours(height, width)
    weights = np.zeros((every.masks, every.cells), np.float32)
    weights[every.mask, every.cell] = values
    brightest = np.argsort(-weights, axis=1, kind="stable")[:, : np.bincount(every.mask).max()]
    some = slice(None) if masks is None else slice(masks.start, masks.stop)
    return brightest[some], np.take_along_axis(weights, brightest, axis=1)[some]


def _weighted(
    walk: Walk, patches: gs.Tensor, sources: NDArray[np.int64], weights: NDArray[np.generic], axis: int
) -> Part:
    """L patches per mask along ``axis``, each taken from a cell and weighted."""
    branch, rank = walk.branch, len(walk.seen(walk.target))

    def make() -> gs.Tensor:
        taken = branch.op("Gather", patches, branch.constant(sources.ravel(), np.int32, hint="table"), axis=axis)
        lengths = [-1 if i == axis else 1 for i in range(rank)]
        return branch.op("Mul", taken, branch.constant(weights.reshape(lengths), weights.dtype, hint="weights"))

    return Part(make, each=True)
