"""The Gaussian masks where only a run knows how many cells there are: made by nodes, one copy per mask."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    import onnx_graphsurgeon as gs
    from numpy.typing import DTypeLike

    from onnx_reciprocam.graph import Size
    from onnx_reciprocam.tail import Walk


def gaussian_weights(walk: Walk, lengths: Iterable[Size], dtype: DTypeLike) -> gs.Tensor:
    """``outer(band(H), band(W))`` around each cell, cropped at the border, masks before cells.

    Args:
        walk: Behind the target whose cells they are.
        lengths: N for the masks, and for the cells H and W, or N again; 1 elsewhere.
        dtype: The target's.
    """
    branch, stacker = walk.branch, walk.stacker
    down = branch.reshape(_band(walk, stacker.height), [stacker.height, 1, stacker.height, 1])
    right = branch.reshape(_band(walk, stacker.width), [1, stacker.width, 1, stacker.width])
    return branch.cast(branch.reshape(branch.op("Mul", down, right), lengths), dtype)


def _band(walk: Walk, size: Size) -> gs.Tensor:
    """``[size, size]``: 1/2 on the diagonal, 1/4 beside it: the kernel [1, 2, 1] / 4 around each position."""
    branch = walk.branch
    steps = branch.cast(branch.range(size), np.float32)
    distance = branch.op("Abs", branch.op("Sub", branch.reshape(steps, [-1, 1]), branch.reshape(steps, [1, -1])))
    falling = branch.op("Sub", branch.constant(2, np.float32), distance)
    return branch.op("Mul", branch.op("Relu", falling), branch.constant(0.25, np.float32))
