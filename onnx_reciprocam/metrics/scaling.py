"""From a raw map of cells to S: scaled to [0, 1], then enlarged to the network's input."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from onnx_reciprocam.metrics.arrays import Float64, check_count, real_maps

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


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
    halves = real_maps("saliency", saliency) / 2  # the range of all float64 does not fit into float64, half of it does
    raised = halves - halves.min((1, 2), keepdims=True)
    top = raised.max((1, 2), keepdims=True)
    return np.asarray(raised / np.where(top > 0, top, 1))


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
    low, high, share = _neighbours(maps.shape[1], height)
    tall = _between(maps[:, low], maps[:, high], share[:, None])
    low, high, share = _neighbours(maps.shape[2], width)
    return _between(tall[..., low], tall[..., high], share)


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


def _neighbours(cells: int, pixels: int) -> tuple[NDArray[np.int64], NDArray[np.int64], Float64]:
    """The cells before and behind each pixel's centre, and how far it lies between them, in [0, 1)."""
    centre = np.clip((np.arange(pixels) + 0.5) * cells / pixels - 0.5, 0, cells - 1)
    low = np.floor(centre).astype(np.int64)
    return low, np.minimum(low + 1, cells - 1), centre - low


def _between(low: Float64, high: Float64, share: Float64) -> Float64:
    """``share`` of the way from ``low`` to ``high``, never past either."""
    return np.clip(low + share * (high - low), np.minimum(low, high), np.maximum(low, high))
