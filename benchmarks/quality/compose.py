"""Paste cut-outs on backgrounds, and know where they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

SIDE = 320
BORDER = 20
"""Pixels at each edge that stay free: networks see no more than the centre 0.875 of the picture."""
ENLARGEMENT = 1.5
"""Cut-outs are small, and enlarged more than this they blur: then they stay smaller, but not below ``FLOOR``."""
FLOOR = 0.25
"""Of the picture's side: the least size of any cut-out that its box can hold."""
PAIR_GAP = 8

Box = tuple[int, int, int, int]
"""Left, top, right, bottom."""
WHOLE: Box = (BORDER, BORDER, SIDE - BORDER, SIDE - BORDER)
MIDDLE = SIDE // 2
HALVES: tuple[tuple[Box, Box], ...] = (
    ((BORDER, BORDER, MIDDLE - PAIR_GAP, SIDE - BORDER), (MIDDLE + PAIR_GAP, BORDER, SIDE - BORDER, SIDE - BORDER)),
    ((BORDER, BORDER, SIDE - BORDER, MIDDLE - PAIR_GAP), (BORDER, MIDDLE + PAIR_GAP, SIDE - BORDER, SIDE - BORDER)),
)
"""Side by side, or one above the other: whichever it is, the two do not touch."""


@dataclass(frozen=True)
class Stamp:
    """A cut-out, and what it shows.

    Args:
        name: Of its file, without the ending.
        label: Its ImageNet class.
        pixels: ``[H, W, 4]`` uint8, blue, green, red and opacity, no larger than the object.
    """

    name: str
    label: int
    pixels: NDArray[np.uint8]

    @classmethod
    def decode(cls, name: str, label: int, png: bytes) -> Stamp:
        """Read a PNG with transparency and cut off what is transparent all along an edge."""
        pixels = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_UNCHANGED)
        if pixels is None or pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 4:
            raise ValueError(f"{name} is no PNG of 8 bits with transparency")
        rows, columns = np.nonzero(pixels[..., 3] > 127)
        inside = pixels[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
        return cls(name, label, inside.astype(np.uint8, copy=False))


def decode_background(picture: bytes, left: int, top: int, side: int) -> NDArray[np.uint8]:
    """A square of a photo, ``[320, 320, 3]`` in OpenCV's order of colours."""
    pixels = cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_COLOR)
    if pixels is None:
        raise ValueError("no picture that OpenCV reads")
    square = pixels[top : top + side, left : left + side]
    return cv2.resize(square, (SIDE, SIDE), interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)


def paste(
    canvas: NDArray[np.uint8], stamp: Stamp, box: Box, share: tuple[float, float], random: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Put a cut-out at a random place in a box, at a random size.

    Args:
        canvas: ``[320, 320, 3]``; stays as it is.
        stamp: What to paste.
        box: Where it may lie.
        share: The least and the most of the picture's side that the cut-out's size is, the size being the geometric mean
            of height and width; a long cut-out stays smaller where the box would not hold it.
        random: Where size and place come from: three draws.

    Returns:
        The new canvas, and its mask ``[320, 320]``: 255 where the cut-out is more than half opaque, 0 elsewhere.
    """
    height, width = _size(stamp, box, share, random.random())
    left, top, right, bottom = box
    x = left + int(random.random() * (right - left - width + 1))
    y = top + int(random.random() * (bottom - top - height + 1))
    color, opacity = _resize(stamp.pixels, height, width)
    place = np.s_[y : y + height, x : x + width]
    result, mask = canvas.copy(), np.zeros(canvas.shape[:2], np.uint8)
    result[place] = np.rint(color + canvas[place] * (1 - opacity[..., None])).clip(0, 255).astype(np.uint8)
    mask[place] = np.where(opacity > 0.5, 255, 0)
    return result, mask


def _size(stamp: Stamp, box: Box, share: tuple[float, float], drawn: float) -> tuple[int, int]:
    height, width = stamp.pixels.shape[:2]
    own = float(np.sqrt(height * width))
    sharp = max(FLOOR * SIDE, ENLARGEMENT * own)
    least, most = (min(SIDE * part, sharp) for part in share)
    scale = (least + (most - least) * drawn) / own
    scale = min(scale, (box[3] - box[1]) / height, (box[2] - box[0]) / width)
    return max(1, int(height * scale)), max(1, int(width * scale))


def _resize(pixels: NDArray[np.uint8], height: int, width: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Colours times opacity, and opacity in [0, 1]: so what is transparent lends its colour to nothing."""
    opacity = pixels[..., 3:].astype(np.float32) / 255
    layers = np.concatenate([pixels[..., :3] * opacity, opacity], axis=2)
    shrinks = height * width < pixels.shape[0] * pixels.shape[1]
    interpolation = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    layers = cv2.resize(layers, (width, height), interpolation=interpolation).astype(np.float32, copy=False)
    return layers[..., :3], layers[..., 3]
