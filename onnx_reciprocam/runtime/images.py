"""Picture files as arrays."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from onnx_reciprocam.errors import ImageError
from onnx_reciprocam.runtime.picture_header import read_header, without_profile

ENDINGS = frozenset({".jpg", ".jpeg", ".png", ".webp"})
"""Of the names of picture files that :func:`read_image` decodes, in lower case."""

MAX_PIXELS = 100_000_000
"""A picture that declares more is refused before a pixel is decoded."""

Picture = NDArray[np.uint8]


def read_image(source: str | os.PathLike[str] | bytes) -> Picture:
    """Decode a JPEG, PNG or WebP picture: the first frame, upright as its EXIF orientation says.

    Grey becomes RGB, transparency is laid on white, 16 bits are scaled to 8.

    Args:
        source: Path, or the file's bytes.

    Returns:
        ``[H, W, 3]`` uint8 RGB.

    Raises:
        ImageError: The file cannot be read, is no such picture, is damaged, or declares above :data:`MAX_PIXELS`.
    """
    return np.ascontiguousarray(_to_rgb(read_stored(source)))


def read_stored(source: str | os.PathLike[str] | bytes) -> NDArray[np.integer]:
    """As :func:`read_image`, but in the channels and bits of the file.

    Returns:
        ``[H, W]`` grey, or ``[H, W, C]`` BGR or BGRA; uint8 or uint16.

    Raises:
        ImageError: As :func:`read_image`.
    """
    name = "the picture" if isinstance(source, bytes) else os.fspath(source)
    data = source if isinstance(source, bytes) else _read_bytes(name)
    if not data:
        raise ImageError(name, "the file is empty")
    try:
        header = read_header(data)
    except ValueError as error:
        raise ImageError(name, str(error)) from error
    check_pixels(name, header.height, header.width)
    return _turn(_decode(name, without_profile(data)), header.orientation)


def check_pixels(name: str, height: int, width: int) -> None:
    """Refuse a picture too large to hold.

    Raises:
        ImageError: ``height * width`` is above :data:`MAX_PIXELS`.
    """
    if height * width > MAX_PIXELS:
        raise ImageError(name, f"{width}x{height} is above {MAX_PIXELS // 10**6} megapixels; make it smaller first")


def _read_bytes(name: str) -> bytes:
    try:
        return Path(name).read_bytes()
    except OSError as error:
        raise ImageError(name, (error.strerror or str(error)).lower()) from error
    except ValueError as error:  # a NUL in the name
        raise ImageError(repr(name), str(error)) from error


def _decode(name: str, data: bytes) -> NDArray[np.integer]:
    """As stored: grey, BGR or BGRA of 8 or 16 bits, not turned."""
    try:
        stored = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        stored = None
    if stored is None:
        raise ImageError(name, "the picture is truncated or damaged")
    return np.asarray(stored)


def _to_rgb(stored: NDArray[np.integer]) -> Picture:
    if stored.dtype != np.uint8:
        stored = np.asarray(cv2.convertScaleAbs(stored, alpha=255 / np.iinfo(stored.dtype).max), np.uint8)
    if stored.ndim == 2:
        return np.asarray(cv2.cvtColor(stored, cv2.COLOR_GRAY2RGB), np.uint8)
    if stored.shape[-1] == 4:
        stored = _on_white(stored)
    return np.asarray(cv2.cvtColor(stored, cv2.COLOR_BGR2RGB), np.uint8)


def _on_white(stored: NDArray[np.integer]) -> Picture:
    """``color * a + white * (1 - a)``, rounded, in whole numbers that fit 16 bits."""
    color, opacity = stored[..., :3].astype(np.uint16), stored[..., 3:].astype(np.uint16)
    return ((color * opacity + 255 * (255 - opacity) + 127) // 255).astype(np.uint8)


def _turn(picture: NDArray[np.integer], orientation: int) -> NDArray[np.integer]:
    """Undo the turn that EXIF names: 2 to 4 keep height and width, 5 to 8 exchange them (EXIF 2.32, 4.6.4)."""
    if orientation > 4:
        picture = picture.swapaxes(0, 1)
    if orientation in {2, 3, 6, 7}:
        picture = picture[:, ::-1]
    if orientation in {3, 4, 7, 8}:
        picture = picture[::-1]
    return np.ascontiguousarray(picture)
