"""JPEGs to explain: drawn ones, and crops of the photographs that scikit-image carries."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
from skimage import data

if TYPE_CHECKING:
    from pathlib import Path

PHOTOGRAPHS = ("astronaut", "chelsea", "coffee", "rocket")
"""Those that lie in scikit-image's own package."""


def draw(folder: Path, count: int, width: int = 500, height: int = 375) -> list[Path]:
    """Clouds of colour of ImageNet's usual size."""
    folder.mkdir(parents=True, exist_ok=True)
    chance = np.random.default_rng(0)
    return [_write(folder / f"{i:06}.jpg", _clouds(chance, width, height)) for i in range(count)]


def real(folder: Path, count: int) -> list[Path]:
    """Crops of 60 to 100% of a photograph, some mirrored."""
    folder.mkdir(parents=True, exist_ok=True)
    chance = np.random.default_rng(0)
    photographs = [getattr(data, name)() for name in PHOTOGRAPHS]
    return [_write(folder / f"{i:06}.jpg", _crop(chance, photographs[i % len(photographs)])) for i in range(count)]


def _clouds(chance: np.random.Generator, width: int, height: int) -> np.ndarray:
    coarse = chance.integers(0, 256, (6, 8, 3), np.uint8)
    clouds = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC).astype(np.int16)
    return (clouds + chance.integers(-8, 8, clouds.shape)).clip(0, 255).astype(np.uint8)


def _crop(chance: np.random.Generator, picture: np.ndarray) -> np.ndarray:
    height, width = (int(side * chance.uniform(0.6, 1)) for side in picture.shape[:2])
    top, left = (
        int(chance.integers(0, whole - part + 1))
        for whole, part in zip(picture.shape[:2], (height, width), strict=True)
    )
    cut = picture[top : top + height, left : left + width]
    return cut[:, ::-1] if chance.random() < 0.5 else cut


def _write(path: Path, picture: np.ndarray) -> Path:
    cv2.imwrite(str(path), picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 90])
    return path
