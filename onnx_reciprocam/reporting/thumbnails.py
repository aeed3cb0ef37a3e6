"""Small pictures for the page: a picture, and its maps over it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from onnx_reciprocam import visualise
from onnx_reciprocam.visualise import Region

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from onnx_reciprocam.visualise import Picture

SIDE = 320
"""Pixels of the longer side."""
ALPHA = 0.7
"""Share of colour at a map's largest cell."""
_QUALITY = 80


class Canvas(NamedTuple):
    """A small picture, or None where it is gone; its height and width, and what of it the network saw."""

    picture: Picture | None
    height: int
    width: int
    region: Region


def canvas(told: Mapping[str, Any], picture: Picture | None, cells: Sequence[int]) -> Canvas:
    """What a row's maps are drawn on.

    Args:
        told: The row's columns.
        picture: Its picture, None where it is gone.
        cells: Height and width of a map, which stand for the picture's where the row has none.
    """
    height, width = (told.get("height") or cells[0], told.get("width") or cells[1])
    seen = told.get("seen") or (0, 0, height, width)
    small = None if picture is None else visualise.shrunk(picture, SIDE)
    scale = SIDE / max(height, width)
    shape = (max(1, round(height * scale)), max(1, round(width * scale))) if small is None else small.shape
    down, across = shape[0] / height, shape[1] / width
    region = Region(seen[0] * down, seen[1] * across, seen[2] * down, seen[3] * across)
    return Canvas(small, shape[0], shape[1], region)


def drawn(sheet: Canvas, saliency: NDArray[np.float32]) -> bytes:
    """A map ``[h, w]`` over the picture, or alone where that is gone, as the bytes of a JPEG."""
    if sheet.picture is None:
        blank = np.zeros((sheet.height, sheet.width, 3), np.uint8)
        return jpeg(visualise.heatmap(blank, saliency, sheet.region))
    return jpeg(visualise.overlay(sheet.picture, saliency, ALPHA, sheet.region))


def jpeg(picture: Picture) -> bytes:
    """A small picture as the bytes of a file."""
    return visualise.encode(picture, ".jpg", _QUALITY)
