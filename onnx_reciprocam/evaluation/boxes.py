"""Boxes of a data set, checked and laid on the picture as it is."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from onnx_reciprocam.errors import ImageError
from onnx_reciprocam.evaluation.picture_files import picture_size
from onnx_reciprocam.evaluation.sample import Sample

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

Box = tuple[float, float, float, float]
"""``(left, top, right, bottom)``"""

Size = tuple[float, float]
"""``(width, height)``"""

_RATIO_TOLERANCE = 0.02  # What rounding to whole pixels changes on the ratio of a picture 100 pixels wide, doubled.


def read_size(width: object, height: object) -> Size | None:
    """A declared size, numbers or their text; None where it is absent, or no size: some tools write 0."""
    try:
        size = (float(str(width)), float(str(height)))
    except ValueError:
        return None
    return size if all(0 < side < math.inf for side in size) else None


def fit_boxes(boxes: Sequence[Box], picture: Path, declared: Size | None = None) -> tuple[Box, ...]:
    """Boxes in the pixels of the picture held upright, without what overhangs its border.

    Args:
        boxes: As the data set has them.
        picture: The file; its pixels are not decoded.
        declared: The picture's size that the data set counts in. A picture of another size but this shape was
            resized since (some of ImageNet's are), and its boxes are scaled with it. None: the picture's own.

    Raises:
        ImageError: The picture cannot be read.
        ValueError: A box is empty, not finite or outside, or the picture is another one than was annotated.
    """
    if not boxes:
        return ()
    size = picture_size(picture)
    scale = _scale(declared, size) if declared else (1.0, 1.0)
    return tuple(_within(_checked(box, scale), size) for box in boxes)


def gather(found: Mapping[tuple[Path, int], list[Box]], sizes: Mapping[Path, Size | None]) -> list[Sample]:
    """One sample per picture and class, with all of its boxes, or why these cannot be used: large data sets have a few such."""
    return [_annotated(path, label, boxes, sizes[path]) for (path, label), boxes in found.items()]


def _annotated(path: Path, label: int, boxes: list[Box], declared: Size | None) -> Sample:
    try:
        return placed(path, label, boxes, declared=declared)
    except ValueError as error:
        return Sample(path, label, problem=str(error))


def placed(
    path: Path, label: int | None, boxes: Sequence[Box], *, declared: Size | None = None, mask: Path | None = None
) -> Sample:
    """A sample with its boxes fitted; that its picture cannot be read is its problem.

    Raises:
        ValueError: As for :func:`fit_boxes`.
    """
    try:
        return Sample(path, label, fit_boxes(boxes, path, declared), mask)
    except ImageError as error:
        return Sample(path, label, problem=error.reason)


def _scale(declared: Size, actual: tuple[int, int]) -> Size:
    x, y = actual[0] / declared[0], actual[1] / declared[1]
    if abs(x / y - 1) > _RATIO_TOLERANCE and not all(abs(a - d) < 2 for a, d in zip(actual, declared, strict=True)):
        sizes = f"{declared[0]:g}x{declared[1]:g} picture, but it is {actual[0]}x{actual[1]}"
        raise ValueError(f"its boxes are of a {sizes} when held upright; annotate it anew or remove it")
    return x, y


def _checked(box: Box, scale: Size) -> Box:
    if not all(map(math.isfinite, box)):
        raise ValueError(f"box {_show(box)} is not finite; correct or remove it")
    left, top, right, bottom = (corner * scale[place % 2] for place, corner in enumerate(box))
    if left >= right or top >= bottom:
        raise ValueError(f"box {_show(box)} is empty: right has to exceed left, and bottom top; correct or remove it")
    return left, top, right, bottom


def _within(box: Box, size: tuple[int, int]) -> Box:
    (left, top, right, bottom), (width, height) = box, size
    if left >= width or top >= height or right <= 0 or bottom <= 0:
        raise ValueError(f"box {_show(box)} is outside of the {width}x{height} picture; correct or remove it")
    return max(left, 0.0), max(top, 0.0), min(right, float(width)), min(bottom, float(height))


def _show(box: Box) -> str:
    return ",".join(f"{corner:g}" for corner in box)
