"""From raw scores on the grid to the maps that the file returns."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import onnx_graphsurgeon as gs

from onnx_reciprocam.contract import Normalize
from onnx_reciprocam.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from onnx_reciprocam.contract import RewriteOptions
    from onnx_reciprocam.graph import Branch, Size

RESIZE_OPSET = 11
"""The first opset whose Resize knows half-pixel centres."""


def finish(
    branch: Branch, maps: gs.Tensor, options: RewriteOptions, *, grid: Sequence[Size], pixels: Sequence[Size]
) -> gs.Tensor:
    """Normalise, and upsample to ``pixels`` if any are given.

    Args:
        branch: Receives the nodes.
        maps: Raw scores, float32 ``[B, K, H, W]``.
        options: Say how maps are scaled.
        grid: H and W.
        pixels: Height and width of the picture, or nothing.
    """
    scaled = options.normalize is Normalize.MINMAX
    maps = _minmax(branch, maps) if scaled else maps
    if not pixels:
        return maps
    # scaled before as well as after: rounding would turn an enlarged constant into waves from 0 to 1
    maps = _upsample(branch, maps, grid, pixels)
    return _minmax(branch, maps) if scaled else maps


def _minmax(branch: Branch, maps: gs.Tensor) -> gs.Tensor:
    """``(x - min) / (max - min)`` per map; a constant map is all zeros."""
    low = branch.reduce("ReduceMin", maps, [2, 3], keepdims=True)
    spread = branch.op("Sub", branch.reduce("ReduceMax", maps, [2, 3], keepdims=True), low)
    flat = branch.op("Not", branch.op("Greater", spread, branch.constant(0, np.float32)))
    divisor = branch.where(flat, branch.constant(1, np.float32), spread)
    return branch.op("Div", branch.op("Sub", maps, low), divisor)


def _upsample(branch: Branch, maps: gs.Tensor, grid: Sequence[Size], pixels: Sequence[Size]) -> gs.Tensor:
    """Bilinear with half-pixel centres, the border repeated."""
    if branch.opset < RESIZE_OPSET:
        return _weighted(branch, maps, grid, pixels)
    shape = branch.op("Shape", maps)
    sizes = branch.concat([branch.slice(shape, 0, 2, 0), branch.vector(pixels)], 0)
    # opset 11 and 12 want these inputs, if only as empty lists
    empty = gs.Variable.empty() if branch.opset > 12 else branch.constant([], np.float32, hint="empty")
    return branch.op("Resize", maps, empty, empty, sizes, mode="linear", coordinate_transformation_mode="half_pixel")


def _weighted(branch: Branch, maps: gs.Tensor, grid: Sequence[Size], pixels: Sequence[Size]) -> gs.Tensor:
    """The same before there was a Resize for it: a product with the weights of rows, and one with those of columns."""
    known = [size for size in (*grid, *pixels) if isinstance(size, int)]
    if len(known) < len(grid) + len(pixels):
        raise OptionError(
            "--upsample",
            "input",
            (
                f"none in opset {branch.opset} where the image's size is open; convert to opset {RESIZE_OPSET} for input",
            ),
        )
    height, width, tall, wide = known
    down = branch.constant(_bilinear(height, tall), np.float32, hint="rows")
    across = branch.constant(_bilinear(width, wide).T, np.float32, hint="columns")
    return branch.op("MatMul", branch.op("MatMul", down, maps), across)


def _bilinear(before: int, after: int) -> NDArray[np.float64]:
    """``[after, before]``: how much of each old place is in each new one."""
    places = np.clip((np.arange(after) + 0.5) * before / after - 0.5, 0, before - 1)
    return np.asarray(np.maximum(0.0, 1 - np.abs(places[:, None] - np.arange(before))))
