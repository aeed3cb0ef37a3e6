"""Annotated boxes as masks of pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from onnx_reciprocam.errors import InputError, ShapeMismatchError
from onnx_reciprocam.metrics.arrays import check_count

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray


def box_masks(boxes: Sequence[ArrayLike], height: int, width: int) -> NDArray[np.bool_]:
    """The pixels that an image's boxes touch, what the pointing games take as the object.

    Args:
        boxes: One entry per image: its boxes ``[M, 4]`` (possibly none) as ``left, top, right, bottom``, edges in pixels of
            the network's input, ``right`` and ``bottom`` excluded; several boxes are joined.
        height: ``H`` of the masks, pixels.
        width: ``W`` of the masks, pixels.

    Returns:
        ``[B, H, W]``.

    Raises:
        ShapeMismatchError: An entry is not ``[M, 4]``.
        InputError: NaN, or a box without area.
        OptionError: A size is below one pixel.

    Source:
        Zhang et al., Excitation Backprop, arXiv:1608.00507, section 4.1.
    """
    check_count("height", height)
    check_count("width", width)
    masks = np.zeros((len(boxes), height, width), bool)
    for mask, own in zip(masks, boxes, strict=True):
        for left, top, right, bottom in _edges(own):
            mask[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)] = True
    return masks


def _edges(boxes: ArrayLike) -> list[list[int]]:
    """Whole pixels around each box."""
    edges = np.asarray(boxes, np.float64)
    if not edges.size:
        return []
    if edges.ndim != 2 or edges.shape[1] != 4:
        raise ShapeMismatchError("boxes of an image", edges.shape, ("M", 4))
    if not np.isfinite(edges).all():
        raise InputError("boxes", "has NaN or infinite edges; leave such boxes out.")
    if (edges[:, :2] >= edges[:, 2:]).any():
        raise InputError("boxes", "has a box without area; write left, top, right, bottom.")
    whole: list[list[int]] = np.hstack([np.floor(edges[:, :2]), np.ceil(edges[:, 2:])]).astype(np.int64).tolist()
    return whole
