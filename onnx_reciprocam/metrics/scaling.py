"""From a raw map of cells to S: scaled to [0, 1], then enlarged to the network's input."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from onnx_reciprocam.metrics.arrays import Float64, check_count, real_maps

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


def minmax(saliency: ArrayLike) -> Float64:
    """Each map scaled to its own range: ``(s - min) / (max - min)``; a flat one is all zeros.

    Args:
        saliency: ``[B, h, w]``, any range.

    Returns:
        ``[B, h, w]`` in [0, 1].

    Raises:
        ShapeMismatchError: It is not ``[B, h, w]``.
        InputError: A cell is NaN or infinite.

    Source:
        Poppi et al., arXiv:2104.10252, section 3.
    """
    maps = real_maps("saliency", saliency)
    cells = maps.reshape(len(maps), -1) / 2  # the range of all float64 does not fit into float64, half of it does
    cells -= cells.min(1, keepdims=True)
    top = cells.max(1, keepdims=True)
    cells /= np.where(top > 0, top, 1)
    return cells.reshape(maps.shape)


def upsample(saliency: ArrayLike, height: int, width: int) -> Float64:
    """Each map resized bilinearly, half-pixel centres (``align_corners=False``), edges held.

    Written out, not handed to ``cv2.resize``: ``low + t * (high - low)`` keeps a plateau exactly flat and every value
    within its map's range, whatever the version, so ties stay ties. Smaller sizes are sampled without a filter.

    Args:
        saliency: ``[B, h, w]``, any range.
        height: ``H`` of the result, pixels.
        width: ``W`` of the result, pixels.

    Returns:
        ``[B, H, W]``.

    Raises:
        ShapeMismatchError: It is not ``[B, h, w]``.
        InputError: A cell is NaN or infinite.
        OptionError: A size is below one pixel.

    Source:
        Poppi et al., arXiv:2104.10252, section 3.
    """
    check_count("height", height)
    check_count("width", width)
    maps = real_maps("saliency", saliency)
    large = _enlarged(_enlarged(maps, height, 1), width, 2)
    return np.clip(large, maps.min((1, 2), keepdims=True), maps.max((1, 2), keepdims=True), out=large)


def scaled(saliency: ArrayLike, height: int, width: int) -> Float64:
    """S: :func:`minmax`, then :func:`upsample`.

    In this order the hottest pixel may stay a little below 1: no pixel's centre need fall on the hottest cell's.

    Args:
        saliency: ``[B, h, w]``, any range.
        height: ``H`` of the network's input, pixels.
        width: ``W`` of the network's input, pixels.

    Returns:
        ``[B, H, W]`` in [0, 1]; all zeros for a flat map.

    Raises:
        ShapeMismatchError, InputError, OptionError: As :func:`minmax` and :func:`upsample`.

    Source:
        Poppi et al., arXiv:2104.10252, section 3.
    """
    return upsample(minmax(saliency), height, width)


def _enlarged(maps: Float64, pixels: int, axis: int) -> Float64:
    """One axis resized; rounding may leave a cell's value by its last bit."""
    cells = maps.shape[axis]
    centre = np.clip((np.arange(pixels) + 0.5) * cells / pixels - 0.5, 0, cells - 1)
    before = np.floor(centre).astype(np.int64)
    share = np.expand_dims(centre - before, tuple(range(1, maps.ndim - axis)))
    way = np.diff(maps, axis=axis, append=maps.take([-1], axis)).take(
        before, axis
    )  # take leaves rows in order in memory
    way *= share
    way += maps.take(before, axis)
    return np.asarray(way)
