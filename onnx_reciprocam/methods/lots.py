"""Many changed images, a few at a time: what they take in memory does not grow with their number."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from onnx_reciprocam.methods.black_box import Images, Problem

LOT = 32
"""Most images that exist at once."""


def scored(
    problem: Problem, total: int, images: Callable[[slice], Images]
) -> Iterator[tuple[slice, NDArray[np.float64]]]:
    """Scores of the wanted classes, lot by lot.

    Args:
        problem: Its network is asked, its progress told.
        total: How many images there are.
        images: Makes those of one lot, ``[n, C, H, W]``; called in order, once each.

    Yields:
        Which images, and their scores, ``[n, K]``.
    """
    for start in range(0, total, LOT):
        part = slice(start, min(start + LOT, total))
        scores = problem.score(images(part))[:, problem.classes]
        problem.progress(part.stop, total)
        yield part, scores.astype(np.float64)


def resized(plane: NDArray[np.float32], height: int, width: int) -> NDArray[np.float32]:
    """``[h, w]`` -> ``[height, width]``: bilinear, half-pixel centres, the border repeated."""
    return np.asarray(cv2.resize(plane, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)
