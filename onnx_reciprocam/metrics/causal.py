"""Deletion and insertion: the score as pixels vanish or appear in the map's order."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from onnx_reciprocam.metrics.arrays import Float64, Images, check_count, check_images, maps_on, parts
from onnx_reciprocam.metrics.scoring import ScoreFn, class_per_image, read, score_images

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import ArrayLike, NDArray

TAPS, SIGMA = 11, 5.0
"""Width and standard deviation, in pixels, of the Gaussian that insertion starts from."""


def deletion(
    score: ScoreFn,
    images: Images,
    saliency: ArrayLike,
    classes: ArrayLike | None = None,
    *,
    steps: int = 224,
    batch: int = 32,
) -> Float64:
    """Area under ``p_c`` as the most salient pixels are set to 0 first; the data set's mean, lower is better.

    Equally salient pixels go in reading order. Where ``H * W`` is no multiple of ``steps``, groups differ by one pixel,
    and the area is taken over the share of pixels that are really gone.

    Args:
        score: Probabilities of a batch, ``[b, C, H, W] -> [b, K]``, or ``[b]`` if it is about one class only.
        images: Normalised network inputs, ``[B, C, H, W]``.
        saliency: Any real map on the images' own pixels, ``[B, H, W]``; only its order counts.
        classes: c of each image, ``[B]``; None for the class predicted for ``x``.
        steps: Equal groups of pixels removed one after another; no more than there are pixels.
        batch: Most images per call of ``score``, all steps of all images in one queue.

    Returns:
        Trapezoid area over the removed share, ``[B]`` in [0, 1].

    Raises:
        ShapeMismatchError: Sizes differ, or an answer of ``score`` has the wrong axes.
        InputError: NaN somewhere, probabilities outside [0, 1], or unknown classes.
        OptionError: ``steps`` or ``batch`` is below 1.

    Source:
        Petsiuk et al., RISE, arXiv:1806.07421, section 4.
    """
    return _area(score, images, saliency, classes, ends=(images, np.zeros_like(images)), steps=steps, batch=batch)


def insertion(
    score: ScoreFn,
    images: Images,
    saliency: ArrayLike,
    classes: ArrayLike | None = None,
    *,
    steps: int = 224,
    batch: int = 32,
) -> Float64:
    """Area under ``p_c`` as the most salient pixels come into focus first; the data set's mean, higher is better.

    Starts from :func:`blurred` images. Order, groups, arguments and errors are those of :func:`deletion`.

    Args:
        score: Probabilities of a batch, ``[b, C, H, W] -> [b, K]``, or ``[b]`` if it is about one class only.
        images: Normalised network inputs, ``[B, C, H, W]``.
        saliency: Any real map on the images' own pixels, ``[B, H, W]``; only its order counts.
        classes: c of each image, ``[B]``; None for the class predicted for ``x``.
        steps: Equal groups of pixels revealed one after another; no more than there are pixels.
        batch: Most images per call of ``score``, all steps of all images in one queue.

    Returns:
        Trapezoid area over the revealed share, ``[B]`` in [0, 1].

    Raises:
        ShapeMismatchError: Sizes differ, or an answer of ``score`` has the wrong axes.
        InputError: NaN somewhere, probabilities outside [0, 1], or unknown classes.
        OptionError: ``steps`` or ``batch`` is below 1.

    Source:
        Petsiuk et al., RISE, arXiv:1806.07421, section 4.
    """
    return _area(score, images, saliency, classes, ends=(blurred(images), images), steps=steps, batch=batch)


def blurred(images: Images) -> Images:
    """A Gaussian over each channel, 11 taps, sigma 5 pixels, the picture mirrored at its border.

    Mirrored without repeating the edge (``BORDER_REFLECT_101``, scipy's ``mirror``): a plain surface stays as it is.
    Zeros outside, as in the authors' script, would darken a frame five pixels wide, which the network sees and no map
    is about.

    Args:
        images: Normalised network inputs, ``[B, C, H, W]``.

    Returns:
        ``[B, C, H, W]``, dtype of ``images``.

    Raises:
        ShapeMismatchError: It is not ``[B, C, H, W]``.
        InputError: It is not of floats, or has NaN.

    Source:
        Petsiuk et al., RISE, arXiv:1806.07421, section 4; taps and sigma from the authors' script.
    """
    check_images(images)
    planes = images.reshape(-1, *images.shape[2:]).astype(np.float64)
    soft = [cv2.GaussianBlur(plane, (TAPS, TAPS), SIGMA, borderType=cv2.BORDER_REFLECT_101) for plane in planes]
    return np.asarray(np.stack(soft).reshape(images.shape), images.dtype)


def _followed(score: ScoreFn, images: Images, classes: ArrayLike | None, batch: int) -> NDArray[np.int64] | None:
    """The class whose score is followed; None if ``score`` is about one class only."""
    if classes is not None:
        return class_per_image(classes, len(images))
    return score_images(score, images, batch=batch).classes


def _area(
    score: ScoreFn,
    images: Images,
    saliency: ArrayLike,
    classes: ArrayLike | None,
    *,
    ends: tuple[Images, Images],
    steps: int,
    batch: int,
) -> Float64:
    """Under ``p_c`` while pixels of the first of ``ends`` turn into those of the last, the most salient ones first."""
    check_count("steps", steps)
    check_count("batch", batch)
    maps = maps_on(images, saliency)
    chosen = _followed(score, images, classes, batch)
    pixels = maps[0].size
    turned = np.unique(np.arange(steps + 1) * pixels // steps)  # [P]: pixels that have turned at each point
    frames = _frames(ends, maps, turned)
    curve = np.empty(len(images) * len(turned))
    for part in parts(curve.size, batch):
        own = np.arange(part.start, part.stop) // len(turned)
        lot = np.empty((len(own), *images.shape[1:]), images.dtype)
        for place in lot:
            place[...] = next(frames)
        curve[part] = read(score, lot, None if chosen is None else chosen[own]).scores
    heights = curve.reshape(len(images), -1)
    return np.asarray((heights[:, 1:] + heights[:, :-1]) / 2 @ np.diff(turned) / pixels)


def _frames(ends: tuple[Images, Images], maps: Float64, turned: NDArray[np.int64]) -> Iterator[Images]:
    """``[C, H, W]`` of every image at every point, in one array that changes: copy it."""
    for first, last, saliency in zip(*ends, maps, strict=True):
        order = np.argsort(-saliency, axis=None, kind="stable")  # equals in reading order
        frame, whole = first.copy(), last.reshape(len(last), -1)
        flat, done = frame.reshape(whole.shape), 0
        for count in turned:
            fresh = order[done:count]
            flat[:, fresh] = whole[:, fresh]
            done = count
            yield frame
