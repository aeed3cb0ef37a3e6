"""Pointing games: does the map lie on the object?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from onnx_reciprocam.errors import InputError, OptionError, ShapeMismatchError
from onnx_reciprocam.metrics.arrays import Float64, real_maps, unit_maps

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

PAPER_TOLERANCE = 15.0
"""Pixels that the pointing game's paper lets a point miss the object by."""


def pointing_game(saliency: ArrayLike, objects: NDArray[np.bool_], tolerance: float = 0.0) -> Float64:
    """1 for each image whose most salient pixel lies on the object, 0 otherwise; the mean is the hit rate.

    Of equally salient pixels the first in reading order is the point: a flat map points at its top left corner.

    Args:
        saliency: Any real map on the images' own pixels, ``[B, H, W]``; only its largest pixel counts.
        objects: True on every pixel of the explained class, ``[B, H, W]``; from boxes by :func:`box_masks`.
        tolerance: How far from the object, in pixels between centres, still counts; :data:`PAPER_TOLERANCE` in the paper.

    Returns:
        ``[B]``, each 0 or 1; higher is better.

    Raises:
        ShapeMismatchError: ``objects`` and ``saliency`` differ in a size.
        InputError: NaN, a mask that is not boolean, or an image without its object.
        OptionError: ``tolerance`` is negative or NaN.

    Source:
        Zhang et al., Excitation Backprop, arXiv:1608.00507, section 4.1.
    """
    if not tolerance >= 0:
        raise OptionError("tolerance", str(tolerance), ("pixels from 0 up",))
    maps = real_maps("saliency", saliency)
    _check_objects(objects, maps)
    row, column = np.divmod(maps.reshape(len(maps), -1).argmax(1), maps.shape[2])
    down = np.arange(maps.shape[1]) - row[:, None]
    right = np.arange(maps.shape[2]) - column[:, None]
    near = down[:, :, None] ** 2 + right[:, None, :] ** 2 <= tolerance**2
    return np.asarray((near & objects).any((1, 2)), np.float64)


def energy_pointing_game(saliency: ArrayLike, objects: NDArray[np.bool_]) -> Float64:
    """The share of each map's sum that lies on the object: ``sum(S on the object) / sum(S)``.

    A map that shows nothing, as a flat one does once scaled, has no share there: 0.

    Args:
        saliency: S on the images' own pixels, ``[B, H, W]`` in [0, 1].
        objects: True on every pixel of the explained class, ``[B, H, W]``; from boxes by :func:`box_masks`.

    Returns:
        ``[B]`` in [0, 1]; higher is better.

    Raises:
        ShapeMismatchError: ``objects`` and ``saliency`` differ in a size.
        InputError: NaN, a map outside [0, 1], a mask that is not boolean, or an image without its object.

    Source:
        Wang et al., Score-CAM, arXiv:1910.01279, section 4.3.
    """
    maps = unit_maps("saliency", saliency)
    _check_objects(objects, maps)
    total = maps.sum((1, 2))
    return np.asarray((maps * objects).sum((1, 2)) / np.where(total > 0, total, 1))


def _check_objects(objects: NDArray[np.bool_], maps: Float64) -> None:
    if objects.shape != maps.shape:
        raise ShapeMismatchError("objects", objects.shape, maps.shape)
    if objects.dtype != np.bool_:
        raise InputError("objects", f"is {objects.dtype}; say which pixels are the object's, e.g. labels == 7.")
    if not (seen := objects.any((1, 2))).all():
        raise InputError("objects", f"has no pixel in image {seen.argmin()}; leave out images without the object.")
