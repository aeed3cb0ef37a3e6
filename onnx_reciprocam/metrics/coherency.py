"""Coherency: does the map stay the same when only what it shows is left?"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from onnx_reciprocam.errors import ShapeMismatchError
from onnx_reciprocam.metrics.arrays import (
    Float64,
    Images,
    check_count,
    maps_on,
    parts,
    real_maps,
    unit_maps,
)
from onnx_reciprocam.metrics.masking import masked
from onnx_reciprocam.metrics.scaling import minmax, scaled
from onnx_reciprocam.metrics.scoring import class_per_image

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

ExplainFn = Callable[[Images, NDArray[np.int64] | None], NDArray[np.floating]]
"""Raw maps of images ``[b, C, H, W]`` for classes ``[b]``: ``[b, h, w]``, any size and range."""


def explained_again(
    explain: ExplainFn, images: Images, saliency: ArrayLike, classes: ArrayLike | None, *, batch: int = 32
) -> Float64:
    """S(E): the maps of the same classes, computed again on ``E = x * S`` and scaled as S was.

    Args:
        explain: Raw maps of a batch, ``([b, C, H, W], [b]) -> [b, h, w]``.
        images: Normalised network inputs, ``[B, C, H, W]``.
        saliency: S on the images' own pixels, ``[B, H, W]`` in [0, 1].
        classes: The class that S explains, ``[B]``; None is handed on to an ``explain`` about one class only.
        batch: Most images per call of ``explain``.

    Returns:
        ``[B, H, W]`` in [0, 1].

    Raises:
        ShapeMismatchError: Sizes differ, or an answer of ``explain`` has the wrong axes.
        InputError: NaN somewhere, a map outside [0, 1], or classes that are none.
        OptionError: ``batch`` is below 1.

    Source:
        Poppi et al., arXiv:2104.10252, section 3.
    """
    check_count("batch", batch)
    maps = unit_maps("saliency", maps_on(images, saliency))
    chosen = class_per_image(classes, len(images))
    chunks = [
        _explained(explain, masked(images[part], maps[part]), None if chosen is None else chosen[part])
        for part in parts(len(images), batch)
    ]
    return np.concatenate(chunks)


def coherency(saliency: ArrayLike, again: ArrayLike) -> Float64:
    """Pearson's correlation of S and S(E) over all pixels, moved to [0, 1]: ``(1 + r) / 2``.

    A flat map correlates with nothing: 0. The data set's figure is the mean, higher is better.

    Args:
        saliency: S, ``[B, H, W]``; its scale does not count.
        again: S(E) of the same classes, ``[B, H, W]``, as from :func:`explained_again`.

    Returns:
        ``[B]`` in [0, 1].

    Raises:
        ShapeMismatchError: The two differ in a size.
        InputError: NaN or infinite cells.

    Source:
        Poppi et al., arXiv:2104.10252, section 3 (maximum coherency).
    """
    first, second = real_maps("saliency", saliency), real_maps("again", again)
    if second.shape != first.shape:
        raise ShapeMismatchError("again", second.shape, first.shape)
    first, second = _centred(first), _centred(second)
    lengths = np.sqrt(_products(first, first) * _products(second, second))
    correlation = _products(first, second) / np.where(lengths > 0, lengths, 1)
    return np.where(lengths > 0, np.clip((1 + correlation) / 2, 0, 1), 0)


def _explained(explain: ExplainFn, images: Images, classes: NDArray[np.int64] | None) -> Float64:
    maps = real_maps("the explainer's maps", explain(images, classes))
    if len(maps) != len(images):
        raise ShapeMismatchError("the explainer's maps", maps.shape, (len(images), "h", "w"))
    return scaled(maps, *images.shape[2:])


def _centred(maps: Float64) -> Float64:
    """``[B, H * W]`` around 0; scaled first, so that no square over- or underflows and flat is exactly zero."""
    flat = minmax(maps).reshape(len(maps), -1)
    flat -= flat.mean(1, keepdims=True)
    return flat


def _products(first: Float64, second: Float64) -> Float64:
    """Scalar products of rows."""
    return np.asarray(np.einsum("ij,ij->i", first, second))
