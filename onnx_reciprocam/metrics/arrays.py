"""The arrays that metrics take, checked. ``B`` counts images everywhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from onnx_reciprocam.errors import InputError, OptionError, ShapeMismatchError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import ArrayLike

Images = NDArray[np.floating]
"""Normalised network inputs, ``[B, C, H, W]``."""

Classes = NDArray[np.integer]
"""The class explained in each image, ``[B]``."""

Float64 = NDArray[np.float64]

ROUNDING = 1e-3
"""How far a share may leave [0, 1]: what a softmax in half precision loses. It is cut off."""

_SCALE = "scale it first: metrics.scaled(saliency, height, width)."


def check_images(images: Images) -> None:
    """Refuse what is no batch of normalised network inputs."""
    if images.ndim != 4 or not images.size:
        raise ShapeMismatchError("images", images.shape, ("B", "C", "H", "W"))
    if not np.issubdtype(images.dtype, np.floating):
        raise InputError("images", f"is {images.dtype}; normalise pictures to floats as the network takes them.")
    if not np.isfinite(images).all():
        raise InputError("images", "has NaN or infinite pixels; look at what normalises the pictures.")


def real_maps(name: str, maps: ArrayLike) -> Float64:
    """``maps`` in double precision; refused unless it is ``[B, H, W]`` and finite."""
    values = np.asarray(maps, np.float64)
    if values.ndim != 3 or not values.size:
        raise ShapeMismatchError(name, values.shape, ("B", "H", "W"))
    if not np.isfinite(values).all():
        raise InputError(name, "has NaN or infinite cells, so it ranks nothing; run the model in float32.")
    return values


def unit_maps(name: str, maps: ArrayLike) -> Float64:
    """As :func:`real_maps`, and in [0, 1]."""
    values = real_maps(name, maps)
    if values.min() < 0 or values.max() > 1:
        raise InputError(name, f"leaves [0, 1]; {_SCALE}")
    return values


def maps_on(images: Images, saliency: ArrayLike) -> Float64:
    """As :func:`real_maps`, and on the pixels of ``images``, which are checked too."""
    check_images(images)
    maps = real_maps("saliency", saliency)
    if maps.shape != (wanted := (images.shape[0], *images.shape[2:])):
        raise ShapeMismatchError("saliency (metrics.scaled enlarges it)", maps.shape, wanted)
    return maps


def shares(name: str, values: ArrayLike) -> Float64:
    """``values`` in double precision, rounding outside [0, 1] cut off; refused if NaN or further outside."""
    numbers = np.asarray(values, np.float64)
    if not np.isfinite(numbers).all():
        raise InputError(name, "has NaN or infinite values; look at the images that they belong to.")
    if numbers.size and (numbers.min() < -ROUNDING or numbers.max() > 1 + ROUNDING):
        raise InputError(name, "leaves [0, 1]; divide percentages by 100, send logits through a softmax.")
    return np.clip(numbers, 0, 1)


def check_count(option: str, value: int) -> None:
    """Refuse a count below one."""
    if value < 1:
        raise OptionError(option, str(value), ("a count of at least 1",))


def parts(count: int, batch: int) -> Iterator[slice]:
    """Neighbouring slices of at most ``batch`` that cover ``count``."""
    return (slice(start, min(start + batch, count)) for start in range(0, count, batch))
