"""Reading p_c out of any callable, a bounded number of images at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from onnx_reciprocam.errors import InputError, ShapeMismatchError
from onnx_reciprocam.metrics.arrays import Classes, Float64, Images, check_count, check_images, parts, shares

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

ScoreFn = Callable[[Images], NDArray[np.floating]]
"""Probabilities in [0, 1] of images ``[b, C, H, W]``: ``[b, K]`` for K classes, or ``[b]`` for the one class it is about."""


class Scored(NamedTuple):
    """What :func:`score_images` reads.

    Args:
        scores: Probability of the explained class, ``[B]``.
        classes: That class, ``[B]``; None if ``score`` is about one class only.
    """

    scores: Float64
    classes: NDArray[np.int64] | None


def predicted_classes(score: ScoreFn, images: Images, *, batch: int = 32) -> NDArray[np.int64]:
    """The most probable class of each image; of equals, the first.

    Args:
        score: Probabilities of a batch, ``[b, C, H, W] -> [b, K]``.
        images: Normalised network inputs, ``[B, C, H, W]``.
        batch: Most images per call of ``score``.

    Returns:
        ``[B]``.

    Raises:
        ShapeMismatchError: ``images`` or an answer of ``score`` has the wrong axes.
        InputError: NaN somewhere, probabilities outside [0, 1], or a ``score`` about one class only.
        OptionError: ``batch`` is below 1.
    """
    check_images(images)
    classes = score_images(score, images, batch=batch).classes
    if classes is None:
        raise InputError("score", "answers one number per image; let it answer [b, K] to have a class predicted.")
    return classes


def score_images(score: ScoreFn, images: Images, classes: Classes | None = None, batch: int = 32) -> Scored:
    """``p_c`` of each image; c is the predicted class unless ``classes`` says otherwise."""
    check_count("batch", batch)
    chosen = (None if classes is None else classes[part] for part in parts(len(images), batch))
    chunks = [read(score, images[part], own) for part, own in zip(parts(len(images), batch), chosen, strict=True)]
    seen = [chunk.classes for chunk in chunks if chunk.classes is not None]
    return Scored(np.concatenate([chunk.scores for chunk in chunks]), np.concatenate(seen) if seen else None)


def read(score: ScoreFn, images: Images, classes: Classes | None) -> Scored:
    """One call of ``score``."""
    answer = shares("score", score(images))
    if answer.ndim not in {1, 2} or not answer.size or len(answer) != len(images):
        raise ShapeMismatchError("the score's answer", answer.shape, (len(images), "K"))
    if answer.ndim == 2:
        wanted = answer.argmax(1) if classes is None else np.asarray(classes, np.int64)
        if wanted.max() >= answer.shape[1]:
            raise InputError("classes", f"names class {wanted.max()}; the score has {answer.shape[1]}, from 0.")
        return Scored(answer[np.arange(len(answer)), wanted], wanted)
    if classes is not None:
        raise InputError("classes", "is given, but the score is about one class only; leave it out or score [b, K].")
    return Scored(answer, None)


def class_per_image(classes: ArrayLike | None, count: int) -> NDArray[np.int64] | None:
    """``classes`` as ``[B]``, checked; None stays None."""
    if classes is None:
        return None
    given: NDArray[Any] = np.asarray(classes)
    if given.shape != (count,):
        raise ShapeMismatchError("classes", given.shape, (count,))
    if not np.issubdtype(given.dtype, np.integer) or given.min() < 0:
        raise InputError("classes", "has entries that are no class; number the classes from 0.")
    return given.astype(np.int64)
