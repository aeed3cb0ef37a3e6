"""Drop and Increase: is the network as sure when it sees only what the map shows?"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from onnx_reciprocam.errors import ShapeMismatchError
from onnx_reciprocam.metrics.arrays import (
    Float64,
    Images,
    check_count,
    maps_on,
    parts,
    shares,
    unit_maps,
)
from onnx_reciprocam.metrics.masking import masked
from onnx_reciprocam.metrics.scoring import ScoreFn, class_per_image, read, score_images

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


class Confidences(NamedTuple):
    """The explained class with and without what the map leaves out.

    Args:
        before: ``p_c(x)``, ``[B]``.
        after: ``p_c(E)`` of the same classes, ``[B]``.
        classes: c, ``[B]``; None if the score is about one class only.
    """

    before: Float64
    after: Float64
    classes: NDArray[np.int64] | None


def confidences(
    score: ScoreFn, images: Images, saliency: ArrayLike, classes: ArrayLike | None = None, *, batch: int = 32
) -> Confidences:
    """``p_c`` of the images and of ``E = x * S``, c being one class throughout.

    Args:
        score: Probabilities of a batch, ``[b, C, H, W] -> [b, K]``, or ``[b]`` if it is about one class only.
        images: Normalised network inputs, ``[B, C, H, W]``.
        saliency: S on the images' own pixels, ``[B, H, W]`` in [0, 1].
        classes: c of each image, ``[B]``; None for the class predicted for ``x``.
        batch: Most images per call of ``score``.

    Returns:
        What :func:`drop` and :func:`increase` take.

    Raises:
        ShapeMismatchError: Sizes differ, or an answer of ``score`` has the wrong axes.
        InputError: NaN somewhere, a map or probabilities outside [0, 1], or unknown classes.
        OptionError: ``batch`` is below 1.

    Source:
        Chattopadhay et al., Grad-CAM++, arXiv:1710.11063, section 4.1.
    """
    check_count("batch", batch)
    maps = unit_maps("saliency", maps_on(images, saliency))
    before, seen = score_images(score, images, class_per_image(classes, len(images)), batch)
    after = [
        read(score, masked(images[part], maps[part]), None if seen is None else seen[part]).scores
        for part in parts(len(images), batch)
    ]
    return Confidences(before, np.concatenate(after), seen)


def drop(before: ArrayLike, after: ArrayLike) -> Float64:
    """The share of its confidence that each image loses: ``max(0, p_c(x) - p_c(E)) / p_c(x)``.

    Average Drop of a data set is the mean, lower is better. Where ``p_c(x)`` is 0, nothing can be lost: 0.

    Args:
        before: ``p_c(x)``, ``[B]``.
        after: ``p_c(E)`` of the same classes, ``[B]``.

    Returns:
        ``[B]`` in [0, 1].

    Raises:
        ShapeMismatchError: The two differ in ``B``.
        InputError: NaN, or outside [0, 1].

    Source:
        Poppi et al., arXiv:2104.10252, section 3; Chattopadhay et al., arXiv:1710.11063, section 4.1.
    """
    plain, kept = _both(before, after)
    return np.maximum(0, plain - kept) / np.where(plain > 0, plain, 1)


def increase(before: ArrayLike, after: ArrayLike) -> Float64:
    """1 for each image that the network is surer about once the rest is gone, 0 otherwise: ``p_c(E) > p_c(x)``.

    Average Increase of a data set is the mean, higher is better.

    Args:
        before: ``p_c(x)``, ``[B]``.
        after: ``p_c(E)`` of the same classes, ``[B]``.

    Returns:
        ``[B]``, each 0 or 1.

    Raises:
        ShapeMismatchError: The two differ in ``B``.
        InputError: NaN, or outside [0, 1].

    Source:
        Chattopadhay et al., Grad-CAM++, arXiv:1710.11063, section 4.1.
    """
    plain, kept = _both(before, after)
    return (kept > plain).astype(np.float64)


def _both(before: ArrayLike, after: ArrayLike) -> tuple[Float64, Float64]:
    plain, kept = shares("before", before), shares("after", after)
    if plain.ndim != 1 or not plain.size:
        raise ShapeMismatchError("before", plain.shape, ("B",))
    if kept.shape != plain.shape:
        raise ShapeMismatchError("after", kept.shape, plain.shape)
    return plain, kept
